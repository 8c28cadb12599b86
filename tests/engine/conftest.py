"""One sandbox and one deployed stack for all tests that only look; others make their own."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, SETTINGS, Cluster, Project, copy_program, generated

_numbers = itertools.count(1)


# Whose tests take longest by the clock: started first, so that no worker is left alone with one of them.
LONG = ("test_rotation", "test_tls", "test_workloads", "test_login", "test_database")
DEPLOYED = "deployed"
# In this order: looked at first, then destroyed or tampered with.
PAIR = ("test_two_clusters", "test_destroy", "test_drift")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and tell which tests one worker runs: those of a file.

    Files whose tests share a stack go to one worker, which deploys it once. First of all hooks, since xdist reads the
    marks in its own.
    """
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    looking = {item.path for item in ours if DEPLOYED in getattr(item, "fixturenames", ())}
    groups = {item: DEPLOYED if item.path in looking else item.path.stem for item in ours}
    groups |= {item: "pair" for item in ours if item.path.stem in PAIR}
    for item, group in groups.items():
        item.add_marker(pytest.mark.engine)
        item.add_marker(pytest.mark.xdist_group(group))
    order = (DEPLOYED, *PAIR, *LONG)
    place = {item: order.index(each) for item in ours for each in (groups[item], item.path.stem) if each in order}
    items.sort(key=lambda item: place.get(item, len(order)))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as it is now."""
    return copy_program(tmp_path_factory.mktemp("program") / "program")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The cluster of all tests that do not need one of their own."""
    with Sandbox(tmp_path_factory.mktemp("sandbox") / "state", name="engine", domain=DOMAIN) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(sandbox: Sandbox) -> Cluster:
    """Its API server."""
    return Cluster(sandbox)


@dataclass(frozen=True)
class Deployed:
    """A stack that tests look at, and what was printed on the way there."""

    project: Project
    preview: str
    up: str
    secrets: dict[str, str]


@pytest.fixture(scope="session")
def deployed(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The stack ``main``, from an empty cluster: never changed, only looked at."""
    folder = tmp_path_factory.mktemp("main") / "project"
    project = Project(folder, program, sandbox.env(), "main", with_logs=True)
    project.write_config(SETTINGS)
    preview, up = project.preview("--diff"), project.up()
    # What the engine has logged until now stays, for those who look whether a secret is in it.
    project.log_no_more()
    return Deployed(project, preview, up, generated(project))


@pytest.fixture(scope="session")
def again(deployed: Deployed) -> str:
    """What a second ``up`` of it prints, with nothing changed."""
    deployed.project.write_config(SETTINGS)
    return deployed.project.up()


@pytest.fixture
def main(deployed: Deployed) -> Iterator[Project]:
    """The stack ``main`` with settings that a test may change, for previews only."""
    deployed.project.write_config(SETTINGS)
    yield deployed.project
    deployed.project.write_config(SETTINGS)


@pytest.fixture
def empty(request: pytest.FixtureRequest, sandbox: Sandbox, program: Path, tmp_path: Path) -> Project:
    """A stack that was never deployed, in a namespace of its own, on the shared cluster."""
    words = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")
    name = f"{words[:36].rstrip('-')}-{next(_numbers)}"
    project = Project(tmp_path / "project", program, sandbox.env(), name)
    project.write_config(SETTINGS | {"namespace": name, "access": {"manageGroups": False}})
    return project
