"""HTTPS to the sandbox's Routes, and the portal's users at work through them."""

import html
import http.client
import http.cookies
import json
import re
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.driver import Json


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    def json(self) -> Any:
        """The body as JSON; the test fails with the body when it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise AssertionError(f"{self.status}, not JSON: {self.text[:500]}") from None

    def ok(self, *expected: int) -> "Answer":
        """This answer, if its status is one of ``expected`` (default: below 300)."""
        good = self.status in expected if expected else self.status < 300
        assert good, f"{self.status}: {self.text[:1000]}"
        return self


class _Connection(http.client.HTTPSConnection):
    """Goes to the router whatever the host: what a DNS server would say of the apps domain."""

    def __init__(self, host: str, address: str, timeout: float, tls: ssl.SSLContext) -> None:
        # Else it reads all authorities of this machine each time: half of a processor, under load.
        super().__init__(host, timeout=timeout, context=tls)
        self._address, self._tls = address, tls

    def connect(self) -> None:
        plain = socket.create_connection((self._address, 443), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class Web:
    """Requests to the Routes of one sandbox; certificates are verified against its authority."""

    def __init__(self, address: str, authority: Path) -> None:
        """Take the router's address and the file with the certificate authority."""
        self._address, self._tls = address, ssl.create_default_context(cafile=str(authority))

    def send(
        self,
        method: str,
        url: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Answer:
        """One request on a connection of its own; redirects are not followed.

        Raises:
            OSError: no connection, or it was cut.
        """
        parts = urllib.parse.urlsplit(url)
        sent = dict(headers or {})
        data = None
        if form is not None:
            sent["Content-Type"], data = "application/x-www-form-urlencoded", urllib.parse.urlencode(form)
        elif body is not None:
            sent["Content-Type"], data = "application/json", json.dumps(body)
        connection = _Connection(parts.hostname or "", self._address, timeout, self._tls)
        try:
            connection.request(method, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", data, sent)
            raw = connection.getresponse()
            text = raw.read().decode(errors="replace")
            return Answer(raw.status, raw.headers, text)
        except http.client.HTTPException as cut:
            raise ConnectionError(f"{url}: {cut!r}") from cut
        finally:
            connection.close()

    def status(self, url: str) -> int:
        """Of one request; 0 where the connection is closed without an answer."""
        try:
            return self.send("GET", url, timeout=10).status
        except ConnectionError:
            return 0

    def log_in(self, portal: str, name: str) -> "User":
        """What a browser does from the portal's button to its token."""
        begun, cookies = self._begun(portal)
        done = self.send("GET", self.authorized(begun, name), headers=cookies).ok(302)
        token = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(done.headers["Location"]).fragment))["token"]
        return User(self, portal, name, token)

    def begin(self, portal: str) -> str:
        """Where the portal's button sends people."""
        return self._begun(portal)[0]

    def _begun(self, portal: str) -> tuple[str, dict[str, str]]:
        """The same, and the cookie that leads the callback to the one of several backends that began the login."""
        answer = self.send("POST", f"{portal}/api/auth/login", {}, {"Origin": portal}).ok()
        cookies = [line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie") or []]
        return answer.json()["authUrl"], {"Cookie": "; ".join(cookies)} if cookies else {}

    def authorized(self, begun: str, name: str) -> str:
        """Where the login server sends somebody who has logged in, and consented if asked."""
        form = self.send("GET", begun).ok(302)
        login = urllib.parse.urljoin(begun, form.headers["Location"])
        page = self.send("GET", login).ok().text
        found = re.search(r'name="then" value="([^"]*)"', page)
        assert found, page
        fields = {"username": name, "password": "anything", "then": html.unescape(found[1])}
        passed = self.send("POST", urllib.parse.urljoin(login, "/login"), form=fields).ok(302)
        session = passed.headers["Set-Cookie"].partition(";")[0]
        again = urllib.parse.urljoin(login, passed.headers["Location"])
        granted = self.send("GET", again, headers={"Cookie": session}).ok(200, 302)
        if granted.status == 200:
            granted = self.send("POST", again, headers={"Cookie": session}, form={"approve": "yes"}).ok(302)
        return granted.headers["Location"]


@dataclass(frozen=True)
class Key:
    """An API key, in clear."""

    id: str
    secret: str


@dataclass
class User:
    """Somebody who is logged in at the portal."""

    web: Web
    portal: str
    name: str
    token: str = field(repr=False)

    def api(self, method: str, path: str, body: Json | None = None) -> Answer:
        """A request to the portal's API with the user's token."""
        return self.web.send(method, f"{self.portal}{path}", body, {"Authorization": f"Bearer {self.token}"})

    def roles(self) -> list[str]:
        """What the portal takes the user for."""
        return self.api("GET", "/api/v1/auth/me").ok().json()["roles"]

    def subscribe(self, *models: str) -> None:
        """Subscribe to models; to be subscribed already is fine."""
        for model in models:
            self.api("POST", "/api/v1/subscriptions", {"modelId": model}).ok(201, 409)

    def key(self, *models: str, **limits: Any) -> Key:
        """A new key for models, with subscriptions to them."""
        self.subscribe(*models)
        made = self.api("POST", "/api/v1/api-keys", {"name": "e2e", "modelIds": list(models), **limits}).ok(201).json()
        return Key(made["id"], made["key"])


@dataclass(frozen=True)
class Gateway:
    """The LiteLLM proxy at its public address, for the holder of a key."""

    web: Web
    url: str

    def complete(self, key: str, model: str, text: str = "How are you?", **more: Any) -> Answer:
        """One chat completion of a few words."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 16, **more}
        return self.web.send("POST", f"{self.url}/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})


def early_in_a_minute() -> None:
    """Wait, if need be, until what takes some seconds ends in the minute of the clock in which it begins.

    LiteLLM counts calls by those.
    """
    passed = time.time() % 60
    if passed > 40:
        time.sleep(61 - passed)


@contextmanager
def meanwhile(what: str, ready: Any, seconds: float, pause: float = 0.5) -> Iterator[Future[float]]:
    """:func:`until`, while the block goes on."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(until, what, ready, seconds, pause)


def until(what: str, ready: Any, seconds: float = 60, pause: float = 0.5) -> float:
    """Poll until ``ready()`` is true; failed asserts and broken connections count as not yet.

    Returns:
        The seconds it took.
    """
    started = time.monotonic()
    last: object = None
    while time.monotonic() < started + seconds:
        try:
            last = ready()
        except (AssertionError, OSError) as problem:
            last = problem
        else:
            if last:
                return time.monotonic() - started
        time.sleep(pause)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; last: {last}")
