"""What used to end in a portal that looks well and does not work ends in a failed `up` that says why.

The program itself makes none of these mistakes, so the tests deploy a copy with mistakes in it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import SETTINGS, Deployed, Slow, report
from tests.engine.driver import Json, Project, copy_program

DATABASE, GATEWAY, MAIN = "components/database.py", "components/gateway.py", "__main__.py"
NOWHERE: Json = {
    "name": "nowhere",
    "endpoint": "http://nowhere-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 4096,
}


def spoilt(
    deployed: Deployed, folder: Path, mistakes: Mapping[str, tuple[str, str]], stack: str, **more: object
) -> Slow:
    """A stack of the deployed cluster, with a program that has mistakes: right and wrong text by file."""
    program = copy_program(folder / "program")
    for file, (right, wrong) in mistakes.items():
        text = (program / file).read_text()
        assert right in text, f"{file} no longer holds {right!r}"
        (program / file).write_text(text.replace(right, wrong))
    project = Slow(folder / "project", program, deployed.project.env, stack)
    project.write_config(SETTINGS | {"rolloutTimeoutSeconds": 100} | more)
    return project


def failure(project: Project, *expected: str) -> str:
    """What a failed `up` says; a person must find each cause in it."""
    said = project.up(expect=1)
    missing = [each for each in expected if not re.search(each, said, re.IGNORECASE)]
    assert not missing, f"{missing} not said in:\n{said}"
    return said


@pytest.fixture
def fresh(request: pytest.FixtureRequest, deployed: Deployed, tmp_path: Path) -> Iterator[tuple[Deployed, Path, Json]]:
    """Settings of a second stack, which goes wrong before its portal exists."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:20].strip("-")
    yield deployed, tmp_path, {"namespace": name, "access": {"manageGroups": False}, "rolloutTimeoutSeconds": 60}
    # Whatever came of it goes, and a failed `up` is no obstacle.
    Slow(tmp_path / "project", tmp_path / "program", deployed.project.env, name).destroy()


def test_an_sslmode_that_the_server_does_not_offer(fresh: tuple[Deployed, Path, Json]) -> None:
    deployed, folder, settings = fresh
    mistakes = {DATABASE: ("?sslmode=disable", "?sslmode=require")}
    said = failure(spoilt(deployed, folder, mistakes, settings["namespace"], **settings), r"SSL|TLS")
    report("wrong sslmode: " + _line(said, "SSL|TLS"))


def test_a_missing_salt_key(fresh: tuple[Deployed, Path, Json]) -> None:
    deployed, folder, settings = fresh
    mistakes = {GATEWAY: ('        "LITELLM_SALT_KEY": args.salt_key,\n', "")}
    said = failure(spoilt(deployed, folder, mistakes, settings["namespace"], **settings), "LITELLM_SALT_KEY")
    report("missing salt key: " + _line(said, "LITELLM_SALT_KEY"))


def test_a_role_without_rights(fresh: tuple[Deployed, Path, Json]) -> None:
    deployed, folder, settings = fresh
    script = "components/files/bootstrap.sh"
    mistakes = {
        script: (
            "SELECT format('ALTER SCHEMA public OWNER TO %I', :'role') \\gexec",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC, pg_database_owner;",
        )
    }
    said = failure(spoilt(deployed, folder, mistakes, settings["namespace"], **settings), "permission denied")
    report("a role without rights: " + _line(said, "permission denied"))


def test_a_wrong_redirect_uri_and_a_model_that_is_nowhere_are_found_by_using_them(
    deployed: Deployed, tmp_path: Path
) -> None:
    mistakes = {MAIN: ("redirect_uri=urls.oauth_callback,", 'redirect_uri=urls.oauth_callback + "/elsewhere",')}
    models = [*SETTINGS["models"], NOWHERE]
    project = spoilt(deployed, tmp_path, mistakes, deployed.project.stack, models=models)
    said = failure(project, r"OpenShift login .*redirect", r"FAILED +model nowhere")
    report("wrong redirect URI: " + _line(said, "OpenShift login"))
    report("model that is nowhere: " + _line(said, "model nowhere"))
    # The same settings in the right program, and the model given up, heal it.
    deployed.project.change(retiredModels=["nowhere"])
    deployed.project.up()
    assert deployed.user("bob").roles()


def _line(said: str, pattern: str) -> str:
    return next(line for line in said.splitlines() if re.search(pattern, line)).strip()[:160]
