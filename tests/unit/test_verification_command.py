"""``python -m verification``: what it finds by itself in a cluster, what it answers, and that it keeps secrets."""

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.cluster import Answer
from config.installation import CannotAskError, find
from tests import harness
from tests.unit.http_double import serving
from tests.unit.verify.installation_double import ADMIN, E5, GRANITE, MASTER, InstallationDouble, refuse
from verification import __main__ as command

JOBS = "/apis/batch/v1/jobs"
CHAT = "/gateway/v1/chat/completions"
AWAY = GRANITE | {"model": "away", "serving": False}


@dataclass(frozen=True)
class Result:
    """What the command said, and its exit code."""

    code: int
    out: str
    err: str


def objects(run: harness.Run, double: InstallationDouble | None = None) -> dict[str, Any]:
    """What `up` leaves in a cluster of all that the command may read, as the API server would answer.

    With ``double`` its addresses, keys and models take the place of the program's.
    """
    answers: dict[str, Any] = {}
    for one in [*run.find("ConfigMap"), *run.find("Secret")]:
        given = {
            key: base64.b64encode(text.encode()).decode() for key, text in one.inputs.get("stringData", {}).items()
        }
        name = one.metadata.get("name") or f"{one.name}-auto"
        path = f"/api/v1/namespaces/litemaas/{one.kind.lower()}s/{name}"
        answers[path] = {"data": given or one.inputs.get("data", {})}
    job = json.loads(json.dumps(run.one("Job", "verification-checks").inputs))
    job["metadata"] = {"name": "verification-1", "namespace": "litemaas", "creationTimestamp": "2026-01-02T00:00:00Z"}
    if double:
        replace(job, answers, double)
    return {**answers, JOBS: {"items": [job]}, "/apis/batch/v1/namespaces/litemaas/jobs": {"items": [job]}}


def replace(job: dict[str, Any], answers: dict[str, Any], double: InstallationDouble) -> None:
    """Leads a verification Job to the double."""
    pod = job["spec"]["template"]["spec"]
    env = double.environment()
    for one in pod["containers"][0]["env"]:
        if "valueFrom" not in one:
            one["value"] = env.get(one["name"], one.get("value"))
            continue
        ref = one["valueFrom"]["secretKeyRef"]
        value = base64.b64encode(env[one["name"]].encode()).decode()
        answers[f"/api/v1/namespaces/litemaas/secrets/{ref['name']}"]["data"][ref["key"]] = value
    declared = next(one for one in pod["volumes"] if one["name"] == "declared")["configMap"]["name"]
    files = {f"{model['model']}.json": json.dumps(model) for model in double.models}
    answers[f"/api/v1/namespaces/litemaas/configmaps/{declared}"] = {"data": files}


@pytest.fixture
def double() -> Iterator[InstallationDouble]:
    served = InstallationDouble(GRANITE, E5, AWAY)
    with serving(served) as served.url:
        yield served


@pytest.fixture
def verify(monkeypatch, capfd, demo) -> Callable[..., Result]:
    """Runs the command against a double, in a cluster's double; nothing secret may ever be in what it says."""

    def run(double: InstallationDouble | None, *arguments: str, **changed: Any) -> Result:
        cluster = harness.FakeCluster({**objects(demo, double), **changed.pop("answers", {})}, **changed)
        monkeypatch.setattr(command, "Cluster", lambda context, **_: cluster.connect(context))
        code = command.main([*arguments, "--patience", "0"])
        out, err = capfd.readouterr()
        for said in (out, err):
            assert "Traceback" not in said
            assert not [secret for secret in (MASTER, ADMIN, "sentinel") if secret in said]
        return Result(code, out, err)

    return run


