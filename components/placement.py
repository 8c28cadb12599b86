"""Which nodes pods may run on, and how important they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi_kubernetes as k8s

# A part of a pod's specification in Kubernetes' own words, as the stack file has it; the configuration
# has checked every key of it.
Words = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Pods of one kind over the values of a label of the nodes."""

    topology_key: str
    max_skew: int = 1
    when_unsatisfiable: str = "ScheduleAnyway"

    def among(self, labels: Mapping[str, str]) -> k8s.core.v1.TopologySpreadConstraintArgs:
        """The constraint for the pods with ``labels``."""
        return k8s.core.v1.TopologySpreadConstraintArgs(
            max_skew=self.max_skew,
            topology_key=self.topology_key,
            when_unsatisfiable=self.when_unsatisfiable,
            label_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=dict(labels)),
        )

    def words(self, labels: Mapping[str, str]) -> dict[str, Any]:
        """The same for a custom resource."""
        return {
            "maxSkew": self.max_skew,
            "topologyKey": self.topology_key,
            "whenUnsatisfiable": self.when_unsatisfiable,
            "labelSelector": {"matchLabels": dict(labels)},
        }


# As far apart as there are nodes, and together where there are none: better than a pod that waits.
APART = Spread(topology_key="kubernetes.io/hostname")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the scheduler is told of pods; ``spread`` None is the default, soft and over nodes."""

    node_selector: Mapping[str, str] | None = None
    tolerations: Sequence[Words] | None = None
    affinity: Words | None = None
    spread: Sequence[Spread] | None = None
    priority_class: str | None = None

    def constraints(
        self, labels: Mapping[str, str], *, several: bool
    ) -> list[k8s.core.v1.TopologySpreadConstraintArgs] | None:
        """How the pods with ``labels`` are spread; one alone is not, unless it was asked for."""
        wanted = self.spread if self.spread is not None else ([APART] if several else [])
        return [each.among(labels) for each in wanted] or None


@dataclass(frozen=True, kw_only=True)
class Placements:
    """Of all pods, and of those of components that have a placement of their own."""

    usual: Placement = Placement()
    own: Mapping[str, Placement] | None = None

    def of(self, component: str) -> Placement:
        return (self.own or {}).get(component, self.usual)
