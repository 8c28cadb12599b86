"""What there is to know of a PostgreSQL server, whoever runs it, and how it is said to each client."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource

from components import kube
from components.wiring import Edge, Target

PORT = 5432
# The name under which a private authority's certificate is mounted; ``trust`` takes all of *.crt.
AUTHORITY_FILE = "database.crt"


@dataclass(frozen=True, kw_only=True)
class Names:
    """Databases and roles. The defaults are those that upstream uses, so that its own documentation applies."""

    portal_database: str = "litemaas_db"
    portal_role: str = "litemaas"
    gateway_database: str = "litellm_db"
    gateway_role: str = "litellm"


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """Of a server that this stack makes. ``storage`` is a Kubernetes quantity; ``max_connections`` of all
    clients together; ``parameters`` are PostgreSQL's own.
    """

    size: kube.Size
    storage: str
    storage_class: str | None
    max_connections: int
    parameters: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """For whom a server is made: the tier, and what of it the server uses; the password is secret."""

    tier: ComponentResource
    name: str
    scope: kube.Scope
    account: Input[str]
    admin_password: Output[str]
    protect: bool


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where it is, who administers it, and how its connections are encrypted.

    ``verified``: with TLS, whose certificate is checked, its names included; by ``authority`` (None: by the
    well-known ones). Otherwise connections are in clear. ``ready_made``: databases and roles are somebody
    else's work. ``ready`` is what has to be up before anybody connects, ``made_of`` what the server consists
    of, ``edges`` the connections that it needs for itself.
    """

    host: Target[Output[str]]
    port: int = PORT
    admin: str = "postgres"
    admin_database: str = "postgres"
    ready_made: bool = False
    verified: bool = False
    authority: k8s.core.v1.VolumeProjectionArgs | None = None
    ready: Sequence[Resource] = ()
    made_of: Sequence[object] = ()
    edges: Sequence[Edge] = ()

    def libpq(self) -> dict[str, Input[str]]:
        """The environment of psql."""
        where: dict[str, Input[str]] = {"PGHOST": self.host.address, "PGPORT": str(self.port)}
        # Verified by the one file of what pods trust.
        return where | {"PGSSLMODE": "verify-full" if self.verified else "disable"}

    def node(self, role: str, password: Output[str], database: str) -> Target[Output[str]]:
        """A URL for node-postgres, which takes the authority from NODE_EXTRA_CA_CERTS."""
        # sslmode must be said: without it the backend tries TLS without looking at the certificate, fails
        # against a server without, and serves mock data instead (litemaas-contract.md section 1.4).
        return self._url(role, password, database, "sslmode=verify-full" if self.verified else "sslmode=disable")

    def prisma(self, role: str, password: Output[str], database: str) -> Target[Output[str]]:
        """A URL for LiteLLM's engine, which has words of its own; it verifies by SSL_CERT_FILE.

        It takes libpq's verify-full for "prefer", and connects to whoever answers.
        """
        verified = "sslmode=require&sslaccept=strict"
        return self._url(role, password, database, verified if self.verified else "sslmode=disable")

    def _url(self, role: str, password: Output[str], database: str, query: str) -> Target[Output[str]]:
        encoded = password.apply(lambda text: quote(text, safe=""))
        form = "postgresql://{0}:{1}@{2}:{3}/{4}?{5}"
        address = Output.format(form, role, encoded, self.host.address, self.port, database, query)
        return replace(self.host, address=address)
