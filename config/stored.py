"""What an up would do to data that is there: claims that change, and another version of PostgreSQL."""

from collections.abc import Callable, Iterable

from config.cluster import Json
from config.database import postgres_major
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.sizes import Volume
from config.types import quantity

CLAIMS = ("postgres-data", "backend-backups")
_RESTORE = (
    "dump both databases, deploy a new stack in another namespace with the same secrets, restore there, then destroy "
    "this one (README, Moving the database)"
)


def claims(settings: Settings) -> dict[str, tuple[str, Volume]]:
    """The claims of the program by name, each with the path of its settings."""
    wanted = (
        (f"{NAMESPACE}:database.storage", settings.database.storage),
        (f"{NAMESPACE}:storage.backups", settings.storage.backups),
    )
    return dict(zip(CLAIMS, wanted, strict=True))


def resized(settings: Settings, live: Iterable[Json], read: Callable[[str], Json]) -> list[Problem]:
    """What cannot become of ``live`` claims. ``read`` gets their StorageClass, where one is to grow."""
    problems: list[Problem] = []
    for body in live:
        name, spec = body["metadata"]["name"], body["spec"]
        path, wanted = claims(settings)[name]
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
