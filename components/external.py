"""A PostgreSQL server that somebody else runs: nothing is made but the file with its authority."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import Output, ResourceOptions

from components import volumes
from components.server import AUTHORITY_FILE, Owner, Server
from components.wiring import Target

_KEY = "ca.crt"


@dataclass(frozen=True, kw_only=True)
class External:
    """``authority`` is the PEM of a private one."""

    host: Target[str]
    port: int
    verified: bool
    authority: str | None
    admin: str
    admin_database: str
    ready_made: bool

    def make(self, owner: Owner) -> Server:
        """What clients have to know of it."""
        projection = None
        if self.authority:
            file = k8s.core.v1.ConfigMap(
                f"{owner.name}-authority",
                metadata=owner.scope.meta("postgres"),
                immutable=True,
                data={_KEY: self.authority},
                opts=ResourceOptions(parent=owner.tier),
            )
            projection = volumes.key(file.metadata.name, _KEY, AUTHORITY_FILE)
        return Server(
            host=Target(address=Output.from_input(self.host.address), peer=self.host.peer, port=self.host.port),
            port=self.port,
            admin=self.admin,
            admin_database=self.admin_database,
            ready_made=self.ready_made,
            verified=self.verified,
            authority=projection,
        )
