"""An operator's database, and an external Redis beside it, as far as an API server without operators can tell."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.driver import SETTINGS, Cluster, Json, Project, generated, leaks

OPERATED = "operated"
CLUSTER = "cluster.postgresql.cnpg.io"
PASSWORD = "0123456789-0123456789"  # noqa: S105 (of no server)
DATABASE: Json = {"mode": "operator", "instances": 2, "parameters": {"work_mem": "16MB"}}


def components(cluster: Cluster, resource: str, space: str) -> set[str]:
    return {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in cluster.items(resource, space)}


@pytest.fixture(scope="module")
def rising(cluster: Cluster, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[Project]]:
    """A stack with an operator's database, whose `up` waits for the operator that is not there."""
    project = Project(tmp_path_factory.mktemp(OPERATED) / "project", program, cluster.env, OPERATED)
    project.write_config(SETTINGS | {"namespace": OPERATED, "access": {"manageGroups": False}, "database": DATABASE})

    def up() -> Project:
        project.up()
        return project

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(up)


@pytest.fixture(scope="module")
def waited_for(rising: Future[Project], cluster: Cluster) -> Json:
    """The Cluster as the API server took it, before anybody said that it is ready."""
    cluster.kubectl("wait", "--for=create", f"namespace/{OPERATED}", "--timeout=60s")
    cluster.kubectl("wait", "--for=create", "-n", OPERATED, f"{CLUSTER}/postgres", "--timeout=60s")
    return cluster.get(CLUSTER, "postgres", OPERATED)


@pytest.fixture(scope="module")
def operated(waited_for: Json, rising: Future[Project], cluster: Cluster) -> Project:
    """The stack, once a double of the operator has written the status of a healthy Cluster."""
    ready = {"type": "Ready", "status": "True", "reason": "ClusterIsReady", "message": "Cluster is Ready"}
    status = {
        "phase": "Cluster in healthy state",
        "readyInstances": 2,
        "conditions": [ready | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    patch = json.dumps({"status": status})
    cluster.kubectl("patch", CLUSTER, "postgres", "-n", OPERATED, "--subresource=status", "--type=merge", "-p", patch)
    return rising.result()


def test_the_cluster_meets_the_schema_with_every_field(waited_for: Json) -> None:
    spec = waited_for["spec"]
    assert spec["instances"] == 2
    assert spec["storage"] == {"size": "10Gi"}
    assert spec["postgresql"]["parameters"] == {"max_connections": "200", "work_mem": "16MB"}
    assert spec["enableSuperuserAccess"] is True


def test_nothing_uses_the_database_before_the_operator_says_that_it_is_ready(
    waited_for: Json, cluster: Cluster
) -> None:
    assert not components(cluster, "jobs", OPERATED) & {"postgres-bootstrap", "litellm-migration"}
    assert "litellm" not in components(cluster, "deployments", OPERATED)


def test_up_ends_once_an_operators_double_reports_a_healthy_cluster(operated: Project, cluster: Cluster) -> None:
    assert components(cluster, "jobs", OPERATED) >= {"postgres-bootstrap", "litellm-migration", "verification"}
    assert cluster.items("statefulsets", OPERATED) == []
    operated.preview("--expect-no-changes", "--refresh")


def test_no_secret_of_an_operators_database_is_in_clear(operated: Project) -> None:
    kept = "\n".join(file.read_text(errors="replace") for file in operated.state_files())
    assert leaks(kept, generated(operated)) == []


def test_an_operators_database_is_not_left_behind(operated: Project) -> None:
    before = operated.config()
    operated.change(database=None)
    said = operated.refused()
    assert "litemaas:database.mode = bundled" in said
    assert "this stack has one of mode operator" in said
    operated.write_config(before)


def test_an_operators_database_grows_in_place_and_an_external_redis_takes_the_place_of_ours(
    operated: Project, cluster: Cluster
) -> None:
    database = operated.config()["database"]
    operated.change(
        database=database | {"storage": {"size": "1Gi"}}, redis={"mode": "external", "host": "redis.example.com"}
    )
    assert "litemaas:secrets.redisPassword" in operated.refused()
    operated.set_secret("secrets.redisPassword.value", PASSWORD)
    assert "a claim never shrinks" in operated.refused()
    operated.change(database=database | {"storage": {"size": "20Gi"}})
    rows = operated.up_told().rows
    assert ("update", "Cluster", "database-cluster") in rows
    assert cluster.get(CLUSTER, "postgres", OPERATED)["spec"]["storage"] == {"size": "20Gi"}
    gone = {(kind, name) for op, kind, name in rows if op == "delete"}
    assert {("Deployment", "cache-redis"), ("Service", "cache-service"), ("NetworkPolicy", "isolation-redis")} <= gone
    assert "redis" not in components(cluster, "pods", OPERATED)
    operated.preview("--expect-no-changes", "--refresh")
