"""What an up would do to data that is there: claims that change, and another version of PostgreSQL."""

from collections.abc import Callable, Iterable

from config.cluster import Json
from config.database import postgres_major
from config.names import STACK_LABEL
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.sizes import Volume
from config.types import quantity

# The claim of the bundled server, and the first of an operator's.
_BUNDLED, _OPERATED, _BACKUPS = "postgres-data", "postgres-1", "backend-backups"
_RESTORE = (
    "dump both databases, deploy a new stack in another namespace with the same secrets, restore there, then destroy "
    "this one (README, Moving the database)"
)


def objects(settings: Settings) -> dict[tuple[str, str], tuple[str, ...]]:
    """Names of the objects that hold data, by their kind and the path before the name."""
    space, mode = settings.namespace, settings.database.mode
    claims = ("PersistentVolumeClaim", f"/api/v1/namespaces/{space}/persistentvolumeclaims/")
    if mode == "bundled":
        return {
            claims: (_BUNDLED, _BACKUPS),
            ("StatefulSet", f"/apis/apps/v1/namespaces/{space}/statefulsets/"): ("postgres",),
        }
    if mode == "operator":
        return {claims: (_BACKUPS,), ("Cluster", _clusters(space)): ("postgres",)}
    return {claims: (_BACKUPS,)}


def _clusters(space: str) -> str:
    return f"/apis/postgresql.cnpg.io/v1/namespaces/{space}/clusters/"


def of_other_modes(settings: Settings) -> dict[str, str]:
    """The paths where a database of another mode would be found, by that mode."""
    space = settings.namespace
    found = {
        "bundled": f"/api/v1/namespaces/{space}/persistentvolumeclaims/{_BUNDLED}",
        "operator": f"{_clusters(space)}postgres",
    }
    return {mode: path for mode, path in found.items() if mode != settings.database.mode}


def left_behind(settings: Settings, stack: str, found: Iterable[tuple[str, Json]]) -> list[Problem]:
    """Databases of this stack that another mode would leave behind, or delete where nothing is protected."""
    return [
        Problem(
            where=f"{NAMESPACE}:database.mode",
            value=settings.database.mode,
            what=f"would start with an empty database: this stack has one of mode {mode}, and its data does not move "
            f"by itself; write {mode}, or, to change the mode, {_RESTORE}",
        )
        for mode, body in found
        if body and _labels(body).get(STACK_LABEL) == stack
    ]


def _labels(body: Json) -> dict[str, str]:
    return body["metadata"].get("labels") or {}


def of_cluster(body: Json) -> Json:
    """The claim that an operator's Cluster makes for each instance."""
    storage = body["spec"]["storage"]
    spec = {"resources": {"requests": {"storage": storage["size"]}}, "storageClassName": storage.get("storageClass")}
    return {"metadata": {"name": _OPERATED}, "spec": spec}


def resized(settings: Settings, live: Iterable[Json], read: Callable[[str], Json]) -> list[Problem]:
    """What cannot become of ``live`` claims. ``read`` gets their StorageClass, where one is to grow."""
    problems: list[Problem] = []
    for body in live:
        name, spec = body["metadata"]["name"], body["spec"]
        backups = name == _BACKUPS
        path = f"{NAMESPACE}:{'storage.backups' if backups else 'database.storage'}"
        wanted = settings.storage.backups if backups else settings.database.storage
        size, storage_class = spec["resources"]["requests"]["storage"], spec.get("storageClassName")
        fault = _size_fault(name, size, storage_class, wanted, read)
        if fault:
            problems.append(Problem(where=f"{path}.size", value=wanted.size, what=fault))
        if wanted.storage_class and storage_class != wanted.storage_class:
            what = (
                f"differs from {storage_class or 'the default class'} that claim {name} was made with; it would be "
                f"replaced by an empty one; write {storage_class or 'nothing'}, and to move the data {_RESTORE}"
            )
            problems.append(Problem(where=f"{path}.storageClass", value=wanted.storage_class, what=what))
    return problems


def _size_fault(
    name: str, size: str, storage_class: str | None, wanted: Volume, read: Callable[[str], Json]
) -> str | None:
    if quantity(wanted.size) < quantity(size):
        return (
            f"is less than the {size} that claim {name} has; a claim never shrinks, and the API server would refuse "
            f"it; write {size}, or, if it has to be smaller, {_RESTORE}"
        )
    if quantity(wanted.size) == quantity(size):
        return None
    if storage_class:
        found = read(f"/apis/storage.k8s.io/v1/storageclasses/{storage_class}")
        # A class that cannot be read is no proof of anything; the API server has the last word.
        if not found or found.get("allowVolumeExpansion"):
            return None
    return (
        f"is more than the {size} that claim {name} has, and its StorageClass {storage_class or '(none)'} does not "
        f"allow volumes to grow, so the API server would refuse it; write {size}, or have a cluster admin set "
        "allowVolumeExpansion on the class if its driver can do that"
    )


def another_major(settings: Settings, servers: Iterable[Json]) -> list[Problem]:
    """PostgreSQL reads no data folder of another major version: it would not start, and nobody could log in."""
    image = settings.images.postgres
    wanted = postgres_major(image)
    problems: list[Problem] = []
    for body in servers:
        (container,) = body["spec"]["template"]["spec"]["containers"]
        live = postgres_major(container["image"])
        if not (live and wanted) or live == wanted:
            continue
        what = (
            f"is PostgreSQL {wanted}, and the data is of PostgreSQL {live}, which "
            + (f"version {wanted} cannot read" if wanted > live else "no older version can read")
            + f"; the database would not start; write an image of version {live}, and to change the version {_RESTORE}"
        )
        problems.append(Problem(where=f"{NAMESPACE}:images.postgres", value=image, what=what))
    return problems
