"""Entrances: doors for those outside, and the Routes or Ingresses that they are made of."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi_kubernetes as k8s
from pulumi import Input, Output, Resource, ResourceOptions

from components import kube, openshift
from components.naming import Door, slug
from components.wiring import Edge, Place, Target

# What an IngressClass says of who serves it. Of these two it is known what they understand.
NGINX, OPENSHIFT = "k8s.io/ingress-nginx", "openshift.io/ingress-to-route"
_HAPROXY, _NGINX = "haproxy.router.openshift.io", "nginx.ingress.kubernetes.io"
# A name that a JSONPath can say.
_MARK = "entrance"
# OpenShift's router counts requests over this time.
_WINDOW_SECONDS = 10
# OpenShift labels so the namespaces of its routers, and one that stands for its nodes: on some platforms
# routers run on the nodes' own network, where no namespace of theirs is seen.
ROUTERS = "policy-group.network.openshift.io/ingress"
_HOST_NETWORK = "policy-group.network.openshift.io/host-network"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Who may come in and how often, by source address; ``hsts_seconds`` None is no header."""

    allow_from: Sequence[str] = ()
    connections: int | None = None
    requests_per_second: int | None = None
    hsts_seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class IngressKind:
    """An IngressClass, the ``controller`` that it names, and annotations of the operator's own.

    The controller's pods are let in by ``namespace`` and ``labels``; None stands for OpenShift's routers.
    """

    class_name: str
    controller: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Way:
    """What a door leads to: ``service``, which may take ``seconds`` for an answer."""

    service: Target[Output[str]]
    seconds: int
    scope: kube.Scope
    component: str
    parent: Resource


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Entrances that are OpenShift's Routes."""

    tls: openshift.Tls
    guard: Guard

    def open(self, name: str, door: Door, way: Way) -> Edge:
        """Makes the Routes of ``door``; the router admits each, or `up` fails."""
        scope, told = way.scope, haproxy(self.guard, way.seconds)
        for route, path in door.routes.items():
            awaited = scope.awaited(heal=True) | _admitted(door.host, path, self.tls.termination, told)
            openshift.route(
                f"{name}-{slug(path)}" if path else name,
                metadata=scope.meta(way.component, route, awaited | told),
                host=door.host,
                path=path,
                service=way.service,
                tls=self.tls,
                opts=scope.workload(way.parent),
            )
        return way.service.called_by(Place.ROUTER)


def _admitted(*asked: object) -> dict[str, str]:
    """Annotations by which the engine waits until a Route that asks for this is admitted.

    The mark tells it from the Route of before, which is admitted too: the engine, which may see that one first, took
    it for the new one and kept it in the state, so that the next preview showed the same change again.
    """
    mark = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    marked = f"jsonpath={{.metadata.annotations.{_MARK}}}={mark}"
    return {_MARK: mark, "pulumi.com/waitFor": json.dumps([marked, openshift.ADMITTED])}


@dataclass(frozen=True, kw_only=True)
class Ingresses:
    """Entrances that are Ingresses; ``certificate`` names a Secret (None: the controller's own certificate)."""

    kind: IngressKind
    guard: Guard
    certificate: Input[str] | None

    def open(self, name: str, door: Door, way: Way) -> Edge:
        """Makes the Ingress of ``door``."""
        backend = k8s.networking.v1.IngressBackendArgs(
            service=k8s.networking.v1.IngressServiceBackendArgs(
                name=way.service.address, port=k8s.networking.v1.ServiceBackendPortArgs(name="main")
            )
        )
        paths = [
            k8s.networking.v1.HTTPIngressPathArgs(path=path, path_type="Prefix", backend=backend)
            for path in door.paths or ("/",)
        ]
        ours = annotations(self.kind.controller, self.guard, way.seconds)
        k8s.networking.v1.Ingress(
            name,
            # Many controllers write no address into the status, which the engine would wait for; that the
            # entrance works, the verification sees.
            metadata=way.scope.meta(
                way.component, door.name, kube.SKIP_AWAIT | kube.HEAL | {**self.kind.annotations, **ours}
            ),
            spec=k8s.networking.v1.IngressSpecArgs(
                ingress_class_name=self.kind.class_name,
                tls=[k8s.networking.v1.IngressTLSArgs(hosts=[door.host], secret_name=self.certificate)],
                rules=[
                    k8s.networking.v1.IngressRuleArgs(
                        host=door.host, http=k8s.networking.v1.HTTPIngressRuleValueArgs(paths=paths)
                    )
                ],
            ),
            opts=ResourceOptions(parent=way.parent),
        )
        return way.service.called_by(Place.ROUTER)


Entrance = Routes | Ingresses


def haproxy(guard: Guard, seconds: int) -> dict[str, str]:
    """What OpenShift's router is told by annotations."""
    found = {"timeout": f"{seconds}s"}
    if guard.allow_from:
        # Both names: the second is the older one, and a router that knows neither lets everybody in.
        found |= dict.fromkeys(("ip_allowlist", "ip_whitelist"), " ".join(guard.allow_from))
    if guard.connections or guard.requests_per_second:
        found["rate-limit-connections"] = "true"
    if guard.connections:
        found["rate-limit-connections.concurrent-tcp"] = str(guard.connections)
    if guard.requests_per_second:
        found["rate-limit-connections.rate-http"] = str(guard.requests_per_second * _WINDOW_SECONDS)
    if guard.hsts_seconds is not None:
        found["hsts_header"] = f"max-age={guard.hsts_seconds}"
    return {f"{_HAPROXY}/{key}": value for key, value in found.items()}


def annotations(controller: str, guard: Guard, seconds: int) -> dict[str, str]:
    """What the controller of an Ingress is told; nothing if it is not known what it understands."""
    if controller == OPENSHIFT:
        # Without it an Ingress that names no Secret becomes a Route without TLS.
        return {"route.openshift.io/termination": "edge", **haproxy(guard, seconds)}
    return _nginx(guard, seconds) if controller == NGINX else {}


def _nginx(guard: Guard, seconds: int) -> dict[str, str]:
    found = {
        "proxy-read-timeout": str(seconds),
        "proxy-send-timeout": str(seconds),
        # Its own limit is 1 MiB, which a question with a picture passes; the portal's nginx has one of its own.
        "proxy-body-size": "0",
        # By itself it redirects only where the Ingress names a Secret.
        "force-ssl-redirect": "true",
    }
    if guard.allow_from:
        found["whitelist-source-range"] = ",".join(guard.allow_from)
    if guard.connections:
        found["limit-connections"] = str(guard.connections)
    if guard.requests_per_second:
        found["limit-rps"] = str(guard.requests_per_second)
    return {f"{_NGINX}/{key}": value for key, value in found.items()}


def doorkeepers(kind: IngressKind | None) -> list[k8s.networking.v1.NetworkPolicyPeerArgs]:
    """The pods that come in from outside: OpenShift's routers, or an Ingress controller's."""
    if kind is None or kind.namespace is None:
        return [_peer({ROUTERS: ""}), _peer({_HOST_NETWORK: ""})]
    return [_peer({"kubernetes.io/metadata.name": kind.namespace}, kind.labels)]


def _peer(
    namespace: Mapping[str, str], pods: Mapping[str, str] | None = None
) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    return k8s.networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(namespace)),
        pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(pods)) if pods else None,
    )
