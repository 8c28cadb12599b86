"""The database's volume and LiteLLM's schema, over changes of the stack file."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.driver import DOMAIN, Cluster, Json, Project, Told, copy_program

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


def of_size(size: str, storage_class: str = "sandbox") -> Json:
    return {"storage": {"size": size, "storageClass": storage_class}}


def claim(cluster: Cluster, name: str = "postgres-data") -> Json:
    return cluster.get("persistentvolumeclaim", name, SPACE)


def requested(found: Json) -> str:
    return found["spec"]["resources"]["requests"]["storage"]


def migrations(cluster: Cluster) -> set[str]:
    found = cluster.items("jobs", SPACE, labelSelector="app.kubernetes.io/component=litellm-migration")
    return {each["metadata"]["name"] for each in found}


def test_what_a_claim_cannot_become_and_another_version_of_postgresql_are_refused(
    stored: Project, cluster: Cluster
) -> None:
    stored.change(
        database=of_size("512Mi", "sandbox-fixed"),
        storage={"backups": {"size": "2Gi", "storageClass": "sandbox-fixed"}},
        images={"postgres": "quay.io/sclorg/postgresql-15-c9s:latest"},
    )
    said = stored.refused()
    stored.write_config(SETTINGS)
    assert "litemaas:database.storage.size = 512Mi" in said
    assert "a claim never shrinks" in said
    assert "it would be replaced by an empty one; write sandbox" in said
    assert "litemaas:storage.backups.size = 2Gi" in said
    assert "its StorageClass sandbox-fixed does not allow volumes to grow" in said
    assert requested(claim(cluster, "backend-backups")) == "1Gi"
    assert "is PostgreSQL 15, and the data is of PostgreSQL 16" in said
    assert "write an image of version 16" in said


@dataclass(frozen=True)
class Change:
    """What was there before an up, and what the up did."""

    claim: Json
    server: Json
    migrations: set[str]
    told: Told


@pytest.fixture(scope="module")
def changed(stored: Project, cluster: Cluster) -> Change:
    """A larger database, other limits of the gateway and another secret in its environment, in one up."""
    server = cluster.get("statefulset", "postgres", SPACE)
    before = claim(cluster), server, migrations(cluster)
    stored.change(database=of_size("2Gi"))
    (step,) = stored.preview_json()
    assert (step.op, step.kind, step.name) == ("update", "PersistentVolumeClaim", "database-data")
    stored.change(resources={"litellm": {"limits": {"memory": "3Gi"}}})
    stored.set_secret("secrets.redisPassword.value", "0123456789-0123456789")
    return Change(*before, stored.up_told())


def test_the_database_grows_in_place_and_its_server_goes_on(changed: Change, cluster: Cluster) -> None:
    before, after = changed.claim, claim(cluster)
    assert (requested(before), requested(after)) == ("1Gi", "2Gi")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["volumeName"] == before["spec"]["volumeName"]
    again = cluster.get("statefulset", "postgres", SPACE)
    assert again["metadata"]["generation"] == changed.server["metadata"]["generation"], "the pod would start anew"


def test_a_changed_size_rolls_the_gateway_and_neither_it_nor_another_secret_migrates_anything(
    changed: Change, cluster: Cluster
) -> None:
    assert ("update", "Deployment", "gateway-proxy") in changed.told.rows
    assert "gateway-migration" not in changed.told.names
    limits = cluster.get("deployment", "litellm", SPACE)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert limits["limits"]["memory"] == "3Gi"
    assert migrations(cluster) == changed.migrations


def test_another_image_of_litellm_is_migrated_before_it_is_rolled_out(
    changed: Change, stored: Project, cluster: Cluster
) -> None:
    before = migrations(cluster)
    image = "quay.io/example/litellm:2"
    stored.change(images={"litellm": image}, resources={"litellm": {"limits": {"memory": "4Gi"}}})
    assert ("replace", "Job", "gateway-migration") in stored.up_told().rows
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
