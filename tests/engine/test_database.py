"""The database's volume and LiteLLM's schema, over changes of the stack file."""

import shutil
from pathlib import Path

import pytest

from tests.engine.driver import DOMAIN, Cluster, Json, Project, copy_program

SPACE = "stored"
SETTINGS: Json = {
    "clusterDomain": DOMAIN,
    "namespace": SPACE,
    "rolloutTimeoutSeconds": 60,
    "models": ["granite-8b-agent"],
    "access": {"manageGroups": False},
    "database": {"storage": {"size": "1Gi", "storageClass": "sandbox"}},
    "storage": {"backups": {"size": "1Gi", "storageClass": "sandbox-fixed"}},
}


@pytest.fixture(scope="module")
def stored(cluster: Cluster, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A stack whose data is protected."""
    project = Project(tmp_path_factory.mktemp(SPACE) / "project", program, cluster.env, SPACE)
    project.write_config(SETTINGS)
    project.up()
    return project


@pytest.fixture(autouse=True)
def as_it_is(stored: Project, cluster: Cluster) -> None:
    """Each test begins with the settings that are deployed."""
    stored.write_config(SETTINGS | {"database": of_size(requested(claim(cluster)))})


def of_size(size: str, storage_class: str = "sandbox") -> Json:
    return {"storage": {"size": size, "storageClass": storage_class}}


def claim(cluster: Cluster, name: str = "postgres-data") -> Json:
    return cluster.get("persistentvolumeclaim", name, SPACE)


def requested(found: Json) -> str:
    return found["spec"]["resources"]["requests"]["storage"]


def migrations(cluster: Cluster) -> set[str]:
    found = cluster.items("jobs", SPACE, "-l", "app.kubernetes.io/component=litellm-migration")
    return {each["metadata"]["name"] for each in found}


def test_the_database_grows_in_place_and_nothing_else_is_touched(stored: Project, cluster: Cluster) -> None:
    before, server = claim(cluster), cluster.get("statefulset", "postgres", SPACE)
    stored.change(database=of_size("2Gi"))
    (step,) = stored.preview_json()
    assert (step.op, step.kind, step.name) == ("update", "PersistentVolumeClaim", "database-data")
    stored.up()
    after = claim(cluster)
    assert (requested(before), requested(after)) == ("1Gi", "2Gi")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["volumeName"] == before["spec"]["volumeName"]
    again = cluster.get("statefulset", "postgres", SPACE)
    assert again["metadata"]["generation"] == server["metadata"]["generation"], "the pod would have started anew"
    stored.preview("--expect-no-changes", "--refresh")


def test_a_database_that_would_shrink_is_refused(stored: Project) -> None:
    stored.change(database=of_size("512Mi"))
    said = stored.refused()
    assert "litemaas:database.storage.size = 512Mi" in said
    assert "a claim never shrinks" in said


def test_a_claim_whose_class_lets_nothing_grow_is_refused(stored: Project, cluster: Cluster) -> None:
    stored.change(storage={"backups": {"size": "2Gi", "storageClass": "sandbox-fixed"}})
    said = stored.refused()
    assert "litemaas:storage.backups.size = 2Gi" in said
    assert "its StorageClass sandbox-fixed does not allow volumes to grow" in said
    assert requested(claim(cluster, "backend-backups")) == "1Gi"


def test_another_storage_class_is_refused(stored: Project, cluster: Cluster) -> None:
    stored.change(database=of_size(requested(claim(cluster)), "sandbox-fixed"))
    assert "it would be replaced by an empty one; write sandbox" in stored.refused()


@pytest.mark.parametrize("version", [15, 17])
def test_another_major_version_of_postgresql_is_refused(stored: Project, version: int) -> None:
    stored.change(images={"postgres": f"quay.io/sclorg/postgresql-{version}-c9s:latest"})
    said = stored.refused()
    assert f"is PostgreSQL {version}, and the data is of PostgreSQL 16" in said
    assert "write an image of version 16" in said


def test_a_changed_size_rolls_the_gateway_and_migrates_nothing(stored: Project, cluster: Cluster) -> None:
    before = migrations(cluster)
    stored.change(resources={"litellm": {"limits": {"memory": "3Gi"}}})
    changed = {step.name: step.op for step in stored.preview_json()}
    assert changed["gateway-proxy"] == "update"
    assert "gateway-migration" not in changed
    stored.up()
    limits = cluster.get("deployment", "litellm", SPACE)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert limits["limits"]["memory"] == "3Gi"
    assert migrations(cluster) == before
    stored.preview("--expect-no-changes", "--refresh")


def test_another_secret_in_the_gateways_environment_migrates_nothing(stored: Project, cluster: Cluster) -> None:
    before = migrations(cluster)
    stored.set_secret("secrets.redisPassword.value", "0123456789-0123456789")
    stored.up()
    assert migrations(cluster) == before


def test_another_image_of_litellm_is_migrated_before_it_is_rolled_out(stored: Project, cluster: Cluster) -> None:
    before = migrations(cluster)
    image = "quay.io/example/litellm:2"
    stored.change(images={"litellm": image}, resources={"litellm": {"limits": {"memory": "4Gi"}}})
    assert {step.name for step in stored.preview_json() if "replace" in step.op} >= {"gateway-migration"}
    stored.up()
    (name,) = migrations(cluster) - before
    job = cluster.get("job", name, SPACE)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image
    assert container["resources"]["limits"]["memory"] == "4Gi", "it is made of all that is wanted now"
    assert job["status"]["succeeded"] == 1
    stored.preview("--expect-no-changes", "--refresh")


def test_a_server_from_before_its_headless_service_is_changed_in_place(
    cluster: Cluster, program: Path, tmp_path: Path
) -> None:
    """Its serviceName can never change: it keeps the one it has, and neither pod nor data are made anew."""
    before = copy_program(tmp_path / "before")
    file, space = before / "components" / "postgres.py", "from-before"
    text = file.read_text()
    assert "service_name=pods.metadata.name" in text
    file.write_text(text.replace("service_name=pods.metadata.name", "service_name=service.address"))
    former = Project(tmp_path / "project", before, cluster.env, space)
    former.write_config(SETTINGS | {"namespace": space})
    former.up()
    server = cluster.get("statefulset", "postgres", space)
    assert server["spec"]["serviceName"] == "postgres"
    (tmp_path / "now").mkdir()
    shutil.copy(former.file, tmp_path / "now" / former.file.name)
    now = Project(tmp_path / "now", program, cluster.env, space)
    now.preview("--expect-no-changes")
    now.change(resources={"postgres": {"limits": {"memory": "1Gi"}}})
    now.up()
    after = cluster.get("statefulset", "postgres", space)
    assert after["metadata"]["uid"] == server["metadata"]["uid"]
    assert after["spec"]["serviceName"] == "postgres"
    assert after["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "1Gi"
