"""The gateway's settings on the real API server: the autoscaler, one time-out for all, the check of keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import SETTINGS, Cluster, Project

SPACE = "gateway-settings"
ROUTE_TIMEOUT = "haproxy.router.openshift.io/timeout"
SCALED = {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A deployed stack that these tests change in turn; all but the last leave it as they found it."""
    project = Project(tmp_path_factory.mktemp(SPACE) / "project", program, sandbox.env(), SPACE)
    project.write_config(SETTINGS | {"namespace": SPACE, "access": {"manageGroups": False}})
    project.up()
    yield project
    project.pulumi("destroy", "--yes", "--skip-preview", "--stack", project.stack)


def replicas(cluster: Cluster) -> int:
    return cluster.get("deployment", "litellm", SPACE)["spec"]["replicas"]


def test_another_time_out_is_a_change_of_proxy_and_route_and_nothing_else(stack: Project, cluster: Cluster) -> None:
    stack.change(gateway={"requestTimeoutSeconds": 900})
    try:
        rows = {each.name for each in stack.preview_json()}
        # LiteLLM's file is another object, and what was deployed is checked again.
        assert rows == {"gateway-config", "gateway-proxy", "gateway-route", "verification-checks"}
        stack.up()
        route = cluster.get("route", "litellm", SPACE)
        pod = cluster.get("deployment", "litellm", SPACE)["spec"]["template"]["spec"]
        assert route["metadata"]["annotations"][ROUTE_TIMEOUT] == "910s"
        assert pod["terminationGracePeriodSeconds"] == 920
        stack.preview("--expect-no-changes")
    finally:
        stack.change(gateway={})
        stack.up()


def test_an_autoscaler_is_taken_by_the_api_server_and_its_number_of_pods_is_no_change(
    stack: Project, cluster: Cluster
) -> None:
    stack.change(gateway=SCALED)
    stack.up()
    scaler = cluster.get("horizontalpodautoscaler", "litellm", SPACE)
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 3)
    assert cluster.get("poddisruptionbudget", "litellm", SPACE)["spec"]["maxUnavailable"] == 1
    # What the controller does under load; there are no metrics here.
    cluster.kubectl("scale", "-n", SPACE, "deployment/litellm", "--replicas=2")
    stack.preview("--expect-no-changes")
    stack.preview("--refresh", "--expect-no-changes")
    stack.up("--refresh")
    assert replicas(cluster) == 2


def test_the_up_that_removes_it_keeps_the_pods_and_says_that_the_next_one_sets_them(
    stack: Project, cluster: Cluster
) -> None:
    stack.change(gateway={})
    said = stack.up()
    assert "the next up sets replicas.litellm" in said
    assert replicas(cluster) == 2
    assert not cluster.items("horizontalpodautoscalers", SPACE)
    stack.up("--refresh")
    assert replicas(cluster) == 1
    stack.preview("--expect-no-changes")


def test_the_check_of_keys_is_there_and_can_be_run_by_hand(stack: Project, cluster: Cluster) -> None:
    spec = cluster.get("cronjob", "key-check", SPACE)["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"], spec["suspend"]) == ("*/5 * * * *", "Forbid", False)
    cluster.kubectl("create", "job", "by-hand", "-n", SPACE, "--from=cronjob/key-check")
    # The pod passes admission: the SCC's rules, and the labels by which its network policy finds it.
    cluster.kubectl("wait", "-n", SPACE, "job/by-hand", "--for=condition=Complete", "--timeout=120s")
    (pod,) = cluster.items("pods", SPACE, "-l", "job-name=by-hand")
    policy = cluster.get("networkpolicy", "key-check", SPACE)["spec"]["podSelector"]["matchLabels"]
    assert pod["metadata"]["labels"].items() >= policy.items()


def test_a_pause_of_the_check_is_drift_that_is_shown_and_healed(stack: Project, cluster: Cluster) -> None:
    cluster.patch("cronjob", "key-check", {"spec": {"suspend": True}}, SPACE)
    assert {each.name for each in stack.preview_json("--refresh")} == {"key-check-schedule"}
    stack.up("--refresh")
    assert cluster.get("cronjob", "key-check", SPACE)["spec"]["suspend"] is False


def test_the_check_goes_with_the_stack(stack: Project, cluster: Cluster) -> None:
    stack.destroy()
    assert SPACE not in cluster.namespaces()
