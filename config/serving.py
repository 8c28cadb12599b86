"""Where models are served, and what is done about ways around the gateway."""

from pydantic import Field, field_validator

from config.entry import Entry
from config.types import NamespaceLabel, each_once


class Discover(Entry):
    """InferenceServices that are models without being declared."""

    namespace: NamespaceLabel = Field(
        description="Namespace whose InferenceServices are offered, each under its own name.", examples=["private-ai"]
    )
    label_selector: str | None = Field(
        default=None,
        min_length=1,
        description="Only those with these labels, as oc's -l takes them. Default: all of the namespace.",
        examples=["litemaas=offered"],
    )


class ModelServing(Entry):
    """KServe's InferenceServices: which are read, offered, and closed to all but the gateway."""

    namespace: NamespaceLabel | None = Field(
        default=None,
        description="Namespace of the InferenceService of a model that has neither `endpoint` nor `namespace`; its name is the model's. Default: the namespaces under discover.",
        examples=["private-ai"],
    )
    discover: list[Discover] = Field(
        default=[],
        description="InferenceServices that become models by themselves; what `models` says of one of the same name wins. Default: none, only what is declared is offered.",
        examples=[[{"namespace": "private-ai"}]],
    )
    lockdown: bool = Field(
        default=False,
        description="Let only the gateway reach the InferenceServices of models in other namespaces, by a NetworkPolicy beside each. Default false: it cuts off everybody who calls them directly, Routes included.",
    )

    @field_validator("discover")
    @classmethod
    def _each_once(cls, value: list[Discover]) -> list[Discover]:
        each_once([one.namespace for one in value])
        return value

    @property
    def namespaces(self) -> list[str]:
        """Where to look for a model's InferenceService, unless the model says it."""
        named = [self.namespace] if self.namespace else []
        return list(dict.fromkeys([*named, *(one.namespace for one in self.discover)]))
