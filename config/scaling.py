"""Numbers of pods that an autoscaler decides on, and the tiers that may have one."""

from typing import Self

from pydantic import Field, model_validator

from config.entry import Entry
from config.types import Count


class Autoscaling(Entry):
    """A HorizontalPodAutoscaler for the pods of a tier."""

    min_replicas: Count | None = Field(
        default=None,
        description="Pods at least. Default: 1 (demo), 2 (production), as without autoscaling.",
    )
    max_replicas: Count = Field(
        description="Pods at most. Each of the gateway's may open 10 database connections for each worker, which are counted against database.maxConnections.",
        examples=[6],
    )
    cpu_percent: int = Field(
        default=60,
        ge=10,
        le=100,
        description="Pods are added while the average use of CPU is above this part of what they request. Default 60, LiteLLM's advice for the gateway. Memory is no measure: LiteLLM does not give it back.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas is not None and self.min_replicas > self.max_replicas:
            msg = (
                f"has minReplicas {self.min_replicas} and maxReplicas {self.max_replicas}; the API server would refuse "
                "the autoscaler; write a minimum within the maximum"
            )
            raise ValueError(msg)
        return self


class FrontendSettings(Entry):
    """The portal's frontend; its number of pods without autoscaling is replicas.frontend."""

    autoscaling: Autoscaling | None = Field(
        default=None,
        description="Adds and removes pods by their use of CPU, instead of replicas.frontend. Default: none, the number is fixed.",
    )
