"""From an empty cluster to real containers that work, as OpenShift would run them."""

import json

from sandbox.cluster import Sandbox
from tests.e2e.conftest import report
from tests.e2e.settings import TIERS
from tests.e2e.stack import Deployed
from tests.engine.driver import counts


def test_every_pod_is_ready_at_the_end_of_up(stack: Deployed) -> None:
    assert {tier: stack.is_ready(tier, count) for tier, count in TIERS.items()} == dict.fromkeys(TIERS, True)


def test_every_process_runs_under_a_user_id_that_the_namespace_was_given(stack: Deployed) -> None:
    annotations = stack.cluster.get("namespace", stack.namespace, None)["metadata"]["annotations"]
    first = int(annotations["openshift.io/sa.scc.uid-range"].partition("/")[0])
    for tier in TIERS:
        for pod in stack.pods(tier):
            name = pod["metadata"]["name"]
            assert stack.cluster.kubectl("exec", "-n", stack.namespace, name, "--", "id", "-u").strip() == str(first)


def test_the_namespace_enforces_restricted_and_no_pod_violates_it(stack: Deployed) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert (
        label.rpartition("=")[2]
        == stack.cluster.get("namespace", stack.namespace, None)["metadata"]["labels"][label.partition("=")[0]]
    )
    dry = stack.cluster.kubectl("label", "--dry-run=server", "--overwrite", "namespace", stack.namespace, label)
    assert "violat" not in dry


def test_no_container_was_restarted_on_the_way(stack: Deployed) -> None:
    restarts = {
        pod["metadata"]["name"]: each["restartCount"]
        for tier in TIERS
        for pod in stack.pods(tier)
        for each in pod["status"]["containerStatuses"]
    }
    assert set(restarts.values()) == {0}, restarts


def test_a_second_up_finds_nothing_to_change_in_the_live_cluster(stack: Deployed) -> None:
    assert set(counts(stack.project.up("--refresh"))) == {"unchanged"}


def test_the_whole_takes_less_memory_than_a_small_machine_has(stack: Deployed, sandbox: Sandbox) -> None:
    node = stack.cluster.items("nodes", None)[0]["metadata"]["name"]
    summary = json.loads(stack.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    ours = sum(
        pod["memory"].get("workingSetBytes", 0)
        for pod in summary["pods"]
        if pod["podRef"]["namespace"] == stack.namespace
    )
    pods = sum(pod["memory"].get("workingSetBytes", 0) for pod in summary["pods"])
    processes = [each.pid() for each in sandbox.components.values()]
    around = sum(_resident(pid) for pid in processes if pid)
    report(f"memory: {ours >> 20} MiB the stack, {pods >> 20} MiB all pods, {around >> 20} MiB the cluster's programs")
    assert pods + around < 6 << 30


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))
