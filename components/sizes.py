"""How many pods a tier has, and what each asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import Input, ResourceOptions


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Up to how many pods, and at which part of the CPU they request another one is added."""

    most: int
    cpu_percent: int


@dataclass(frozen=True, kw_only=True)
class Size:
    """Pods of a tier, with ``scaling`` the least of them, and what each asks for, as quantities by resource name."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]
    replicas: int = 1
    scaling: Scaling | None = None

    @property
    def most(self) -> int:
        """How many pods there may be."""
        return self.scaling.most if self.scaling else self.replicas


def autoscaler(
    name: str, metadata: k8s.meta.v1.ObjectMetaArgs, deployment: Input[str], size: Size, opts: ResourceOptions
) -> None:
    """A HorizontalPodAutoscaler for ``deployment``, where its number of pods is not fixed.

    It takes pods away only after five minutes with less to do, which is Kubernetes' own default.
    """
    if size.scaling is None:
        return
    used = k8s.autoscaling.v2.MetricTargetArgs(type="Utilization", average_utilization=size.scaling.cpu_percent)
    cpu = k8s.autoscaling.v2.ResourceMetricSourceArgs(name="cpu", target=used)
    scaled = k8s.autoscaling.v2.CrossVersionObjectReferenceArgs(
        api_version="apps/v1", kind="Deployment", name=deployment
    )
    k8s.autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-autoscaler",
        metadata=metadata,
        spec=k8s.autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=scaled,
            min_replicas=size.replicas,
            max_replicas=size.scaling.most,
            metrics=[k8s.autoscaling.v2.MetricSpecArgs(type="Resource", resource=cpu)],
        ),
        opts=opts,
    )
