"""Where pods run and how many, their quota, one time-out for all, the check of keys: on the real API server.

No container runs here. The tests change one stack in turn.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import SETTINGS, Cluster, Project, Told, counts

SPACE = "workloads"
NODE = "sandbox-1"
TAINT = "litemaas-test"
PRIORITY = "portal-test"
ROUTE_TIMEOUT = "haproxy.router.openshift.io/timeout"
SHARED = {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "sandbox"}}
SCALED = {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}
BOTH = ("litellm", "frontend")
PLACED = {
    "nodeSelector": {"kubernetes.io/hostname": NODE},
    "tolerations": [{"key": TAINT, "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "podAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "backend"}},
                    },
                }
            ]
        }
    },
    "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}],
    "priorityClassName": PRIORITY,
}


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The deployed stack; its last test removes it."""
    project = Project(tmp_path_factory.mktemp(SPACE) / "project", program, sandbox.env(), SPACE)
    bounds = {"isolation": {"quota": {}, "limitRange": {}, "monitoring": True}}
    project.write_config(SETTINGS | {"namespace": SPACE, "access": {"manageGroups": False}, "storage": SHARED} | bounds)
    project.up()
    yield project
    if project.resources():
        project.destroy()


def names(cluster: Cluster, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.items(kind, SPACE)}


def running(cluster: Cluster, component: str) -> list[dict]:
    listed = cluster.items("pods", SPACE, labelSelector=f"app.kubernetes.io/component={component}")
    return [each for each in listed if "deletionTimestamp" not in each["metadata"]]


def replicas(cluster: Cluster) -> list[int]:
    return [cluster.get("deployment", each, SPACE)["spec"]["replicas"] for each in BOTH]


def hard(cluster: Cluster) -> dict[str, str]:
    """What the quota allows."""
    return cluster.get("resourcequota", "litemaas", SPACE)["spec"]["hard"]


def test_an_installation_fits_into_its_own_quota(stack: Project, cluster: Cluster) -> None:
    status = cluster.get("resourcequota", "litemaas", SPACE)["status"]
    # In other words than the server's own, amounts would differ at each refresh.
    assert status["hard"] == hard(cluster)
    assert int(status["used"]["pods"]) <= int(status["hard"]["pods"])


def test_a_priority_that_is_not_there_and_another_access_mode_of_a_claim_are_refused(
    stack: Project, cluster: Cluster
) -> None:
    before = cluster.get("persistentvolumeclaim", "backend-backups", SPACE)["metadata"]["uid"]
    other = {"backups": {"size": "1Gi", "storageClass": "sandbox"}}
    stack.change(placement={"all": {"priorityClassName": "nobody-made-it"}}, storage=other)
    try:
        said = stack.refused()
        assert "litemaas:placement.all.priorityClassName = nobody-made-it" in said
        assert "oc get priorityclasses" in said
        assert "litemaas:storage.backups.accessMode = ReadWriteOnce" in said
    finally:
        stack.change(placement={}, storage=SHARED)
    assert cluster.get("persistentvolumeclaim", "backend-backups", SPACE)["metadata"]["uid"] == before


@pytest.fixture(scope="module")
def placed(stack: Project, cluster: Cluster) -> Iterator[Told]:
    """The up that gives the frontend a place and every call another time-out."""
    manifest = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": PRIORITY}}
    cluster.apply_as("test", manifest | {"value": 1000})
    # A label on the node alone would not do: the taint keeps everybody else off.
    cluster.kubectl("taint", "node", NODE, f"{TAINT}=x:NoSchedule")
    stack.change(placement={"frontend": PLACED}, gateway={"requestTimeoutSeconds": 900})
    try:
        yield stack.up_told()
    finally:
        cluster.kubectl("delete", "priorityclass", PRIORITY)


def test_another_place_and_another_time_out_change_those_whom_they_concern_and_nothing_else(placed: Told) -> None:
    # LiteLLM's file is another object, and what was deployed is checked again.
    time_out = {"gateway-config", "gateway-proxy", "gateway-route", "verification-checks"}
    assert placed.names == {*time_out, "frontend-nginx"}


def test_the_time_out_holds_for_proxy_and_route(placed: Told, cluster: Cluster) -> None:
    route = cluster.get("route", "litellm", SPACE)
    pod = cluster.get("deployment", "litellm", SPACE)["spec"]["template"]["spec"]
    assert route["metadata"]["annotations"][ROUTE_TIMEOUT] == "910s"
    assert pod["terminationGracePeriodSeconds"] == 920


