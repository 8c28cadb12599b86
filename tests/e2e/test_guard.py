"""Nobody without a login comes past the guard, by either host.

That pods of others do not come around it, to the backend or to the frontend, test_network shows.
"""

import pytest

from tests.e2e.stack import Deployed
from tests.e2e.web import User

PREFIXES = ("api-keys", "subscriptions", "usage/budget")
METRICS = "/api/v1/health/metrics"
# What the backend takes for a browser, which it lets in.
BROWSER = {"User-Agent": "Mozilla/5.0 Chrome/130"}
BAD_HEADERS = {
    "none": None,
    "empty": "",
    "a tab": "\t",
    "Bearer alone": "Bearer",
    "Bearer and a blank": "Bearer ",
    "Bearer and a tab": "Bearer\t",
    "a tab after Bearer": "Bearer\tabc",
    "a blank and a tab after Bearer": "Bearer \tabc",
    "lower case": "bearer abc",
    "upper case": "BEARER abc",
    "Basic": "Basic YWRtaW46YWRtaW4=",
    "no scheme": "abc",
}
SECURITY = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
# One request on a connection of its own, with what every image has.
REQUEST = 'exec 3<>"/dev/tcp/$1/$2"; printf "$3" >&3; timeout 10 cat <&3'


@pytest.fixture(params=["portal", "api"])
def host(request: pytest.FixtureRequest, stack: Deployed) -> str:
    """Either way to the API."""
    return stack.portal if request.param == "portal" else stack.project.outputs()["api_url"]


def from_the_frontend(stack: Deployed, path: str) -> str:
    """What the backend answers to the only pods that reach it, without a login."""
    pod = stack.pods("frontend")[0]["metadata"]["name"]
    lines = (f"GET {path} HTTP/1.1", "Host: backend", f"User-Agent: {BROWSER['User-Agent']}", "Connection: close")
    request = "".join(f"{each}\\r\\n" for each in (*lines, ""))
    command = ["exec", pod, "-n", stack.namespace, "--", "bash", "-c", REQUEST, "bash", "backend", "8080", request]
    return stack.cluster.kubectl(*command)


@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_browser_without_a_login_gets_nothing_from_the_api(stack: Deployed, host: str, header: str | None) -> None:
    sent = BROWSER if header is None else {**BROWSER, "Authorization": header}
    for prefix in PREFIXES:
        for path in (prefix, f"{prefix}/", prefix.replace("s", "%73", 1), f"./{prefix}", f"x/../{prefix}"):
            status = stack.web.send("GET", f"{host}/api/v1/{path}", headers=sent).status
            assert status in {400, 401}, path


def test_the_hole_that_the_guard_closes_is_there(stack: Deployed) -> None:
    """Else the tests above would show nothing."""
    assert " 200 " in from_the_frontend(stack, "/api/v1/api-keys").splitlines()[0]


def test_a_login_passes_the_guard_by_either_host(stack: Deployed, host: str, bob: User) -> None:
    sent = {**BROWSER, "Authorization": f"Bearer {bob.token}"}
    assert stack.web.send("GET", f"{host}/api/v1/api-keys", headers=sent).status == 200


def test_metrics_are_inside_and_not_outside(stack: Deployed, host: str, bob: User) -> None:
    assert "process_uptime_seconds" in from_the_frontend(stack, METRICS)
    for headers in ({}, {"Authorization": f"Bearer {bob.token}"}):
        for path in (METRICS, f"{METRICS}/", "/api/v1/health/%6detrics"):
            answer = stack.web.send("GET", f"{host}{path}", headers=headers)
            assert answer.status == 404
            assert "process_uptime_seconds" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/models", 200),
        ("/assets/app.js", 200),
        ("/assets/none.js", 404),
        (METRICS, 404),
        ("/api/v1/config", 200),
        ("/api/v1/api-keys", 401),
        ("/api/v1/auth/me", 401),
    ],
)
def test_every_answer_has_the_security_headers_once(stack: Deployed, host: str, path: str, status: int) -> None:
    answer = stack.web.send("GET", f"{host}{path}", headers=BROWSER)
    assert answer.status == status
    for name, value in SECURITY.items():
        assert answer.headers.get_all(name) == [value]
    (policy,) = answer.headers.get_all("Content-Security-Policy") or []
    assert "frame-ancestors 'none'" in policy
    assert (f"connect-src 'self' {stack.gateway.url} " in policy) == (path in {"/", "/models"})


def test_what_is_missing_is_not_remembered_and_what_is_there_is(stack: Deployed) -> None:
    caching = {
        path: stack.web.send("GET", f"{stack.portal}{path}").headers["Cache-Control"]
        for path in ("/assets/app.js", "/assets/none.js", "/models")
    }
    assert caching == {
        "/assets/app.js": "public, max-age=31536000, immutable",
        "/assets/none.js": "no-store",
        "/models": "no-cache",
    }
