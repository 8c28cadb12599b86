"""What used to end in a portal that looks well and does not work ends in a failed `up` that says why.

The program itself makes none of these mistakes, so each test deploys a copy with one mistake in it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import SETTINGS, Deployed, Slow, report
from tests.engine.driver import Project, copy_program


def spoilt(deployed: Deployed, folder: Path, file: str, right: str, wrong: str) -> Slow:
    """The deployed stack, with a program that has one mistake."""
    program = copy_program(folder / "program")
    source = program / file
    text = source.read_text()
    assert right in text, f"{file} no longer holds {right!r}"
    source.write_text(text.replace(right, wrong))
    project = Slow(folder / "project", program, deployed.project.env, deployed.project.stack)
    project.write_config(SETTINGS | {"rolloutTimeoutSeconds": 60})
    return project


@pytest.fixture
def mistake(deployed: Deployed, tmp_path: Path) -> Iterator[tuple[Deployed, Path]]:
    """The stack and a folder for a wrong program; the right one heals it afterwards."""
    yield deployed, tmp_path
    deployed.project.up()
    assert "granite-8b-agent" in deployed.user("bob").api("GET", "/api/v1/models").ok().text


def failure(project: Project, *expected: str) -> str:
    """What a failed `up` says; a person must find the cause in it."""
    said = project.up(expect=1)
    missing = [each for each in expected if not re.search(each, said, re.IGNORECASE)]
    assert not missing, f"{missing} not said in:\n{said}"
    return said


def test_an_sslmode_that_the_server_does_not_offer(mistake: tuple[Deployed, Path]) -> None:
    deployed, folder = mistake
    project = spoilt(deployed, folder, "components/database.py", "?sslmode=disable", "?sslmode=require")
    failure(project, r"SSL|TLS")


def test_a_missing_salt_key(mistake: tuple[Deployed, Path]) -> None:
    deployed, folder = mistake
    line = '        "LITELLM_SALT_KEY": args.salt_key,\n'
    project = spoilt(deployed, folder, "components/gateway.py", line, "")
    failure(project, "LITELLM_SALT_KEY")


def test_a_redirect_uri_that_is_not_the_registered_one(mistake: tuple[Deployed, Path]) -> None:
    deployed, folder = mistake
    right, wrong = "redirect_uri=urls.oauth_callback,", 'redirect_uri=urls.oauth_callback + "/elsewhere",'
    failure(spoilt(deployed, folder, "__main__.py", right, wrong), "redirect")


def test_a_model_endpoint_that_leads_nowhere(mistake: tuple[Deployed, Path]) -> None:
    deployed, _ = mistake
    models = [
        *SETTINGS["models"],
        {
            "name": "nowhere",
            "endpoint": "http://nowhere-predictor.private-ai.svc.cluster.local:8080/v1",
            "contextLength": 4096,
        },
    ]
    deployed.project.change(models=models)
    failure(deployed.project, "nowhere")
    deployed.project.write_config(SETTINGS | {"retiredModels": ["nowhere"]})
    deployed.project.up()


def test_a_database_role_without_rights(deployed: Deployed, tmp_path: Path) -> None:
    program = copy_program(tmp_path / "program")
    script = program / "components" / "files" / "bootstrap.sh"
    text = script.read_text()
    script.write_text(
        text + '\npsql -qAt -d "$GATEWAY_DATABASE" -c "ALTER SCHEMA public OWNER TO postgres" '
        '-c "REVOKE ALL ON SCHEMA public FROM PUBLIC, \\"$GATEWAY_ROLE\\""\n'
        'psql -qAt -d postgres -c "ALTER DATABASE \\"$GATEWAY_DATABASE\\" OWNER TO postgres"\n'
    )
    project = Slow(tmp_path / "project", program, deployed.project.env, "no-rights")
    access = {"manageGroups": False}
    project.write_config(SETTINGS | {"namespace": "no-rights", "access": access, "rolloutTimeoutSeconds": 60})
    try:
        said = failure(project, "permission denied")
        report(
            "a role without rights: " + next(line for line in said.splitlines() if "permission denied" in line)[:160]
        )
    finally:
        project.destroy()
