"""What used to end in a portal that looks well and does not work ends in a failed `up` that says why.

The program itself makes none of these mistakes, so the tests deploy copies with mistakes in them.
"""

import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import SETTINGS, Deployed, Slow, report
from tests.engine.driver import Json, copy_program

Mistakes = Mapping[str, tuple[str, str]]
"""The right and the wrong text, by file of the program."""
# These end a stack's first `up` before it has a portal.
EARLY: Mapping[str, Mistakes] = {
    "wrong-sslmode": {
        "components/server.py": (' if self.verified else "sslmode=disable"', ' if self.verified else "sslmode=require"')
    },
    "no-salt-key": {"components/gateway.py": ('        "LITELLM_SALT_KEY": args.salt_key,\n', "")},
    "no-rights": {
        "components/files/bootstrap.sh": (
            "-- Since PostgreSQL 15 the schema follows",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner;\n-- Since PostgreSQL 15 the schema follows",
        )
    },
}
NOWHERE: Json = {
    "name": "nowhere",
    "endpoint": "http://nowhere-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 4096,
}


def spoilt(deployed: Deployed, folder: Path, mistakes: Mistakes, stack: str, **settings: object) -> Slow:
    """A stack of the deployed cluster, with a program that has mistakes."""
    program = copy_program(folder / "program")
    for file, (right, wrong) in mistakes.items():
        text = (program / file).read_text()
        assert right in text, f"{file} no longer holds {right!r}"
        (program / file).write_text(text.replace(right, wrong))
    if stack == deployed.project.stack:
        # It exists already; its file says with what its secrets are encrypted.
        (folder / "project").mkdir()
        shutil.copy(deployed.project.file, folder / "project")
    project = Slow(folder / "project", program, deployed.project.env, stack)
    project.write_config(deployed.project.config() | settings)
    return project


def reason(said: str, pattern: str) -> str:
    """The line of a failed `up` that says why; a person must find it."""
    found = [line.strip() for line in said.splitlines() if re.search(pattern, line)]
    assert found, f"{pattern!r} is not said in:\n{said}"
    return found[0][:200]


@pytest.fixture(scope="module")
def early(stack: Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each of the early failures says, all at the same time, in namespaces of their own."""

    def fail(name: str) -> str:
        settings: Json = {"namespace": name, "access": {"manageGroups": False}, "rolloutTimeoutSeconds": 60}
        settings["replicas"] = {}
        project = spoilt(stack, tmp_path_factory.mktemp(name), EARLY[name], name, **settings)
        said = project.up(expect=1)
        project.destroy()
        return said

    with ThreadPoolExecutor() as pool:
        return dict(zip(EARLY, pool.map(fail, EARLY), strict=True))


@pytest.mark.parametrize(
    ("mistake", "pattern"),
    [
        ("wrong-sslmode", r"log: .*(TLS|SSL)"),
        ("no-salt-key", r"LITELLM_SALT_KEY"),
        ("no-rights", r"log: .*permission denied for schema public"),
    ],
)
def test_a_first_up_that_cannot_work_fails_with_its_reason(early: dict[str, str], mistake: str, pattern: str) -> None:
    report(f"{mistake}: {reason(early[mistake], pattern)}")
    # The log lines are the pods' own; the program itself must not end in one.
    assert not [line for line in early[mistake].splitlines() if "Traceback" in line and "log:" not in line]


def test_a_wrong_redirect_uri_and_a_model_that_is_nowhere_are_found_by_using_them(
    stack: Deployed, tmp_path: Path
) -> None:
    mistakes = {"__main__.py": ("redirect_uri=urls.oauth_callback,", 'redirect_uri=urls.oauth_callback + "/other",')}
    models = [*SETTINGS["models"], NOWHERE]
    project = spoilt(stack, tmp_path, mistakes, stack.project.stack, models=models, rolloutTimeoutSeconds=60)
    said = project.up(expect=1)
    report("wrong redirect URI: " + reason(said, r"FAILED +OpenShift login .*redirect"))
    report("a model that is nowhere: " + reason(said, r"FAILED +model nowhere"))
    # The right program, and the model given up, heal it.
    stack.project.change(retiredModels=["nowhere"])
    stack.project.up()
    assert stack.user("bob").roles()
