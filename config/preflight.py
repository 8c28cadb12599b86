"""What must be true of the cluster before anything is registered.

Runs at preview and at up alike, asks only, and reports everything it finds at once.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pulumi import RunError

from config.cluster import Cluster, Json, UnreachableError
from config.names import (
    ADMINS,
    COMPONENT_LABEL,
    MANAGER,
    MANAGER_LABEL,
    NAME_LABEL,
    READONLY,
    STACK_LABEL,
    USERS,
    oauth_client,
)
from config.report import NAMESPACE, Problem, summary
from config.settings import Settings
from config.types import quantity

# API group -> (what is missing without it, what to do).
_APIS = {
    "route.openshift.io": ("Routes", "this program needs OpenShift; choose another context"),
    "oauth.openshift.io": (
        "OAuthClients",
        "log-in needs OpenShift's own OAuth server; clusters with an external identity provider have none",
    ),
    "user.openshift.io": ("Groups", "write access.manageGroups: false if groups come from an identity provider"),
}
_VERBS = ("get", "create", "patch", "delete")
_WORKERS = 6


@dataclass(frozen=True, kw_only=True)
class Owned:
    """An object that the stack is about to own; ``namespace`` empty for cluster-scoped ones."""

    kind: str
    name: str
    path: str
    resource: str
    namespace: str = ""


def planned(settings: Settings) -> list[Owned]:
    """The objects with a fixed name: those that somebody else could have made before."""
    space = settings.namespace
    client = oauth_client(space)
    oauth, user = "/apis/oauth.openshift.io/v1/oauthclients/", "/apis/user.openshift.io/v1/groups/"
    objects = [
        Owned(kind="Namespace", name=space, path=f"/api/v1/namespaces/{space}", resource="namespace"),
        Owned(kind="OAuthClient", name=client, path=oauth + client, resource="oauthclient"),
    ]
    if settings.access.manage_groups:
        objects += [
            Owned(kind="Group", name=name, path=user + name, resource="group") for name in (ADMINS, READONLY, USERS)
        ]
    named = {
        ("StatefulSet", f"/apis/apps/v1/namespaces/{space}/statefulsets/"): ("postgres",),
        ("Deployment", f"/apis/apps/v1/namespaces/{space}/deployments/"): ("redis", "litellm", "backend", "frontend"),
        ("Route", f"/apis/route.openshift.io/v1/namespaces/{space}/routes/"): ("litemaas", "litellm", "litemaas-api"),
        ("Service", f"/api/v1/namespaces/{space}/services/"): ("postgres", "redis", "litellm", "backend", "frontend"),
    }
    for (kind, path), names in named.items():
        objects += [
            Owned(kind=kind, name=name, path=path + name, resource=kind.lower(), namespace=space) for name in names
        ]
    return objects


def prepare(settings: Settings, stack: str) -> tuple[Settings, str, Cluster]:
    """The settings, the cluster's apps domain and a connection, once cluster and settings agree.

    ``stack`` is the value of the identity label. Raises RunError, which Pulumi prints
    without a traceback, with every problem found.
    """
    try:
        cluster = Cluster(settings.context)
        domain, problems = check(settings, stack, cluster)
    except UnreachableError as error:
        raise RunError(summary([Problem(where="cluster", what=str(error))], _headline(stack))) from None
    if problems or domain is None:
        raise RunError(summary(problems, _headline(stack)))
    return settings, domain, cluster


def _headline(stack: str) -> str:
    return f"The cluster is not ready for stack {stack}"


def check(settings: Settings, stack: str, cluster: Cluster) -> tuple[str | None, list[Problem]]:
    """The cluster's apps domain (None: unknown, which is a problem too) and all problems. Raises UnreachableError."""
    # One question first: an unreachable server is then reported once, after one time-out.
    groups = {group["name"] for group in cluster.get("/apis").body.get("groups", [])}
    objects, rights = planned(settings), _rights(settings)
    with ThreadPoolExecutor(_WORKERS) as pool:
        ingress = pool.submit(cluster.read, "/apis/config.openshift.io/v1/ingresses/cluster")
        models = pool.submit(cluster.read, _models_path(settings.namespace, stack))
        found = list(zip(objects, pool.map(cluster.read, [one.path for one in objects]), strict=True))
        allowed = list(zip(rights, pool.map(cluster.allowed, *zip(*rights, strict=True)), strict=True))
    domain, problems = _domain(settings, ingress.result().get("spec", {}).get("domain"))
    missing = {group: text for group, text in _APIS.items() if group not in groups}
    if not settings.access.manage_groups:
        missing.pop("user.openshift.io", None)
    problems += [
        Problem(where=f"cluster API {group}", what=f"is not served by {cluster.server}; {what} cannot be made; {cure}")
        for group, (what, cure) in missing.items()
    ]
    problems += _denied(allowed, missing)
    problems += _foreign(found, stack)
    problems += _resized(settings, found)
    problems += _vanished(settings, models.result().get("items", []))
    return domain, problems


def _models_path(namespace: str, stack: str) -> str:
    labels = f"{COMPONENT_LABEL}%3Dmodel,{STACK_LABEL}%3D{stack}"
    return f"/api/v1/namespaces/{namespace}/configmaps?labelSelector={labels}"


