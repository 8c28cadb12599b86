"""A DOUBLE of OpenShift's OAuth server, of its user API and of an OpenID Connect provider.

Logs in whoever names an existing user.

Run as ``python3 server.py``; the README lists the environment variables.
"""

import base64
import binascii
import json
import os
import signal
import ssl
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grants
import oidc
import pages
import relay
from cluster import Json, UnreachableError, connect
from people import People

USERS = "/apis/user.openshift.io/v1/users/~"


class Server(ThreadingHTTPServer):
    """``front`` also passes on what is not the double's to the API server."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, environment: dict[str, str]) -> None:
        port = int(environment.get("OAUTH_DOUBLE_PORT", "8443"))
        super().__init__((environment.get("OAUTH_DOUBLE_HOST", "0.0.0.0"), port), Handler)  # noqa: S104 (in the pod)
        self.cluster = connect(environment)
        self.people = People(self.cluster, environment.get("OAUTH_DOUBLE_USERS", ""))
        self.store = grants.Store(token_seconds=int(environment.get("OAUTH_DOUBLE_TOKEN_SECONDS", "86400")))
        self.provider = oidc.Provider(environment, self.people)
        self.front = environment.get("OAUTH_DOUBLE_FRONT") == "true"
        self.secure = bool(environment.get("OAUTH_DOUBLE_CERT"))
        if self.secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(environment["OAUTH_DOUBLE_CERT"], environment["OAUTH_DOUBLE_KEY"])
            # The handshake belongs to the connection's own thread; one silent client would stop all others.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """A probe that opens the port and goes away is no news; faults of the double are."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300
    server: Server  # type: ignore[assignment]

    def handle_any(self) -> None:
        """One request: by path, with errors in OAuth's or in the API server's form."""
        url = urllib.parse.urlsplit(self.path)
        work = {
            ("GET", "/healthz"): lambda _: self._send(200, b"ok", "text/plain"),
            ("GET", "/oauth/authorize"): self._authorize,
            ("POST", "/oauth/authorize"): self._authorize,
            ("GET", "/login"): self._login_form,
            ("POST", "/login"): self._login,
            ("POST", "/oauth/token"): self._token,
            ("GET", USERS): self._user,
            ("POST", "/tokenreviews"): self._review,
            ("GET", oidc.DISCOVERY): lambda _: self._json(200, self.server.provider.document(self._issuer())),
            ("GET", oidc.AUTHORIZE): self._provider_authorize,
            ("POST", oidc.TOKEN): self._provider_token,
            ("GET", oidc.USERINFO): self._provider_user,
            ("GET", oidc.JWKS): lambda _: self._json(200, self.server.provider.keys()),
        }.get((self.command, url.path))
        if work is None and self.server.front and not url.path.startswith(("/oauth/", "/login", f"{oidc.ROOT}/")):
            relay.relay(self, self.server.cluster)
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if work is None:
                self._json(404, {"error": "not_found"})
            else:
                work(dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)))
        except grants.DeniedError as denied:
            self._json(denied.status, denied.document())
        except UnreachableError as error:
            self._json(503, {"error": "server_error", "error_description": str(error)})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002 (the base class names it so)
        """Paths only: queries carry codes."""
        print(f"OAuth DOUBLE: {self.command} {self.path.partition('?')[0]} {words[1:2]}", flush=True)

    def _authorize(self, query: Json) -> None:
        client = self.server.cluster.client(query.get("client_id", ""))
        if client is None:
            raise grants.DeniedError("unauthorized_client", "The client is not known to this server.")
        target = grants.redirect_uri(client, query.get("redirect_uri"))
        try:
            scopes = grants.scopes(client, query.get("response_type"), query.get("scope"))
        except grants.DeniedError as denied:
            # The client is who it says it is, so it may hear the reason.
            self._back(target, query, denied.document())
            return
        user = self.server.people.session(self.headers.get("Cookie", ""))
        name = client["metadata"]["name"]
        if user is None:
            self._redirect(f"/login?{urllib.parse.urlencode({'then': self.path})}")
        elif client.get("grantMethod") == "auto" or self._approved(user, name):
            self._back(target, query, {"code": self.server.store.issue_code(name, target, user, scopes)})
        else:
            self._send(200, pages.approve(name, user, scopes), "text/html; charset=utf-8")

    def _approved(self, user: str, client: str) -> bool:
        if self.command == "POST" and self._form().get("approve") == "yes":
            self.server.people.approvals.add((user, client))
        return (user, client) in self.server.people.approvals

    def _login_form(self, query: Json) -> None:
        self._send(200, pages.login(query.get("then", "")), "text/html; charset=utf-8")

    def _login(self, _query: Json) -> None:
        form = self._form()
        then, name = form.get("then", ""), form.get("username", "")
        if not then.startswith(("/oauth/authorize?", f"{oidc.AUTHORIZE}?")):
            raise grants.DeniedError("invalid_request", "The login form belongs to an authorization request.")
        if not form.get("password") or self.server.people.find(name) is None:
            page = pages.login(then, "Invalid login or password. Please try again.")
            self._send(401, page, "text/html; charset=utf-8")
            return
        flags = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.server.secure else "")
        self._redirect(then, {"Set-Cookie": f"ssn={self.server.people.open_session(name)}{flags}"})

    def _token(self, _query: Json) -> None:
        form = self._form()
        name, secret = self._basic() or (form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("grant_type") != "authorization_code":
            raise grants.DeniedError("unsupported_grant_type", "Only authorization_code is supported here.")
        cluster = self.server.cluster
        grants.authenticate(cluster.client(name) if name else None, secret, cluster.whose)
        text, token = self.server.store.exchange(form.get("code", ""), name, form.get("redirect_uri", ""))
        seconds = self.server.store.token_seconds
        answer = {"access_token": text, "expires_in": seconds, "scope": " ".join(token.scopes), "token_type": "Bearer"}
        self._json(200, answer, {"Cache-Control": "no-store"})

    def _issuer(self) -> str:
        """What this server is called by whoever asks: a Route leads here."""
        scheme = "https" if self.server.secure else "http"
        return f"{scheme}://{self.headers.get('Host', '')}{oidc.ROOT}"

    def _provider_authorize(self, query: Json) -> None:
        target = self.server.provider.redirect_uri(query)
        user = self.server.people.session(self.headers.get("Cookie", ""))
        try:
            self.server.provider.scopes(query)
        except grants.DeniedError as denied:
            self._back(target, query, denied.document())
            return
        if user is None:
            self._redirect(f"/login?{urllib.parse.urlencode({'then': self.path})}")
        else:
            self._back(target, query, {"code": self.server.provider.code(query, user)})

    def _provider_token(self, _query: Json) -> None:
        form = self._form()
        who = self._basic() or (form.get("client_id", ""), form.get("client_secret", ""))
        self._json(200, self.server.provider.exchange(form, *who, self._issuer()), {"Cache-Control": "no-store"})

    def _provider_user(self, _query: Json) -> None:
        found = self.server.provider.userinfo(self.headers.get("Authorization", "").removeprefix("Bearer "))
        self._json(200 if found else 401, found or {"error": "invalid_token"})

    def _user(self, _query: Json) -> None:
        token = self.server.store.holder(self.headers.get("Authorization", "").removeprefix("Bearer "))
        document = self.server.people.document(token.user) if token else None
        if token is None or document is None:
            self._status(401, "Unauthorized", "Unauthorized")
        elif not {"user:info", "user:full"} & set(token.scopes):
            self._status(403, "Forbidden", f'users.user.openshift.io "~" is forbidden: scopes {list(token.scopes)}')
        else:
            self._json(200, document)

    def _review(self, _query: Json) -> None:
        """The webhook by which an API server asks whose token it was given."""
        try:
            review = json.loads(self.body)
            token = self.server.store.holder(review["spec"]["token"])
        except (ValueError, KeyError, TypeError) as error:
            raise grants.DeniedError("invalid_request", f"no TokenReview: {error}") from error
        document = self.server.people.document(token.user) if token else None
        status: Json = {"authenticated": False}
        if token and document:
            meta, extra = document["metadata"], {"scopes.authorization.openshift.io": list(token.scopes)}
            user = {"username": meta["name"], "uid": meta["uid"], "groups": document["groups"], "extra": extra}
            status = {"authenticated": True, "user": user}
        kind = {key: review.get(key) for key in ("apiVersion", "kind")}
        self._json(200, kind | {"status": status})

    def _form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def _basic(self) -> tuple[str, str] | None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise grants.DeniedError("invalid_request", "The Authorization header is malformed.") from error
        return urllib.parse.unquote(name), urllib.parse.unquote(secret)

    def _back(self, target: str, query: Json, answer: Json) -> None:
        more = answer | ({"state": query["state"]} if "state" in query else {})
        self._redirect(f"{target}{'&' if '?' in target else '?'}{urllib.parse.urlencode(more)}")

    def _redirect(self, location: str, headers: dict[str, str] | None = None) -> None:
        self._send(302, b"", "text/plain", {"Location": location, **(headers or {})})

    def _status(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self._json(code, status | {"message": message, "reason": reason, "code": code})

    def _json(self, status: int, document: Json, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), "application/json", headers)

    def _send(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        shared = {"Content-Type": kind, "Content-Length": str(len(content)), "x-litemaas-double": "true"}
        for name, value in (shared | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def main() -> None:
    server = Server(dict(os.environ))
    # shutdown() waits for the loop that this very thread runs.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    where = f"port {server.server_address[1]}, {'HTTPS' if server.secure else 'plain HTTP'}"
    print(f"OAuth DOUBLE, passwords are not checked: {where}, API server {server.cluster.url}", flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
