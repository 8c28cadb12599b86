"""The database: what runs it, how large it is, and what it is set to."""

import re
from collections.abc import Collection
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from config.entry import Entry
from config.external import External
from config.report import NAMESPACE, Problem
from config.sizes import Volume
from config.types import Count

_PARAMETER = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
# What is not for the stack file to say, and why. An operator (CloudNativePG) refuses most of them as well.
_DECIDED = (
    (r"max_connections", "the pods are counted against it; write database.maxConnections"),
    (r"listen_addresses|port|unix_socket_.*", "Service, probes and URLs are made for the ones it has"),
    (r"ssl|ssl_.*", "the bundled server has no certificate but that of tls.internal, and an operator makes its own"),
    (r".*_file|data_directory|include.*", "the image or the operator puts these files"),
    (r".*_preload_libraries", "a library that the image lacks keeps the server from starting"),
    (r"fsync|full_page_writes", "without it a crash loses the database"),
    (r"log_destination|logging_collector|log_directory|log_filename|log_file_mode", "the log is read from the pod"),
    (
        r"(archive|restore|recovery|primary|synchronous_standby|promote)_.*|wal_level|hot_standby|cluster_name",
        "copies of the database are the operator's business, and the bundled server has none",
    ),
)
_NOT_USED = {
    "bundled": ("instances", "external"),
    "operator": ("external",),
    "external": ("storage", "parameters", "instances"),
}
DEFAULT_CONNECTIONS = 200
OLDEST_POSTGRES = 13
_FIRST_COUNTED_BY_ONE = 10  # 9.6 was followed by 10


class Database(Entry):
    """PostgreSQL, where portal and LiteLLM keep everything."""

    mode: Literal["bundled", "operator", "external"] = Field(
        default="bundled",
        description="Who runs PostgreSQL. bundled: one pod of this stack. operator: CloudNativePG, by a Cluster of this stack. external: somebody else, see database.external. Default: bundled. Data does not move by itself: another mode is refused while a database of this stack exists.",
    )
    storage: Volume = Field(
        default=Volume(size="10Gi"),
        description="The claim of the data. Default 10Gi, upstream's own default.",
    )
    max_connections: Count = Field(
        default=DEFAULT_CONNECTIONS,
        description="Connections that the server accepts; more pods than it has connections for are refused at preview. Default: 200, enough for 14 pods of LiteLLM. With an external server there is no default: write what SHOW max_connections says there, less what others use.",
    )
    parameters: dict[str, str | int | float | bool] = Field(
        default={},
        description="PostgreSQL's own settings, by name; a change restarts the server. Default: none, what image or operator set.",
        examples=[{"work_mem": "16MB", "shared_buffers": "256MB"}],
    )
    instances: Count | None = Field(
        default=None,
        description="Pods of the operator's cluster: a primary, and copies that take over. Default: 1 (demo), 3 (production).",
    )
    external: External | None = Field(
        default=None,
        description="The server of mode external. Default: none, in the other modes.",
    )

    @field_validator("parameters")
    @classmethod
    def _free_to_choose(cls, value: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        problems = [fault for name in value for fault in _fault(name)]
        if problems:
            raise ValueError("; ".join(problems))
        return value

    @model_validator(mode="after")
    def _as_the_mode_needs(self) -> Self:
        problems = [
            f"{type(self).model_fields[name].alias} is not used in mode {self.mode}; it would be taken for granted and do "
            f"nothing; remove it"
            for name in _NOT_USED[self.mode]
            if name in self.model_fields_set
        ]
        if self.mode == "external" and self.external is None:
            problems.append("mode is external and no server is named; nothing could connect; write external.host")
        if self.mode == "external" and "max_connections" not in self.model_fields_set:
            problems.append(
                "maxConnections is missing; pods that find no connection left fail under load; write what "
                "SHOW max_connections says on the server, less what others use"
            )
        if problems:
            raise ValueError(" | ".join(problems))
        return self

    def names(self) -> dict[str, str]:
        """The ready-made databases and roles; without them those that are made."""
        of = ("portal_database", "portal_role", "gateway_database", "gateway_role")
        return {name: getattr(self.external, name) for name in of} if self.external else {}

    def missing_secrets(self, given: Collection[str]) -> list[Problem]:
        """The secrets that an external server has already, and which nobody can generate."""
        if self.external is None:
            return []
        ready = self.external.roles == "ready"
        needed = ("portalDatabasePassword", "gatewayDatabasePassword") if ready else ("postgresAdminPassword",)
        return [
            Problem(
                where=f"{NAMESPACE}:secrets.{name}",
                what=f"is missing; the external server has this password already (database.external.roles is "
                f"{self.external.roles}), and a generated one would be refused there; write it with "
                f"`pulumi config set --secret --path litemaas:secrets.{name}.value`",
            )
            for name in needed
            if name not in given
        ]

    def settings(self) -> dict[str, str]:
        """The parameters as PostgreSQL writes them."""
        # YAML reads on and off as truth values.
        return {
            name: ("on" if value else "off") if isinstance(value, bool) else str(value)
            for name, value in sorted(self.parameters.items())
        }


def postgres_major(image: str) -> int | None:
    """The major version that an image's name tells: of its repository (sclorg) or its tag; None if neither does."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    found = re.search(r"postgres(?:ql)?-?(\d{1,2})(?!\d)", name) or re.match(r"v?(\d{1,2})(?!\d)", tag)
    # A team's own image may count as it likes.
    return int(found[1]) if found and "postgres" in name and int(found[1]) >= _FIRST_COUNTED_BY_ONE else None


def _fault(name: str) -> list[str]:
    if not _PARAMETER.fullmatch(name):
        return [f"{name} is no name of a PostgreSQL parameter; the server would not start; write it as SHOW ALL does"]
    return [f"{name} cannot be set here: {why}" for pattern, why in _DECIDED if re.fullmatch(pattern, name)]
