"""Who calls whom: whoever is told an address is told as well who answers there.

A tier is given no bare address of what it calls, but a ``Target``: address and peer in one. The
targets among its arguments are its edges (``calls``), a Route is one from the router, and the
network policies are made of all edges (``isolation``). So there is no second list that could
disagree: what is given an address is let through to it, and what is not is not.
"""

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Generic, TypeVar

from pulumi import Output


@dataclass(frozen=True)
class Pods:
    """The pods of one component of this installation."""

    component: str


@dataclass(frozen=True)
class Instances:
    """The pods that CloudNativePG makes for a Cluster of this installation; their labels are its own."""

    cluster: str


@dataclass(frozen=True)
class Namespace:
    """All pods of another namespace."""

    name: str


class Place(Enum):
    """Peers that are known, but not by labels of ours."""

    ROUTER = "the cluster's routers, which answer at every public name"
    API_SERVER = "the Kubernetes API server"
    NEIGHBOURS = "pods in the installation's namespace that are not its own"
    OPERATOR = "CloudNativePG's operator, in whichever namespace it was installed"
    MONITORING = "the cluster's Prometheus servers"
    ANYWHERE = "whoever answers at a name outside the cluster"


Peer = Pods | Instances | Namespace | Place


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A connection that is made; ``port`` is the one that the target's container listens on, None for any."""

    source: Peer
    target: Peer
    port: int | None


# Text where it is known at preview, an Output where an object has to exist first.
Text_co = TypeVar("Text_co", bound=str | Output[str], covariant=True)


@dataclass(frozen=True, kw_only=True)
class Target(Generic[Text_co]):
    """What a tier calls: ``address``, a URL or a host, is what it is told, ``peer`` who answers there."""

    address: Text_co
    peer: Peer
    port: int | None

    def called_by(self, source: Peer) -> Edge:
        """The edge that ``source`` gets with this address."""
        return Edge(source=source, target=self.peer, port=self.port)


def calls(component: str, args: Any) -> list[Edge]:  # noqa: ANN401 (any tier's arguments)
    """The edges of ``component``: to every target among the fields of ``args``."""
    given = [getattr(args, one.name) for one in fields(args)]
    return [target.called_by(Pods(component)) for target in given if isinstance(target, Target)]
