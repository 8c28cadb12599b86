"""On which nodes pods run: what an operator may write under ``placement``, and what of it cannot work."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.affinity import Affinity, LabelKey, LabelValue
from config.entry import Entry
from config.report import NAMESPACE, Problem
from config.types import ObjectName

if TYPE_CHECKING:
    from config.cluster import Answer
    from config.settings import Settings

_NOT_FOUND = 404


def _not_the_clusters(value: str) -> str:
    if value.startswith("system-"):
        msg = (
            "is for parts of the cluster itself, which the portal's pods would push off their nodes; make a "
            "PriorityClass of your own and write its name"
        )
        raise ValueError(msg)
    return value


PriorityClass = Annotated[ObjectName, AfterValidator(_not_the_clusters)]


class Toleration(Entry):
    """A taint that pods put up with, as in a pod."""

    key: LabelKey | None = Field(
        default=None, description="The taint's key. Default: every key, with operator Exists only."
    )
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal", description="Equal: key and value are the taint's. Exists: any value. Default: Equal."
    )
    value: LabelValue | None = Field(
        default=None, description="The taint's value, with operator Equal. Default: an empty one."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. Default: all three."
    )
    toleration_seconds: int | None = Field(
        default=None,
        ge=0,
        description="With effect NoExecute: how long a pod stays once the taint is there. Default: for ever.",
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            msg = (
                "has operator Exists and a value; the API server would refuse the pod; leave value out, or write "
                "operator: Equal"
            )
            raise ValueError(msg)
        if self.operator == "Equal" and self.key is None:
            msg = (
                "has no key; the API server would refuse the pod; write the taint's key, or operator: Exists for "
                "every taint"
            )
            raise ValueError(msg)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            msg = (
                "has tolerationSeconds without effect NoExecute, the only one that sends a running pod away; the API "
                "server would refuse the pod; write effect: NoExecute, or leave tolerationSeconds out"
            )
            raise ValueError(msg)
        return self


class TopologySpread(Entry):
    """The pods of one tier over the values of a label of nodes; which pods is known."""

    topology_key: LabelKey = Field(
        description="The label of nodes over whose values pods are spread.", examples=["topology.kubernetes.io/zone"]
    )
    max_skew: int = Field(
        default=1, ge=1, description="By how many pods two values may differ. Default: 1, as even as can be."
    )
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = Field(
        default="ScheduleAnyway",
        description="DoNotSchedule lets a pod wait rather than stand unevenly. Default: ScheduleAnyway.",
    )


class PodPlacement(Entry):
    """Where pods run. Each key that a tier writes replaces the one of `all`; an empty one takes it away."""

    node_selector: dict[LabelKey, LabelValue] | None = Field(
        default=None,
        description="Labels that a node needs. Default: none.",
        examples=[{"node-role.kubernetes.io/infra": ""}],
    )
    tolerations: list[Toleration] | None = Field(
        default=None,
        description="Taints that pods put up with. Default: none.",
        examples=[[{"key": "node-role.kubernetes.io/infra", "operator": "Exists", "effect": "NoSchedule"}]],
    )
    affinity: Affinity | None = Field(default=None, description="As in a pod. Default: none.")
    topology_spread: list[TopologySpread] | None = Field(
        default=None,
        description="How the pods of a tier are spread. Default: over nodes, if it can be, where there may be several.",
        examples=[[{"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}]],
    )
    priority_class_name: PriorityClass | None = Field(
        default=None, description="A PriorityClass that exists. Default: the cluster's own default."
    )


class Placement(Entry):
    """On which nodes pods run, and how important they are."""

    all: PodPlacement = Field(default=PodPlacement(), description="All pods, those of Jobs too.")
    postgres: PodPlacement = Field(default=PodPlacement(), description="PostgreSQL, bundled or of an operator.")
    redis: PodPlacement = Field(default=PodPlacement(), description="The bundled Redis.")
    litellm: PodPlacement = Field(default=PodPlacement(), description="LiteLLM, and the migration of its schema.")
    backend: PodPlacement = Field(default=PodPlacement(), description="The portal's backend.")
    frontend: PodPlacement = Field(default=PodPlacement(), description="The portal's frontend.")

    def of(self, tier: str) -> PodPlacement:
        """What holds for the pods of ``tier``: its own words, and those of all where it has none."""
        own: PodPlacement = getattr(self, tier)
        return PodPlacement.model_construct(
            **{
                name: mine if (mine := getattr(own, name)) is not None else getattr(self.all, name)
                for name in PodPlacement.model_fields
            }
        )


TIERS = tuple(name for name in Placement.model_fields if name != "all")


def contradictions(settings: "Settings") -> list[Problem]:
    """Places for pods that this stack does not have."""
    elsewhere = {"postgres": settings.database.mode == "external", "redis": settings.redis.mode != "bundled"}
    return [
        Problem(
            where=f"{NAMESPACE}:placement.{tier}",
            what="says where pods run that somebody else runs; it would be ignored while you rely on it; leave it out",
        )
        for tier, gone in elsewhere.items()
        if gone and getattr(settings.placement, tier) != PodPlacement()
    ]


def priority_paths(settings: "Settings") -> dict[str, str]:
    """Where preflight finds the PriorityClasses that are wanted, by the key of the stack file."""
    wanted: Mapping[str, str | None] = {
        name: getattr(settings.placement, name).priority_class_name for name in Placement.model_fields
    }
    return {
        f"{NAMESPACE}:placement.{name}.priorityClassName": f"/apis/scheduling.k8s.io/v1/priorityclasses/{of}"
        for name, of in wanted.items()
        if of
    }


def unknown_priorities(settings: "Settings", get: "Callable[[str], Answer]") -> Sequence[Problem]:
    """PriorityClasses that are not there; what may not be read is no proof of anything."""
    return [
        Problem(
            where=where,
            value=path.rpartition("/")[2],
            what="is no PriorityClass of this cluster; the API server would refuse every pod of it, and up would wait "
            "in vain; write one that `oc get priorityclasses` shows, or have a cluster admin make it",
        )
        for where, path in priority_paths(settings).items()
        if get(path).status == _NOT_FOUND
    ]
