"""What an operator may write under ``litemaas:`` in a stack file."""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from config.access import Access
from config.database import Database
from config.entry import Entry
from config.exposure import Exposure
from config.gateway import GatewaySettings
from config.images import Images
from config.isolation import Isolation
from config.models import Model, catalogue
from config.placement import Placement
from config.redis import Redis
from config.scaling import Autoscaling, FrontendSettings
from config.serving import ModelServing
from config.sizes import Replicas, Storage, TierResources
from config.sources import SecretSources
from config.trust import Tls, Trust
from config.types import Domain, ModelName, NamespaceName, each_once

# A ConfigMap holds 1 MiB: 2 KiB for each, four times what one takes as a rule.
MOST_MODELS = 500


def _from_catalogue(value: Any) -> Any:
    """Turn a bare name into the catalogue's entry; leave everything else to validation."""
    if not isinstance(value, str):
        return value
    known = catalogue()
    if value not in known:
        close = get_close_matches(value, known, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        msg = (
            f"is not in the catalogue ({', '.join(known)}); {hint}without an endpoint no call could reach it; "
            "write one of these names, an entry with name, endpoint and contextLength, or one with the name and "
            "namespace of an InferenceService"
        )
        raise ValueError(msg)
    return known[value]


DeclaredModel = Annotated[Model, BeforeValidator(_from_catalogue)]


class Settings(Entry):
    """All settings of one stack, that is of one installation on one cluster."""

    cluster_domain: Domain | None = Field(
        default=None,
        description="The cluster's apps domain; every host name and URL is made from it. Default: read from ingresses.config.openshift.io/cluster. If both are there and differ, preview refuses.",
        examples=["apps.cluster1.example.com"],
    )
    namespace: NamespaceName = Field(
        default="litemaas",
        description="The namespace to make and fill. Default: litemaas.",
    )
    profile: Literal["demo", "production"] = Field(
        default="demo",
        description="Chooses defaults only: demo is one small pod per tier, production has two of what can have two, disruption budgets and larger sizes. Default: demo.",
    )
    context: str | None = Field(
        default=None,
        min_length=1,
        description="Context of the kubeconfig to use. Default: the current one. Write it for every real cluster: it ties the stack to its cluster.",
        examples=["admin@cluster1"],
    )
    models: list[DeclaredModel] = Field(
        default=[],
        description="Models to offer: names from the catalogue, or entries. Default: none, a portal without models.",
        examples=[["granite-8b-agent"]],
    )
    model_serving: ModelServing = Field(
        default=ModelServing(), description="InferenceServices that are models, and who reaches them."
    )
    retired_models: list[ModelName] = Field(
        default=[],
        description="Models that were offered once and are to go. Without the name here, a model that leaves `models` is refused: its subscriptions and keys would be cut without a word.",
    )
    gateway: GatewaySettings = Field(
        default=GatewaySettings(),
        description="How the LiteLLM proxy runs: workers, autoscaling, time-outs, its own settings.",
    )
    frontend: FrontendSettings = Field(
        default=FrontendSettings(), description="How the portal's frontend runs: autoscaling."
    )
    access: Access = Field(default=Access(), description="Groups and their members.")
    images: Images = Field(default=Images(), description="Container images, and where the cluster gets them.")
    replicas: Replicas = Field(default=Replicas(), description="Pods per tier.")
    placement: Placement = Field(
        default=Placement(), description="On which nodes pods run, and how important they are."
    )
    resources: TierResources = Field(default=TierResources(), description="Requests and limits per tier.")
    storage: Storage = Field(default=Storage(), description="Persistent volumes, besides the database's.")
    database: Database = Field(default=Database(), description="PostgreSQL: who runs it, its size and settings.")
    secrets: SecretSources = Field(
        default=SecretSources(),
        description="Sources and rotation of secrets. All are generated once if you write nothing.",
    )
    exposure: Exposure = Field(default=Exposure(), description="How portal, gateway and API are seen from outside.")
    isolation: Isolation = Field(
        default=Isolation(), description="Who may reach the pods, and how much the namespace may take."
    )
    redis: Redis = Field(default=Redis(), description="Where LiteLLM's replicas share limits.")
    trust: Trust = Field(default=Trust(), description="Certificate authorities that are trusted in addition.")
    tls: Tls = Field(default=Tls(), description="TLS between pods.")
    protect_data: bool = Field(
        default=True,
        description="Refuse to delete the namespace and everything in it that holds data. Default true. `pulumi destroy` needs false, applied by an `up` first.",
    )
    rollout_timeout_seconds: int = Field(
        default=600,
        ge=10,
        le=3600,
        description="Seconds that `up` waits for each workload before it fails and prints why. Default 600, Kubernetes' own progress deadline: a first pull of the images can take minutes.",
    )

    @property
    def scaled(self) -> dict[str, tuple[str, Autoscaling]]:
        """The tiers that an autoscaler of this stack sizes, each with the key that says so."""
        wanted = {"litellm": ("gateway", self.gateway.autoscaling), "frontend": ("frontend", self.frontend.autoscaling)}
        return {tier: (f"{key}.autoscaling", one) for tier, (key, one) in wanted.items() if one}

    @field_validator("models")
    @classmethod
    def _each_once(cls, value: list[Model]) -> list[Model]:
        each_once([model.name for model in value])
        if len(value) > MOST_MODELS:
            msg = (
                f"has {len(value)} models; they stand in one ConfigMap, which holds 1 MiB; write {MOST_MODELS} at most, "
                "and others in another stack"
            )
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _retired_are_gone(self) -> Self:
        still = sorted({model.name for model in self.models} & set(self.retired_models))
        if still:
            msg = (
                f"has {', '.join(still)} in models and in retiredModels; the model would be removed and made "
                "again at every up, cutting its subscriptions; write each in one of the two"
            )
            raise ValueError(msg)
        return self
