"""An OpenID Connect provider with one client, by the sessions and the people of the OAuth double."""

import hmac
import time
from collections.abc import Mapping

import grants
from cluster import Json
from people import People
from signing import Signer

ROOT = "/oidc"
DISCOVERY = f"{ROOT}/.well-known/openid-configuration"
AUTHORIZE, TOKEN, USERINFO, JWKS = (f"{ROOT}/{name}" for name in ("authorize", "token", "userinfo", "jwks"))
SCOPES = {"openid", "profile", "email", "groups", "offline_access"}


class Provider:
    """Codes and tokens are its own: OpenShift's part knows nothing of them."""

    def __init__(self, environment: Mapping[str, str], people: People) -> None:
        self._people = people
        self._client, self._secret, self._redirect = (
            environment.get(f"OAUTH_DOUBLE_OIDC_{name}", "") for name in ("CLIENT", "SECRET", "REDIRECT")
        )
        pairs = (one.partition("=") for one in environment.get("OAUTH_DOUBLE_OIDC_GROUPS", "").split(",") if one)
        self._groups: dict[str, list[str]] = {}
        for name, _, group in pairs:
            self._groups.setdefault(name, []).append(group)
        self._store = grants.Store(token_seconds=int(environment.get("OAUTH_DOUBLE_TOKEN_SECONDS", "86400")))
        self._signer = Signer()

    def document(self, issuer: str) -> Json:
        base = issuer.removesuffix(ROOT)
        return {
            "issuer": issuer,
            "authorization_endpoint": base + AUTHORIZE,
            "token_endpoint": base + TOKEN,
            "userinfo_endpoint": base + USERINFO,
            "jwks_uri": base + JWKS,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": sorted(SCOPES),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }

    def keys(self) -> Json:
        return {"keys": [self._signer.public()]}

    def redirect_uri(self, query: Json) -> str:
        """Where to answer. Raises DeniedError: unlike OpenShift, providers compare the whole URI."""
        if not self._client or query.get("client_id") != self._client:
            raise grants.DeniedError("invalid_client", "This provider knows no such client.")
        if query.get("redirect_uri") != self._redirect:
            raise grants.DeniedError("invalid_request", "The redirect URI is not registered for this client.")
        return self._redirect

    def scopes(self, query: Json) -> tuple[str, ...]:
        """The scopes to grant. Raises DeniedError."""
        asked = tuple((query.get("scope") or "").split())
        if query.get("response_type") != "code":
            raise grants.DeniedError("unsupported_response_type", "Only response_type=code is supported here.")
        if "openid" not in asked or set(asked) - SCOPES:
            raise grants.DeniedError("invalid_scope", "openid is missing, or a scope is unknown.")
        if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
            raise grants.DeniedError("invalid_request", "Only S256 is supported here.")
        return asked

    def code(self, query: Json, user: str) -> str:
        more = {"challenge": query.get("code_challenge", ""), "nonce": query.get("nonce", "")}
        return self._store.issue_code(self._client, self._redirect, user, self.scopes(query), **more)

    def exchange(self, form: Json, client: str, secret: str, issuer: str) -> Json:
        """Access token and ID token. Raises DeniedError."""
        if form.get("grant_type") != "authorization_code":
            raise grants.DeniedError("unsupported_grant_type", "Only authorization_code is supported here.")
        known = bool(self._secret) and client == self._client
        if not known or not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise grants.DeniedError("invalid_client", "Client id or secret is wrong.", status=401)
        verifier = form.get("code_verifier", "")
        text, token = self._store.exchange(form.get("code", ""), client, form.get("redirect_uri", ""), verifier)
        now = int(time.time())
        claims = {"iss": issuer, "aud": client, "iat": now, "exp": now + self._store.token_seconds}
        nonce = {"nonce": token.nonce} if token.nonce else {}
        return {
            "access_token": text,
            "id_token": self._signer.sign(claims | nonce | self._claims(token.user)),
            "token_type": "Bearer",
            "expires_in": self._store.token_seconds,
            "scope": " ".join(token.scopes),
        }

    def userinfo(self, text: str) -> Json | None:
        token = self._store.holder(text)
        return self._claims(token.user) if token and self._people.find(token.user) else None

    def _claims(self, name: str) -> Json:
        user = self._people.find(name) or {"metadata": {}}
        shown = {"sub": f"oidc-{user['metadata'].get('uid', name)}", "preferred_username": name}
        shown |= {"name": user.get("fullName", name), "email": f"{name}@people.example.com", "email_verified": True}
        return shown | {"groups": self._groups.get(name, [])}