@pytest.fixture(autouse=True)
def no_folder_is_left(monkeypatch, tmp_path) -> Iterator[None]:
    """Whatever happens, nothing of an installation stays on the disk of whoever looks at it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield
    assert list(tmp_path.iterdir()) == []


def test_it_finds_what_the_job_is_told_by_itself(demo):
    cluster = harness.FakeCluster(objects(demo))
    found = find(cluster, None)
    assert found.namespace == "litemaas"
    assert found.settings["PORTAL_URL"] == demo.exports["portal_url"]
    assert found.settings["LITELLM_MASTER_KEY"].startswith("sk-")
    assert {path.split("?")[0].rsplit("/", 2)[-2] for verb, path in cluster.requests if verb == "GET"} <= {
        "v1",
        "configmaps",
        "secrets",
    }
    assert {verb for verb, _ in cluster.requests} == {"GET"}, "it changes nothing in the cluster"


def test_it_runs_the_very_scripts_of_the_job(demo):
    found = find(harness.FakeCluster(objects(demo)), None)
    assert found.scripts == {file.name: file.read_text() for file in command.FILES.glob("verify*.py")}


def test_of_the_jobs_template_only_what_is_known_reaches_a_process(demo):
    """Whoever may write a Job there must not be able to choose what runs here."""
    answers = objects(demo)
    env = answers[JOBS]["items"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    env += [{"name": "LD_PRELOAD", "value": "/tmp/x.so"}, {"name": "PATH", "value": "/tmp"}]
    assert not {"LD_PRELOAD", "PATH"} & set(find(harness.FakeCluster(answers), None).settings)


def test_it_trusts_what_the_pods_trust(demo):
    answers = objects(demo) | {
        "/api/v1/namespaces/litemaas/configmaps/kube-root-ca.crt": {"data": {"ca.crt": "the cluster's"}},
        "/api/v1/namespaces/litemaas/configmaps/foundation-injected-auto": {"data": {"ca-bundle.crt": "injected"}},
    }
    assert "the cluster's" in find(harness.FakeCluster(answers), None).authorities


def test_a_good_installation_is_told_with_every_row(double, verify):
    result = verify(double)
    assert result.code == 0, result.out + result.err
    assert "model granite          answers, streams, calls tools" in result.out
    assert "left out   model away             its server is scaled to zero" in result.out
    assert "all 17 checks passed; 1 left out" in result.out
    assert "verifying" in result.err
    assert double.keys == {}


def test_what_fails_is_exit_code_1_with_the_row_of_the_job(double, verify):
    double.faults[CHAT] = refuse(500, "Connection error.")
    result = verify(double)
    assert result.code == 1
    assert "FAILED     model granite" in result.out
    assert "cause: nothing answers at" in result.out


def test_every_failure_has_its_row_however_many_there_are(verify):
    served = InstallationDouble(*(GRANITE | {"model": f"model-{number:02}"} for number in range(40)))
    served.faults[CHAT] = refuse(500, "Connection error.")
    with serving(served) as served.url:
        result = verify(served)
    assert result.out.count("FAILED     model model-") == 40


def test_for_programs_the_result_is_json_and_nothing_else(double, verify):
    double.faults[CHAT] = refuse(404, "The model `x` does not exist.")
    result = verify(double, "--json")
    told = json.loads(result.out)
    assert (result.code, told["ok"], told["namespace"]) == (1, False, "litemaas")
    rows = {row["check"]: row for row in told["checks"]}
    assert rows["portal answers"]["state"] == "ok"
    assert rows["model away"] == {
        "check": "model away",
        "state": "left out",
        "seen": "its server is scaled to zero",
        "cause": "",
        "do": "",
    }
    assert "servedName" in rows["model granite"]["do"]


def test_one_model_can_be_chosen(double, verify):
    result = verify(double, "--model", "e5")
    assert result.code == 0, result.out
    assert "models in the portal   1 of 1 as declared" in result.out
    assert double.made[0]["models"] == ["e5"]


def test_a_model_that_is_not_declared_cannot_be_asked_for(double, verify):
    result = verify(double, "--model", "granit")
    assert result.code == 2
    assert "no model granit is declared; did you mean granite?" in result.err
    assert double.requests == []


def test_without_calls_no_key_is_made_and_portal_and_gateway_are_looked_at(double, verify):
    result = verify(double, "--no-calls")
    assert result.code == 0, result.out
    assert "models in the gateway" in result.out
    assert double.made == []
    assert double.called(CHAT) == []


def test_checks_of_another_version_are_said(double, verify, demo):
    name = demo.one("ConfigMap", "verification-scripts").name
    answers = {f"/api/v1/namespaces/litemaas/configmaps/{name}-auto": {"data": {"verify.py": "older"}}}
    result = verify(double, answers=answers)
    assert result.code == 0
    assert "not those of the last `pulumi up`" in result.err


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Takes variables out of the Job."""

    def change(answers: dict[str, Any]) -> dict[str, Any]:
        container = answers[JOBS]["items"][0]["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [one for one in container["env"] if one["name"] not in names]
        return answers

    return change


def also_in(namespace: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(answers: dict[str, Any]) -> dict[str, Any]:
        job = answers[JOBS]["items"][0]
        other = job | {"metadata": job["metadata"] | {"namespace": namespace}}
        return answers | {JOBS: {"items": [job, other]}}

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda answers: answers | {JOBS: {"items": []}}, "no verification Job: nothing is deployed"),
        (lambda answers: answers | {JOBS: Answer(403, {})}, "say which one is meant with --namespace"),
        (lambda answers: answers | {JOBS: Answer(500, {"message": "oops"})}, "cannot be read (500 oops)"),
        (also_in("portal"), "choose with --namespace: litemaas, portal"),
        (without("DECLARED"), "another version of the program, without DECLARED; run `pulumi up` first"),
        (
            lambda answers: answers | {"/api/v1/namespaces/litemaas/secrets/gateway-env-auto": Answer(403, {})},
            "you may not read secrets in namespace litemaas",
        ),
        (
            lambda answers: answers | {"/api/v1/namespaces/litemaas/secrets/gateway-env-auto": Answer(404, {})},
            "did not come to its end, or somebody deleted it",
        ),
        (
            lambda answers: answers | {"/api/v1/namespaces/litemaas/secrets/gateway-env-auto": {"data": {}}},
            "has no usable LITELLM_MASTER_KEY",
        ),
    ],
)
def test_what_cannot_be_found_is_a_reason_with_a_cure(demo, change, reason):
    with pytest.raises(CannotAskError) as refused:
        find(harness.FakeCluster(change(objects(demo))), None)
    assert reason in str(refused.value)


