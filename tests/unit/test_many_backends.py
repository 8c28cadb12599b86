"""Several backends: what is made of them, and where a real nginx sends browsers, with doubles of the backends."""

import http.client
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from pulumi import RunError

from config.cluster import Answer
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION, planned_for
from tests.unit.http_double import Request, serving
from tests.unit.test_guard import NGINX, free_port, wait_for

SHARED = {"backups": {"size": "5Gi", "accessMode": "ReadWriteMany", "storageClass": "cephfs"}}
THREE = {**DEMO, "replicas": {"backend": 3}, "storage": SHARED}
SCALERS = "/apis/autoscaling/v2/namespaces/litemaas/horizontalpodautoscalers"
CLAIM = "/api/v1/namespaces/litemaas/persistentvolumeclaims/backend-backups"
real_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (Debian: apt-get install nginx-light)")


@pytest.fixture(scope="module")
def several() -> harness.Run:
    return harness.run_program(THREE)


def servers(run: harness.Run) -> list[harness.Registration]:
    return [one for one in run.find("Deployment") if one.labels["app.kubernetes.io/component"] == "backend"]


def refusal(settings: dict, cluster: harness.FakeCluster | None = None) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program(settings, cluster=cluster) if cluster else harness.read_config(settings)
    return str(refused.value)


# --- What is made ---


def test_each_is_a_deployment_of_one_pod_that_no_other_takes_for_its_own(several):
    made = servers(several)
    assert {one.metadata["name"] for one in made} == {"backend-1", "backend-2", "backend-3"}
    for one in made:
        spec = one.inputs["spec"]
        assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
        assert spec["template"]["metadata"]["labels"].items() >= spec["selector"]["matchLabels"].items()
    selectors = [one.inputs["spec"]["selector"]["matchLabels"] for one in made]
    for one in made:
        labels = one.inputs["spec"]["template"]["metadata"]["labels"]
        assert sum(labels.items() >= selector.items() for selector in selectors) == 1


def test_each_starts_once_the_one_before_it_is_ready(several):
    """The schema is migrated by whichever starts, and two at once on an empty database fail."""
    first, second, third = sorted(servers(several), key=lambda one: one.metadata["name"])
    assert first.urn in second.dependencies
    assert second.urn in third.dependencies
    assert not {second.urn, third.urn} & set(first.dependencies)
    waits = '"jsonpath={.status.availableReplicas}=1"'
    assert all(waits in one.annotations["pulumi.com/waitFor"] for one in (first, second, third))


def test_frontends_know_them_once_they_are_ready(several):
    """Two for one before: new frontends answered 502 until the first of the two had started."""
    (config,) = (one for one in several.find("ConfigMap") if "backends" in one.inputs.get("data", {}))
    assert {one.urn for one in servers(several)} <= set(config.dependencies)


