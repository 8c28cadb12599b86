"""Pods, resources and volumes of the tiers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.entry import Entry
from config.types import Count, Quantity, quantity

# Each has 40 database connections and asks LiteLLM every two minutes for itself; nobody needs more.
MOST_BACKENDS = 5


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
        # `profiles.contradictions` sees the defaults too, but only once all else is right.
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

    size: Quantity = Field(
        description="Requested capacity, for example 10Gi. It can grow where the StorageClass allows expansion; a claim never shrinks."
    )
    storage_class: str | None = Field(
        default=None,
        min_length=1,
        description="StorageClass, for good: another one would be an empty volume. Default: the cluster's default class.",
    )


class SharedVolume(Volume):
    """A claim that several nodes may mount, where its class can do that."""

    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        default="ReadWriteOnce",
        description="ReadWriteMany lets pods on several nodes mount it, which several backends need; the class has to be a shared file system. For good, as the class: a claim never changes it. Default: ReadWriteOnce.",
    )


class Storage(Entry):
    """Where data lives, besides the database's."""

    backups: SharedVolume = Field(
        default=SharedVolume(size="5Gi"),
        description="Backups made in the portal. Default 5Gi, upstream's own default.",
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
    backend: Annotated[int, Field(ge=1, le=MOST_BACKENDS)] | None = Field(
        default=None,
        description="Pods of the portal's backend, 5 at most. More than one need storage.backups.accessMode ReadWriteMany. Default: 1; a restart takes seconds, in which the portal is away.",
    )


class TierResources(Entry):
    """CPU, memory and scratch space per tier."""

    postgres: Resources = Field(default=Resources(), description="The PostgreSQL pod.")
    redis: Resources = Field(default=Resources(), description="The Redis pod.")
    litellm: Resources = Field(
        default=Resources(), description="Each LiteLLM pod; LiteLLM needs about 800Mi when idle."
    )
    backend: Resources = Field(default=Resources(), description="The backend pod.")
    frontend: Resources = Field(default=Resources(), description="Each frontend pod.")
