"""Rotation of secrets: what a preview names changes, and nothing else; from every source."""

import json
from pathlib import Path

import pytest

from config.secrets import SECRETS
from sandbox.cluster import Sandbox
from tests.engine.driver import SETTINGS, Cluster, Project, Step, generated, leaks, stored

NAMESPACE = "rotating"
ROTATED = [spec for spec in SECRETS if not spec.fixed]
FIXED = [spec for spec in SECRETS if spec.fixed]
SERVERS = {
    "postgres": ("StatefulSet", "database-server"),
    "redis": ("Deployment", "cache-redis"),
    "litellm": ("Deployment", "gateway-proxy"),
    "backend": ("Deployment", "backend-server"),
}


@pytest.fixture(scope="module")
def rotating(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A stack whose secrets are rotated one after the other."""
    project = Project(tmp_path_factory.mktemp("rotating") / "project", program, sandbox.env(), NAMESPACE)
    project.write_config(SETTINGS | {"namespace": NAMESPACE, "access": {"manageGroups": False}})
    project.up()
    return project


def restarted(steps: list[Step]) -> set[str]:
    """The tiers whose pods a plan replaces."""
    rows = {(step.kind, step.name) for step in steps}
    return {tier for tier, row in SERVERS.items() if row in rows}


def set_generation(project: Project, name: str, generation: int) -> None:
    """As a person would."""
    project.run(
        "config", "set", "--path", f"litemaas:secrets.{name}.generation", str(generation), "--stack", project.stack
    )


@pytest.mark.parametrize("spec", ROTATED, ids=lambda spec: spec.name)
def test_the_preview_of_a_rotation_names_what_restarts_and_shows_exactly_that(rotating: Project, spec) -> None:
    before = rotating.config()
    set_generation(rotating, spec.name, 2)
    try:
        steps = rotating.preview_json()
        assert restarted(steps) == set(spec.restarts)
        assert {step.kind for step in steps} <= {"Stash", "Secret", "Deployment", "StatefulSet", "Job", "OAuthClient"}
        assert {step.name for step in steps if step.kind == "Stash"} >= {f"credentials-{spec.name}-2"}
    finally:
        rotating.write_config(before)


def test_all_secrets_are_rotated_in_one_up_and_the_next_changes_nothing(rotating: Project, cluster: Cluster) -> None:
    old = generated(rotating)
    for spec in ROTATED:
        set_generation(rotating, spec.name, 2)
    said = rotating.preview()
    for spec in ROTATED:
        assert f"{spec.name} (generation 1 -> 2): restarts {', '.join(spec.restarts)}. People notice:" in said
    said += rotating.preview("--diff") + rotating.run("preview", "--json", "--stack", rotating.stack).stdout
    said += rotating.up()
    now = generated(rotating)
    assert set(now) == {
        *(f"{spec.name}-2" for spec in ROTATED),
        *(spec.name for spec in FIXED),
        "oauthClientSecret",
    }
    content = stored(cluster, NAMESPACE)
    for spec in ROTATED:
        assert now[f"{spec.name}-2"] != old[spec.name]
        assert now[f"{spec.name}-2"] in content, spec.name
        assert old[spec.name] not in content, spec.name
    for spec in FIXED:
        assert now[spec.name] == old[spec.name]
    client = cluster.get("oauthclient", f"{NAMESPACE}-oauth-client", None)
    assert client["secret"] == now["oauthClientSecret-2"]
    assert client["additionalSecrets"] == [old["oauthClientSecret"]]
    rotating.preview("--expect-no-changes", "--refresh")
    assert "Secrets are rotated" not in rotating.preview()
    values = {f"{name} before": value for name, value in old.items()} | now
    others = [each for each in cluster.everything() if each["kind"] not in {"Secret", "OAuthClient"}]
    kept = [each.read_text(errors="replace") for each in rotating.state_files()]
    for text in (said, json.dumps(rotating.export()), json.dumps(others), *kept):
        assert leaks(text, values) == []


def test_a_lowered_generation_is_refused(rotating: Project) -> None:
    before = rotating.config()
    set_generation(rotating, "jwtSecret", 1)
    try:
        said = rotating.refused()
        assert "litemaas:secrets.jwtSecret.generation = 1" in said
        assert "write 2, or 3 for a new value" in said
    finally:
        rotating.write_config(before)


def test_raised_once_more_the_first_oauth_secret_is_accepted_no_longer(rotating: Project, cluster: Cluster) -> None:
    second = generated(rotating)["oauthClientSecret-2"]
    set_generation(rotating, "oauthClientSecret", 3)
    rotating.up()
    assert cluster.get("oauthclient", f"{NAMESPACE}-oauth-client", None)["additionalSecrets"] == [second]


@pytest.mark.parametrize("spec", FIXED, ids=lambda spec: spec.name)
def test_what_has_encrypted_something_is_not_rotated(rotating: Project, spec) -> None:
    before = rotating.config()
    set_generation(rotating, spec.name, 2)
    try:
        said = rotating.refused()
        assert f"litemaas:secrets.{spec.name}.generation" in said
        assert spec.fixed in said
        rotating.write_config(before)
        rotating.set_secret(f"secrets.{spec.name}.value", f"{spec.prefix}AnotherValue-0123456789abcdef")
        said = rotating.refused()
        assert f"litemaas:secrets.{spec.name}\n" in said
        assert "put the former one back" in said
        assert "AnotherValue" not in said
    finally:
        rotating.write_config(before)


EXISTING = {"jwtSecret": "ExistingJwt-0123456789abcdef", "litellmMasterKey": "sk-ExistingMaster-0123456789"}


def make_secret(cluster: Cluster, namespace: str, name: str, data: dict[str, str]) -> None:
    """Make or change a Secret that is not ours."""
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def test_values_of_existing_secrets_are_used_followed_and_shown_nowhere(empty: Project, cluster: Cluster) -> None:
    make_secret(cluster, "default", "platform", EXISTING | {"weak": "changeme"})
    source = {name: {"existing": {"namespace": "default", "name": "platform", "key": name}} for name in EXISTING}
    for key, what in (("nothing", "has no key nothing (its keys:"), ("weak", "holds a value that is well known")):
        empty.change(secrets={"redisPassword": {"existing": {"namespace": "default", "name": "platform", "key": key}}})
        assert what in empty.refused()
    empty.change(secrets={"redisPassword": {"existing": {"namespace": "default", "name": "none", "key": "x"}}})
    assert "litemaas:secrets.redisPassword.existing = default/none" in empty.refused()

    empty.change(secrets=source)
    said = empty.preview("--diff") + empty.up()
    content = stored(cluster, empty.stack)
    assert [name for name, value in EXISTING.items() if value not in content] == []
    empty.preview("--expect-no-changes", "--refresh")

    changed = "ChangedAtItsSource-0123456789abcdef"
    make_secret(cluster, "default", "platform", EXISTING | {"jwtSecret": changed})
    preview = empty.preview()
    assert "jwtSecret (another value, from existing): restarts backend." in preview
    said += preview + empty.run("preview", "--json", "--stack", empty.stack).stdout
    assert restarted(empty.preview_json()) == {"backend"}
    said += empty.up()
    assert changed in stored(cluster, empty.stack)
    assert EXISTING["jwtSecret"] not in stored(cluster, empty.stack)
    kept = [each.read_text(errors="replace") for each in empty.state_files()]
    for text in (said, json.dumps(empty.export()), *kept):
        assert leaks(text, EXISTING | {"changed": changed}) == []
    empty.destroy()
    # What is not ours stays.
    assert cluster.get("secret", "platform", "default")["data"]
