"""What must be true of the cluster before anything is registered.

Runs at preview and at up alike, asks only, and reports everything it finds at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pulumi import RunError, log
from pydantic import SecretStr

from components.naming import Guarded
from config import (
    addresses,
    bypass,
    consolelink,
    discovery,
    existing,
    findings,
    groups,
    images,
    login_findings,
    model_keys,
    outside,
    placement,
    removal,
    rights,
    rotation,
    scalers,
    stakes,
    stored,
    tls_findings,
)
from config.cluster import Cluster, Json, UnreachableError
from config.names import COMPONENT_LABEL, STACK_LABEL
from config.report import NAMESPACE, Problem, summary
from config.resolved import Resolved
from config.settings import Settings

# API group -> (what is missing without it, what to do).
_APIS = {
    "route.openshift.io": (
        "Routes",
        "this program needs OpenShift; choose another context, or write exposure.kind: ingress",
    ),
    "oauth.openshift.io": (
        "OAuthClients",
        "log-in needs OpenShift's own OAuth server; where another provider logs people in, write access.mode: oidc",
    ),
    "user.openshift.io": ("Groups", "write access.manageGroups: false if groups come from an identity provider"),
    "postgresql.cnpg.io": (
        "the database (database.mode is operator)",
        "have a cluster admin install the operator CloudNativePG, or write database.mode bundled or external",
    ),
}
_WORKERS = 6


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the cluster knows: its apps domain, the ``issuer`` of log-ins, which of our Deployments an autoscaler
    sizes, secrets, keys of models by name, the certificate authorities (PEM) that the stack file adds, since they may
    stand in a ConfigMap, the models, and which of their InferenceServices are to be ``guarded``, the Groups to make
    with their members (None: not ours to say), whether to make a link in the console's menu, and who serves Ingresses,
    if there are to be any. ``notices`` is what the operator should know before saying yes, ``told`` what may be of use.
    """

    domain: str
    issuer: str
    autoscaled: frozenset[str]
    authorities: str
    secrets: rotation.Secrets
    model_keys: Mapping[str, SecretStr]
    models: tuple[Resolved, ...]
    guarded: tuple[Guarded, ...]
    groups: Mapping[str, groups.Members]
    console_link: bool
    ingress_controller: str
    notices: Sequence[str]
    told: Sequence[str]


def prepare(settings: Settings, stack: str) -> tuple[Facts, Cluster]:
    """Facts and a connection, once cluster and settings agree.

    ``stack`` is the value of the identity label. Raises RunError, which Pulumi prints
    without a traceback, with every problem found.
    """
    try:
        cluster = Cluster(settings.context)
        facts, problems = check(settings, stack, cluster)
    except UnreachableError as error:
        raise RunError(summary([Problem(where="cluster", what=str(error))], _headline(stack))) from None
    if problems or facts is None:
        raise RunError(summary(problems, _headline(stack)))
    for told in facts.told:
        log.info(told)
    for warning in (*facts.notices, *tls_findings.ending(settings, facts.authorities)):
        log.warn(warning)
    if facts.secrets.notices:
        log.warn("\n".join(["Secrets are rotated:", *(f"  - {each}" for each in facts.secrets.notices)]))
    return facts, cluster


def _headline(stack: str) -> str:
    return f"The cluster is not ready for stack {stack}"