def test_each_has_a_service_of_its_own_and_policies_let_frontends_through_to_all(several):
    for one in servers(several):
        name = one.metadata["name"]
        selector = several.one("Service", name).inputs["spec"]["selector"]
        assert one.inputs["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
        assert selector["litemaas-server"] == name
    policy = several.one("NetworkPolicy", "backend").inputs["spec"]["podSelector"]["matchLabels"]
    assert "litemaas-server" not in policy


def test_they_share_the_backups_are_spread_and_drained_one_at_a_time(several):
    assert several.one("PersistentVolumeClaim", "backend-backups").inputs["spec"]["accessModes"] == ["ReadWriteMany"]
    (spread,) = (servers(several)[0].pod or {})["topologySpreadConstraints"]
    assert "litemaas-server" not in spread["labelSelector"]["matchLabels"], "spread over all of them"
    budget = several.one("PodDisruptionBudget", "backend").inputs["spec"]
    assert budget["maxUnavailable"] == 1
    assert "litemaas-server" not in budget["selector"]["matchLabels"]


def test_a_single_one_is_what_it_always_was(demo):
    (one,) = servers(demo)
    assert one.metadata["name"] == "backend"
    assert "litemaas-server" not in one.inputs["spec"]["template"]["metadata"]["labels"]
    assert not demo.find("PodDisruptionBudget", "backend"), "it would hold the drain of a node for ever"
    assert set(demo.one("ConfigMap", "frontend-server").inputs["data"]) == {"default.conf", "start.sh"}
    assert demo.one("PersistentVolumeClaim", "backend-backups").inputs["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_preflight_looks_at_all_that_has_a_fixed_name(several):
    planned = {(one.kind, one.name) for one in planned_for(harness.read_config(THREE))}
    for number in (1, 2, 3):
        assert {("Deployment", f"backend-{number}"), ("Service", f"backend-{number}")} <= planned
    assert ("Deployment", "backend") not in planned


# --- What is refused ---


@pytest.mark.parametrize("base", [DEMO, PRODUCTION])
def test_several_on_a_volume_of_one_node_are_refused_with_the_reason(base):
    text = refusal({**base, "replicas": {"backend": 2}})
    assert "litemaas:replicas.backend = 2" in text
    assert "mounted by one node at a time" in text
    assert "write storage.backups.accessMode: ReadWriteMany with a storageClass" in text


def test_a_shared_volume_of_the_default_class_is_refused():
    text = refusal({**THREE, "storage": {"backups": {"size": "5Gi", "accessMode": "ReadWriteMany"}}})
    assert "litemaas:storage.backups.storageClass" in text
    assert "block storage" in text


def test_six_are_refused():
    assert "at most 5" in refusal({**THREE, "replicas": {"backend": 6}})


def test_their_connections_are_counted_and_that_of_the_single_one_that_they_replace():
    text = refusal({**THREE, "database": {"maxConnections": 189}})
    assert "may open 190 database connections" in text, "4 * 40 of the backend, 2 * 10 of LiteLLM, 10"
    harness.read_config({**THREE, "database": {"maxConnections": 190}})


def test_a_claim_that_one_node_mounts_is_not_replaced_by_an_empty_one():
    labels = {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/managed-by": "pulumi"}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "cephfs",
        "resources": {"requests": {"storage": "5Gi"}},
    }
    live = {CLAIM: Answer(200, {"metadata": {"name": "backend-backups", "labels": labels}, "spec": spec})}
    text = refusal(THREE, harness.FakeCluster(live))
    assert "litemaas:storage.backups.accessMode = ReadWriteMany" in text
    assert "download in the portal what you want to keep" in text
    spec["accessModes"] = ["ReadWriteMany"]
    harness.run_program(THREE, cluster=harness.FakeCluster(live))


@pytest.mark.parametrize("deployment", ["backend", "backend-2"])
def test_an_autoscaler_of_the_backend_is_refused(deployment):
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": deployment}, "maxReplicas": 3}
    live = {SCALERS: Answer(200, {"items": [{"metadata": {"name": "by-hand"}, "spec": spec}]})}
    text = refusal(DEMO, harness.FakeCluster(live))
    assert "HorizontalPodAutoscaler by-hand" in text
    assert "people could not log in" in text


# --- Where browsers are sent ---


@dataclass
class Backends:
    """Doubles of three backends: each knows the logins that it began, as the real one does."""

    urls: list[str] = field(default_factory=list)
    begun: list[set[str]] = field(default_factory=lambda: [set(), set(), set()])

    def answer(self, number: int, request: Request) -> tuple[int, bytes]:
        path, _, query = request.path.partition("?")
        if path == "/api/auth/login":
            state = f"state-{number}-{len(self.begun[number])}"
            self.begun[number].add(state)
            return 200, state.encode()
        if path == "/api/auth/callback":
            found = re.search(r"state=([-\w]+)", query)
            return (302, b"") if found and found[1] in self.begun[number] else (400, b"unknown state")
        return 200, str(number).encode()

    def restart(self, number: int) -> None:
        """What is in memory is lost."""
        self.begun[number].clear()


@dataclass
class Browser:
    """What a browser does of it: it keeps cookies by path, and runs no script."""

    ports: list[int]
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", frontend: int = 0) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[frontend], timeout=10)
        try:
            sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            connection.request(method, path, headers={"Cookie": sent} if sent else {})
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie") or []:
                assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(line.split("; ")[1:]), line
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def begin(self, frontend: int = 0) -> str:
        status, state = self.ask("/api/auth/login", "POST", frontend)
        assert status == 200
        return state

    def come_back(self, state: str, frontend: int = 0, more: str = "") -> tuple[int, str]:
        return self.ask(f"/api/auth/callback?code=x&state={state}{more}", frontend=frontend)


def _frontend(home: Path, several: harness.Run, servers: list[str]) -> tuple[int, list[str]]:
    """A frontend's port and command, with the files that the program ships."""
    data = several.one("ConfigMap", "frontend-server").inputs["data"]
    home.mkdir()
    port = free_port()
    for name in ("default.conf", "logins.conf", "again.html", "backends"):
        text = data[name].replace("/opt/app-root/etc/nginx.default.d", str(home))
        for number, server in enumerate(servers, start=1):
            text = text.replace(f"backend-{number}:8080", server)
        (home / name).write_text(text)
    temporary = "".join(f"{k}_temp_path {home}/{k};\n" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(
        f"""daemon off; pid {home}/pid; error_log stderr; {"user root;" if os.geteuid() == 0 else ""}
        events {{}}
        http {{ access_log off; {temporary} include {home}/backends;
          server {{ listen 127.0.0.1:{port}; root {home}; include {home}/default.conf;
          include {home}/logins.conf; }} }}"""
    )
    return port, [str(NGINX), "-p", str(home), "-e", "stderr", "-c", str(home / "nginx.conf")]


@dataclass
class Portal:
    """Two frontends before three backends, of which any can be switched off."""

    backends: Backends
    ports: list[int]
    doors: list[ExitStack]

    def switch_off(self, number: int) -> None:
        """As a Service without pods: connections are refused."""
        self.doors[number].close()

    def switch_on(self, number: int) -> None:
        port = int(self.backends.urls[number].rpartition(":")[2])
        self.doors[number].enter_context(serving(partial(self.backends.answer, number), port=port))

    def browser(self) -> Browser:
        return Browser(self.ports)


@pytest.fixture
def portal(several: harness.Run, tmp_path: Path) -> Iterator[Portal]:
    backends, doors = Backends(), []
    with ExitStack() as stack:
        for number in range(3):
            doors.append(stack.enter_context(ExitStack()))
            backends.urls.append(doors[number].enter_context(serving(partial(backends.answer, number))))
        servers = [url.removeprefix("http://") for url in backends.urls]
        ports = []
        for number in range(2):
            port, command = _frontend(tmp_path / f"frontend-{number}", several, servers)
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
            stack.callback(process.communicate, timeout=10)
            stack.callback(process.terminate)
            wait_for(port, process)
            ports.append(port)
        yield Portal(backends, ports, doors)


def _log_in(portal: Portal, times: int) -> None:
    """By as many browsers, each of which comes back through the other frontend."""
    for number in range(times):
        browser = portal.browser()
        state = browser.begin(frontend=number % 2)
        # Out of step: frontends that send their calls to each in turn would agree by chance.
        for _ in range(number % 3):
            portal.browser().ask("/api/v1/models", frontend=number % 2)
        assert browser.come_back(state, frontend=(number + 1) % 2)[0] == 302


@real_nginx
def test_a_login_comes_back_to_the_backend_that_began_it_through_any_frontend(portal):
    _log_in(portal, 60)
    began = [len(states) for states in portal.backends.begun]
    assert min(began) >= 8, f"spread over all: {began}"


@real_nginx
def test_a_browser_stays_with_its_backend(portal):
    browser = portal.browser()
    browser.begin()
    assert len({browser.ask("/api/v1/models", frontend=number % 2)[1] for number in range(20)}) == 1


@real_nginx
def test_whoever_has_no_cookie_gets_any_backend(portal):
    assert len({portal.browser().ask("/api/v1/models")[1] for _ in range(40)}) == 3


@real_nginx
@pytest.mark.parametrize("cookie", ["", "short", "x" * 32, "A" * 32, "0" * 33, "0" * 31 + ";"])
def test_a_cookie_of_somebodys_own_making_is_replaced_when_a_login_begins(portal, cookie):
    browser = portal.browser()
    browser.cookies["litemaas_backend"] = cookie
    state = browser.begin()
    assert re.fullmatch("[0-9a-f]{32}", browser.cookies["litemaas_backend"])
    assert browser.come_back(state, frontend=1)[0] == 302


@real_nginx
def test_while_a_backend_is_away_all_frontends_send_its_browsers_to_the_same_other_one(portal):
    portal.switch_off(1)
    _log_in(portal, 60)
    assert min(len(portal.backends.begun[number]) for number in (0, 2)) >= 8


@real_nginx
def test_a_frontend_that_saw_a_backend_away_chooses_like_one_that_did_not(portal):
    portal.switch_off(1)
    for _ in range(20):
        portal.browser().begin(frontend=0)
    portal.switch_on(1)
    _log_in(portal, 40)


@real_nginx
def test_a_login_whose_backend_is_away_is_begun_again_at_another(portal):
    browsers = [portal.browser() for _ in range(30)]
    states = [browser.begin() for browser in browsers]
    portal.switch_off(0)
    for browser, state in zip(browsers, states, strict=True):
        lost = state.startswith("state-0-")
        assert browser.come_back(state)[0] == (200 if lost else 302)
        assert not lost or browser.come_back(browser.begin())[0] == 302
    assert any(state.startswith("state-0-") for state in states)


@real_nginx
def test_with_all_of_them_away_the_browser_tries_for_a_while(portal):
    browser = portal.browser()
    state = browser.begin()
    for number in range(3):
        portal.switch_off(number)
    assert browser.come_back(state)[0] == 200
    assert browser.ask("/api/auth/login", "POST")[0] == 502, "what the page waits and asks again for"


@real_nginx
def test_a_login_whose_backend_forgot_it_is_begun_again_by_the_browser(portal):
    browser = portal.browser()
    state = browser.begin()
    for number in range(3):
        portal.backends.restart(number)
    status, page = browser.come_back(state)
    assert status == 200
    assert 'fetch("/api/auth/login"' in page
    assert browser.come_back(browser.begin(), frontend=1)[0] == 302


@real_nginx
def test_it_is_begun_again_three_times_and_then_the_user_is_told(portal):
    browser = portal.browser()
    assert [browser.come_back("unknown", frontend=number % 2)[0] for number in range(4)] == [200, 200, 200, 400]
    # Whoever tries again by hand starts from the beginning.
    assert browser.come_back("unknown")[0] == 200


@real_nginx
def test_a_login_that_the_oauth_server_refused_is_not_begun_again(portal):
    status, page = portal.browser().come_back("unknown", more="&error=access_denied")
    assert status == 400
    assert 'href="/"' in page
