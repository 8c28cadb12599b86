"""A model that the portal offers, and the catalogue of ready-made ones."""

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, Field, SecretStr, model_validator

from config.entry import Entry
from config.existing import Existing
from config.types import Count, Endpoint, ModelName, NamespaceLabel, Price, each_once

CATALOGUE = Path(__file__).with_name("catalogue.yaml")


_HEADER = re.compile(r"[!-~]+")


def _sendable(value: SecretStr) -> SecretStr:
    if fault := unsendable(value.get_secret_value()):
        raise ValueError(fault)
    return value


def unsendable(text: str) -> str | None:
    """Why ``text`` cannot be sent as an API key; None if it can."""
    if _HEADER.fullmatch(text):
        return None
    return (
        "is empty, or has a space, a line break or a character beyond ASCII; no HTTP header carries it, so every call "
        "would fail; write the key alone"
    )


class ApiKey(Entry):
    """Where the key comes from that a model's server asks for: one of value and existing."""

    value: Annotated[SecretStr, AfterValidator(_sendable)] | None = Field(
        default=None,
        description="The key: `pulumi config set --secret --path 'litemaas:models[0].apiKey.value'`. Default: none.",
    )
    existing: Existing | None = Field(
        default=None, description="Take it from a key of this Secret, at each up. Default: none."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.value is None) == (self.existing is None):
            said = "neither value nor existing" if self.value is None else "value and existing"
            msg = f"has {said}; nobody would know which key to send; write one of them"
            raise ValueError(msg)
        return self

    @property
    def origin(self) -> str:
        """Where it comes from, in words that show nothing of it."""
        wanted = self.existing
        return f"Secret {wanted.namespace}/{wanted.name}, key {wanted.key}" if wanted else "stack file"


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
    further_endpoints: Annotated[list[Endpoint], AfterValidator(each_once)] = Field(
        default=[],
        description="More servers of the same model, under the same served name and with the same key. Default: none. LiteLLM spreads the calls, and tries another server when one fails.",
        examples=[["http://granite-8b-agent-predictor.gpu-two.svc.cluster.local:8080/v1"]],
    )
    api_key: ApiKey | None = Field(
        default=None,
        description="The key that the servers ask for. Default: none, they are called without.",
        examples=[{"existing": {"namespace": "private-ai", "name": "granite-token", "key": "token"}}],
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
    aliases: list[ModelName] = Field(
        default=[],
        description="Other names that callers may send for it. Default: none. A key for the model opens them; portal and model lists do not show them, and nobody can subscribe to them.",
        examples=[["granite-8b"]],
    )
    fallbacks: list[ModelName] = Field(
        default=[],
        description="Declared models that are asked in this order when it fails. Default: none. They answer only those whose key names them too, and are charged at their own prices.",
        examples=[["mistral-3-int4"]],
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
        if self.endpoint in self.further_endpoints:
            problems.append(
                "furtherEndpoints has the endpoint again; it would get twice as many calls as the others; write each once"
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
