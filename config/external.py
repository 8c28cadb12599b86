"""A PostgreSQL server that somebody else runs."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.entry import Entry
from config.trust import CaBundle
from config.types import Port

_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
# litemaas-contract.md section 1.4: the backend verifies certificate and name in all of these.
_AS_STRICT = ("require", "verify-ca", "prefer")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        msg = (
            "is no host name; nothing could connect; write the bare name, without scheme, port and database, "
            "for example postgres.example.com"
        )
        raise ValueError(msg)
    if value in {"localhost", "127.0.0.1"}:
        msg = "is each pod itself, where no database runs; write the name that pods find the server by"
        raise ValueError(msg)
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        msg = (
            "is no name of letters, digits, '_' and '-' (63 at most); URLs and statements are made with it; "
            "write one that is"
        )
        raise ValueError(msg)
    return value


def _ssl_mode(value: Any) -> Any:
    if value in _AS_STRICT:
        msg = (
            "would be read as verify-full by the portal's backend, which serves mock data when it cannot verify the "
            "server, while LiteLLM would verify less; write verify-full, and the authority in database.external.ca "
            "if it is a private one"
        )
        raise ValueError(msg)
    if value in {"no-verify", "allow"}:
        msg = "is no protection: whoever answers would be given the passwords; write verify-full"
        raise ValueError(msg)
    return value


Host = Annotated[str, AfterValidator(_host)]
Name = Annotated[str, AfterValidator(_name)]
SslMode = Annotated[Literal["disable", "verify-full"], BeforeValidator(_ssl_mode)]
_OF_READY_ROLES = ("portal_database", "portal_role", "gateway_database", "gateway_role")
_OF_THE_ADMINISTRATOR = ("admin_user", "admin_database")


class External(Entry):
    """Where the server is, and what is there already."""

    host: Host = Field(
        description="Name of the server, as its certificate has it and as pods find it.",
        examples=["postgres.example.com"],
    )
    port: Port = Field(default=5432, description="Port of the server. Default: 5432.")
    ssl_mode: SslMode = Field(
        default="verify-full",
        description="verify-full: encrypted, and the server's certificate and name are verified by every client. disable: in clear, for a network that nobody else reads. Default: verify-full. There is nothing between: the backend serves mock data where it cannot verify.",
    )
    ca: CaBundle | None = Field(
        default=None,
        description="Certificate authorities in PEM that verify this server alone, where trust.caBundle is for everything. Default: what pods trust anyway, see `trust`.",
    )
    roles: Literal["managed", "ready"] = Field(
        default="managed",
        description="managed: the bootstrap Job makes databases, roles and passwords, with secrets.postgresAdminPassword. ready: all of that exists, secrets.portalDatabasePassword and secrets.gatewayDatabasePassword are what it has, and the Job only checks it. Default: managed.",
    )
    admin_user: Name = Field(
        default="postgres",
        description="The role that makes the others: a superuser, or one with CREATEDB and CREATEROLE. Default: postgres.",
    )
    admin_database: Name = Field(
        default="postgres",
        description="An existing database that this role may connect to. Default: postgres.",
    )
    portal_database: Name = Field(
        default="litemaas_db",
        description="Ready-made database of the portal. Default: litemaas_db, upstream's name.",
    )
    portal_role: Name = Field(
        default="litemaas",
        description="Ready-made role that owns it. Default: litemaas.",
    )
    gateway_database: Name = Field(
        default="litellm_db",
        description="Ready-made database of LiteLLM, another one than the portal's. Default: litellm_db.",
    )
    gateway_role: Name = Field(
        default="litellm",
        description="Ready-made role that owns it, another one than the portal's. Default: litellm.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[str] = []
        unread = _OF_THE_ADMINISTRATOR if self.roles == "ready" else _OF_READY_ROLES
        for name in unread:
            if name in self.model_fields_set:
                key = type(self).model_fields[name].alias
                problems.append(
                    f"{key} is not used with roles {self.roles}; remove it, or write the other value of roles"
                )
        if self.portal_database == self.gateway_database:
            problems.append(
                f"portalDatabase and gatewayDatabase are both {self.portal_database}; portal and LiteLLM would break "
                "each other's tables; write two"
            )
        if self.portal_role == self.gateway_role:
            problems.append(
                f"portalRole and gatewayRole are both {self.portal_role}; whoever gets into the one could read what is "
                "the other's; write two"
            )
        if self.ca is not None and self.ssl_mode == "disable":
            problems.append("ca is not used with sslMode disable; remove it, or write verify-full")
        if problems:
            raise ValueError(" | ".join(problems))
        return self
