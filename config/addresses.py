"""The hosts of an installation and what is open at each: derived from the settings in one place."""

from components.naming import API_ROUTE, GATEWAY_ROUTE, PORTAL_ROUTE, Addresses, Door
from config.entrance import OPEN_PATHS
from config.profiles import admin_ui
from config.report import NAMESPACE, Problem
from config.settings import Settings

# What the portal's backend (demo-workflow.md section 1.2) and the verification call at the public address, which
# the backend knows the gateway by and tells its users (litemaas-contract.md section 0.7).
_NEEDED = ("/health", "/key", "/model", "/team", "/user")
_HOSTS = f"{NAMESPACE}:exposure.hosts"


def of(settings: Settings, domain: str) -> Addresses:
    """The addresses, on a cluster with this apps domain."""
    wanted = settings.exposure.hosts
    own = {PORTAL_ROUTE: wanted.portal, GATEWAY_ROUTE: wanted.gateway, API_ROUTE: wanted.api}
    named = {route: host for route, host in own.items() if host}
    return Addresses(namespace=settings.namespace, domain=domain, named=named)


def doors(settings: Settings, urls: Addresses) -> dict[str, Door]:
    """What is open, by the name of its Route or Ingress."""
    open_paths = {GATEWAY_ROUTE: gateway_paths(settings)}
    return {
        route: Door(name=route, host=urls.host(route), paths=open_paths.get(route, ()))
        for route in (PORTAL_ROUTE, GATEWAY_ROUTE, API_ROUTE)
    }


def objects(settings: Settings) -> dict[tuple[str, str], tuple[str, ...]]:
    """Names of Routes or Ingresses, by kind and path in the API."""
    # No domain has a part in them.
    made = doors(settings, of(settings, settings.cluster_domain or ""))
    space = settings.namespace
    if settings.exposure.kind == "ingress":
        return {("Ingress", f"/apis/networking.k8s.io/v1/namespaces/{space}/ingresses/"): tuple(made)}
    names = tuple(name for door in made.values() for name in door.routes)
    return {("Route", f"/apis/route.openshift.io/v1/namespaces/{space}/routes/"): names}


def gateway_paths(settings: Settings) -> tuple[str, ...]:
    """The paths of the gateway that are open; none stands for all."""
    if admin_ui(settings):
        return ()
    wanted = OPEN_PATHS if settings.exposure.gateway_paths is None else settings.exposure.gateway_paths
    return tuple(sorted({*wanted, *_NEEDED}))


def contradictions(settings: Settings) -> list[Problem]:
    """What cannot work together, once the profile has filled in what the stack file leaves out."""
    problems: list[Problem] = []
    if admin_ui(settings) and settings.exposure.gateway_paths is not None:
        what = (
            "closes LiteLLM's own web page, which gateway.adminUi leaves exposed; people would find no page there; "
            "write gateway.adminUi: hidden, or leave gatewayPaths out"
        )
        problems.append(Problem(where=f"{NAMESPACE}:exposure.gatewayPaths", what=what))
    if settings.exposure.kind == "ingress" and settings.tls.internal:
        what = (
            "needs a router that speaks TLS to pods and verifies them, which Ingresses have no word for: everybody "
            "would get an error; write false, or exposure.kind: route"
        )
        problems.append(Problem(where=f"{NAMESPACE}:tls.internal", value="true", what=what))
    return problems


def clashes(urls: Addresses) -> list[Problem]:
    """Hosts that are somebody else's, or two things at once."""
    problems: list[Problem] = []
    names = {PORTAL_ROUTE: "portal", GATEWAY_ROUTE: "gateway", API_ROUTE: "api"}
    taken = {urls.oauth_issuer.removeprefix("https://"): "OpenShift's own log-in page"}
    derived_first = sorted(names, key=lambda route: route in urls.named)
    for route in derived_first:
        host = urls.host(route)
        if holder := taken.get(host):
            what = f"is the host of {holder}; the second of two would never be served; write one that is free"
            problems.append(Problem(where=f"{_HOSTS}.{names[route]}", value=host, what=what))
        taken[host] = f"the {names[route]}"
    return problems


def notices(settings: Settings, urls: Addresses) -> list[str]:
    """What the operator should know of the hosts before saying yes."""
    outside = [host for host in urls.hosts if host.partition(".")[2] != urls.domain]
    if not outside or settings.exposure.tls.certificate:
        return []
    names, isare = ", ".join(outside), "is" if len(outside) == 1 else "are"
    text = (
        f"{names} {isare} not below {urls.domain}, for which a router's own certificate is made: unless yours is good "
        "for more, nobody trusts it there, and the verification fails; write exposure.tls.certificate"
    )
    return [text]
