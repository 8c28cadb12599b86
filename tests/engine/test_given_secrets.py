"""Secrets that the operator chose show nowhere but where they belong; that of an external database is one of them."""

import json
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from sandbox.node import certificates
from tests.engine.driver import GRANITE, HOLDERS, SETTINGS, Cluster, Project, leaks, stored

GIVEN = {
    "jwtSecret": "GivenJwtSecret-0123456789abcdef",
    "adminApiKey": "ltm_admin_GivenAdminKey.0123456789",
    # What has to be percent-encoded in a URL.
    "portalDatabasePassword": "Given+Portal=Password~0123456789",
    "oauthClientSecret": "GivenOauthClientSecret_0123456789",
}
# Of a database that somebody else runs.
ADMIN = {"postgresAdminPassword": "GivenByTheDatabasesOwner-0123456789"}
# Of a model, whose server asks for it.
MODEL_KEY = "GivenKeyOfAModel-0123456789"


@dataclass(frozen=True)
class Given:
    """A stack whose operator chose some secrets and a database, and what was printed without its password and with."""

    project: Project
    refused: str
    said: str


@pytest.fixture(scope="module")
def given(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """It is deployed once."""
    folder = tmp_path_factory.mktemp("given")
    project = Project(folder / "project", program, sandbox.env(), "given", with_logs=True)
    there = {"host": "postgres.example.com", "ca": certificates.authority(folder).read_text()}
    project.write_config(
        SETTINGS
        | {"namespace": "given", "access": {"manageGroups": False}, "models": [GRANITE, "mistral-3-int4"]}
        | {"database": {"mode": "external", "maxConnections": 100, "external": there}}
    )
    project.set_secret("models[0].apiKey.value", MODEL_KEY)
    for name, value in GIVEN.items():
        project.set_secret(f"secrets.{name}.value", value)
    refused = project.refused()
    for name, value in ADMIN.items():
        project.set_secret(f"secrets.{name}.value", value)
    return Given(project, refused, project.preview("--diff") + project.plan().printed + project.up())


def test_given_secrets_are_the_ones_in_use(given: Given, cluster: Cluster) -> None:
    content = stored(cluster, "given")
    for name, value in (GIVEN | ADMIN).items():
        written = urllib.parse.quote(value, safe="") if name == "portalDatabasePassword" else value
        assert written in content, name
    assert MODEL_KEY in content
    client = cluster.get("oauthclient", "given-oauth-client", None)
    assert client["secret"] == GIVEN["oauthClientSecret"]


def test_given_secrets_show_nowhere_else(given: Given, cluster: Cluster) -> None:
    project = given.project
    others = [each for each in cluster.everything() if each["kind"] not in HOLDERS]
    files = project.state_files()
    assert any("logs" in each.parent.name for each in files)
    kept = [each.read_text(errors="replace") for each in files]
    for text in (given.refused, given.said, json.dumps(project.export()), json.dumps(others), *kept):
        assert leaks(text, GIVEN | ADMIN | {"key of the model": MODEL_KEY}) == []


def test_an_external_database_needs_its_administrators_password_and_nothing_is_made_for_it(
    given: Given, cluster: Cluster
) -> None:
    assert "litemaas:secrets.postgresAdminPassword" in given.refused
    assert cluster.items("statefulsets", "given") == []
    claims = {each["metadata"]["name"] for each in cluster.items("persistentvolumeclaims", "given")}
    assert claims == {"backend-backups"}


def test_given_secrets_change_nothing_at_the_second_run(given: Given) -> None:
    given.project.preview("--expect-no-changes", "--refresh")


def test_another_key_of_a_model_rolls_the_gateway_and_nothing_else(given: Given) -> None:
    project, other = given.project, "AnotherKeyOfTheModel-0123456789"
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
