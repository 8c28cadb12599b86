"""Where pods run and how many there are, on the real API server and scheduler; no container runs here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import SETTINGS, Cluster, Project

SPACE = "scheduling"
NODE = "sandbox-1"
TAINT = "litemaas-test"
SHARED = {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "sandbox"}}
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "portal-test"},
    "value": 1000,
}


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A deployed stack that these tests change in turn."""
    project = Project(tmp_path_factory.mktemp(SPACE) / "project", program, sandbox.env(), SPACE)
    project.write_config(SETTINGS | {"namespace": SPACE, "access": {"manageGroups": False}, "storage": SHARED})
    project.up()
    yield project
    project.pulumi("destroy", "--yes", "--skip-preview", "--stack", project.stack)


@pytest.fixture
def priority(cluster: Cluster) -> Iterator[str]:
    cluster.apply_as("test", PRIORITY)
    yield "portal-test"
    cluster.kubectl("delete", "priorityclass", "portal-test")


def names(cluster: Cluster, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.items(kind, SPACE)}


def running(cluster: Cluster, component: str) -> list[dict]:
    listed = cluster.items("pods", SPACE, "-l", f"app.kubernetes.io/component={component}")
    return [each for each in listed if "deletionTimestamp" not in each["metadata"]]


def test_a_priority_that_is_not_there_is_refused_before_anything_is_touched(stack: Project) -> None:
    stack.change(placement={"all": {"priorityClassName": "nobody-made-it"}})
    try:
        said = stack.refused()
        assert "litemaas:placement.all.priorityClassName = nobody-made-it" in said
        assert "oc get priorityclasses" in said
    finally:
        stack.change(placement={})


def test_placement_puts_the_pods_where_it_says(stack: Project, cluster: Cluster, priority: str) -> None:
    stack.change(
        placement={
            "frontend": {
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
                "priorityClassName": priority,
            }
        }
    )
    # A label on the node alone would not do: the taint keeps everybody else off.
    cluster.kubectl("taint", "node", NODE, f"{TAINT}=x:NoSchedule")
    try:
        assert {each.name for each in stack.preview_json()} == {"frontend-nginx", "verification-checks"}
        stack.up()
        (pod,) = running(cluster, "frontend")
        spec = pod["spec"]
        assert spec["nodeName"] == NODE
        assert (spec["priorityClassName"], spec["priority"]) == (priority, 1000)
        assert spec["affinity"]["podAffinity"]
        assert [each["topologyKey"] for each in spec["topologySpreadConstraints"]] == ["topology.kubernetes.io/zone"]
        stack.preview("--expect-no-changes")
        stack.preview("--refresh", "--expect-no-changes")
    finally:
        cluster.kubectl("taint", "node", NODE, f"{TAINT}-")
        stack.change(placement={})
        stack.up()
    (pod,) = running(cluster, "frontend")
    assert "nodeSelector" not in pod["spec"]


def test_an_autoscaler_of_the_frontend_comes_with_a_budget_and_its_number_is_no_change(
    stack: Project, cluster: Cluster
) -> None:
    stack.change(frontend={"autoscaling": {"minReplicas": 1, "maxReplicas": 3}})
    stack.up()
    scaler = cluster.get("horizontalpodautoscaler", "frontend", SPACE)["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (1, 3)
    assert cluster.get("poddisruptionbudget", "frontend", SPACE)["spec"]["maxUnavailable"] == 1
    cluster.kubectl("scale", "-n", SPACE, "deployment/frontend", "--replicas=2")
    stack.preview("--expect-no-changes")
    stack.change(frontend={})
    assert "the next up sets replicas.frontend" in stack.up()
    assert not cluster.items("horizontalpodautoscalers", SPACE)
    stack.up("--refresh")
    assert cluster.get("deployment", "frontend", SPACE)["spec"]["replicas"] == 1


def test_two_backends_on_a_volume_of_one_node_are_refused(stack: Project) -> None:
    stack.change(replicas={"backend": 2}, storage={})
    try:
        said = stack.refused()
        assert "litemaas:replicas.backend = 2" in said
        assert "storage.backups.accessMode: ReadWriteMany" in said
    finally:
        stack.change(replicas={}, storage=SHARED)


def test_a_claim_of_another_access_mode_is_refused_and_not_replaced(stack: Project, cluster: Cluster) -> None:
    before = cluster.get("persistentvolumeclaim", "backend-backups", SPACE)["metadata"]["uid"]
    stack.change(storage={"backups": {"size": "1Gi", "storageClass": "sandbox"}})
    try:
        assert "litemaas:storage.backups.accessMode = ReadWriteOnce" in stack.refused()
    finally:
        stack.change(storage=SHARED)
    assert cluster.get("persistentvolumeclaim", "backend-backups", SPACE)["metadata"]["uid"] == before


def test_from_one_backend_to_two_and_back_a_backend_is_there_all_the_time(stack: Project, cluster: Cluster) -> None:
    stack.change(replicas={"backend": 2})
    steps = {(each.name, each.kind) for each in stack.preview_json()}
    made = {name for name, _ in steps}
    assert {"backend-server-1", "backend-server-2", "backend-server", "backend-budget"} <= made
    assert "backend-backups" not in made
    stack.up()
    assert {"backend-1", "backend-2"} <= names(cluster, "deployments")
    assert "backend" not in names(cluster, "deployments")
    assert {"backend", "backend-1", "backend-2"} <= names(cluster, "services")
    assert len(running(cluster, "backend")) == 2
    first, second = (cluster.get("deployment", f"backend-{number}", SPACE) for number in (1, 2))
    available = next(each for each in first["status"]["conditions"] if each["type"] == "Available")
    assert available["lastTransitionTime"] <= second["metadata"]["creationTimestamp"], "one after the other"
    nodes = {each["spec"]["nodeName"] for each in running(cluster, "backend")}
    assert len(nodes) == 2, "spread over nodes"
    stack.preview("--expect-no-changes")
    stack.preview("--refresh", "--expect-no-changes")
    stack.change(replicas={})
    stack.up()
    assert names(cluster, "deployments") >= {"backend"}
    assert not {"backend-1", "backend-2"} & names(cluster, "deployments")
    assert "backend" not in names(cluster, "poddisruptionbudgets")
    stack.preview("--expect-no-changes")