def check(settings: Settings, stack: str, cluster: Cluster) -> tuple[Facts | None, list[Problem]]:
    """What the cluster knows (None without a domain, which is a problem too) and all problems.

    Raises UnreachableError.
    """
    # One question first: an unreachable server is then reported once, after one time-out.
    apis = {group["name"] for group in cluster.get("/apis").body.get("groups", [])}
    offered = discovery.discover(settings, cluster, apis)
    guarded = bypass.guarded(settings, offered)
    console = consolelink.asked(settings.exposure.console_link, apis)
    objects = findings.planned(settings, offered.models, guarded, console=console)
    asking = [*rights.needed(settings, guarded), *(consolelink.RIGHTS if console else [])]
    deciding = groups.asked(settings, apis)
    wanted, of_models = rotation.existing(settings), model_keys.wanted(settings)
    with ThreadPoolExecutor(_WORKERS) as pool:
        ingress = pool.submit(cluster.read, "/apis/config.openshift.io/v1/ingresses/cluster")
        metadata = pool.submit(cluster.read, login_findings.METADATA)
        authentication = pool.submit(cluster.read, login_findings.AUTHENTICATION)
        models = pool.submit(cluster.read, _models_path(settings.namespace, stack))
        sizing = pool.submit(
            cluster.read, f"/apis/autoscaling/v2/namespaces/{settings.namespace}/horizontalpodautoscalers"
        )
        record = pool.submit(cluster.read, rotation.record_path(settings.namespace, stack))
        held = dict(zip(wanted, pool.map(cluster.get, map(existing.path, wanted.values())), strict=True))
        model_secrets = dict(zip(of_models, pool.map(cluster.get, map(existing.path, of_models.values())), strict=True))
        found = list(zip(objects, pool.map(cluster.read, [one.path for one in objects]), strict=True))
        giving = dict(zip(deciding, pool.map(cluster.get, deciding.values()), strict=True))
        others = stored.of_other_modes(settings)
        elsewhere = list(zip(others, pool.map(cluster.read, others.values()), strict=True))
        allowed = list(zip(asking, pool.map(cluster.allowed, asking), strict=True))
    domain, problems = _domain(settings, ingress.result().get("spec", {}).get("domain"))
    away = login_findings.left_to_others(settings, authentication.result())
    missing = _missing(settings, apis, because_away=bool(away))
    problems += [
        Problem(where=f"cluster API {group}", what=f"is not served by {cluster.server}; {what} cannot be made; {cure}")
        for group, (what, cure) in missing.items()
    ]
    roles = groups.plan(settings, found, giving, stack)
    link = consolelink.plan(settings.exposure.console_link, apis, allowed, _live(found, consolelink.KIND), stack)
    # Of what is not to be made, nothing is asked.
    left = {*roles.used, *([] if link.made else [consolelink.KIND])}
    problems += [
        *rights.denied([one for one in allowed if link.made or one[0] not in consolelink.RIGHTS], missing),
        *consolelink.unserved(settings.exposure.console_link, apis, cluster.server),
        *findings.foreign([one for one in found if not {one[0].kind, one[0].name} & left], stack),
        # Without a domain, of which there is a problem already, it is not known what is wanted.
        *(findings.foreign_redirects(found, addresses.of(settings, domain).oauth_callback) if domain else []),
        *login_findings.foreign_redirects(settings, _live(found, "ServiceAccount")),
        *away,
        *stored.left_behind(settings, stack, elsewhere),
    ]
    claims = stored.live_claims(_live(found, "PersistentVolumeClaim"), _live(found, "Cluster"))
    problems += stored.resized(settings, claims, cluster.read)
    problems += stored.another_major(settings, _live(found, "StatefulSet"))
    problems += [
        *placement.unknown_priorities(settings, cluster.get),
        *scalers.foreign(settings, sizing.result(), stack),
    ]
    problems += offered.problems
    # Where not even the names of all models are known, none can be said to have gone.
    if offered.complete and (gone := removal.vanished(settings, offered, models.result().get("items", []))):
        at_stake = stakes.ask(cluster, settings.namespace, [one.name for one in gone])
        problems += removal.problems(gone, at_stake)
    authorities, untrusted = tls_findings.authorities(settings, cluster)
    problems += [*untrusted, *tls_findings.serving(settings, cluster)]
    problems += rotation.unserved(settings, apis, cluster.server)
    secrets, unusable = rotation.examine(settings, held, record.result())
    keys, unknown = model_keys.examine(settings, model_secrets)
    problems += [*unusable, *unknown, *rotation.while_backends_end(settings, secrets, cluster.read)]
    entered = outside.examine(settings, cluster, apis, domain)
    problems += entered.problems
    if not domain:
        return None, problems
    login = login_findings.login(settings, domain, metadata.result())
    return Facts(
        domain=domain,
        issuer=login.issuer,
        autoscaled=scalers.autoscaled(sizing.result()),
        authorities=authorities,
        secrets=secrets,
        model_keys=keys,
        models=offered.models,
        guarded=guarded,
        groups=roles.made,
        console_link=link.made,
        ingress_controller=entered.controller,
        notices=[
            *scalers.ending(settings, sizing.result(), stack),
            *roles.notices,
            *login_findings.moved(settings, _live(found, "Deployment")),
            *link.notices,
            *entered.notices,
            *images.notices(settings),
            *_told(settings, offered),
        ],
        told=login.notices,
    ), problems


def _missing(settings: Settings, apis: Collection[str], *, because_away: bool) -> dict[str, tuple[str, str]]:
    """The APIs that are needed and not served; with ``because_away`` those of log-in are missing for a known reason."""
    access = settings.access
    needless = {
        "postgresql.cnpg.io": settings.database.mode != "operator",
        "route.openshift.io": settings.exposure.kind == "ingress",
        "user.openshift.io": not access.manage_groups or because_away,
        "oauth.openshift.io": access.mode == "oidc" or because_away,
    }
    return {group: text for group, text in _APIS.items() if group not in apis and not needless.get(group)}


def _told(settings: Settings, offered: discovery.Discovery) -> tuple[str, ...]:
    """The warnings about models, each list as one text."""
    lists = (["Models:", *offered.warnings] if offered.warnings else [], bypass.warnings(settings, offered))
    return tuple("\n  - ".join(each) for each in lists if each)


def _live(found: Iterable[tuple[findings.Owned, Json]], kind: str) -> list[Json]:
    return [body for one, body in found if one.kind == kind and body]


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
