"""Pods, resources and volumes of the tiers."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from config.entry import Entry
from config.types import Count, Quantity, quantity


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


class Storage(Entry):
    """Where data lives, besides the database's."""

    backups: Volume = Field(
        default=Volume(size="5Gi"),
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
