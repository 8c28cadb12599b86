"""Log-in: what contradicts itself in the stack file, and what the cluster says of its own log-in.

Which modes there are, and why each is as it is, stands in docs/decisions/0031.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from components.naming import Addresses
from components.oauth import REDIRECT_ANNOTATION, REDIRECT_PREFIXES
from config.cluster import Json
from config.login import oauth_server
from config.names import LOGIN_ACCOUNT
from config.objects import listed, mapping
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.sources import Source

# What OpenShift's API server tells everybody of its OAuth server.
METADATA = "/.well-known/oauth-authorization-server"
AUTHENTICATION = "/apis/config.openshift.io/v1/authentications/cluster"
_SECRET = f"{NAMESPACE}:secrets.oauthClientSecret"


@dataclass(frozen=True, kw_only=True)
class Login:
    """``issuer`` is what the backend makes the addresses of a log-in of; ``notices`` tells where it is from."""

    issuer: str
    notices: tuple[str, ...] = ()


def contradictions(settings: Settings) -> list[Problem]:
    """Settings of log-in that would have no effect, or could not work."""
    access = settings.access
    wrong = _oidc(settings) if access.mode == "oidc" else _openshift(settings)
    return [Problem(where=where, what=what) for where, what in wrong]


def _secret(settings: Settings) -> Source:
    return next(source for spec, source in settings.secrets.items() if spec.name == "oauthClientSecret")


def _openshift(settings: Settings) -> Iterable[tuple[str, str]]:
    access, secret = settings.access, _secret(settings)
    if access.oidc:
        what = (
            f"names a provider while access.mode is {access.mode}; people would log in at OpenShift still; write "
            "access.mode: oidc, or remove it"
        )
        yield f"{NAMESPACE}:access.oidc", what
    if access.mode == "serviceAccount" and secret.kind != "generated":
        what = (
            "is a value of your own while access.mode is serviceAccount; the cluster makes that client's secret, a "
            "token of the ServiceAccount, and takes no other; remove it, and raise generation for a new token"
        )
        yield f"{_SECRET}.{secret.kind}", what


def _oidc(settings: Settings) -> Iterable[tuple[str, str]]:
    access, path = settings.access, f"{NAMESPACE}:access"
    if access.oidc is None:
        what = "is missing with access.mode: oidc; nobody could log in; write oidc.issuer and oidc.clientId"
        yield f"{path}.oidc", what
    if access.issuer:
        what = "is the address of OpenShift's own OAuth server, which mode oidc does not use; write access.oidc.issuer"
        yield f"{path}.issuer", what
    if access.api_url:
        what = "is asked who has logged in at OpenShift; with mode oidc the provider is asked instead; remove it"
        yield f"{path}.apiUrl", what
    if access.manage_groups or access.lists_members:
        what = (
            "is about Groups of this cluster, and with mode oidc only those count that the provider sends: nobody "
            "would get a role by them; remove it, and put people into groups of these names at the provider, or write "
            "initialAdmins"
        )
        yield f"{path}.{'manageGroups' if access.manage_groups else 'admins, readonly, users'}", what
    if access.enforce_groups:
        what = (
            "reads the Groups of this cluster, and with mode oidc the provider's count, which it tells at a log-in "
            "only: the check would find nobody entitled; remove it, and take roles away in the portal"
        )
        yield f"{path}.enforceGroups", what
    if _secret(settings).kind == "generated":
        what = (
            "is missing with access.mode: oidc; the provider knows nothing of a generated one and would refuse every "
            f"log-in; write `pulumi config set --secret --path {_SECRET}.value`, or existing or externalSecret"
        )
        yield _SECRET, what


def login(settings: Settings, domain: str, metadata: Json) -> Login:
    """Where people log in. ``metadata`` is what the API server says, empty if it says nothing."""
    access = settings.access
    if access.mode == "oidc" and access.oidc:
        return Login(issuer=access.oidc.issuer)
    said = _said(metadata)
    derived = Addresses(namespace=settings.namespace, domain=domain).oauth_issuer
    if access.issuer:
        notice = (
            f"Log-in: access.issuer is {access.issuer}, and the API server says that its OAuth server is {said}; "
            "people are sent to the former. Leave access.issuer out unless the latter cannot be reached"
        )
        return Login(issuer=access.issuer, notices=(notice,) if said and said != access.issuer else ())
    if said is None:
        notice = (
            f"Log-in: the API server does not say where its OAuth server is; {derived} is used, made from the "
            "cluster's domain; if it is another one, write access.issuer"
        )
        return Login(issuer=derived, notices=(notice,))
    notice = f"Log-in: people are sent to {said}, which the API server says is its OAuth server"
    return Login(issuer=said, notices=() if said == derived else (notice,))


def _said(metadata: Json) -> str | None:
    try:
        return oauth_server(str(metadata.get("issuer") or "").rstrip("/"))
    except ValueError:
        return None


def left_to_others(settings: Settings, authentication: Json) -> list[Problem]:
    """That this cluster has no OAuth server of its own, though the mode needs it."""
    if settings.access.mode == "oidc" or mapping(authentication, "spec").get("type") != "OIDC":
        return []
    issuers = [mapping(one, "issuer").get("issuerURL") for one in listed(authentication, "spec", "oidcProviders")]
    issuer = str(next(filter(None, issuers), "")).rstrip("/")
    what = (
        "needs OpenShift's own OAuth server, and this cluster leaves log-ins to "
        f"{issuer or 'a provider'} (spec.type of authentication.config.openshift.io/cluster is OIDC): nobody could log "
        "in; register a client for the portal there, write access.mode: oidc with access.oidc.issuer: "
        f"{issuer or '<its issuer>'} and access.oidc.clientId, and its secret as secrets.oauthClientSecret"
    )
    return [Problem(where=f"{NAMESPACE}:access.mode", value=settings.access.mode, what=what)]


def moved(settings: Settings, deployments: Iterable[Json]) -> list[str]:
    """That people will come from somebody else than before, by the live backends among ``deployments``."""
    wanted = "oidc" if settings.access.mode == "oidc" else "openshift"
    before = {
        str(variable.get("value"))
        for body in deployments
        for container in listed(body, "spec", "template", "spec", "containers")
        for variable in listed(container, "env")
        if variable.get("name") == "AUTH_PROVIDER"
    }
    if not before - {wanted}:
        return []
    notice = (
        f"Log-in moves from {before.pop()} to {wanted}. The portal knows people by id and e-mail, and at OpenShift the "
        "user name is the e-mail: whoever comes with the same user name and another e-mail than before cannot log in, "
        "since user names are unique, and whoever comes with another name is a new person, without subscriptions and "
        "keys. See How people log in in the README"
    )
    return [notice]


def foreign_redirects(settings: Settings, accounts: Iterable[Json]) -> list[Problem]:
    """Redirect URIs that somebody else has written on the ServiceAccount; each of them is good for a log-in."""
    return [
        Problem(
            where=f"ServiceAccount {LOGIN_ACCOUNT} {name}",
            value=text,
            what="was added by somebody else and would stay; whoever holds that address can be sent people's logins; "
            f"remove it: oc annotate serviceaccount {LOGIN_ACCOUNT} -n {settings.namespace} {name}-",
        )
        for body in accounts
        for name, text in mapping(body, "metadata", "annotations").items()
        if name.startswith(REDIRECT_PREFIXES) and name != REDIRECT_ANNOTATION
    ]
