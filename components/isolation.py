"""Isolation tier: network policies that let through what the tiers were told to call, and nothing else.

A policy sees a connection as it arrives at a pod: on the pod's port and at the pod's address, whatever
the Service in front has. Probes need no rule, since every network plugin lets the kubelet of a pod's
own node in; nor does `oc exec`, which goes through it. Policies add up: what else is to pass,
somebody may admit with a policy of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components import kube
from components.entrance import ROUTERS, IngressKind, doorkeepers
from components.wiring import Edge, Instances, Namespace, Peer, Place, Pods

_NAME = "kubernetes.io/metadata.name"
_INSTANCE = "app.kubernetes.io/instance"
# OpenShift's DNS listens on 5353 behind its Service, others on 53 and in kube-system.
_DNS_NAMESPACES, _DNS_PORTS = ("openshift-dns", "kube-system"), (53, 5353)
# CloudNativePG's own labels: of the pods of a Cluster, and of its operator, wherever that runs.
_CLUSTER = "cnpg.io/cluster"
_OPERATOR = {"app.kubernetes.io/name": "cloudnative-pg"}
# Those of OpenShift's monitoring: of the cluster itself, and of what its users run; other pods there ask nothing.
MONITORING = ("openshift-monitoring", "openshift-user-workload-monitoring")
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}
# The Service's port and that of the servers behind it.
_API_PORTS = (443, 6443)


@dataclass(frozen=True, kw_only=True)
class IsolationArgs:
    """``edges`` of all tiers; ``home`` is the namespace itself, with which the policies go.

    ``ingress`` says who comes in from outside; None stands for OpenShift's routers.
    """

    scope: kube.Scope
    home: Resource
    edges: Sequence[Edge]
    ingress: IngressKind | None = None


class Isolation(ComponentResource):
    """Denies all, and one policy for each component that has edges."""

    names: Output[Sequence[str]]

    def __init__(self, name: str, args: IsolationArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Isolation", name, None, opts)
        # Nothing waits for policies and they wait for the namespace alone, so they are there before an
        # image is pulled. Deleted with the namespace, they hold until the last pod is gone.
        child = ResourceOptions(parent=self, deleted_with=args.home)
        specs = {"default-deny": _policy(k8s.meta.v1.LabelSelectorArgs(), [], [])}
        for component, peer in sorted(_insiders(args.edges).items()):
            into = [edge for edge in args.edges if edge.target == peer]
            out = [edge for edge in args.edges if edge.source == peer]
            specs[component] = _policy(pods(args.scope, peer), _ingress(args, into), _egress(args, out))
        for component, spec in specs.items():
            k8s.networking.v1.NetworkPolicy(
                f"{name}-{component}",
                metadata=args.scope.meta(component, component, kube.HEAL),
                spec=spec,
                opts=child,
            )
        self.names = Output.from_input(list(specs))
        self.register_outputs({"names": self.names})


def _insiders(edges: Sequence[Edge]) -> dict[str, Peer]:
    """The peers in the installation's namespace, by the name of their policy."""
    peers = {peer for edge in edges for peer in (edge.source, edge.target)}
    named: dict[str, Peer] = {peer.component: peer for peer in peers if isinstance(peer, Pods)}
    named |= {peer.cluster: peer for peer in peers if isinstance(peer, Instances)}
    # The denial covers them too: without a policy, a model served here would not hear LiteLLM.
    return named | ({"neighbours": Place.NEIGHBOURS} if Place.NEIGHBOURS in peers else {})


def _policy(
    selector: k8s.meta.v1.LabelSelectorArgs,
    ingress: Sequence[k8s.networking.v1.NetworkPolicyIngressRuleArgs],
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgs],
) -> k8s.networking.v1.NetworkPolicySpecArgs:
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=selector,
        policy_types=["Ingress", "Egress"],
        ingress=list(ingress) or None,
        egress=list(egress) or None,
    )


def _ingress(args: IsolationArgs, edges: Sequence[Edge]) -> list[k8s.networking.v1.NetworkPolicyIngressRuleArgs]:
    rules: list[k8s.networking.v1.NetworkPolicyIngressRuleArgs] = []
    for edge in dict.fromkeys(edges):
        if edge.source is Place.ROUTER:
            peers = doorkeepers(args.ingress)
        elif edge.source is Place.OPERATOR:
            peers = [
                k8s.networking.v1.NetworkPolicyPeerArgs(
                    namespace_selector=k8s.meta.v1.LabelSelectorArgs(),
                    pod_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=_OPERATOR),
                )
            ]
        elif edge.source is Place.MONITORING:
            peers = [_namespaces(_NAME, name, PROMETHEUS) for name in MONITORING]
        else:
            peers = [k8s.networking.v1.NetworkPolicyPeerArgs(pod_selector=pods(args.scope, edge.source))]
        rules.append(k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=peers, ports=_tcp(edge.port)))
    return rules


