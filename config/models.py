"""A model that the portal offers, and the catalogue of ready-made ones."""

from functools import cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from config.types import Count, Endpoint, ModelName, NamespaceLabel, Price

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


class Entry(BaseModel):
    """Base of everything an operator writes: frozen, strict, camelCase, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class Model(Entry):
    """One model, as users see it and as the gateway calls it."""

    name: ModelName = Field(
        description="The name that users subscribe to and send in requests. Renaming one cuts its subscriptions.",
        examples=["granite-8b-agent"],
    )
    endpoint: Endpoint | None = Field(
        default=None,
        description="OpenAI-compatible base URL as seen from the cluster, ending in /v1. Default: that of the InferenceService called `name`, which preview refuses to do without. Write a Service with its namespace and .svc: LiteLLM is let through to that namespace, to any other host on the URL's port.",
        examples=["http://granite-8b-agent-predictor.private-ai.svc.cluster.local:8080/v1"],
    )
    namespace: NamespaceLabel | None = Field(
        default=None,
        description="Namespace of the model's InferenceService; only read without `endpoint`. Default: one of those that modelServing names.",
        examples=["private-ai"],
    )
    served_name: str | None = Field(
        default=None,
        min_length=1,
        description="The name the server itself knows (vLLM's --served-model-name). Default: what the InferenceService says; `name` without one, KServe's own default.",
    )
    context_length: Count | None = Field(
        default=None,
        description="Tokens of prompt and answer together, as served (vLLM's --max-model-len). Default: what the InferenceService says, and preview refuses a model without either. A greater value makes long prompts fail at the server.",
        examples=[16384],
    )
    max_output: Count | None = Field(
        default=None,
        description="Most tokens of one answer. Default: the context length, vLLM's own limit.",
    )
    input_price: Price = Field(
        default=0.0,
        description="Price per prompt token, in the currency of the budgets. Default 0: use is counted, not charged.",
    )
    output_price: Price = Field(
        default=0.0,
        description="Price per answer token. Default 0: use is counted, not charged.",
    )
    tools: bool = Field(
        default=False,
        description="The server accepts tool calls (vLLM: --enable-auto-tool-choice with a parser). Default: what the InferenceService says, false without one: clients that rely on tools would get errors from a server without.",
    )
    vision: bool = Field(
        default=False,
        description="The model accepts images. Default false, as for most served models.",
    )
    embedding: bool = Field(
        default=False,
        description="An embedding model. Default: what the InferenceService says (vLLM's --task=embed), false without one; the portal tells embedding models by this flag alone.",
    )
    tpm: Count | None = Field(
        default=None,
        description="Tokens per minute for the model as a whole. Default: unlimited, the server's own queue limits.",
    )
    rpm: Count | None = Field(
        default=None,
        description="Requests per minute for the model as a whole. Default: unlimited, see tpm.",
    )

    verify: bool = Field(
        default=True,
        description="Call the model at the end of an `up` that changed something, and fail when it does not answer. Default true. Write false for a model that is scaled to zero or away: it is offered, and not called.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[str] = []
        if self.max_output and self.context_length and self.max_output > self.context_length:
            problems.append(
                f"maxOutput {self.max_output} is greater than contextLength {self.context_length}; every "
                "long answer would fail at the server; write a maxOutput within the context"
            )
        if self.embedding and (self.tools or self.vision):
            problems.append(
                "embedding excludes tools and vision; the portal would offer a chat that cannot answer; "
                "remove the flags that the server does not serve"
            )
        if problems:
            raise ValueError(" | ".join(problems))
        return self

    @property
    def backend_model(self) -> str:
        """The name to ask the server for."""
        return self.served_name or self.name


@cache
def catalogue() -> dict[str, Model]:
    """The models shipped with the program, by name. Raises ValidationError if the file is wrong."""
    raw = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    return {model.name: model for model in map(Model.model_validate, raw)}
