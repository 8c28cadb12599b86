"""What an operator may write under ``litemaas:`` in a stack file."""

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    create_model,
    field_validator,
    model_validator,
)

from config.models import Entry, Model, catalogue
from config.secrets import SECRETS, SecretSpec
from config.types import Count, Domain, Image, ModelName, NamespaceName, Quantity, UserName, quantity, strong_secret


def _unique(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"names {', '.join(twice)} twice; the API server would keep both and none would know which counts; write each once"
        raise ValueError(msg)
    return names


Members = Annotated[list[UserName], AfterValidator(_unique)]


class Access(Entry):
    """Who may do what in the portal."""

    admins: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-admins (portal administrators). Default: the group is made, its members are left to whoever manages them.",
        examples=[["alice"]],
    )
    readonly: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-readonly (administrators who only look). Default: as for admins.",
    )
    users: Members | None = Field(
        default=None,
        description="Members of the Group litemaas-users. Default: as for admins. LiteMaaS 0.4 gives everybody who can log in the user role, with or without this group.",
    )
    initial_admins: Members = Field(
        default=[],
        description="User names that get the admin role when they log in, besides the group. Default: none; removing a name later takes no role away.",
    )
    manage_groups: bool = Field(
        default=True,
        description="Make the three Groups. Default true. Write false where they come from an identity provider or another installation of this cluster: nothing is created then.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.manage_groups and any(g is not None for g in (self.admins, self.readonly, self.users)):
            msg = (
                "lists members while manageGroups is false; they would never be added; "
                "remove the lists or write manageGroups: true"
            )
            raise ValueError(msg)
        both = sorted(set(self.admins or ()) & set(self.readonly or ()))
        if both:
            msg = (
                f"has {', '.join(both)} in admins and in readonly; LiteMaaS adds roles up, so they "
                "would be full administrators; write each in one of the two"
            )
            raise ValueError(msg)
        return self


class Images(Entry):
    """Container images. Defaults are what upstream deploys with LiteMaaS 0.4.0."""

    backend: Image = Field(
        default="quay.io/rh-aiservices-bu/litemaas-backend:0.4.0",
        description="Portal backend. Default: upstream's release 0.4.0.",
    )
    frontend: Image = Field(
        default="quay.io/rh-aiservices-bu/litemaas-frontend:0.4.0",
        description="Portal frontend; keep it at the backend's version. Default: upstream's release 0.4.0.",
    )
    litellm: Image = Field(
        default="quay.io/rh-aiservices-bu/litellm-non-root:main-v1.81.0-stable-custom",
        description="LiteLLM proxy, an image that runs under any UID. Default: the build that upstream deploys with 0.4.0.",
    )
    postgres: Image = Field(
        default="quay.io/sclorg/postgresql-16-c9s:latest",
        description="PostgreSQL with the environment contract of the sclorg images. Default: sclorg's PostgreSQL 16, which runs under a random UID (Docker Hub's does not). The major version is in the repository name, so the tag cannot jump it; pin a digest for production.",
    )
    redis: Image = Field(
        default="quay.io/sclorg/redis-7-c9s:latest",
        description="Redis 7. Default: sclorg's image, for the same reason as PostgreSQL's.",
    )
    pull_secret: str | None = Field(
        default=None,
        min_length=1,
        description="Name of an image pull Secret that exists in the namespace. Default: none, all default images are public.",
    )


class ResourceMap(Entry):
    """Amounts of the resources that a pod asks for."""

    cpu: Quantity | None = Field(default=None, description="CPU cores, for example 500m.")
    memory: Quantity | None = Field(default=None, description="Memory, for example 1Gi.")
    ephemeral_storage: Quantity | None = Field(
        default=None,
        alias="ephemeral-storage",
        description="Scratch space on the node's disk, for example 1Gi.",
    )


class Resources(Entry):
    """Requests and limits of one tier; what is left out keeps its default."""

    requests: ResourceMap = Field(default=ResourceMap(), description="What the scheduler reserves.")
    limits: ResourceMap = Field(default=ResourceMap(), description="What the pod may use at most.")

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name in ResourceMap.model_fields:
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request and limit and quantity(request) > quantity(limit):
                msg = (
                    f"requests more {name.replace('_', '-')} ({request}) than its limit ({limit}); the API "
                    "server would refuse the pod; write a request within the limit"
                )
                raise ValueError(msg)
        return self


class Volume(Entry):
    """A persistent volume claim."""

    size: Quantity = Field(description="Requested capacity, for example 10Gi. It can grow later, never shrink.")
    storage_class: str | None = Field(
        default=None,
        min_length=1,
        description="StorageClass. Default: the cluster's default class.",
    )


class Storage(Entry):
    """Where data lives."""

    postgres: Volume = Field(
        default=Volume(size="10Gi"),
        description="The database. Default 10Gi, upstream's own default.",
    )
    backups: Volume = Field(
        default=Volume(size="5Gi"),
        description="Backups made in the portal. Default 5Gi, upstream's own default.",
    )


class GivenSecrets(Entry):
    """Values that the operator chose instead of generated ones."""

    def given(self) -> dict[str, SecretStr]:
        """The values by name, without those left out."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in found.items() if value is not None}


def _secret_field(spec: SecretSpec) -> tuple[Any, Any]:
    description = (
        f"{spec.purpose[0].upper()}{spec.purpose[1:]}; used by {spec.consumers}. "
        f"Default: generated once. On change: {spec.on_change}."
    )
    kind: Any = Annotated[SecretStr, strong_secret(spec.prefix)]
    return Optional[kind], Field(default=None, alias=spec.name, description=description)  # noqa: UP045 (a value, not an annotation)


if TYPE_CHECKING:
    SecretValues = GivenSecrets
else:
    # One field per row of the table, so that a secret can be neither forgotten nor misspelt.
    SecretValues = create_model(
        "SecretValues", __base__=GivenSecrets, **{spec.name: _secret_field(spec) for spec in SECRETS}
    )


class Replicas(Entry):
    """Pods per tier. PostgreSQL and Redis are one pod each."""

    litellm: Count | None = Field(
        default=None,
        description="Pods of the LiteLLM proxy. Default: 1 (demo), 2 (production).",
    )
    frontend: Count | None = Field(
        default=None,
        description="Pods of the portal's frontend. Default: 1 (demo), 2 (production).",
    )
    backend: Count | None = Field(
        default=None,
        description="Pods of the portal's backend. Only 1 works with LiteMaaS 0.4: it keeps the state of a login in process memory.",
    )

    @field_validator("backend")
    @classmethod
    def _one_backend(cls, value: int | None) -> int | None:
        if value is not None and value > 1:
            # litemaas-contract.md section 0.4: login on A, callback on B is a 400.
            msg = (
                "is more than the backend can do: login state is kept in process memory, so about every "
                "second login would fail; write 1 or leave it out"
            )
            raise ValueError(msg)
        return value


class TierResources(Entry):
    """CPU, memory and scratch space per tier."""

    postgres: Resources = Field(default=Resources(), description="The PostgreSQL pod.")
    redis: Resources = Field(default=Resources(), description="The Redis pod.")
    litellm: Resources = Field(
        default=Resources(), description="Each LiteLLM pod; LiteLLM needs about 800Mi when idle."
    )
    backend: Resources = Field(default=Resources(), description="The backend pod.")
    frontend: Resources = Field(default=Resources(), description="Each frontend pod.")


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
            "write one of these names, or an entry with name, endpoint and contextLength"
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
    retired_models: list[ModelName] = Field(
        default=[],
        description="Models that were offered once and are to go. Without the name here, a model that leaves `models` is refused: its subscriptions and keys would be cut without a word.",
    )
    access: Access = Field(default=Access(), description="Groups and their members.")
    images: Images = Field(default=Images(), description="Container images.")
    replicas: Replicas = Field(default=Replicas(), description="Pods per tier.")
    resources: TierResources = Field(default=TierResources(), description="Requests and limits per tier.")
    storage: Storage = Field(default=Storage(), description="Persistent volumes.")
    secrets: SecretValues = Field(
        default=SecretValues(),
        description="Values to use instead of generated ones; set each with `pulumi config set --secret --path`.",
    )
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

    @field_validator("models")
    @classmethod
    def _each_once(cls, value: list[Model]) -> list[Model]:
        _unique([model.name for model in value])
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