def _egress(args: IsolationArgs, edges: Sequence[Edge]) -> list[k8s.networking.v1.NetworkPolicyEgressRuleArgs]:
    rule = k8s.networking.v1.NetworkPolicyEgressRuleArgs
    rules: list[k8s.networking.v1.NetworkPolicyEgressRuleArgs] = []
    for edge in dict.fromkeys(edges):
        match edge.target:
            case Namespace(name):
                rules.append(rule(to=[_namespaces(_NAME, name)], ports=_tcp(edge.port)))
            case Place.ROUTER:
                # A public name leads, by platform, to the routers' pods, which listen where their owner
                # wants, or to a node or load balancer, whose address nobody knows at preview.
                # OpenShift's log-in page is at its routers, also where portal and gateway are at others.
                rules.append(rule(to=[_namespaces(ROUTERS, "")]))
                if args.ingress and args.ingress.namespace:
                    rules.append(rule(to=doorkeepers(args.ingress)))
                rules.append(rule(to=_any_address(), ports=_tcp(edge.port)))
            case Place.API_SERVER:
                # It runs on the network of nodes, at addresses that are not known at preview.
                rules.append(rule(to=_any_address(), ports=_tcp(*_API_PORTS)))
            case Place.ANYWHERE:
                # A policy knows no names, and the addresses behind one change.
                rules.append(rule(to=_any_address(), ports=_tcp(edge.port)))
            case Pods() | Instances() | Place.NEIGHBOURS | Place.OPERATOR | Place.MONITORING:
                peer = k8s.networking.v1.NetworkPolicyPeerArgs(pod_selector=pods(args.scope, edge.target))
                rules.append(rule(to=[peer], ports=_tcp(edge.port)))
    # Everything is called by name.
    return [*rules, _dns()] if rules else []


def _dns() -> k8s.networking.v1.NetworkPolicyEgressRuleArgs:
    names = k8s.meta.v1.LabelSelectorRequirementArgs(key=_NAME, operator="In", values=list(_DNS_NAMESPACES))
    selector = k8s.meta.v1.LabelSelectorArgs(match_expressions=[names])
    ports = [
        k8s.networking.v1.NetworkPolicyPortArgs(port=port, protocol=protocol)
        for port in _DNS_PORTS
        for protocol in ("UDP", "TCP")
    ]
    return k8s.networking.v1.NetworkPolicyEgressRuleArgs(
        to=[k8s.networking.v1.NetworkPolicyPeerArgs(namespace_selector=selector)], ports=ports
    )


def pods(scope: kube.Scope, peer: Peer) -> k8s.meta.v1.LabelSelectorArgs:
    """The selector of peers in the installation's namespace."""
    if isinstance(peer, Pods):
        return k8s.meta.v1.LabelSelectorArgs(match_labels=kube.selector(scope, peer.component))
    if isinstance(peer, Instances):
        return k8s.meta.v1.LabelSelectorArgs(match_labels={_CLUSTER: peer.cluster})
    others = k8s.meta.v1.LabelSelectorRequirementArgs(key=_INSTANCE, operator="NotIn", values=[scope.labels[_INSTANCE]])
    return k8s.meta.v1.LabelSelectorArgs(match_expressions=[others])


def _namespaces(
    label: str, value: str, marks: Mapping[str, str] | None = None
) -> k8s.networking.v1.NetworkPolicyPeerArgs:
    """All pods of namespaces, or those with the labels ``marks``."""
    selector = k8s.meta.v1.LabelSelectorArgs(match_labels={label: value})
    chosen = k8s.meta.v1.LabelSelectorArgs(match_labels=dict(marks)) if marks else None
    return k8s.networking.v1.NetworkPolicyPeerArgs(namespace_selector=selector, pod_selector=chosen)


def _any_address() -> list[k8s.networking.v1.NetworkPolicyPeerArgs]:
    return [
        k8s.networking.v1.NetworkPolicyPeerArgs(ip_block=k8s.networking.v1.IPBlockArgs(cidr=cidr))
        for cidr in ("0.0.0.0/0", "::/0")
    ]


def _tcp(*ports: int | None) -> list[k8s.networking.v1.NetworkPolicyPortArgs] | None:
    """These ports; None, which stands for every port, if one of them is None."""
    if None in ports:
        return None
    return [k8s.networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
