"""Checks that the portal begins log-ins at the right place, and that it is known there."""

import urllib.parse

from verify_report import Problem

BY_HAND = "`pulumi up --refresh` sets back what was changed by hand"
DISCOVERY = "/.well-known/openid-configuration"


class Login:
    """The way from the portal's button to the page where people say who they are; ``row`` names its second half."""

    def __init__(self, site):
        self._client, self._env, self._url = site.client, site.env, ""
        self._oc = site.oc
        self._oidc = site.env["AUTH_PROVIDER"] == "oidc"
        self.row = "provider login" if self._oidc else "OpenShift login"

    def address(self):
        origin, env = {"Origin": self._env["PORTAL_URL"]}, self._env
        answer = self._client.ask("POST", f"{env['PORTAL_URL']}/api/auth/login", {}, origin)
        if answer.status != 200:
            cause = "the backend cannot begin a login"
            if self._oidc:
                cause += f", or does not reach {env['OAUTH_ISSUER']}{DISCOVERY}"
            raise Problem(answer.said(), cause, self._oc("logs deployment/backend"))
        self._url = answer.json()["authUrl"]
        url = urllib.parse.urlsplit(self._url)
        query = dict(urllib.parse.parse_qsl(url.query))
        shown = {
            "address": f"{url.scheme}://{url.netloc}{url.path}",
            "client_id": query.get("client_id"),
            "redirect_uri": query.get("redirect_uri"),
        }
        wanted = {
            "address": self._discovered() if self._oidc else f"{env['OAUTH_ISSUER']}/oauth/authorize",
            "client_id": env["OAUTH_CLIENT_ID"],
            "redirect_uri": env["OAUTH_CALLBACK"],
        }
        wrong = [f"{key} is {shown[key]}, not {wanted[key]}" for key in wanted if shown[key] != wanted[key]]
        if wrong:
            cause = "the backend runs with other OAUTH_* variables than this program wrote"
            raise Problem("; ".join(wrong), cause, BY_HAND, final=True)
        return f"sends people to {url.netloc}"

    def _discovered(self):
        """The address of the provider's log-in, from its discovery document, which is looked at on the way."""
        issuer = self._env["OAUTH_ISSUER"]
        todo = f"compare litemaas:access.oidc.issuer with what the provider calls its issuer; curl {issuer}{DISCOVERY}"
        answer = self._client.ask("GET", f"{issuer}{DISCOVERY}")
        if answer.status != 200:
            raise Problem(answer.said(), f"the provider has no discovery document below {issuer}", todo)
        try:
            found = answer.json()
            ends = {name: found[name] for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")}
        except (ValueError, KeyError, TypeError) as error:
            cause = "what answers there is no provider that the backend can use: it needs all three endpoints"
            raise Problem(f"no {error} in its discovery document", cause, todo) from None
        # The backend, and nobody else here, calls these two; its network policy lets it through to the issuer's port.
        for name in ("token_endpoint", "userinfo_endpoint"):
            if _port(ends[name]) != _port(issuer):
                cause = f"network policies let the backend through to port {_port(issuer)} of other hosts only"
                add = f"have the provider use one port, or add a NetworkPolicy for the backend to {ends[name]}"
                raise Problem(f"{name} is {ends[name]}", cause, add, final=True)
        url = urllib.parse.urlsplit(ends["authorization_endpoint"])
        return f"{url.scheme}://{url.netloc}{url.path}"

    def server(self):
        answer = self._client.ask("GET", self._url, headers={"Accept": "text/html"})
        back = answer.headers.get("Location") or ""
        denied = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query)).get("error")
        if back.startswith(self._env["OAUTH_CALLBACK"]) and denied:
            raise Problem(f"sends people back with {denied}", self._scopes(), self._look(), final=True)
        if answer.status >= 500:
            raise Problem(answer.said(), *self._trouble())
        if answer.status >= 400 or _is_oauth_error(answer):
            raise Problem(answer.said(), self._unknown(), self._look(), final=True)
        return "knows the portal, asks who people are"

    @property
    def _account(self):
        """The ServiceAccount that is the client, if one is."""
        *_, name = self._env["OAUTH_CLIENT_ID"].split(":")
        return name if self._env["OAUTH_CLIENT_ID"].startswith("system:serviceaccount:") else None

    def _look(self):
        if self._oidc:
            client, callback = self._env["OAUTH_CLIENT_ID"], self._env["OAUTH_CALLBACK"]
            return f"compare the client {client} at the provider: code flow, redirect URI {callback}, the scopes"
        if self._account:
            return f"{self._oc(f'get serviceaccount {self._account} -o yaml')}, then `pulumi up --refresh`"
        return f"oc get oauthclient {self._env['OAUTH_CLIENT_ID']} -o yaml, then `pulumi up --refresh`"

    def _scopes(self):
        if self._oidc:
            return "the provider does not give this client the scopes in litemaas:access.oidc.scopes"
        if self._account:
            return "this OAuth server does not give ServiceAccounts user:info and user:check-access"
        return "the OAuthClient's scopeRestrictions lack user:info or user:check-access"

    def _unknown(self):
        if self._oidc:
            return "the provider does not know this client, or its redirect URIs lack the portal's callback"
        if self._account:
            return "the ServiceAccount is gone, has no token, or its annotation names another redirect URI than the portal's callback"
        return "the OAuthClient is gone, or its redirectURIs lack the portal's callback"

    def _trouble(self):
        if self._oidc:
            return "the provider is in trouble", f"ask whoever runs {self._env['OAUTH_ISSUER']}"
        return (
            "OpenShift's OAuth server is in trouble",
            "oc get clusteroperator authentication; oc get pods -n openshift-authentication",
        )


def _port(url):
    return urllib.parse.urlsplit(url).port or 443


def _is_oauth_error(answer):
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and "error" in body
