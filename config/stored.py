"""What an up would do to data that is there: claims that change, and another version of PostgreSQL."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.cluster import Json
from config.database import postgres_major
from config.names import STACK_LABEL
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.sizes import SharedVolume, Volume
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


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A live claim. ``expandable`` None: nobody can tell whether its class lets it grow."""

    name: str
    size: str
    storage_class: str | None
    expandable: bool | None = None
    access_modes: tuple[str, ...] = ()


def live_claims(claims: Iterable[Json], clusters: Iterable[Json]) -> list[Claim]:
    """Those of this program, and those that an operator's Cluster makes for each instance."""
    found = [
        Claim(
            name=body["metadata"]["name"],
            size=body["spec"]["resources"]["requests"]["storage"],
            storage_class=body["spec"].get("storageClassName"),
            # The default class stands in a claim by its name: without any, nothing makes it grow.
            expandable=None if body["spec"].get("storageClassName") else False,
            access_modes=tuple(body["spec"].get("accessModes") or ()),
        )
        for body in claims
    ]
    of_clusters = [body["spec"]["storage"] for body in clusters]
    return found + [
        Claim(name=_OPERATED, size=storage["size"], storage_class=storage.get("storageClass"))
        for storage in of_clusters
    ]


def resized(settings: Settings, live: Iterable[Claim], read: Callable[[str], Json]) -> list[Problem]:
    """What cannot become of ``live`` claims. ``read`` gets their StorageClass, where one is to grow."""
    problems: list[Problem] = []
    for claim in live:
        name, storage_class = claim.name, claim.storage_class
        backups = name == _BACKUPS
        path = f"{NAMESPACE}:{'storage.backups' if backups else 'database.storage'}"
        wanted = settings.storage.backups if backups else settings.database.storage
        fault = _size_fault(claim, wanted, read)
        if fault:
            problems.append(Problem(where=f"{path}.size", value=wanted.size, what=fault))
        if isinstance(wanted, SharedVolume) and claim.access_modes and wanted.access_mode not in claim.access_modes:
            what = _mode_fault(claim, settings.namespace)
            problems.append(Problem(where=f"{path}.accessMode", value=wanted.access_mode, what=what))
        if wanted.storage_class and storage_class != wanted.storage_class:
            what = (
                f"differs from {storage_class or 'the default class'} that claim {name} was made with; it would be "
                f"replaced by an empty one; write {storage_class or 'nothing'}, and to move the data {_RESTORE}"
            )
            problems.append(Problem(where=f"{path}.storageClass", value=wanted.storage_class, what=what))
    return problems


def _mode_fault(claim: Claim, namespace: str) -> str:
    return (
        f"differs from {claim.access_modes[0]} that claim {claim.name} was made with, and a claim never changes it; it "
        f"would be replaced by an empty one; write {claim.access_modes[0]}, or, to have another one, download in the "
        f"portal what you want to keep, run `oc scale deployment backend --replicas=0 -n {namespace}` and "
        f"`oc delete pvc {claim.name} -n {namespace}`, then `pulumi up --refresh`"
    )


def _size_fault(claim: Claim, wanted: Volume, read: Callable[[str], Json]) -> str | None:
    if quantity(wanted.size) < quantity(claim.size):
        return (
            f"is less than the {claim.size} that claim {claim.name} has; a claim never shrinks, and the API server "
            f"would refuse it; write {claim.size}, or, if it has to be smaller, {_RESTORE}"
        )
    if quantity(wanted.size) == quantity(claim.size):
        return None
    expandable = claim.expandable
    if claim.storage_class:
        found = read(f"/apis/storage.k8s.io/v1/storageclasses/{claim.storage_class}")
        expandable = bool(found.get("allowVolumeExpansion")) if found else None
    # What cannot be read is no proof of anything; the API server has the last word.
    if expandable is not False:
        return None
    return (
        f"is more than the {claim.size} that claim {claim.name} has, and its StorageClass "
        f"{claim.storage_class or '(none)'} does not allow volumes to grow, so the API server would refuse it; write "
        f"{claim.size}, or have a cluster admin set allowVolumeExpansion on the class if its driver can do that"
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
