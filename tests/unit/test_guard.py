"""The guard before the backend, in a real nginx in front of a double of the backend."""

import http.client
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field

import pytest

from tests.unit.http_double import Request, serving

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (Debian: apt-get install nginx-light)")

PREFIXES = ("api-keys", "subscriptions", "usage")
PAGE = "<title>the portal's page</title>"
# Ways to write /api/v1/api-keys that an HTTP server takes for it.
VARIANTS = (
    "/api/v1/%61pi-keys",
    "/api/v1/api%2Dkeys",
    "/api/v1/api%2dkeys",
    "/%61%70%69/v1/api-keys",
    "/api//v1//api-keys",
    "//api/v1/api-keys",
    "/api/./v1/./api-keys",
    "/api/v1/x/../api-keys",
    "/api/v1/%2e/api-keys",
    "/api/v1/x/%2e%2e/api-keys",
    "/api/v1%2Fapi-keys",
    "/api%2fv1%2fapi-keys",
    "/api/v1/api-keys;x",
    "/api/v1/api-keys;x=1/y",
    "/api/v1/api-keys/",
    "/api/v1/api-keys/123",
    "/api/v1/api-keys?page=1",
    "/api/v1/api-keys#fragment",
    "/api/v1/api-keys.js",
    "/api/v1/api-keys/logo.png",
    "http://portal.example.com/api/v1/api-keys",
)
BAD_HEADERS = {
    "none": None,
    "empty": "",
    "a space": " ",
    "a tab": "\t",
    "several blanks": " \t \t",
    "Bearer alone": "Bearer",
    "Bearer and a space": "Bearer ",
    "Bearer and a tab": "Bearer \t",
    "no scheme": "abc.def.ghi",
    "another scheme": "Basic YTpi",
    "lower case": "bearer abc",
    "two words": "Bearer abc def",
    "a quote": 'Bearer "abc"',
    "a line separator": "Bearer abc\x0b",
}
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Origin": "http://localhost:3000"}
TOKEN = {"Authorization": "Bearer eyJhbGciOi.J9-_~+/x.abc="}


@dataclass
class Edge:
    """The running nginx, and what came through it."""

    port: int
    received: list[Request] = field(default_factory=list)

    def ask(self, path: str, headers=None, method: str = "GET", body: bytes | None = None):
        """The answer's status and text; ``path`` goes out exactly as written."""
        self.received.clear()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {**BROWSER, **(headers or {})}.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen):
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"nginx did not start: {process.communicate(timeout=5)[1].decode()}")


@pytest.fixture(scope="module")
def edge(tmp_path_factory, demo):
    """The server block that the program ships, inside a server as the frontend image has it."""
    home = tmp_path_factory.mktemp("nginx")
    pages = home / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "index.html").write_text(PAGE)
    (pages / "assets" / "app.js").write_text("let a")
    block = demo.one("ConfigMap", "frontend-server").inputs["data"]["default.conf"]
    edge = Edge(free_port())

    def backend(request: Request):
        edge.received.append(request)
        return 200, b"backend"

    with serving(backend) as url:
        assert "http://backend:8080" in block
        (home / "default.conf").write_text(block.replace("http://backend:8080", url))
        temporary = "".join(
            f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (home / "nginx.conf").write_text(
            f"""daemon off; pid {home}/pid; error_log stderr; {"user root;" if os.geteuid() == 0 else ""}
            events {{}}
            http {{ access_log off; {temporary}
              server {{ listen 127.0.0.1:{edge.port}; root {pages}; include {home}/default.conf; }} }}"""
        )
        command = [str(NGINX), "-p", str(home), "-e", "stderr", "-c", str(home / "nginx.conf")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                wait_for(edge.port, process)
                yield edge
            finally:
                process.terminate()
                process.communicate(timeout=10)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_request_without_a_proper_bearer_token_does_not_reach_the_backend(edge, prefix, header):
    status, _, _ = edge.ask(f"/api/v1/{prefix}", None if header is None else {"Authorization": header})
    assert status in {400, 401}, "400 where nginx takes the header itself for malformed"
    assert not edge.received


@pytest.mark.parametrize("path", VARIANTS)
def test_no_way_of_writing_the_path_passes_the_guard(edge, path):
    status, _, _ = edge.ask(path)
    assert status == 401
    assert not edge.received


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_guard_holds_for_every_method(edge, prefix, method):
    assert edge.ask(f"/api/v1/{prefix}/1", method=method)[0] == 401
    assert not edge.received


def test_capitals_lead_to_the_page_and_not_to_the_backend(edge):
    status, text, _ = edge.ask("/API/v1/api-keys")
    assert (status, PAGE in text) == (200, True)
    assert not edge.received


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_bearer_token_reaches_the_backend_with_its_path(edge, prefix):
    status, text, _ = edge.ask(f"/api/v1/{prefix}/1?a=b%20c", TOKEN)
    assert (status, text) == (200, "backend")
    assert edge.received[0].path == f"/api/v1/{prefix}/1?a=b%20c"
    assert edge.received[0].headers["authorization"] == TOKEN["Authorization"]


@pytest.mark.parametrize(
    "path", ["/api/v1/branding", "/api/v1/config", "/api/auth/callback?code=x", "/api/v1/models/a.js"]
)
def test_what_the_page_asks_before_login_passes(edge, path):
    assert edge.ask(path)[:2] == (200, "backend")
    assert edge.received[0].path == path


def test_a_login_passes(edge):
    assert edge.ask("/api/auth/login", {"Content-Type": "application/json"}, "POST", b"{}")[:2] == (200, "backend")
    assert edge.received[0].method == "POST"


def test_the_backend_sees_host_client_and_https(edge):
    edge.ask("/api/v1/config", {"X-Forwarded-For": "198.51.100.7"})
    headers = edge.received[0].headers
    assert headers["x-forwarded-proto"] == "https", "TLS ends at the router"
    assert headers["x-forwarded-for"].startswith("198.51.100.7, ")
    assert headers["host"].startswith("127.0.0.1")


def test_a_branding_upload_of_almost_three_megabytes_passes(edge):
    body = b"x" * 2_700_000
    assert edge.ask("/api/v1/branding/images", TOKEN, "POST", body)[0] == 200
    assert len(edge.received[0].body) == len(body)


def test_an_upload_beyond_all_use_does_not(edge):
    length = {"Content-Length": "7000000", **TOKEN}
    assert edge.ask("/api/v1/branding/images", length, "POST")[0] == 413
    assert not edge.received


def test_the_page_that_reveals_the_backends_address_is_gone(edge):
    _, text, _ = edge.ask("/nginx-test")
    assert "127.0.0.1" not in text
    assert "backend" not in text
    assert text == PAGE, "like any unknown path: the page's own router says what it is"
    assert not edge.received


def test_the_probe_answers_without_the_backend(edge):
    assert edge.ask("/healthz")[:2] == (200, "ok\n")
    assert not edge.received


def test_pages_are_not_cached_and_assets_are(edge):
    _, text, headers = edge.ask("/home")
    assert text == PAGE
    assert headers["cache-control"] == "no-cache", "else users keep yesterday's release"
    assert "immutable" in edge.ask("/assets/app.js")[2]["cache-control"]
    assert edge.ask("/assets/none.js")[0] == 404


def test_pages_carry_the_security_headers(edge):
    headers = edge.ask("/")[2]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"


def test_a_path_out_of_the_pages_leads_nowhere(edge):
    status, text, _ = edge.ask("/assets/../../nginx.conf")
    assert status in {400, 404} or text == PAGE
    assert "listen" not in text
