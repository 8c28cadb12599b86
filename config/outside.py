"""What the cluster has to say of the way in from outside: Ingress controller, hosts, certificate."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from config import addresses, controllers, tls_findings
from config.cluster import Cluster, Json
from config.objects import listed, mapping, name_of
from config.report import Problem
from config.settings import Settings

ROUTES = "route.openshift.io"


@dataclass(frozen=True, kw_only=True)
class Outside:
    """``controller`` serves the Ingresses (empty for Routes); ``notices`` are what the operator should know."""

    controller: str
    notices: Sequence[str]
    problems: Sequence[Problem]


def examine(settings: Settings, cluster: Cluster, apis: Collection[str], domain: str | None) -> Outside:
    """What is there, and what speaks against the settings.

    Raises UnreachableError.
    """
    controller, problems = controllers.examine(settings, cluster)
    notices = controllers.notices(settings, controller)
    if domain:
        urls = addresses.of(settings, domain)
        problems += [*addresses.clashes(urls), *tls_findings.served(settings, cluster, apis, urls.hosts)]
        problems += _of_the_other_kind(settings, cluster, apis, urls.hosts)
        notices += addresses.notices(settings, urls)
    return Outside(controller=controller, notices=notices, problems=problems)


def _of_the_other_kind(
    settings: Settings, cluster: Cluster, apis: Collection[str], hosts: Collection[str]
) -> list[Problem]:
    """Entrances of before: the engine deletes them last, and until then the hosts are theirs."""
    space = settings.namespace
    if settings.exposure.kind == "route":
        kind, path = "Ingress", f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses"
    elif ROUTES in apis:
        kind, path = "Route", f"/apis/{ROUTES}/v1/namespaces/{space}/routes"
    else:
        return []
    serving = [
        name_of(one)
        for one in listed(cluster.read(path), "items")
        # OpenShift makes a Route of each Ingress, which goes with that.
        if not listed(one, "metadata", "ownerReferences") and _hosts(one) & {*hosts}
    ]
    if not serving:
        return []
    names = " ".join(sorted(serving))
    what = (
        "serves hosts that this stack is to serve in another way now; it would be deleted last, a router takes the "
        "older one, and the verification would fail before; delete it first, after which nobody gets in until up has "
        "ended: "
        f"oc delete {kind.lower()} -n {space} {names}"
    )
    return [Problem(where=f"{kind} {', '.join(sorted(serving))}", what=what)]


def _hosts(entrance: Json) -> set[str]:
    """The hosts of a Route or an Ingress."""
    rules: list[Json] = listed(entrance, "spec", "rules")
    return {host for host in (mapping(entrance, "spec").get("host"), *(one.get("host") for one in rules)) if host}
