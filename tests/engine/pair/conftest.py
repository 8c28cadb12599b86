"""Two clusters with a stack on each, which share a project folder; both are gone with the last of these tests."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, OTHERS, SECOND_DOMAIN, SETTINGS, Cluster, Project

# Once a year: nothing here waits for it.
ENFORCED = {"admins": ["alice"], "enforceGroups": True, "enforceSchedule": "0 0 1 1 *"}


@pytest.fixture(scope="package")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own: what happens here must not reach other tests."""
    with Sandbox(tmp_path_factory.mktemp("drift") / "state", name="drift", domain=DOMAIN) as running:
        yield Cluster(running)


@pytest.fixture(scope="package")
def drifter(drifting: Cluster, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Its stack."""
    project = Project(tmp_path_factory.mktemp("pair") / "project", program, drifting.env, "drift")
    project.write_config(SETTINGS)
    project.up()
    return project


@pytest.fixture(scope="package")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A second cluster, with Groups of somebody else."""
    with Sandbox(tmp_path_factory.mktemp("destroy") / "state", name="doomed", domain=SECOND_DOMAIN) as running:
        cluster = Cluster(running)
        for name, users in OTHERS.items():
            group = {"apiVersion": "user.openshift.io/v1", "kind": "Group", "metadata": {"name": name}, "users": users}
            cluster.kubectl("create", "-f", "-", stdin=json.dumps(group))
        yield cluster


@pytest.fixture(scope="package")
def before(doomed: Cluster) -> set[str]:
    """The objects of the second cluster before anything of ours."""
    return doomed.objects()


@pytest.fixture(scope="package")
def kubeconfig(drifting: Cluster, doomed: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One kubeconfig for both clusters; the second one is current."""
    ours, theirs = (json.loads(each.sandbox.kubeconfig.read_text()) for each in (drifting, doomed))
    both = theirs | {key: ours[key] + theirs[key] for key in ("clusters", "users", "contexts")}
    file = tmp_path_factory.mktemp("kubeconfig") / "config"
    file.write_text(json.dumps(both))
    return file


@pytest.fixture(scope="package")
def protected(drifter: Project, before: set[str], kubeconfig: Path, program: Path) -> Project:
    """A stack with protected data on the second cluster, beside the first in the same folder."""
    assert before
    project = Project(drifter.folder, program, drifter.env | {"KUBECONFIG": str(kubeconfig)}, "doomed")
    own = {"clusterDomain": SECOND_DOMAIN, "context": "litemaas-sandbox-doomed", "models": ["gpt-oss-20b"]}
    settings = {key: value for key, value in SETTINGS.items() if key != "protectData"}
    project.write_config(settings | own | {"access": ENFORCED})
    project.up()
    return project
