"""Secrets that the operator chose show nowhere but where they belong."""

import json
import urllib.parse
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import GRANITE, HOLDERS, SETTINGS, Cluster, Project, leaks, stored

GIVEN = {
    "jwtSecret": "GivenJwtSecret-0123456789abcdef",
    "adminApiKey": "ltm_admin_GivenAdminKey.0123456789",
    # What has to be percent-encoded in a URL.
    "portalDatabasePassword": "Given+Portal=Password~0123456789",
    "oauthClientSecret": "GivenOauthClientSecret_0123456789",
}
# Of a model, whose server asks for it.
MODEL_KEY = "GivenKeyOfAModel-0123456789"


@pytest.fixture(scope="module")
def given(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A stack whose operator chose some secrets, and what the runs printed."""
    project = Project(tmp_path_factory.mktemp("given") / "project", program, sandbox.env(), "given", with_logs=True)
    settings = {"namespace": "given", "access": {"manageGroups": False}, "models": [GRANITE, "mistral-3-int4"]}
    project.write_config(SETTINGS | settings)
    project.set_secret("models[0].apiKey.value", MODEL_KEY)
    for name, value in GIVEN.items():
        project.set_secret(f"secrets.{name}.value", value)
    said = project.preview("--diff") + project.plan().printed + project.up()
    return project, said


def test_given_secrets_are_the_ones_in_use(given: tuple[Project, str], cluster: Cluster) -> None:
    content = stored(cluster, "given")
    for name, value in GIVEN.items():
        written = urllib.parse.quote(value, safe="") if name == "portalDatabasePassword" else value
        assert written in content, name
    assert MODEL_KEY in content
    client = cluster.get("oauthclient", "given-oauth-client", None)
    assert client["secret"] == GIVEN["oauthClientSecret"]


def test_given_secrets_show_nowhere_else(given: tuple[Project, str], cluster: Cluster) -> None:
    project, said = given
    others = [each for each in cluster.everything() if each["kind"] not in HOLDERS]
    files = project.state_files()
    assert any("logs" in each.parent.name for each in files)
    kept = [each.read_text(errors="replace") for each in files]
    for text in (said, json.dumps(project.export()), json.dumps(others), *kept):
        assert leaks(text, GIVEN | {"key of the model": MODEL_KEY}) == []


def test_given_secrets_change_nothing_at_the_second_run(given: tuple[Project, str]) -> None:
    given[0].preview("--expect-no-changes", "--refresh")


def test_another_key_of_a_model_rolls_the_gateway_and_nothing_else(given: tuple[Project, str]) -> None:
    project, other = given[0], "AnotherKeyOfTheModel-0123456789"
    project.set_secret("models[0].apiKey.value", other)
    said = project.preview("--diff")
    plan = project.plan()
    project.set_secret("models[0].apiKey.value", MODEL_KEY)
    assert leaks(said + plan.printed, {"new": other, "old": MODEL_KEY}) == []
    assert plan.rows == {
        ("replace", "Secret", "gateway-model-keys"),
        ("update", "Deployment", "gateway-proxy"),
        ("replace", "Job", "verification-checks"),
    }
