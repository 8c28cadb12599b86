"""PostgreSQL run by the operator CloudNativePG: a Cluster that `up` waits for."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import Output, ResourceOptions

from components import volumes
from components.openshift import READY, Manifest
from components.placement import Placement
from components.server import AUTHORITY_FILE, PORT, Dimensions, Owner, Server
from components.wiring import Edge, Instances, Place, Target

CLUSTER = "postgres"
# The operator's own label of the pods of a Cluster.
_LABEL = "cnpg.io/cluster"
# The operator asks each instance for its state there, and instances ask each other.
_STATUS_PORT = 8000


@dataclass(frozen=True, kw_only=True)
class Operated:
    """``instances``, each of these dimensions."""

    instances: int
    dimensions: Dimensions

    def make(self, owner: Owner) -> Server:
        """The Cluster, as a child of the tier. Image, certificates, failover and backups are the operator's."""
        scope, wanted = owner.scope, self.dimensions
        superuser = k8s.core.v1.Secret(
            f"{owner.name}-superuser",
            metadata=scope.meta("postgres"),
            immutable=True,
            type="kubernetes.io/basic-auth",
            string_data={"username": "postgres", "password": owner.admin_password},
            opts=ResourceOptions(parent=owner.tier),
        )
        of_class = {"storageClass": wanted.storage_class} if wanted.storage_class else {}
        spec: dict[str, object] = {
            "instances": self.instances,
            "storage": {"size": wanted.storage, **of_class},
            "resources": {"requests": dict(wanted.size.requests), "limits": dict(wanted.size.limits)},
            "postgresql": {"parameters": {**wanted.parameters, "max_connections": str(wanted.max_connections)}},
            # Off by default; the bootstrap Job makes databases and roles with it.
            "enableSuperuserAccess": True,
            "superuserSecret": {"name": superuser.metadata.name},
        }
        spec |= _placed(scope.placements.of("postgres"))
        if scope.pull_secret:
            spec["imagePullSecrets"] = [{"name": scope.pull_secret}]
        made = Manifest(
            f"{owner.name}-cluster",
            api_version="postgresql.cnpg.io/v1",
            kind="Cluster",
            metadata=scope.meta("postgres", CLUSTER, scope.awaited(heal=True) | READY),
            fields={"spec": spec},
            opts=scope.workload(owner.tier, protect=owner.protect),
        )
        return Server(
            # Made by the operator, as are the Secret with its authority and the certificate for this name.
            host=Target(address=Output.from_input(f"{CLUSTER}-rw"), peer=Instances(CLUSTER), port=PORT),
            verified=True,
            authority=volumes.secret_key(f"{CLUSTER}-ca", "ca.crt", AUTHORITY_FILE),
            ready=[made],
            made_of=[spec],
            edges=_own_edges(),
        )


def _placed(wanted: Placement) -> dict[str, object]:
    """Where instances run, in the operator's words; without any it keeps them on nodes of their own, if it can."""
    given = wanted.affinity or {}
    affinity = {
        "nodeSelector": dict(wanted.node_selector or {}),
        "tolerations": list(wanted.tolerations or []),
        "nodeAffinity": given.get("nodeAffinity"),
        "additionalPodAffinity": given.get("podAffinity"),
        "additionalPodAntiAffinity": given.get("podAntiAffinity"),
    }
    parts = {
        "affinity": {name: value for name, value in affinity.items() if value},
        "topologySpreadConstraints": [each.words({_LABEL: CLUSTER}) for each in wanted.spread or []],
        "priorityClassName": wanted.priority_class,
    }
    return {name: value for name, value in parts.items() if value}


def _own_edges() -> list[Edge]:
    pods = Instances(CLUSTER)
    return [
        *(Edge(source=Place.OPERATOR, target=pods, port=port) for port in (PORT, _STATUS_PORT)),
        # Copies follow the primary.
        *(Edge(source=pods, target=pods, port=port) for port in (PORT, _STATUS_PORT)),
        # An instance says there how it is, and learns there what to become.
        Edge(source=pods, target=Place.API_SERVER, port=None),
    ]