def test_placement_puts_the_pods_where_it_says(placed: Told, cluster: Cluster) -> None:
    (pod,) = running(cluster, "frontend")
    spec = pod["spec"]
    assert spec["nodeName"] == NODE
    assert (spec["priorityClassName"], spec["priority"]) == (PRIORITY, 1000)
    assert spec["affinity"]["podAffinity"]
    assert [each["topologyKey"] for each in spec["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]


def test_the_next_preview_finds_both_as_they_are(placed: Told, stack: Project) -> None:
    stack.preview("--refresh", "--expect-no-changes")


@pytest.fixture(scope="module")
def scaled(placed: Told, stack: Project, cluster: Cluster) -> Told:
    """The up that takes place and time-out back, and lets autoscalers choose the number of pods."""
    cluster.kubectl("taint", "node", NODE, f"{TAINT}-")
    stack.change(placement={}, gateway=SCALED, frontend=SCALED)
    return stack.up_told()


def test_a_place_that_is_taken_back_leaves_nothing(scaled: Told, cluster: Cluster) -> None:
    (pod,) = running(cluster, "frontend")
    assert "nodeSelector" not in pod["spec"]


def test_autoscalers_are_taken_by_the_api_server_with_budgets_and_their_numbers_are_no_change(
    scaled: Told, stack: Project, cluster: Cluster
) -> None:
    for name in BOTH:
        scaler = cluster.get("horizontalpodautoscaler", name, SPACE)["spec"]
        assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 3)
        assert cluster.get("poddisruptionbudget", name, SPACE)["spec"]["maxUnavailable"] == 1
        # What the controller does under load; there are no metrics here.
        cluster.kubectl("scale", "-n", SPACE, f"deployment/{name}", "--replicas=2")
    assert set(counts(stack.up("--refresh"))) == {"unchanged"}
    assert replicas(cluster) == [2, 2]


def test_the_up_that_removes_them_keeps_the_pods_and_says_that_the_next_one_sets_them(
    scaled: Told, stack: Project, cluster: Cluster
) -> None:
    stack.change(gateway={}, frontend={})
    said = stack.up()
    for name in BOTH:
        assert f"the next up sets replicas.{name}" in said
    assert replicas(cluster) == [2, 2]
    assert not cluster.items("horizontalpodautoscalers", SPACE)
    # A pause of the check by somebody is drift that the same up heals.
    cluster.patch("cronjob", "key-check", {"spec": {"suspend": True}}, SPACE)
    assert {each.name for each in stack.preview_json("--refresh")} == {
        "key-check-schedule",
        "gateway-proxy",
        "frontend-nginx",
    }
    stack.up("--refresh")
    assert replicas(cluster) == [1, 1]
    assert cluster.get("cronjob", "key-check", SPACE)["spec"]["suspend"] is False


def test_the_check_of_keys_is_there_and_can_be_run_by_hand(stack: Project, cluster: Cluster) -> None:
    spec = cluster.get("cronjob", "key-check", SPACE)["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"], spec["suspend"]) == ("*/5 * * * *", "Forbid", False)
    cluster.kubectl("create", "job", "by-hand", "-n", SPACE, "--from=cronjob/key-check")
    # The pod passes admission: the SCC's rules, and the labels by which its network policy finds it.
    cluster.kubectl("wait", "-n", SPACE, "job/by-hand", "--for=condition=Complete", "--timeout=120s")
    (pod,) = cluster.items("pods", SPACE, labelSelector="job-name=by-hand")
    policy = cluster.get("networkpolicy", "key-check", SPACE)["spec"]["podSelector"]["matchLabels"]
    assert pod["metadata"]["labels"].items() >= policy.items()


def test_from_one_backend_to_two_and_back_a_backend_is_there_all_the_time(stack: Project, cluster: Cluster) -> None:
    # Two of the frontend are a rolling update within the quota, which grows with it.
    before = int(hard(cluster)["pods"])
    stack.change(replicas={"backend": 2, "frontend": 2})
    made = stack.up_told().names
    assert int(hard(cluster)["pods"]) > before
    assert {"backend-server-1", "backend-server-2", "backend-server", "backend-budget"} <= made
    assert "backend-backups" not in made
    assert {"backend-1", "backend-2"} <= names(cluster, "deployments")
    assert "backend" not in names(cluster, "deployments")
    assert {"backend", "backend-1", "backend-2"} <= names(cluster, "services")
    assert len(running(cluster, "backend")) == 2
    first, second = (cluster.get("deployment", f"backend-{number}", SPACE) for number in (1, 2))
    available = next(each for each in first["status"]["conditions"] if each["type"] == "Available")
    assert available["lastTransitionTime"] <= second["metadata"]["creationTimestamp"], "one after the other"
    nodes = {each["spec"]["nodeName"] for each in running(cluster, "backend")}
    assert len(nodes) == 2, "spread over nodes"
    stack.preview("--refresh", "--expect-no-changes")
    stack.change(replicas={}, isolation=None)
    stack.up()
    assert not cluster.items("resourcequotas", SPACE)
    assert names(cluster, "deployments") >= {"backend"}
    assert not {"backend-1", "backend-2"} & names(cluster, "deployments")
    assert "backend" not in names(cluster, "poddisruptionbudgets")
    stack.preview("--expect-no-changes")


def test_the_check_goes_with_the_stack(stack: Project, cluster: Cluster) -> None:
    stack.destroy()
    assert SPACE not in cluster.namespaces()
