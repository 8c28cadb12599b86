"""The guard before the backend, in a real nginx in front of a double of the backend."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import harness
from tests.unit.http_double import Request, serving

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (Debian: apt-get install nginx-light)")

PREFIXES = ("api-keys", "subscriptions", "usage")
SCRIPT = "document.title = 'dark'"
PAGE = f"<title>the portal's page</title><script>{SCRIPT}</script><script src=/assets/app.js></script>"
# With the number for one answer taken out.
NONCE = re.compile(r'<script nonce="([0-9a-f]{32})">')
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
    "upper case": "BEARER abc",
    "a tab after Bearer": "Bearer\tabc",
    "a tab before Bearer and nothing behind": "\tBearer",
    "two words": "Bearer abc def",
    "a quote": 'Bearer "abc"',
    "a line separator": "Bearer abc\x0b",
}
# What everybody could read who reaches the backend.
METRICS = "/api/v1/health/metrics"
METRICS_VARIANTS = (
    METRICS,
    f"{METRICS}/",
    f"{METRICS}?a=b",
    f"{METRICS};x",
    f"{METRICS}.js",
    "/api/v1/health/%6detrics",
    "/api/v1/health/x/../metrics",
    "/api//v1/./health//metrics",
    "/api%2fv1%2fhealth%2fmetrics",
)
SECURITY = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
}
# What the real backend's answers have of their own.
BACKENDS_OWN = {
    "Content-Security-Policy": "default-src 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=15552000",
    "Cache-Control": "private",
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
            names = [name.lower() for name, _ in answer.getheaders()]
            assert len(names) == len(set(names)), f"twice in one answer: {names}"
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()


def plain(text: str) -> str:
    """The page as it lies in the image: without the numbers of one answer."""
    return NONCE.sub("<script>", text)


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


@contextmanager
def running(home: Path, demo: harness.Run, backend: str, edge: Edge) -> Iterator[Edge]:
    """The server block that the program ships, inside a server as the frontend image has it."""
    pages = home / "pages"
    (pages / "assets").mkdir(parents=True)
    (pages / "index.html").write_text(PAGE)
    (pages / "assets" / "app.js").write_text("let a")
    block = demo.one("ConfigMap", "frontend-server").inputs["data"]["default.conf"]
    assert "http://backend:8080" in block
    (home / "default.conf").write_text(block.replace("http://backend:8080", backend))
    temporary = "".join(
        f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (home / "nginx.conf").write_text(
        f"""daemon off; pid {home}/pid; error_log stderr; {"user root;" if os.geteuid() == 0 else ""}
        events {{}}
        http {{ access_log off; types {{ text/html html; text/javascript js; }} {temporary}
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


@pytest.fixture(scope="module")
def edge(tmp_path_factory, demo):
    found = Edge(free_port())

    def backend(request: Request):
        found.received.append(request)
        return 200, b"backend", BACKENDS_OWN

    with serving(backend) as url, running(tmp_path_factory.mktemp("nginx"), demo, url, found):
        yield found


@pytest.fixture
def away(tmp_path, demo):
    """The same without a backend."""
    with running(tmp_path, demo, f"http://127.0.0.1:{free_port()}", Edge(free_port())) as found:
        yield found


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_request_without_a_proper_bearer_token_does_not_reach_the_backend(edge, prefix, header):
    status, _, _ = edge.ask(f"/api/v1/{prefix}", None if header is None else {"Authorization": header})
    assert status in {400, 401}, "400 where nginx takes the header itself for malformed"
    assert not edge.received


def test_a_header_sent_twice_does_not_pass_by_one_of_them(edge):
    both = ("Authorization: \t", f"Authorization: {TOKEN['Authorization']}")
    sent = "\r\n".join(("GET /api/v1/api-keys HTTP/1.1", "Host: x", "Connection: close", *both, "", ""))
    edge.received.clear()
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(sent.encode())
        answer = connection.recv(1000)
    assert answer.split()[1] in {b"400", b"401"}
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
    assert (status, plain(text)) == (200, PAGE)
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
    assert plain(text) == PAGE, "like any unknown path: the page's own router says what it is"
    assert not edge.received


def test_the_probe_answers_without_the_backend(edge):
    assert edge.ask("/healthz")[:2] == (200, "ok\n")
    assert not edge.received


def test_pages_are_not_cached_and_assets_are(edge):
    _, text, headers = edge.ask("/home")
    assert plain(text) == PAGE
    assert headers["cache-control"] == "no-cache", "else users keep yesterday's release"
    assert "immutable" in edge.ask("/assets/app.js")[2]["cache-control"]


@pytest.mark.parametrize("path", ["/assets/none.js", "/assets/none/", "/assets/"])
def test_nobody_remembers_that_a_file_is_missing(edge, path):
    """During a rollout one pod lacks what the page of the other names."""
    status, _, headers = edge.ask(path)
    assert (status, headers["cache-control"]) == (404, "no-store")


def test_a_directory_is_a_page_like_every_other_path_and_no_redirect_to_the_pods_port(edge):
    status, text, headers = edge.ask("/assets")
    assert (status, plain(text)) == (200, PAGE)
    assert "location" not in headers


@pytest.mark.parametrize("path", METRICS_VARIANTS)
@pytest.mark.parametrize("headers", [{}, TOKEN], ids=["nobody", "somebody"])
def test_metrics_are_nowhere_outside(edge, path, headers):
    assert edge.ask(path, headers)[0] == 404
    assert not edge.received


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/health/ready", "/api/v1/health/live"])
def test_health_is_seen_from_outside(edge, path):
    """The checks from outside ask it."""
    assert edge.ask(path)[:2] == (200, "backend")


# An answer of each kind: nginx' own, the backend's, a file; by name the status, the path and the headers sent.
ANSWERS = {
    "a page": (200, "/", {}),
    "a page by its path": (200, "/models", {}),
    "a file": (200, "/assets/app.js", {}),
    "a missing file": (404, "/assets/none.js", {}),
    "the backend's": (200, "/api/v1/config", {}),
    "the guard's": (401, "/api/v1/api-keys", {}),
    "metrics": (404, METRICS, {}),
    "too large": (413, "/api/v1/branding/images", {"Content-Length": "7000000"}),
    "malformed": (400, "/", {"Content-Length": "x"}),
    "a part that is not there": (200, "/assets/app.js", {"Range": "bytes=900-"}),
    "the probe's": (200, "/healthz", {}),
}


@pytest.mark.parametrize(("status", "path", "headers"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_has_all_security_headers_once(edge, status, path, headers):
    found = edge.ask(path, headers, "POST" if status == 413 else "GET")
    assert found[0] == status
    assert found[2].items() >= SECURITY.items()
    # nginx answers what it cannot read before it knows any variable; no browser asks so.
    assert status == 400 or "frame-ancestors 'none'" in found[2]["content-security-policy"]


def test_they_are_there_while_the_backend_is_away(away):
    assert away.ask("/api/v1/config")[0] == 502
    assert away.ask("/api/v1/config")[2].items() >= SECURITY.items()


def test_what_else_the_backend_says_stays(edge):
    headers = edge.ask("/api/v1/config")[2]
    assert headers["strict-transport-security"] == BACKENDS_OWN["Strict-Transport-Security"]
    assert headers["cache-control"] == "private"


def policy(headers: dict[str, str]) -> dict[str, set[str]]:
    words = (each.split() for each in headers["content-security-policy"].split(";"))
    return {name: set(sources) for name, *sources in words}


def test_the_page_runs_its_own_scripts_and_no_others(edge):
    _, text, headers = edge.ask("/")
    ((nonce),) = NONCE.findall(text)
    assert policy(headers)["script-src"] == {"'self'", f"'nonce-{nonce}'"}
    assert "<script src=/assets/app.js>" in text, "only what stands in the page is marked"
    assert NONCE.findall(edge.ask("/")[1]) != [nonce], "another answer, another number"


def test_the_page_calls_the_gateway_and_nothing_else_but_its_star_counter(edge):
    gateway = f"https://litellm-litemaas.{harness.DOMAIN}"
    found = policy(edge.ask("/models")[2])
    assert found["connect-src"] == {"'self'", gateway, "https://api.github.com"}
    assert found["default-src"] == {"'self'"}
    assert "'unsafe-inline'" not in found["script-src"]
    assert "'unsafe-eval'" not in found["script-src"]


@pytest.mark.parametrize("path", ["/api/v1/branding/images/login-logo", "/assets/app.js"])
def test_what_is_no_page_may_load_nothing(edge, path):
    """A picture that an administrator uploads may be an SVG with a script inside."""
    assert policy(edge.ask(path)[2]) == {"default-src": {"'none'"}, "frame-ancestors": {"'none'"}}


def test_a_page_is_always_sent_whole(edge):
    """304 would bring a new number for a page with an old one."""
    headers = edge.ask("/")[2]
    assert not {"etag", "last-modified"} & set(headers)
    again = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT", "If-None-Match": "*"}
    status, text, _ = edge.ask("/", again)
    assert (status, plain(text)) == (200, PAGE)


def test_a_path_out_of_the_pages_leads_nowhere(edge):
    status, text, _ = edge.ask("/assets/../../nginx.conf")
    assert status in {400, 404} or plain(text) == PAGE
    assert "listen" not in text
