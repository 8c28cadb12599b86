"""Defaults that depend on the profile: replicas, requests and limits.

A profile only chooses defaults: whatever the stack file says wins.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from config.database import OLDEST_POSTGRES, postgres_major
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.types import quantity

Amounts = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """Pods of one tier, and what each asks for (Kubernetes quantities by resource name)."""

    replicas: int
    requests: Amounts
    limits: Amounts


def _amounts(cpu: str, memory: str, scratch: str) -> Amounts:
    return {"cpu": cpu, "memory": memory, "ephemeral-storage": scratch}


# demo: upstream's chart, except LiteLLM, which idles at 735 to 780 MiB (litellm.md
# section 2) and would be killed at upstream's limit of 1Gi under load.
# production: LiteLLM's documentation asks for 1 CPU and 4 GiB per worker.
_DEMO = {
    "postgres": Sizing(replicas=1, requests=_amounts("100m", "256Mi", "64Mi"), limits=_amounts("1", "512Mi", "512Mi")),
    "redis": Sizing(replicas=1, requests=_amounts("50m", "64Mi", "16Mi"), limits=_amounts("200m", "128Mi", "64Mi")),
    "litellm": Sizing(replicas=1, requests=_amounts("200m", "1Gi", "256Mi"), limits=_amounts("1", "2Gi", "1Gi")),
    "backend": Sizing(
        replicas=1, requests=_amounts("100m", "256Mi", "64Mi"), limits=_amounts("500m", "512Mi", "512Mi")
    ),
    "frontend": Sizing(
        replicas=1, requests=_amounts("50m", "128Mi", "64Mi"), limits=_amounts("200m", "256Mi", "256Mi")
    ),
}
_PRODUCTION = {
    "postgres": Sizing(replicas=1, requests=_amounts("500m", "1Gi", "64Mi"), limits=_amounts("2", "2Gi", "1Gi")),
    "redis": Sizing(replicas=1, requests=_amounts("100m", "128Mi", "16Mi"), limits=_amounts("500m", "256Mi", "64Mi")),
    "litellm": Sizing(replicas=2, requests=_amounts("1", "4Gi", "256Mi"), limits=_amounts("1", "4Gi", "1Gi")),
    "backend": Sizing(replicas=1, requests=_amounts("250m", "512Mi", "64Mi"), limits=_amounts("1", "1Gi", "1Gi")),
    "frontend": Sizing(
        replicas=2, requests=_amounts("100m", "128Mi", "64Mi"), limits=_amounts("500m", "256Mi", "256Mi")
    ),
}
# A primary alone, or with two copies: one to take over, and one that is left then.
_INSTANCES = {"demo": 1, "production": 3}
# LiteLLM's own web page: for trying things out, and closed where people rely on the portal.
_ADMIN_UI = {"demo": True, "production": False}
# What OWASP advises. Not where a self-signed certificate may have to be clicked away, which it forbids for as long.
_HSTS_SECONDS = {"demo": None, "production": 31536000}
# A Job that only talks to a server: a shell with psql, or a small Python script.
JOB = Sizing(replicas=1, requests=_amounts("50m", "64Mi", "16Mi"), limits=_amounts("500m", "256Mi", "64Mi"))
PROFILES: dict[Literal["demo", "production"], dict[str, Sizing]] = {"demo": _DEMO, "production": _PRODUCTION}


def contradictions(settings: Settings) -> list[Problem]:
    """What cannot work together, once the profile has filled in what the stack file leaves out."""
    return [
        *_requests_above_limits(settings),
        *settings.database.missing_secrets(given_secrets(settings)),
        *_too_old(settings),
        *_unknown_passwords(settings),
        *_other_than_pods(settings),
    ]


def given_secrets(settings: Settings) -> Collection[str]:
    """The secrets that the operator gives instead of having them generated."""
    return {spec.name for spec, source in settings.secrets.items() if source.kind != "generated"}


def _too_old(settings: Settings) -> list[Problem]:
    image = settings.images.postgres
    major = postgres_major(image)
    if settings.database.mode != "bundled" or major is None or major >= OLDEST_POSTGRES:
        return []
    what = (
        f"is PostgreSQL {major}, where an owner cannot make the extension that the portal needs, and which gets no "
        f"fixes; the bootstrap Job would refuse it; write an image of version {OLDEST_POSTGRES} or newer"
    )
    return [Problem(where=f"{NAMESPACE}:images.postgres", value=image, what=what)]


def termination(settings: Settings) -> str:
    """What the router speaks to the pods."""
    return settings.exposure.tls.termination or _spoken_by_pods(settings)


def _spoken_by_pods(settings: Settings) -> str:
    return "reencrypt" if settings.tls.internal else "edge"


def _other_than_pods(settings: Settings) -> list[Problem]:
    written, spoken = termination(settings), _spoken_by_pods(settings)
    if written == spoken:
        return []
    pods, cure = ("only TLS", "false") if settings.tls.internal else ("no TLS", "true")
    what = (
        f"is not what the pods speak, which is {pods}: everybody would get an error from the router; leave it out, "
        f"or write tls.internal: {cure} too"
    )
    return [Problem(where=f"{NAMESPACE}:exposure.tls.termination", value=written, what=what)]


def _unknown_passwords(settings: Settings) -> list[Problem]:
    if settings.redis.mode == "bundled" or "redisPassword" in given_secrets(settings):
        return []
    what = (
        f"is missing; the Redis at {settings.redis.host} knows nothing of a generated one and would refuse every call, "
        "so that limits would hold for each LiteLLM pod alone; write "
        "`pulumi config set --secret --path litemaas:secrets.redisPassword.value`"
    )
    return [Problem(where=f"{NAMESPACE}:secrets.redisPassword", what=what)]


def _requests_above_limits(settings: Settings) -> list[Problem]:
    return [
        Problem(
            where=f"{NAMESPACE}:resources.{tier}",
            what=f"requests more {name} ({request}) than the limit ({limit}) that the profile or the stack file sets; "
            f"the API server would refuse the pod; write limits.{name} too, at least {request}",
        )
        for tier in PROFILES[settings.profile]
        for one in [sizing(settings, tier)]
        for name, request in one.requests.items()
        for limit in [one.limits[name]]
        if quantity(request) > quantity(limit)
    ]


def instances(settings: Settings) -> int:
    """Pods of an operator's database."""
    return settings.database.instances or _INSTANCES[settings.profile]


def admin_ui(settings: Settings) -> bool:
    """Whether LiteLLM's own web page lets people log in."""
    return settings.gateway.admin_ui == "exposed" if settings.gateway.admin_ui else _ADMIN_UI[settings.profile]


def hsts_seconds(settings: Settings) -> int | None:
    """For how long browsers insist on TLS; None for no word of it. An Ingress controller has its own mind."""
    wanted = settings.exposure.hsts_max_age_seconds
    return _HSTS_SECONDS[settings.profile] if wanted is None else wanted


def sizing(settings: Settings, tier: str) -> Sizing:
    """Replicas and resources of ``tier`` (one of the keys of a profile) for this stack."""
    default = PROFILES[settings.profile][tier]
    asked = getattr(settings.resources, tier)
    replicas = getattr(settings.replicas, tier, None)
    if tier in settings.scaled:
        _, scaling = settings.scaled[tier]
        replicas = scaling.min_replicas
    return Sizing(
        replicas=replicas or default.replicas,
        requests=default.requests | asked.requests.model_dump(by_alias=True, exclude_none=True),
        limits=default.limits | asked.limits.model_dump(by_alias=True, exclude_none=True),
    )
