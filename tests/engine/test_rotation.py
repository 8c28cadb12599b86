"""Rotation of secrets: what a preview names changes, and nothing else; from every source."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.secrets import SECRETS
from sandbox.client import ApiError
from sandbox.cluster import Sandbox
from tests.engine.driver import SETTINGS, Cluster, Json, Project, Step, generated, leaks, stored

NAMESPACE = "rotating"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
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


# No tier is restarted by two of them; tests/unit/test_rotation.py has each by itself.
SOME = ("postgresAdminPassword", "redisPassword", "adminApiKey")


def test_the_preview_of_a_rotation_names_what_restarts_and_shows_exactly_that(rotating: Project) -> None:
    names = SOME
    rotating.change(secrets={name: {"generation": 2} for name in names})
    try:
        steps = rotating.preview_json()
        expected = [tier for spec in ROTATED if spec.name in names for tier in spec.restarts]
        assert sorted(restarted(steps)) == sorted(expected)
        kinds = {step.kind for step in steps}
        # A CronJob takes the name of the new Secret for its next run; nothing restarts.
        assert kinds <= {"Stash", "Secret", "Deployment", "StatefulSet", "Job", "CronJob", "OAuthClient"}
        assert {step.name for step in steps if step.kind == "Stash"} >= {f"credentials-{name}-2" for name in names}
    finally:
        rotating.change(secrets=None)


def test_all_secrets_are_rotated_in_one_up_and_the_next_changes_nothing(rotating: Project, cluster: Cluster) -> None:
    old = generated(rotating)
    # As a person would; all the others in the same way, written at once.
    set_generation(rotating, ROTATED[0].name, 2)
    rotating.change(secrets=rotating.config()["secrets"] | {spec.name: {"generation": 2} for spec in ROTATED[1:]})
    said = rotating.preview("--diff")
    for spec in ROTATED:
        assert f"{spec.name} (generation 1 -> 2): restarts {', '.join(spec.restarts)}. People notice:" in said
    said += rotating.plan().printed
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
    assert "Secrets are rotated" not in rotating.preview("--expect-no-changes", "--refresh")
    values = {f"{name} before": value for name, value in old.items()} | now
    others = [each for each in cluster.everything() if each["kind"] not in {"Secret", "OAuthClient"}]
    kept = [each.read_text(errors="replace") for each in rotating.state_files()]
    for text in (said, json.dumps(rotating.export()), json.dumps(others), *kept):
        assert leaks(text, values) == []


def test_raised_once_more_the_first_oauth_secret_is_accepted_no_longer(rotating: Project, cluster: Cluster) -> None:
    second = generated(rotating)["oauthClientSecret-2"]
    set_generation(rotating, "oauthClientSecret", 3)
    assert restarted(rotating.up_told().steps) == {"backend"}
    assert cluster.get("oauthclient", f"{NAMESPACE}-oauth-client", None)["additionalSecrets"] == [second]


def test_a_lowered_generation_and_one_of_what_has_encrypted_something_are_refused(rotating: Project) -> None:
    before = rotating.config()
    rotating.change(secrets=before["secrets"] | {spec.name: {"generation": 2} for spec in FIXED})
    try:
        said = rotating.refused()
        for spec in FIXED:
            assert f"litemaas:secrets.{spec.name}.generation" in said
            assert spec.fixed in said
        rotating.change(secrets=before["secrets"] | {"jwtSecret": {"generation": 1}})
        for spec in FIXED:
            rotating.set_secret(f"secrets.{spec.name}.value", f"{spec.prefix}AnotherValue-0123456789abcdef")
        said = rotating.refused()
        assert "litemaas:secrets.jwtSecret.generation = 1" in said
        assert "write 2, or 3 for a new value" in said
        for spec in FIXED:
            assert f"litemaas:secrets.{spec.name}\n" in said
        assert said.count("put the former one back") == len(FIXED)
        assert "AnotherValue" not in said
    finally:
        rotating.write_config(before)


EXISTING = {"jwtSecret": "ExistingJwt-0123456789abcdef", "litellmMasterKey": "sk-ExistingMaster-0123456789"}


def make_secret(cluster: Cluster, namespace: str, name: str, data: dict[str, str]) -> None:
    """Make or change a Secret that is not ours."""
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))


FETCHED = {"adminApiKey": "ltm_admin_Fetched-0123456789abcdef", "redisPassword": "FetchedRedis-0123456789abcdef"}


class OperatorDouble(threading.Thread):
    """A double of External Secrets Operator: fills each ExternalSecret of a namespace from ``store``."""

    def __init__(self, cluster: Cluster, namespace: str, store: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.cluster, self.namespace, self.store = cluster, namespace, store
        self.done = threading.Event()

    def run(self) -> None:
        """Look, fill, wait."""
        while not self.done.wait(0.5):
            # The namespace comes during the up.
            with suppress(ApiError):
                for each in self.cluster.request("GET", self._path("externalsecrets"))["items"]:
                    self._fill(each)

    def _path(self, kind: str) -> str:
        prefix = "/api/v1" if kind == "secrets" else "/apis/external-secrets.io/v1"
        return f"{prefix}/namespaces/{self.namespace}/{kind}"

    def _fill(self, request: Json) -> None:
        meta, (wanted,) = request["metadata"], request["spec"]["data"]
        value = self.store[wanted["remoteRef"]["key"]]
        owner = {"apiVersion": request["apiVersion"], "kind": request["kind"], "name": meta["name"], "uid": meta["uid"]}
        made = {
            "metadata": {"name": meta["name"], "ownerReferences": [owner]},
            "stringData": {wanted["secretKey"]: value},
        }
        body = {"apiVersion": "v1", "kind": "Secret", **made}
        query = "?fieldManager=operator-double&force=true"
        self.cluster.request("PATCH", f"{self._path('secrets')}/{meta['name']}{query}", body, APPLY)
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]}}
        self.cluster.request("PATCH", f"{self._path('externalsecrets')}/{meta['name']}/status", ready, MERGE)


@pytest.fixture
def operator(empty: Project, cluster: Cluster) -> Iterator[OperatorDouble]:
    """Runs as long as the test."""
    double = OperatorDouble(cluster, empty.stack, {f"litemaas/{name}": value for name, value in FETCHED.items()})
    double.start()
    yield double
    double.done.set()
    double.join()


def existing(key: str, name: str = "platform") -> Json:
    """A Secret that is not ours as a source."""
    return {"existing": {"namespace": "default", "name": name, "key": key}}


def external(name: str) -> Json:
    """The operator's store as a source."""
    return {"externalSecret": {"store": "vault", "key": f"litemaas/{name}"}}


