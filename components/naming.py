"""Addresses of an installation, computed once from namespace and domain.

OpenShift itself would name a Route's host this way, so all URLs are known at
preview, before anything exists.
"""

from dataclasses import dataclass

PORTAL_ROUTE, GATEWAY_ROUTE, API_ROUTE = "litemaas", "litellm", "litemaas-api"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Public addresses of one installation. ``domain`` is the cluster's apps domain."""

    namespace: str
    domain: str

    def host(self, route: str) -> str:
        """The host of ``route``, without scheme."""
        return f"{route}-{self.namespace}.{self.domain}"

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
