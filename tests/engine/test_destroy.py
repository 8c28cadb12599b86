"""Destroy removes everything, unless data is protected; then it says what it protects."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, LEFT_TO_THE_CLUSTER, NAMESPACE, RENEWED, SETTINGS, Cluster, Project, generated


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own."""
    with Sandbox(tmp_path_factory.mktemp("destroy") / "state", name="destroy", domain=DOMAIN) as running:
        yield Cluster(running)


@pytest.fixture(scope="module")
def before(doomed: Cluster) -> set[str]:
    """The objects of the cluster before anything of ours."""
    return objects(doomed)


@pytest.fixture(scope="module")
def protected(doomed: Cluster, before: set[str], program: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A stack with protected data."""
    project = Project(tmp_path_factory.mktemp("destroy") / "project", program, doomed.env, "doomed")
    project.write_config({key: value for key, value in SETTINGS.items() if key != "protectData"})
    project.up()
    return project


def objects(cluster: Cluster) -> set[str]:
    """Names of all objects but those that controllers renew or remove later."""
    return {
        f"{each['kind']} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
        for each in cluster.everything()
        if each["kind"] not in RENEWED | LEFT_TO_THE_CLUSTER
    }


def test_destroy_refuses_to_delete_data_and_names_what_it_protects(protected: Project, doomed: Cluster) -> None:
    seen, secrets = doomed.fingerprint(), generated(protected)
    said = protected.pulumi("destroy", "--yes", expect=1)
    # The engine stops at the first refusals it meets, and names those.
    named = set(re.findall(r'::([\w-]+)" cannot be deleted\s+because it is protected', said))
    assert named & {"database-server", "backend-backups"}
    assert doomed.touched_since(seen) == []
    # Most of them are not protected by themselves: the namespace depends on them.
    assert generated(protected) == secrets


def test_destroy_without_preview_keeps_all_data_and_up_brings_the_rest_back(
    protected: Project, doomed: Cluster
) -> None:
    secrets = generated(protected)
    uids = _uids(doomed)
    said = protected.destroy(expect=1)
    assert "because it is protected" in said
    assert _uids(doomed) == uids
    assert doomed.get("persistentvolumeclaim", "postgres-data")["status"]["phase"] == "Bound"
    protected.up()
    protected.preview("--expect-no-changes", "--refresh")
    assert generated(protected) == secrets
    assert _uids(doomed) == uids


def test_a_secret_of_a_protected_stack_can_be_rotated(protected: Project, doomed: Cluster) -> None:
    before, uids = generated(protected), _uids(doomed)
    protected.change(secrets={"jwtSecret": {"generation": 2}})
    protected.up()
    now = generated(protected)
    assert now.pop("jwtSecret-2") != before.pop("jwtSecret")
    assert now == before
    assert _uids(doomed) == uids
    protected.pulumi("destroy", "--yes", expect=1)
    assert generated(protected).keys() == {*now, "jwtSecret-2"}


def _uids(cluster: Cluster) -> list[str]:
    return [
        cluster.get("namespace", NAMESPACE, None)["metadata"]["uid"],
        cluster.get("statefulset", "postgres")["metadata"]["uid"],
        cluster.get("persistentvolumeclaim", "backend-backups")["metadata"]["uid"],
        cluster.get("persistentvolumeclaim", "postgres-data")["metadata"]["uid"],
    ]


def test_destroy_removes_everything_once_the_protection_is_off(
    protected: Project, doomed: Cluster, before: set[str]
) -> None:
    protected.change(protectData=False)
    protected.up()
    ours = doomed.labelled("doomed")
    assert {line.partition(" ")[0] for line in ours} >= {
        "Namespace",
        "OAuthClient",
        "Group",
        "Route",
        "Deployment",
        "StatefulSet",
        "Secret",
        "PersistentVolumeClaim",
    }
    protected.pulumi("destroy", "--yes")
    assert doomed.labelled("doomed") == []
    assert NAMESPACE not in doomed.namespaces()
    assert objects(doomed) - before == set()
    assert protected.resources() == []