def _domain(settings: Settings, live: str | None) -> tuple[str | None, list[Problem]]:
    wanted = settings.cluster_domain
    where = f"{NAMESPACE}:clusterDomain"
    if wanted is None and live is None:
        what = (
            "is missing, and ingresses.config.openshift.io/cluster cannot be read; every URL is made from it; "
            "write `pulumi config set litemaas:clusterDomain apps.<cluster>.<domain>`"
        )
        return None, [Problem(where=where, what=what)]
    if wanted and live and wanted != live:
        what = (
            f"is not this cluster's domain, which is {live}; either the wrong cluster would be changed or no "
            f"host would resolve; choose the right context, or write {live}"
        )
        return wanted, [Problem(where=where, value=wanted, what=what)]
    return wanted or live, []


def _rights(settings: Settings) -> list[tuple[str, str, str]]:
    kinds = [("", "namespaces"), ("oauth.openshift.io", "oauthclients")]
    if settings.access.manage_groups:
        kinds.append(("user.openshift.io", "groups"))
    return [(verb, group, resource) for group, resource in kinds for verb in _VERBS]


def _denied(allowed: Iterable[tuple[tuple[str, str, str], bool]], missing: Iterable[str]) -> list[Problem]:
    lacking: dict[tuple[str, str], list[str]] = {}
    for (verb, group, resource), may in allowed:
        if not may and group not in missing:
            lacking.setdefault((group, resource), []).append(verb)
    return [
        Problem(
            where=f"permission on {resource}{'.' + group if group else ''}",
            what=f"you may not {', '.join(verbs)} them at cluster scope; up would stop half-way; ask a cluster "
            f"admin to run this stack, or for a ClusterRole with these verbs",
        )
        for (group, resource), verbs in lacking.items()
    ]


def _foreign(found: Iterable[tuple[Owned, Json]], stack: str) -> list[Problem]:
    problems: list[Problem] = []
    for one, body in found:
        if not body:
            continue
        labels: dict[str, str] = body.get("metadata", {}).get("labels") or {}
        problem = _terminating(one, body) or _other_owner(one, labels, stack)
        if problem:
            problems.append(Problem(where=f"{one.kind} {one.name}", what=problem))
    return problems


def _terminating(one: Owned, body: Json) -> str | None:
    if not body.get("metadata", {}).get("deletionTimestamp"):
        return None
    return (
        "is being deleted; what is made in it now would be lost; wait until "
        f"`oc get {one.resource} {one.name}` finds nothing, then try again"
    )


def _other_owner(one: Owned, labels: dict[str, str], stack: str) -> str | None:
    owner, manager = labels.get(STACK_LABEL), labels.get(MANAGER_LABEL)
    if owner == stack and manager == MANAGER:
        return None
    whose = (
        f"stack or release {owner} ({manager or 'unknown tool'})" if owner else "somebody else: it has no stack label"
    )
    at = f" -n {one.namespace}" if one.namespace else ""
    hand_over = f"oc label --overwrite {one.resource} {one.name}{at} {STACK_LABEL}={stack} {MANAGER_LABEL}={MANAGER}"
    return (
        f"exists already and belongs to {whose}; up would take it over, and destroy would delete it; choose "
        f"another namespace or cluster, or, if it is to become this stack's, run: {hand_over}"
    )


def _resized(settings: Settings, found: Iterable[tuple[Owned, Json]]) -> list[Problem]:
    """A StatefulSet's claim template cannot change: up would try to replace the database."""
    wanted, path = settings.storage.postgres, f"{NAMESPACE}:storage.postgres"
    bodies = [body for one, body in found if one.kind == "StatefulSet" and body]
    for template in (body["spec"]["volumeClaimTemplates"][0]["spec"] for body in bodies):
        size, storage_class = template["resources"]["requests"]["storage"], template.get("storageClassName")
        if quantity(size) != quantity(wanted.size):
            what = (
                f"differs from the {size} that the database was made with; Kubernetes cannot change a StatefulSet's "
                f"claim, so the database would be replaced; write {size}, and to grow it expand the claim "
                f"data-postgres-0 in namespace {settings.namespace}"
            )
            return [Problem(where=f"{path}.size", value=wanted.size, what=what)]
        if wanted.storage_class and storage_class != wanted.storage_class:
            what = (
                f"differs from {storage_class or 'the default class'} that the database was made with; it would be "
                "replaced by an empty one; write the old class, and move data by dump and restore into a new stack"
            )
            return [Problem(where=f"{path}.storageClass", value=wanted.storage_class, what=what)]
    return []


def _vanished(settings: Settings, deployed: Iterable[Json]) -> list[Problem]:
    declared = {model.name for model in settings.models} | set(settings.retired_models)
    offered = {item["metadata"]["labels"][NAME_LABEL] for item in deployed}
    return [
        Problem(
            where=f"{NAMESPACE}:models",
            value=name,
            what="is offered now and no longer declared; its subscriptions would end and keys made for it alone "
            f"would be disabled, for good; put it back, or write retiredModels: [{name}] if you mean it",
        )
        for name in sorted(offered - declared)
    ]
