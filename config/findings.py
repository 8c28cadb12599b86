"""What live objects reveal: who owns them, and what an up would break."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.naming import ROUTE_CERTIFICATE, Guarded, backends
from components.quota import NAME as QUOTA
from components.wiring import Place
from config import addresses, stored
from config.cluster import Json
from config.names import (
    ADMINS,
    LOGIN_ACCOUNT,
    MANAGER,
    MANAGER_LABEL,
    READONLY,
    STACK_LABEL,
    USERS,
    console_link,
    oauth_client,
)
from config.profiles import sizing
from config.report import Problem
from config.resolved import Resolved
from config.settings import Settings

_POLICIES = (
    "default-deny",
    "postgres-bootstrap",
    "litellm",
    "litellm-migration",
    "key-check",
    "models",
    "backend",
    "frontend",
    "verification",
)
# What `oc` would not find by the kind alone.
_AMBIGUOUS = {"Cluster": "cluster.postgresql.cnpg.io", "Ingress": "ingress.networking.k8s.io"}


@dataclass(frozen=True, kw_only=True)
class Owned:
    """An object that the stack is about to own; ``namespace`` empty for cluster-scoped ones."""

    kind: str
    name: str
    path: str
    resource: str
    namespace: str = ""


def planned(
    settings: Settings, models: Iterable[Resolved], guarded: Iterable[Guarded], *, console: bool
) -> list[Owned]:
    """The objects with a fixed name: those that somebody else could have made before.

    ``console``: a link in its menu is one of them.
    """
    space = settings.namespace
    client = oauth_client(space)
    oauth, user = "/apis/oauth.openshift.io/v1/oauthclients/", "/apis/user.openshift.io/v1/groups/"
    objects = [
        Owned(kind="Namespace", name=space, path=f"/api/v1/namespaces/{space}", resource="namespace"),
    ]
    if settings.access.mode == "oauthClient":
        objects.append(Owned(kind="OAuthClient", name=client, path=oauth + client, resource="oauthclient"))
    if settings.access.manage_groups:
        objects += [
            Owned(kind="Group", name=name, path=user + name, resource="group") for name in (ADMINS, READONLY, USERS)
        ]
    if console:
        name, path = console_link(space), "/apis/console.openshift.io/v1/consolelinks/"
        objects.append(Owned(kind="ConsoleLink", name=name, path=path + name, resource="consolelink"))
    redis = ("redis",) if settings.redis.mode == "bundled" else ()
    own = settings.exposure.tls.certificate
    issued = (ROUTE_CERTIFICATE,) if own and own.cert_manager else ()
    named = {
        **stored.objects(settings),
        ("Certificate", f"/apis/cert-manager.io/v1/namespaces/{space}/certificates/"): issued,
        ("Deployment", f"/apis/apps/v1/namespaces/{space}/deployments/"): (
            *(*redis, "litellm", *backends(sizing(settings, "backend").replicas), "frontend"),
        ),
        ("CronJob", f"/apis/batch/v1/namespaces/{space}/cronjobs/"): (
            "key-check",
            *(["role-check"] if settings.access.enforce_groups else []),
        ),
        ("HorizontalPodAutoscaler", f"/apis/autoscaling/v2/namespaces/{space}/horizontalpodautoscalers/"): (
            tuple(settings.scaled)
        ),
        **_quotas(settings),
        **addresses.objects(settings),
        ("ServiceAccount", f"/api/v1/namespaces/{space}/serviceaccounts/"): (
            (LOGIN_ACCOUNT,) if settings.access.mode == "serviceAccount" else ()
        ),
        ("Service", f"/api/v1/namespaces/{space}/services/"): (
            *(["postgres", "postgres-pods"] if settings.database.mode == "bundled" else []),
            *(*redis, "litellm", "backend", "frontend"),
            *(numbered if len(numbered := backends(sizing(settings, "backend").replicas)) > 1 else ()),
        ),
        ("NetworkPolicy", f"/apis/networking.k8s.io/v1/namespaces/{space}/networkpolicies/"): _policies(
            settings, models
        ),
    }
    for (kind, path), names in named.items():
        objects += [
            Owned(
                kind=kind,
                name=name,
                path=path + name,
                resource=_AMBIGUOUS.get(kind, kind.lower()),
                namespace=space,
            )
            for name in names
        ]
    return [*objects, *(_lockdown(one) for one in guarded)]


def _quotas(settings: Settings) -> dict[tuple[str, str], tuple[str, ...]]:
    space, wanted = f"/api/v1/namespaces/{settings.namespace}", settings.isolation
    return {
        ("ResourceQuota", f"{space}/resourcequotas/"): (QUOTA,) if wanted.quota else (),
        ("LimitRange", f"{space}/limitranges/"): (QUOTA,) if wanted.limit_range else (),
    }


def _lockdown(service: Guarded) -> Owned:
    return Owned(
        kind="NetworkPolicy",
        name=service.policy,
        path=f"/apis/networking.k8s.io/v1/namespaces/{service.namespace}/networkpolicies/{service.policy}",
        resource="networkpolicy",
        namespace=service.namespace,
    )


def _policies(settings: Settings, models: Iterable[Resolved]) -> tuple[str, ...]:
    urls = addresses.of(settings, settings.cluster_domain or "")
    called = [urls.target(url).peer for model in models for url in model.endpoints]
    if settings.database.external:
        called.append(urls.server(settings.database.external.host, settings.database.external.port).peer)
    bundled = settings.redis.mode == "bundled"
    if not bundled:
        called.append(urls.server(*settings.redis.server).peer)
    more = {
        "postgres": settings.database.mode != "external",
        "redis": bundled,
        "neighbours": Place.NEIGHBOURS in called,
        "role-check": settings.access.enforce_groups,
    }
    return (*_POLICIES, *(name for name, made in more.items() if made))


def foreign(found: Iterable[tuple[Owned, Json]], stack: str) -> list[Problem]:
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
        f"`oc get {one.resource} {one.name}{_in(one)}` finds nothing, then try again"
    )


def _in(one: Owned) -> str:
    return f" -n {one.namespace}" if one.namespace else ""


def _other_owner(one: Owned, labels: dict[str, str], stack: str) -> str | None:
    owner, manager = labels.get(STACK_LABEL), labels.get(MANAGER_LABEL)
    if ours(labels, stack):
        return None
    whose = (
        f"stack or release {owner} ({manager or 'unknown tool'})" if owner else "somebody else: it has no stack label"
    )
    hand_over = (
        f"oc label --overwrite {one.resource} {one.name}{_in(one)} {STACK_LABEL}={stack} {MANAGER_LABEL}={MANAGER}"
    )
    return (
        f"exists already and belongs to {whose}; up would take it over, and destroy would delete it; "
        f"{_elsewhere(one)}, or, if it is to become this stack's, run: {hand_over}"
    )


def _elsewhere(one: Owned) -> str:
    match one.kind:
        case "Group":
            return (
                "to use it as it is, leave the list of its members out of litemaas:access, or, if another installation "
                "has made it, write access.manageGroups: false"
            )
        case "ConsoleLink":
            return "write exposure.consoleLink.enabled: false"
        case _:
            return "choose another namespace or cluster"


def foreign_redirects(found: Iterable[tuple[Owned, Json]], wanted: str) -> list[Problem]:
    """Redirect URIs that somebody else added: the list is a set that no apply of ours ever empties of them."""
    bodies = [body for one, body in found if one.kind == "OAuthClient" and body]
    problems: list[Problem] = []
    for body in bodies:
        ours = {
            uri
            for entry in body["metadata"].get("managedFields", [])
            if entry["manager"].startswith("pulumi")
            for uri in entry.get("fieldsV1", {}).get("f:redirectURIs", {})
        }
        for index, uri in enumerate(body.get("redirectURIs") or []):
            if uri == wanted or f"v:{json.dumps(uri)}" in ours:
                continue
            name = body["metadata"]["name"]
            patch = json.dumps([{"op": "remove", "path": f"/redirectURIs/{index}"}])
            what = (
                "was added by somebody else and would stay; whoever holds that address can be sent people's logins; "
                f"remove it: oc patch oauthclient {name} --type json -p '{patch}'"
            )
            problems.append(Problem(where=f"OAuthClient {name} redirectURIs[{index}]", value=uri, what=what))
    return problems


def ours(labels: Mapping[str, str], stack: str) -> bool:
    """Whether an object with these labels is one of ``stack``."""
    return labels.get(STACK_LABEL) == stack and labels.get(MANAGER_LABEL) == MANAGER