def test_the_newest_job_that_is_not_going_away_counts(demo):
    answers = objects(demo)
    job = answers[JOBS]["items"][0]
    old = job | {"metadata": job["metadata"] | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}
    going = job | {"metadata": job["metadata"] | {"creationTimestamp": "2026-01-03T00:00:00Z"}, "spec": {}}
    going["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:01Z"
    answers[JOBS] = {"items": [old, job, going]}
    assert find(harness.FakeCluster(answers), None).namespace == "litemaas"


def test_without_a_cluster_it_is_exit_code_2_with_the_reason_for_programs_too(verify):
    result = verify(None, "--json", unreachable="the API server api.lab does not answer; check `oc whoami`")
    assert result.code == 2
    assert json.loads(result.out)["error"].startswith("the API server api.lab does not answer")
    assert "verification: not possible: the API server api.lab" in result.err


def test_names_that_mean_nothing_here_are_exit_code_2(verify, monkeypatch):
    def unknown(*_: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(command, "getproxies", dict)
    monkeypatch.setattr(command.socket, "getaddrinfo", unknown)
    result = verify(None)
    assert result.code == 2
    assert "does not resolve on this machine" in result.err
    assert "--address" in result.err


def test_a_wrong_kubeconfig_ends_without_a_traceback(tmp_path_factory):
    """As an operator starts it."""
    config = tmp_path_factory.mktemp("kube") / "config"
    config.write_text("apiVersion: v1\nkind: Config\ncurrent-context: none\n")
    env = {**os.environ, "KUBECONFIG": str(config)}
    ask = [sys.executable, "-B", "-m", "verification"]
    done = subprocess.run(ask, cwd=harness.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no usable kubeconfig" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_stands_in_no_argument_and_in_no_file(double, verify, monkeypatch):
    """Who lists processes sees arguments, who reads the disk sees files; neither may see a key."""
    seen: dict[str, Any] = {}
    usual = subprocess.Popen

    def look(arguments: list[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        folder = Path(env["DECLARED"]).parent
        files = {str(file): file.read_text() for file in folder.rglob("*") if file.is_file()}
        seen.update(arguments=arguments, files=files, mode=folder.stat().st_mode & 0o777)
        return usual(arguments, env=env)

    monkeypatch.setattr(command.subprocess, "Popen", look)
    verify(double)
    assert seen["files"]
    assert seen["mode"] == 0o700
    for text in [*seen["arguments"], *seen["files"].values()]:
        assert MASTER not in text
        assert ADMIN not in text


def test_of_the_callers_environment_no_login_reaches_the_checks(double, verify, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "passphrase")
    given: dict[str, str] = {}
    usual = subprocess.Popen

    def look(arguments: list[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        given.update(env)
        return usual(arguments, env=env)

    monkeypatch.setattr(command.subprocess, "Popen", look)
    verify(double)
    assert "passphrase" not in given.values()
