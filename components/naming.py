"""Addresses of an installation, computed once from namespace and domain, or names of its own.

OpenShift itself would name a Route's host this way, so all URLs are known at
preview, before anything exists.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from urllib.parse import urlsplit

from components.wiring import Namespace, Place, Target

# Under this name the API server's certificate is good for every cluster.
KUBERNETES = "https://kubernetes.default.svc"
PORTAL_ROUTE, GATEWAY_ROUTE, API_ROUTE = "litemaas", "litellm", "litemaas-api"
# The Certificate of cert-manager, and the Secret that it writes into.
ROUTE_CERTIFICATE = "litemaas-route-tls"
# The component of the policies that guard models.
LOCKDOWN = "lockdown"


def backends(count: int) -> tuple[str, ...]:
    """The Deployments of the backend: one of its name, or several numbered ones."""
    return ("backend",) if count == 1 else tuple(f"backend-{number}" for number in range(1, count + 1))


def slug(path: str) -> str:
    """``path`` of a URL as a part of an object's name."""
    return re.sub(r"[^a-z0-9]+", "-", path).strip("-")


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """An InferenceService in another namespace, to which only the gateway of ``home`` is let."""

    home: str
    namespace: str
    name: str

    @property
    def policy(self) -> str:
        """The policy's name: two installations may guard the same InferenceService, and both gateways are let in."""
        return f"{self.home}-lockdown-{self.name}"


@dataclass(frozen=True, kw_only=True)
class Door:
    """What is reached at ``host``: ``paths`` and what is below them, or all if there are none.

    ``name`` is that of the Ingress, or the Route; with paths, there is a Route for each.
    """

    name: str
    host: str
    paths: Sequence[str] = ()

    @property
    def routes(self) -> dict[str, str | None]:
        """The paths by the names of their Routes; None stands for the whole host."""
        if not self.paths:
            return {self.name: None}
        return {f"{self.name}-{slug(path)}": path for path in self.paths}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Public addresses of one installation. ``domain`` is the cluster's apps domain.

    ``named`` are hosts of its own, by their Routes; all others lie below ``domain``.
    """

    namespace: str
    domain: str
    named: Mapping[str, str] = field(default_factory=dict[str, str])

    def host(self, route: str) -> str:
        """The host of ``route``, without scheme."""
        return self.named.get(route) or f"{route}-{self.namespace}.{self.domain}"

    @property
    def hosts(self) -> list[str]:
        """The hosts of all Routes."""
        return [self.host(route) for route in (PORTAL_ROUTE, GATEWAY_ROUTE, API_ROUTE)]

    @property
    def portal(self) -> str:
        """Origin of the portal; the only one that CORS admits."""
        return f"https://{self.host(PORTAL_ROUTE)}"

    @property
    def gateway(self) -> str:
        """Base URL that users' programs and the portal's playground call."""
        return f"https://{self.host(GATEWAY_ROUTE)}"

    @property
    def api(self) -> str:
        """Base URL of the portal's API for programs."""
        return f"https://{self.host(API_ROUTE)}"

    @property
    def oauth_callback(self) -> str:
        """The redirect URI, in full: OpenShift accepts every path below a shorter one."""
        return f"{self.portal}/api/auth/callback"

    @property
    def oauth_issuer(self) -> str:
        """OpenShift's OAuth server; without a trailing slash, which the backend would double."""
        return f"https://oauth-openshift.{self.domain}"

    def target(self, url: str) -> Target[str]:
        """``url``, a valid one, with who answers there: its host tells."""
        if url == KUBERNETES:
            return Target(address=url, peer=Place.API_SERVER, port=None)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return replace(self.server(parts.hostname or "", port), address=url)

    def server(self, host: str, port: int) -> Target[str]:
        """``host``, with who answers there on ``port``."""
        name = host.rstrip(".")
        if name.endswith(f".{self.domain}") or name in self.hosts:
            return Target(address=host, peer=Place.ROUTER, port=port)
        namespace = self._namespace(name)
        if namespace is None:
            return Target(address=host, peer=Place.ANYWHERE, port=port)
        # The port is the Service's; that of the pods behind it, which counts, is not known here.
        peer = Place.NEIGHBOURS if namespace == self.namespace else Namespace(namespace)
        return Target(address=host, peer=peer, port=None)

    def _namespace(self, host: str) -> str | None:
        """Where the Service called ``host`` lies; None for a name outside the cluster."""
        labels = host.split(".")
        if len(labels) == 1:
            return self.namespace
        # <service>.<namespace>.svc, perhaps with a pod's name before and the cluster's domain behind.
        return next((label for label, after in pairwise(labels[1:]) if after == "svc"), None)
