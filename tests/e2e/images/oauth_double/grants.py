"""The rules of OpenShift's OAuth server: redirect URIs, scopes, codes, tokens, client secrets."""

import base64
import hashlib
import hmac
import secrets
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster import AS_ACCOUNT, Json

CODE_SECONDS = 300
DEFAULT_SCOPE = "user:full"
_SCOPES = {"user:full", "user:info", "user:check-access", "user:list-scoped-projects", "user:list-projects"}


class DeniedError(Exception):
    """An OAuth error: code, description, HTTP status where it is not sent by redirect."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description, self.status = code, description, status

    def document(self) -> Json:
        return {"error": self.code, "error_description": self.description}


@dataclass(frozen=True, kw_only=True)
class Code:
    client: str
    redirect_uri: str
    user: str
    scopes: tuple[str, ...]
    expires: float
    # Of OpenID Connect: what the client proves itself by, and what goes into its ID token.
    challenge: str = ""
    nonce: str = ""


@dataclass(frozen=True, kw_only=True)
class Token:
    user: str
    scopes: tuple[str, ...]
    expires: float
    nonce: str = ""


@dataclass
class Store:
    """Codes and tokens, in memory: all logins end with the process."""

    token_seconds: int
    now: Callable[[], float] = time.time
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)

    def issue_code(
        self,
        client: str,
        redirect_uri: str,
        user: str,
        scopes: tuple[str, ...],
        *,
        challenge: str = "",
        nonce: str = "",
    ) -> str:
        name = f"sha256~{secrets.token_urlsafe(32)}"
        self.codes[name] = Code(
            client=client,
            redirect_uri=redirect_uri,
            user=user,
            scopes=scopes,
            expires=self.now() + CODE_SECONDS,
            challenge=challenge,
            nonce=nonce,
        )
        return name

    def exchange(self, name: str, client: str, redirect_uri: str, verifier: str = "") -> tuple[str, Token]:
        """The token for a code. Raises DeniedError; a code is gone with its first right use."""
        code = self.codes.get(name)
        if code is None or code.expires < self.now():
            raise DeniedError("invalid_grant", "The provided authorization grant is invalid, expired or revoked.")
        if code.client != client or code.redirect_uri != redirect_uri:
            raise DeniedError("invalid_grant", "Client id or redirect uri differs from the authorization request.")
        if code.challenge and not hmac.compare_digest(code.challenge, s256(verifier)):
            raise DeniedError("invalid_grant", "The code verifier does not fit the challenge.")
        if self.codes.pop(name, None) is None:
            # Two exchanges of one code at the same moment: one of them loses.
            raise DeniedError("invalid_grant", "The provided authorization grant was used before.")
        expires = self.now() + self.token_seconds
        token = Token(user=code.user, scopes=code.scopes, expires=expires, nonce=code.nonce)
        text = f"sha256~{secrets.token_urlsafe(32)}"
        self.tokens[text] = token
        return text, token

    def holder(self, text: str) -> Token | None:
        token = self.tokens.get(text)
        return token if token and token.expires >= self.now() else None


def redirect_uri(client: Json, wanted: str | None) -> str:
    """The URI to answer to. Raises DeniedError: below a registered URI everything is allowed, nothing else."""
    registered: list[str] = client.get("redirectURIs") or []
    if not wanted and registered:
        return registered[0]
    if wanted and any(_covers(base, wanted) for base in registered):
        return wanted
    raise DeniedError("invalid_request", "The redirect URI is not registered for this client.")


def scopes(client: Json, response_type: str | None, wanted: str | None) -> tuple[str, ...]:
    """The scopes to grant. Raises DeniedError for unknown ones and those the client is restricted from."""
    if response_type != "code":
        raise DeniedError("unsupported_response_type", "Only response_type=code is supported here.")
    asked = tuple((wanted or DEFAULT_SCOPE).split())
    for scope in asked:
        if scope not in _SCOPES and not scope.startswith("role:"):
            raise DeniedError("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
    restrictions = client.get("scopeRestrictions") or []
    for scope in asked:
        if restrictions and not any(scope in (one.get("literals") or []) for one in restrictions):
            raise DeniedError("access_denied", f"scope denied: {scope}")
    return asked


def s256(verifier: str) -> str:
    """What PKCE makes of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def authenticate(client: Json | None, secret: str, whose: Callable[[str], str | None]) -> None:
    """Raises DeniedError. A client whose secret is empty is open to everybody, as on the real server.

    The secret of a ServiceAccount is a token, and ``whose`` says of which.
    """
    if client is not None and client["metadata"]["name"].startswith(AS_ACCOUNT):
        if secret and whose(secret) == client["metadata"]["name"]:
            return
    elif client is not None:
        for known in [client.get("secret") or "", *(client.get("additionalSecrets") or [])]:
            if hmac.compare_digest(known.encode(), secret.encode()):
                return
    raise DeniedError(
        "unauthorized_client", "The client is not authorized to request a token using this method.", status=401
    )


def _covers(base: str, wanted: str) -> bool:
    """Whether a URI is the registered one or below it; extra query parameters are allowed."""
    try:
        registered, asked = urllib.parse.urlsplit(base), urllib.parse.urlsplit(wanted)
    except ValueError:
        return False
    if asked.fragment or "#" in wanted:
        return False
    if (registered.scheme, registered.netloc) != (asked.scheme, asked.netloc):
        return False
    segments = urllib.parse.unquote(asked.path).split("/")
    if "." in segments or ".." in segments:
        return False
    root = registered.path.rstrip("/")
    return asked.path == registered.path or asked.path.startswith(f"{root}/")
