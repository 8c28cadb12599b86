"""The database goes away under load: what is kept, what comes back by itself, what is lost meanwhile."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from sandbox.node import host
from tests.e2e.conftest import report
from tests.e2e.load import Load
from tests.e2e.settings import MODELS, TIERS
from tests.e2e.stack import Deployed
from tests.e2e.web import User, until


def delete_pod(stack: Deployed, _: Sandbox) -> None:
    """As a drain of its node would, without waiting for the successor."""
    stack.cluster.kubectl("delete", "pod", "postgres-0", "-n", stack.namespace, "--wait=false")


def kill_server(stack: Deployed, sandbox: Sandbox) -> None:
    """As the kernel does when memory runs out: the oldest of the server's processes."""
    assert sandbox.node
    (pod,) = stack.uids("postgres")
    servers = {}
    for pid in host.pod_processes(sandbox.node.names):
        # Some end while we look.
        with suppress(FileNotFoundError, ProcessLookupError):
            ours = pod in Path(f"/proc/{pid}/cgroup").read_text()
            if ours and Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].endswith(b"postgres"):
                servers[pid] = Path(f"/proc/{pid}/stat").read_text()
    # Field 4 after the name in brackets is the parent; that of the main one is no server.
    main = [pid for pid, stat in servers.items() if int(stat.rpartition(")")[2].split()[1]) not in servers]
    assert len(main) == 1, servers
    os.kill(main[0], signal.SIGKILL)


def container(stack: Deployed) -> str:
    """Which container PostgreSQL runs in."""
    return stack.pods("postgres")[0]["status"]["containerStatuses"][0].get("containerID", "")


def test_a_process_that_somebody_left_in_the_databases_pod_ends_without_the_server(stack: Deployed) -> None:
    """After a crash, or what PostgreSQL takes for one, its processes are others."""
    process = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    before = stack.sql("postgres", process)
    shell = ["exec", "postgres-0", "-n", stack.namespace, "--", "bash", "-c"]
    orphan = stack.cluster.kubectl(*shell, "sleep 300 > /dev/null 2>&1 & echo $!").strip()
    stack.cluster.kubectl(*shell, f"kill -9 {orphan}")
    # No event tells that nothing happens; it takes the server milliseconds.
    time.sleep(2)
    assert stack.sql("postgres", process) == before


@pytest.mark.parametrize("harm", [delete_pod, kill_server], ids=("pod deleted", "killed with -9"))
def test_the_portal_and_the_gateway_survive_the_loss_of_the_database(
    stack: Deployed, sandbox: Sandbox, bob: User, harm: Callable[[Deployed, Sandbox], None]
) -> None:
    key = bob.key("granite-8b-agent")
    before = container(stack)

    unlimited = stack.unlimited_key("granite-8b-agent")

    def completion() -> str:
        return str(stack.gateway.complete(unlimited, "granite-8b-agent").status)

    def portal() -> str:
        answer = stack.web.send("GET", f"{stack.portal}/api/v1/banners")
        return "mock data" if "mock-" in answer.text else str(answer.status)

    def models() -> str:
        answer = stack.web.send("GET", f"{stack.portal}/api/v1/models")
        if answer.status == 200 and {each["name"] for each in answer.json()["data"]} != set(MODELS):
            return "wrong models"
        return str(answer.status)

    with (
        Load(completion, workers=2) as calls,
        Load(portal, workers=1, pause=0.5) as banners,
        Load(models, workers=1, pause=0.5) as lists,
    ):
        harm(stack, sandbox)

        back = lambda: stack.is_ready("postgres") and container(stack) != before  # noqa: E731
        database = until("PostgreSQL to be back", back, 180)
        until("the portal to answer", lambda: portal() == "200" and models() == "200", 180)
        until("the gateway to answer", lambda: completion() == "200", 180)
        until("every pod to be ready", lambda: all(stack.is_ready(*each) for each in TIERS.items()), 240)
    report(f"{harm.__name__}: PostgreSQL back after {database:.0f} s")
    for name, load in (("completions", calls), ("portal", banners), ("models in the portal", lists)):
        report(f"  {name}: {load}")
    assert banners.count["mock data"] == 0
    assert lists.count["wrong models"] == 0
    assert set(calls.count) <= {"200", "500", "502", "503", "504"}
    # Nobody has to log in again, no key is made anew, nothing recorded is gone.
    assert key.id in {each["id"] for each in bob.api("GET", "/api/v1/api-keys").ok().json()["data"]}
    fresh = bob.key("granite-8b-agent")
    assert stack.gateway.complete(fresh.secret, "granite-8b-agent").status == 200
    assert "bob" in stack.user("bob").api("GET", "/api/v1/auth/me").ok().text
