"""The script of the migration Job, with a double of the one function of LiteLLM that it calls."""

import subprocess
import sys

import pytest

from components import kube
from tests import harness
from tests.unit.conftest import DEMO

FILE = harness.ROOT / "components" / "files" / "migrate.py"
DOUBLE = """
import os

class ProxyExtrasDBManager:
    @staticmethod
    def setup_database(use_migrate):
        print(f"migrates: {use_migrate}")
        return os.environ.get("MIGRATION") != "fails"
"""


@pytest.fixture
def migrate(tmp_path):
    """Runs the script with the given environment."""
    package = tmp_path / "litellm_proxy_extras"
    package.mkdir()
    (package / "utils.py").write_text(DOUBLE)

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        made = str(tmp_path / "migrations")
        return subprocess.run(
            [sys.executable, "-B", str(FILE)],
            env={"PYTHONPATH": str(tmp_path), "LITELLM_MIGRATION_DIR": made, **environment},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    return run


def test_it_migrates_and_its_answer_is_the_exit_code(migrate, tmp_path):
    keys = {"LITELLM_MASTER_KEY": "sk-master", "LITELLM_SALT_KEY": "sk-salt"}
    good = migrate(**keys)
    assert good.returncode == 0, good.stderr
    assert "migrates: True" in good.stdout
    assert (tmp_path / "migrations").is_dir()
    assert migrate(**keys, MIGRATION="fails").returncode == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"LITELLM_MASTER_KEY": "sk-master"},
        {"LITELLM_MASTER_KEY": "sk-master", "LITELLM_SALT_KEY": ""},
        {"LITELLM_MASTER_KEY": "sk-master", "LITELLM_SALT_KEY": "sk-master"},
        {},
    ],
    ids=["no salt key", "an empty one", "the master key", "neither"],
)
def test_without_a_salt_key_of_its_own_nothing_is_migrated(migrate, keys):
    """LiteLLM would take the master key without a word, and what it stored would hang on that."""
    refused = migrate(**keys)
    assert refused.returncode == 1
    assert "LITELLM_SALT_KEY is missing or equal to LITELLM_MASTER_KEY" in refused.stderr
    assert "migrates" not in refused.stdout
    assert "sk-master" not in refused.stderr


def test_the_job_has_both_keys_and_they_differ(run):
    job = run.one("Job", "gateway-migration")
    given = {one["name"]: one["valueFrom"]["secretKeyRef"]["key"] for one in harness.container(job)["env"][-3:]}
    assert given == {name: name for name in ("DATABASE_URL", "LITELLM_MASTER_KEY", "LITELLM_SALT_KEY")}
    secret = run.one("Secret", "gateway-env").inputs["stringData"]
    assert secret["LITELLM_SALT_KEY"] != secret["LITELLM_MASTER_KEY"]


def once(run: harness.Run) -> str:
    """What makes the Job run another time."""
    job = run.one("Job", "gateway-migration")
    assert job.ignore_changes == ("spec",), "whatever else changes would be another Job"
    assert isinstance(job.replacement_trigger, str)
    return job.replacement_trigger


def deployed(**changed) -> harness.Run:
    return harness.run_program({**DEMO, **changed}, ["secrets"] if "secrets" in changed else [])


KEYS = {
    "litellmMasterKey": {"value": "sk-0123456789-0123456789"},
    "litellmSaltKey": {"value": "sk-9876543210-9876543210"},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"resources": {"litellm": {"limits": {"memory": "6Gi"}}}},
        {"images": {"pullSecret": "registry-login"}},
        {"images": {"postgres": "quay.io/sclorg/postgresql-16-c9s:other"}},
        {"secrets": {"redisPassword": {"value": "0123456789-0123456789"}}},
        {"secrets": {"gatewayDatabasePassword": {"value": "0123456789-0123456789"}}},
        {"secrets": KEYS},
        {"profile": "production"},
    ],
    ids=["size", "pull secret", "another tier", "Redis", "password", "keys", "profile"],
)
def test_the_schema_is_not_migrated_again_for_what_does_not_concern_it(demo, changed):
    assert once(deployed(**changed)) == once(demo)


@pytest.mark.parametrize(
    "changed",
    [
        {"images": {"litellm": "quay.io/example/litellm:2"}},
        {"secrets": {**KEYS, "litellmSaltKey": KEYS["litellmMasterKey"]}},
    ],
    ids=["another version", "a salt key that is the master key"],
)
def test_the_migration_runs_again_for_another_version_and_for_what_it_has_to_refuse(demo, changed):
    assert once(deployed(**changed)) != once(demo)


def test_another_script_is_another_migration(demo, monkeypatch):
    monkeypatch.setattr(kube, "file", lambda name, file=kube.file: file(name) + "# changed")
    assert once(deployed()) != once(demo)
