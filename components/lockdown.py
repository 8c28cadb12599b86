"""Lockdown: models in other namespaces hear the gateway, and nobody who comes around it.

A policy per InferenceService, in its namespace. Let in besides the gateway are its own pods (a transformer
before the predictor, the workers of a model on several nodes) and the cluster's Prometheus, since vLLM has
its metrics on the port of its API. The kubelet's probes need no rule, and KServe's controller calls no
predictor: it reads the pods' state. The routers are not among them, so a Route leads nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, ResourceOptions

from components import kube
from components.isolation import MONITORING, PROMETHEUS, pods
from components.naming import LOCKDOWN, Guarded
from components.wiring import Peer

_SERVICE = "serving.kserve.io/inferenceservice"
_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True)
class LockdownArgs:
    """``caller`` is who may call the ``services``."""

    scope: kube.Scope
    caller: Peer
    services: Sequence[Guarded]


class Lockdown(ComponentResource):
    """One network policy beside each InferenceService."""

    names: Output[Sequence[str]]

    def __init__(self, name: str, args: LockdownArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Lockdown", name, None, opts)
        names: list[Output[str]] = []
        for one in args.services:
            # Named, because its namespace is others' too: who meets it there shall see whose it is.
            meta = args.scope.within(one.namespace).meta(LOCKDOWN, one.policy, kube.HEAL)
            policy = k8s.networking.v1.NetworkPolicy(
                f"{name}-{one.namespace}-{one.name}",
                metadata=meta,
                spec=_spec(args, one),
                opts=ResourceOptions(parent=self),
            )
            names.append(policy.metadata.name)
        self.names = Output.all(*names)
        self.register_outputs({"names": self.names})


def _spec(args: LockdownArgs, service: Guarded) -> k8s.networking.v1.NetworkPolicySpecArgs:
    own = k8s.meta.v1.LabelSelectorArgs(match_labels={_SERVICE: service.name})
    home = k8s.meta.v1.LabelSelectorArgs(match_labels={_NAME: service.home})
    names = k8s.meta.v1.LabelSelectorRequirementArgs(key=_NAME, operator="In", values=list(MONITORING))
    monitoring = k8s.meta.v1.LabelSelectorArgs(match_expressions=[names])
    prometheus = k8s.meta.v1.LabelSelectorArgs(match_labels=PROMETHEUS)
    peer = k8s.networking.v1.NetworkPolicyPeerArgs
    allowed = [
        peer(namespace_selector=home, pod_selector=pods(args.scope, args.caller)),
        peer(pod_selector=own),
        peer(namespace_selector=monitoring, pod_selector=prometheus),
    ]
    return k8s.networking.v1.NetworkPolicySpecArgs(
        pod_selector=own,
        policy_types=["Ingress"],
        ingress=[k8s.networking.v1.NetworkPolicyIngressRuleArgs(from_=allowed)],
    )
