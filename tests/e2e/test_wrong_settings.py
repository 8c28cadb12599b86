"""What used to end in a portal that looks well and does not work ends in a failed `up` that says why.

The program itself makes none of these mistakes, so the tests deploy copies with mistakes in them.
"""

import re
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.e2e.conftest import SETTINGS, report
from tests.e2e.mistakes import spoilt
from tests.e2e.stack import Deployed
from tests.engine.driver import Json

NOWHERE: Json = {
    "name": "nowhere",
    "endpoint": "http://nowhere-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 4096,
}


def reason(said: str, pattern: str) -> str:
    """The line of a failed `up` that says why; a person must find it."""
    found = [line.strip() for line in said.splitlines() if re.search(pattern, line)]
    assert found, f"{pattern!r} is not said in:\n{said}"
    return found[0][:200]


@pytest.mark.parametrize(
    ("mistake", "pattern"),
    [
        ("wrong-sslmode", r"log: .*(TLS|SSL)"),
        ("no-salt-key", r"LITELLM_SALT_KEY"),
        ("no-rights", r"log: .*permission denied for schema public"),
        ("external-stranger", r"log: .*certificate verify failed"),
        ("external-password", r"log: refused: .*password"),
    ],
)
def test_a_first_up_that_cannot_work_fails_with_its_reason(
    beside: Mapping[str, Future[str]], mistake: str, pattern: str
) -> None:
    said = beside[mistake].result()
    report(f"{mistake}: {reason(said, pattern)}")
    # The log lines are the pods' own; the program itself must not end in one.
    assert not [line for line in said.splitlines() if "Traceback" in line and "log:" not in line]


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
