"""Affinity as a pod has it, in Kubernetes' own words, every key of it checked."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.entry import Entry
from config.types import DNS_LABEL, NamespaceLabel

# Kubernetes' own grammar for what stands in a label and in a taint.
_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PART_LENGTH, _PREFIX_LENGTH = 63, 253


def _label_key(value: str) -> str:
    prefix, slash, name = value.rpartition("/")
    good_prefix = not slash or (
        len(prefix) <= _PREFIX_LENGTH and all(DNS_LABEL.fullmatch(part) for part in prefix.split("."))
    )
    if not good_prefix or len(name) > _PART_LENGTH or not _PART.fullmatch(name):
        msg = (
            "is no name of a label or taint; the API server would refuse the pod; write for example "
            "node-role.kubernetes.io/infra"
        )
        raise ValueError(msg)
    return value


def _label_value(value: str) -> str:
    if value and (len(value) > _PART_LENGTH or not _PART.fullmatch(value)):
        msg = (
            "is no value of a label or taint (63 characters at most: letters, digits, -, _ and .); the API server "
            "would refuse the pod; write it as `oc get nodes --show-labels` shows it"
        )
        raise ValueError(msg)
    return value


LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]


class _Expression(Entry):
    key: LabelKey = Field(description="The label.")
    values: list[LabelValue] | None = Field(
        default=None, description="Its values; none with Exists and DoesNotExist. Default: none."
    )

    @model_validator(mode="after")
    def _has_its_values(self) -> Self:
        operator, values = str(getattr(self, "operator", "")), self.values or []
        wants = operator not in {"Exists", "DoesNotExist"}
        if wants is not bool(values):
            needs, write = ("needs values", "write") if wants else ("takes no values", "leave out")
            msg = f"has operator {operator}, which {needs}; the API server would refuse the pod; {write} values"
            raise ValueError(msg)
        if operator in {"Gt", "Lt"} and not (len(values) == 1 and values[0].isdecimal()):
            msg = (
                f"has operator {operator}, which compares with one whole number; the API server would refuse the pod; "
                "write one value, a number in quotes"
            )
            raise ValueError(msg)
        return self


class NodeExpression(_Expression):
    """A condition on a label of nodes."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        description="How label and values are compared.", examples=["In"]
    )


class LabelExpression(_Expression):
    """A condition on a label of pods or namespaces."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How label and values are compared.", examples=["In"]
    )


class NodeTerm(Entry):
    """Conditions on a node that all have to be met."""

    match_expressions: list[NodeExpression] = Field(min_length=1, description="Conditions on the labels of a node.")


class NodeTerms(Entry):
    """Terms of which one has to be met."""

    node_selector_terms: list[NodeTerm] = Field(min_length=1, description="The terms.")


class PreferredNodes(Entry):
    """A term that is met if it can be."""

    weight: int = Field(ge=1, le=100, description="How much it counts beside others, 1 to 100.")
    preference: NodeTerm = Field(description="The term.")


class NodeAffinity(Entry):
    """Which nodes pods go to."""

    required_during_scheduling_ignored_during_execution: NodeTerms | None = Field(
        default=None, description="Nodes that pods need. Default: any."
    )
    preferred_during_scheduling_ignored_during_execution: list[PreferredNodes] | None = Field(
        default=None, description="Nodes that pods go to if they can. Default: none."
    )


class Labels(Entry):
    """Objects with these labels."""

    match_labels: dict[LabelKey, LabelValue] | None = Field(
        default=None, description="Labels with their values. Default: none."
    )
    match_expressions: list[LabelExpression] | None = Field(
        default=None, description="Conditions on labels. Default: none."
    )


class PodTerm(Entry):
    """Pods, and the label of nodes whose values count as places."""

    topology_key: LabelKey = Field(description="The label of nodes.", examples=["topology.kubernetes.io/zone"])
    label_selector: Labels = Field(description="The pods.")
    namespaces: list[NamespaceLabel] | None = Field(
        default=None, description="Their namespaces. Default: the installation's."
    )
    namespace_selector: Labels | None = Field(
        default=None, description="Labels of their namespaces. Default: the installation's."
    )


class PreferredPods(Entry):
    """A term that is met if it can be."""

    weight: int = Field(ge=1, le=100, description="How much it counts beside others, 1 to 100.")
    pod_affinity_term: PodTerm = Field(description="The term.")


class PodAffinity(Entry):
    """Beside which pods pods go, or from which they stay away."""

    required_during_scheduling_ignored_during_execution: list[PodTerm] | None = Field(
        default=None, description="What has to be met. Default: nothing."
    )
    preferred_during_scheduling_ignored_during_execution: list[PreferredPods] | None = Field(
        default=None, description="What is met if it can be. Default: nothing."
    )


class Affinity(Entry):
    """Affinity, in Kubernetes' own words."""

    node_affinity: NodeAffinity | None = Field(default=None, description="Which nodes pods go to. Default: any.")
    pod_affinity: PodAffinity | None = Field(default=None, description="Beside which pods they go. Default: any.")
    pod_anti_affinity: PodAffinity | None = Field(
        default=None, description="From which pods they stay away. Default: none."
    )
