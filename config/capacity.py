"""What LiteLLM's pods and workers need, against what there is: connections, memory, a version that knows a setting."""

import math
import re

from config.profiles import sizing
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.types import quantity

# What a pod opens at most: the backend 20 to each of both databases (litemaas-contract.md 1.2),
# LiteLLM what its configuration says, for each worker. The rest is for Jobs, an administrator, and the
# three that PostgreSQL keeps for superusers.
POOLS = {"backend": 40, "litellm": 10}
_RESERVED_CONNECTIONS = 10
# One process at rest takes 735 to 780 MiB; several have one more over them, as large (litellm.md section 2).
_PROCESS_MIB = 750
_MIB = 2**20
# The first release that limits the calls in flight: in the packages, 1.100.0 has nothing of it and 1.101.0 has.
_LIMITS_IN_FLIGHT = (1, 101)
# Of 1.81, 1.85 and 1.90 the first whose uvicorn can be told to be patient with workers that start.
_SEVERAL_WORKERS = (1, 90)
_SHARED = "ReadWriteMany"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d+")


def contradictions(settings: Settings) -> list[Problem]:
    """What does not fit, once the profile has filled in what the stack file leaves out."""
    where, pods = most_pods(settings, "litellm")
    return [
        *_two_numbers(settings),
        *_backends(settings),
        *_shared_volume(settings),
        *_minimum_above_maximum(settings),
        *too_many_connections(settings, where, pods),
        *_too_little_memory(settings),
        *_unknown_to_the_image(settings),
    ]


def most_pods(settings: Settings, tier: str) -> tuple[str, int]:
    """How many pods ``tier`` may have, and where that is written."""
    if tier in settings.scaled:
        key, scaling = settings.scaled[tier]
        return f"{NAMESPACE}:{key}.maxReplicas", scaling.max_replicas
    return f"{NAMESPACE}:replicas.{tier}", sizing(settings, tier).replicas


def _two_numbers(settings: Settings) -> list[Problem]:
    return [
        Problem(
            where=f"{NAMESPACE}:replicas.{tier}",
            value=str(asked),
            what=f"is given beside {key}, which decides on the number by itself; it would be ignored while you "
            f"rely on it; write it as {key}.minReplicas: {asked}, or leave one of the two out",
        )
        for tier, (key, _) in settings.scaled.items()
        if (asked := getattr(settings.replicas, tier)) is not None
    ]


def _minimum_above_maximum(settings: Settings) -> list[Problem]:
    return [
        Problem(
            where=f"{NAMESPACE}:{key}.maxReplicas",
            value=str(scaling.max_replicas),
            what=f"is less than the profile's {least} pods at least; the API server would refuse the autoscaler; "
            f"write {least} or more, or minReplicas too",
        )
        for tier, (key, scaling) in settings.scaled.items()
        if (least := sizing(settings, tier).replicas) > scaling.max_replicas
    ]


def _backends(settings: Settings) -> list[Problem]:
    """Several backends on a volume that only the node of one of them can mount."""
    wanted, volume = sizing(settings, "backend").replicas, settings.storage.backups
    if wanted == 1:
        return []
    if volume.access_mode != _SHARED:
        what = (
            f"is more than one, and the volume of the portal's backups (storage.backups) is mounted by one node at a "
            f"time: the second pod would wait for ever on another node; write storage.backups.accessMode: "
            f"{_SHARED} with a storageClass that can do that, or 1"
        )
        return [Problem(where=f"{NAMESPACE}:replicas.backend", value=str(wanted), what=what)]
    return []


def _shared_volume(settings: Settings) -> list[Problem]:
    volume = settings.storage.backups
    if volume.access_mode != _SHARED or volume.storage_class:
        return []
    what = (
        "is missing beside accessMode ReadWriteMany; the cluster's default class is block storage as a rule, which no "
        "two nodes can mount, and the claim would never be bound; write a class of a shared file system (CephFS, NFS, "
        "Azure Files, EFS)"
    )
    return [Problem(where=f"{NAMESPACE}:storage.backups.storageClass", what=what)]


def most_backends(settings: Settings) -> int:
    """How many there are at most: each is recreated, but on the way from one to several that one is still there."""
    wanted = sizing(settings, "backend").replicas
    return wanted + 1 if wanted > 1 else 1


def too_many_connections(settings: Settings, where: str, pods: int) -> list[Problem]:
    """What is wrong with ``pods`` of LiteLLM, of which ``where`` says that there may be so many."""
    accepted, workers = settings.database.max_connections, settings.gateway.workers
    each = POOLS["litellm"] * workers
    # Backends are recreated, LiteLLM rolls: one pod more during an update.
    others = POOLS["backend"] * most_backends(settings) + _RESERVED_CONNECTIONS
    most = (accepted - others) // each - 1
    if pods <= most:
        return []
    wanted = each * (pods + 1) + others
    fewer = f"write {most} at most, or raise" if most > 0 else "raise"
    of = f" of {workers} workers" if workers > 1 else ""
    return [
        Problem(
            where=where,
            what=f"{pods} pods{of}, and one more during an update, may open {wanted} database connections with the "
            f"other tiers; PostgreSQL accepts {accepted}, and whoever comes later is refused; {fewer} "
            f"database.maxConnections to {wanted}",
        )
    ]


def _too_little_memory(settings: Settings) -> list[Problem]:
    workers, limit = settings.gateway.workers, sizing(settings, "litellm").limits["memory"]
    processes = 1 if workers == 1 else workers + 1
    if quantity(limit) >= processes * _PROCESS_MIB * _MIB:
        return []
    fitting = int(quantity(limit) // (_PROCESS_MIB * _MIB)) - 1
    fewer = f"workers: {fitting}, or " if workers > 1 and fitting > 0 else ""
    needed = f"{math.ceil(processes * _PROCESS_MIB / 1024)}Gi"
    what = (
        f"needs {processes * _PROCESS_MIB}Mi at rest ({processes} processes of LiteLLM), and a pod may use {limit}; "
        f"the kernel would kill it again and again; write {fewer}resources.litellm.limits.memory: {needed} or more"
    )
    return [Problem(where=f"{NAMESPACE}:gateway.workers", value=str(workers), what=what)]


def _unknown_to_the_image(settings: Settings) -> list[Problem]:
    wanted, image = settings.gateway, settings.images.litellm
    version = _version(image)
    if version is None:
        return []
    it = f"LiteLLM {version[0]}.{version[1]} ({image})"
    problems: list[Problem] = []
    if wanted.max_in_flight_requests is not None and version < _LIMITS_IN_FLIGHT:
        what = (
            f"is unknown to {it}, which would take any number of calls; leave it out, or write a newer images.litellm"
        )
        where = f"{NAMESPACE}:gateway.maxInFlightRequests"
        problems.append(Problem(where=where, value=str(wanted.max_in_flight_requests), what=what))
    if wanted.workers > 1 and version < _SEVERAL_WORKERS:
        what = (
            f"is more than one, and {it} ends a worker that takes more than 5 s to start, as on a busy node all do: "
            "the pod would never be ready; write 1 and more pods, or an images.litellm of "
            f"{_SEVERAL_WORKERS[0]}.{_SEVERAL_WORKERS[1]} or newer"
        )
        problems.append(Problem(where=f"{NAMESPACE}:gateway.workers", value=str(wanted.workers), what=what))
    return problems


def _version(image: str) -> tuple[int, int] | None:
    """The release that an image's tag tells; None if it tells none."""
    found = _VERSION.search(image.partition("@")[0].rpartition("/")[2].partition(":")[2])
    return (int(found[1]), int(found[2])) if found else None
