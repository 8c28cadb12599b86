"""One sandbox and one deployed stack for all tests that only look; others make their own."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, SETTINGS, Cluster, Project, copy_program, generated

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


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
    preview_json: str
    up: str
    secrets: dict[str, str]


@pytest.fixture(scope="session")
def deployed(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The stack ``main``, from an empty cluster: never changed, only looked at."""
    project = Project(tmp_path_factory.mktemp("main") / "project", program, sandbox.env(), "main")
    project.write_config(SETTINGS)
    preview = project.preview("--diff")
    plan = project.run("preview", "--json", "--stack", project.stack).stdout
    up = project.up()
    return Deployed(project, preview, plan, up, generated(project))


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
