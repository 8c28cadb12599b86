"""Where LiteLLM's replicas share limits and the states of keys."""

from typing import Literal, Self

from pydantic import Field, model_validator

from config.entry import Entry
from config.types import HostName, Port

_PORT = 6379


class Redis(Entry):
    """One made here, or one that is there already. Give an external one to no other program: all of it may be emptied."""

    mode: Literal["bundled", "external"] = Field(
        default="bundled",
        description="bundled makes one pod without persistence, external uses a Redis 7 or newer of yours; its password has to be given as secrets.redisPassword then. Default: bundled.",
    )
    host: HostName | None = Field(
        default=None,
        description="Host of the external one. Default: none, and needed with mode external.",
        examples=["redis.example.com"],
    )
    port: Port | None = Field(default=None, description="Port of the external one. Default: 6379, Redis' own.")
    tls: bool | None = Field(
        default=None,
        description="Speak TLS to the external one; its certificate is then verified for `host`, against trust. Default: true. False sends the password in clear, for a Redis inside the cluster without TLS.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode == "external" and self.host is None:
            msg = "has mode external and no host; LiteLLM would not find its counters; write redis.host"
            raise ValueError(msg)
        given = [name for name in ("host", "port", "tls") if getattr(self, name) is not None]
        if self.mode == "bundled" and given:
            msg = (
                f"has {', '.join(given)}, which would be ignored while you rely on it, since the bundled Redis has its "
                "own; write mode: external, or leave it out"
            )
            raise ValueError(msg)
        return self

    @property
    def server(self) -> tuple[str, int]:
        """Host and port of the external one."""
        return self.host or "", self.port or _PORT

    @property
    def speaks_tls(self) -> bool:
        """Whether the external one is spoken to in TLS."""
        return self.tls is not False
