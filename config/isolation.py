"""Who may reach the pods, and how much of the cluster the namespace may take."""

from typing import Self

from pydantic import Field, model_validator

from config.entry import Entry
from config.types import Count, Quantity, quantity


class Compute(Entry):
    """Amounts of CPU and memory."""

    cpu: Quantity | None = Field(default=None, description="CPU cores, for example 8 or 500m. Default: computed.")
    memory: Quantity | None = Field(default=None, description="Memory, for example 16Gi. Default: computed.")


class Quota(Entry):
    """What all pods of the namespace may take together; what is left out is what this installation needs."""

    pods: Count | None = Field(
        default=None,
        description="Pods. Default: those of this installation. Whatever else runs in the namespace counts as well, here and below: then write larger numbers.",
        examples=[40],
    )
    requests: Compute = Field(default=Compute(), description="Sum of what containers reserve. Default: computed.")
    limits: Compute = Field(default=Compute(), description="Sum of what containers may use at most. Default: computed.")


class Reserved(Entry):
    """What a container reserves."""

    cpu: Quantity = Field(default="50m", description="Default: 50m, as for this installation's own Jobs.")
    memory: Quantity = Field(default="64Mi", description="Default: 64Mi, as for this installation's own Jobs.")


class AtMost(Entry):
    """What a container may use."""

    cpu: Quantity = Field(default="500m", description="Default: 500m, as for this installation's own Jobs.")
    memory: Quantity = Field(default="256Mi", description="Default: 256Mi, as for this installation's own Jobs.")


class LimitRange(Entry):
    """What a container gets that names nothing itself; those of this installation name everything."""

    requests: Reserved = Field(default=Reserved(), description="What it reserves. Defaults below.")
    limits: AtMost = Field(default=AtMost(), description="What it may use at most. Defaults below.")

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        for name in Reserved.model_fields:
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if quantity(request) > quantity(limit):
                msg = (
                    f"reserves more {name} ({request}) than its limit ({limit}); the API server would refuse it; "
                    "write a request within the limit"
                )
                raise ValueError(msg)
        return self


class Isolation(Entry):
    """Who may reach the pods, and how much of the cluster the namespace may take."""

    monitoring: bool = Field(
        default=False,
        description="Let the cluster's Prometheus servers (namespaces openshift-monitoring and openshift-user-workload-monitoring) reach LiteLLM and the backend. Default false: a network policy knows ports and no paths, and whoever reaches the backend's port passes the guard by. What is to be scraped, a ServiceMonitor says, which is yours to make.",
    )
    quota: Quota | None = Field(
        default=None,
        description="A ResourceQuota for the namespace; `{}` for one that just fits. Default: none. Under a quota every container has to name requests and limits: write limitRange too if others run in the namespace.",
        examples=[{}],
    )
    limit_range: LimitRange | None = Field(
        default=None,
        description="A LimitRange for the namespace; `{}` for its defaults. Default: none.",
        examples=[{}],
    )
