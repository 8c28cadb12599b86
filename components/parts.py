"""Small resources that every tier has, registered as children of the tier."""

from collections.abc import Mapping

import pulumi_kubernetes as k8s
from pulumi import Output, ResourceOptions

from components import kube, serving
from components.wiring import Pods, Target


def account(name: str, scope: kube.Scope, component: str, opts: ResourceOptions) -> Output[str]:
    """The name of a ServiceAccount for the pods of ``component``; no token is mounted."""
    made = k8s.core.v1.ServiceAccount(
        f"{name}-account",
        metadata=scope.meta(component, component),
        automount_service_account_token=False,
        opts=opts,
    )
    return made.metadata.name


def service(
    name: str,
    scope: kube.Scope,
    component: str,
    port: int,
    opts: ResourceOptions,
    *,
    tls: bool = False,
    only: tuple[str, Mapping[str, str]] | None = None,
) -> Target[Output[str]]:
    """A ClusterIP Service in front of the pods of ``component``; its name is its address.

    With ``tls`` it asks for a certificate, which is good for another address (``serving.host``). ``only``, a name and
    labels, is for those pods of the component that have the labels.
    """
    called, labels = only or (component, None)
    asked = serving.wanted(component) if tls else {}
    made = k8s.core.v1.Service(
        f"{name}-service",
        metadata=scope.meta(component, called, kube.SKIP_AWAIT | kube.HEAL | asked),
        spec=kube.service(scope, component, port, only=labels),
        opts=opts,
    )
    return Target(address=made.metadata.name, peer=Pods(component), port=port)


def budget(name: str, scope: kube.Scope, component: str, size: kube.Size, opts: ResourceOptions) -> None:
    """A PodDisruptionBudget, where there may be more than one pod to keep."""
    if size.most > 1:
        k8s.policy.v1.PodDisruptionBudget(
            f"{name}-budget",
            metadata=scope.meta(component, component),
            spec=kube.disruption_budget(scope, component),
            opts=opts,
        )