def test_an_existing_secret_that_cannot_be_used_is_refused(empty: Project, cluster: Cluster) -> None:
    make_secret(cluster, "default", "platform", EXISTING | {"weak": "changeme"})
    sources = {
        "redisPassword": existing("nothing"),
        "jwtSecret": existing("weak"),
        "adminApiKey": existing("x", "none"),
    }
    empty.change(secrets=sources)
    said = empty.refused()
    assert "has no key nothing (its keys:" in said
    assert "holds a value that is well known" in said
    assert "litemaas:secrets.adminApiKey.existing = default/none" in said


def test_values_from_existing_secrets_and_from_the_operator_double_are_used_followed_and_shown_nowhere(
    empty: Project, cluster: Cluster, operator: OperatorDouble
) -> None:
    make_secret(cluster, "default", "platform", EXISTING)
    empty.change(secrets={name: existing(name) for name in EXISTING} | {name: external(name) for name in FETCHED})
    said = empty.preview("--diff") + empty.up()
    content = stored(cluster, empty.stack)
    assert [name for name, value in EXISTING.items() if value not in content] == []
    # What was fetched is in the operator's Secret and in that of the consumer.
    assert [name for name, value in FETCHED.items() if content.count(value) < 2] == []

    # Each changes at its source; no tier is restarted by both.
    changed, fetched = "ChangedAtItsSource-0123456789abcdef", "FetchedLater-0123456789abcdef"
    make_secret(cluster, "default", "platform", EXISTING | {"jwtSecret": changed})
    operator.store["litemaas/redisPassword"] = fetched
    _until(lambda: fetched in stored(cluster, empty.stack))
    plan = empty.plan()
    assert "jwtSecret (another value, from existing): restarts backend." in plan.said
    assert restarted(plan.steps) == {"backend", "redis", "litellm"}
    said += plan.said + plan.printed + empty.up()
    content = stored(cluster, empty.stack)
    assert changed in content
    assert EXISTING["jwtSecret"] not in content
    assert FETCHED["redisPassword"] not in content
    said += empty.preview("--expect-no-changes", "--refresh")

    operator.store["litemaas/adminApiKey"] = weak = "NoPrefixAtAll-0123456789abcdef"
    _until(lambda: weak in stored(cluster, empty.stack))
    refused = empty.preview(expect=1)
    assert "litemaas:secrets.adminApiKey.externalSecret" in refused
    assert "does not begin with ltm_admin_" in refused
    assert "Traceback" not in refused
    values = EXISTING | FETCHED | {"changed": changed, "fetched later": fetched, "weak": weak}
    kept = [each.read_text(errors="replace") for each in empty.state_files()]
    for text in (said, refused, json.dumps(empty.export()), *kept):
        assert leaks(text, values) == []
    empty.destroy()
    # What is not ours stays.
    assert cluster.get("secret", "platform", "default")["data"]


def _until(true: Callable[[], bool]) -> None:
    for _ in range(40):
        if true():
            return
        time.sleep(0.5)
    pytest.fail("did not happen within 20 s")
