"""What an installation takes of a cluster at its most, and whether a quota leaves it that much."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from config.capacity import most_backends, most_pods
from config.profiles import JOB, Sizing, instances, sizing
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.types import quantity

_MIB = 2**20
# By the keys of a ResourceQuota: what each sums up, and in which words it is written.
_COMPUTE = tuple((side, resource) for side in ("requests", "limits") for resource in ("cpu", "memory"))


@dataclass(frozen=True, kw_only=True)
class Share:
    """Pods of one component that may be there at once, each of this size."""

    component: str
    pods: int
    size: Sizing


def shares(settings: Settings) -> Iterator[Share]:
    """Every component's most: all pods of an update, and all Jobs together.

    A pod that drains counts until it is gone, and a rolling update goes on without waiting for it. So a
    Deployment has up to twice its pods: old ones that drain, and new ones. What is recreated waits.
    """
    if settings.database.mode == "bundled":
        yield _tier(settings, "postgres", 1)
    elif settings.database.mode == "operator":
        # Beside the instances a Job of the operator, of the same size, makes or copies the data of a new one.
        yield _tier(settings, "postgres", instances(settings) + 1)
    if settings.redis.mode == "bundled":
        yield _tier(settings, "redis", 1)
    for tier in ("litellm", "frontend"):
        _, pods = most_pods(settings, tier)
        yield _tier(settings, tier, 2 * pods)
    yield _tier(settings, "backend", most_backends(settings))
    yield _tier(settings, "litellm", 1, "litellm-migration")
    jobs = ["postgres-bootstrap", "models", "key-check", "verification"]
    for job in [*jobs, *(["role-check"] if settings.access.enforce_groups else [])]:
        yield Share(component=job, pods=1, size=JOB)


def _tier(settings: Settings, tier: str, pods: int, component: str | None = None) -> Share:
    return Share(component=component or tier, pods=pods, size=sizing(settings, tier))


def footprint(settings: Settings) -> dict[str, str]:
    """The sum of all shares, as a ResourceQuota names and writes it."""
    found = list(shares(settings))
    sums = {
        f"{side}.{resource}": sum(share.pods * quantity(getattr(share.size, side)[resource]) for share in found)
        for side, resource in _COMPUTE
    }
    return {"pods": str(sum(share.pods for share in found))} | {key: _written(key, each) for key, each in sums.items()}


def _asked(settings: Settings) -> dict[str, str]:
    quota = settings.isolation.quota
    if quota is None:
        return {}
    amounts = {f"{side}.{resource}": getattr(getattr(quota, side), resource) for side, resource in _COMPUTE}
    pods = {"pods": str(quota.pods)} if quota.pods else {}
    return pods | {key: value for key, value in amounts.items() if value}


def hard(settings: Settings) -> Mapping[str, str] | None:
    """The ResourceQuota; None for none."""
    if settings.isolation.quota is None:
        return None
    asked = {key: _written(key, quantity(value)) for key, value in _asked(settings).items()}
    return footprint(settings) | asked


def too_small(settings: Settings) -> list[Problem]:
    """What a quota by hand leaves out."""
    needed = footprint(settings)
    return [
        Problem(
            where=f"{NAMESPACE}:isolation.quota.{key}",
            value=value,
            what=f"is less than {needed[key]}, which this installation takes at its most, with draining pods of an "
            "update and all its Jobs; the API server would refuse pods in the middle of one; "
            f"write at least {needed[key]}, or leave it out",
        )
        for key, value in _asked(settings).items()
        if quantity(value) < quantity(needed[key])
    ]


def _written(key: str, amount: float) -> str:
    """As the API server writes it: in other words, each look would find a difference."""
    if key == "pods":
        return str(round(amount))
    if key.endswith("cpu"):
        millis = math.ceil(round(amount * 1000, 6))
        return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
    size = math.ceil(amount / _MIB)
    for unit in ("Mi", "Gi"):
        if size % 1024:
            return f"{size}{unit}"
        size //= 1024
    return f"{size}Ti"
