"""The verification Job: after everything else, again when something has changed, and only then."""

import hashlib
import json
from unittest import mock

import pytest

from components import kube, openshift
from config.secrets import SECRETS
from tests import harness
from tests.unit.conftest import DEMO

JOB = "verification-checks"
GRANITE = {"name": "granite-8b-agent", "endpoint": "http://g.private-ai.svc:8080/v1", "contextLength": 16384}
SENTINEL = harness.Sentinel({spec.name: spec.prefix for spec in SECRETS})
# Nothing in it is generated, so that two runs are equal.


def given(values):
    return {name: {"value": value} for name, value in values.items()}


FIXED = {**DEMO, "models": [GRANITE], "secrets": given(SENTINEL.values)}


def needs(run: harness.Run, name: str) -> set[str]:
    """Everything that has to be there before ``name``."""
    found: set[str] = set()
    waiting = [next(one for one in run.registrations if one.name == name)]
    while waiting:
        new = set(waiting.pop().dependencies) - found
        found |= new
        waiting += [run.at(urn) for urn in new]
    return {urn.rsplit("::", 1)[1] for urn in found}


def test_it_comes_after_all_that_is_waited_for_and_nothing_after_it(run):
    awaited = {one.name for one in [*run.awaited, *run.find("Route")]} - {JOB}
    assert awaited <= needs(run, JOB)
    last = run.one("Job", JOB).urn
    assert not [one.urn for one in run.registrations if last in one.dependencies]


def test_it_does_not_wait_for_groups(demo):
    """A changed member changes nothing that it looks at."""
    assert not {one.name for one in demo.find("Group")} & needs(demo, JOB)


def by_content(request, inputs) -> dict:
    """What the double of the engine answers, with names that follow the content: as auto-naming, in effect."""
    state = as_created(request, inputs)
    if state.get("metadata", {}).get("name", "").endswith("-auto"):
        content = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
        state["metadata"]["name"] = f"{request.name}-{content[:6]}"
    return state


as_created = harness._as_created


def template(cluster: harness.FakeCluster | None = None, **changed) -> dict:
    """The Job's pod template with the fixed settings and these."""
    with mock.patch.object(harness, "_as_created", by_content):
        run = harness.run_program({**FIXED, **changed}, ["secrets"], cluster=cluster)
    return run.one("Job", JOB).inputs["spec"]["template"]


@pytest.fixture(scope="module")
def usual() -> dict:
    return template()


def test_an_unchanged_program_does_not_run_it_again(usual):
    assert template() == usual


@pytest.mark.parametrize(
    "changed",
    [
        *(
            {"images": {tier: "quay.io/example/other:1"}}
            for tier in ("backend", "frontend", "litellm", "postgres", "redis")
        ),
        {"images": {"pullSecret": "registry-login"}},
        *(
            {"resources": {tier: {"limits": {"cpu": "2"}}}}
            for tier in ("postgres", "redis", "litellm", "backend", "frontend")
        ),
        {"replicas": {"litellm": 2}},
        {"clusterDomain": "apps.other.example.com"},
        {"access": {"admins": ["alice"], "initialAdmins": ["dave"]}},
        *(
            {"secrets": given({**SENTINEL.values, spec.name: f"{spec.prefix}rotated-0123456789abcdef"})}
            for spec in SECRETS
        ),
        *({"models": [{**GRANITE, **more}]} for more in ({"tools": True}, {"contextLength": 8192}, {"verify": False})),
        {"models": []},
        {"models": [GRANITE, "mistral-3-int4"]},
        {"retiredModels": ["old"]},
    ],
    ids=lambda changed: json.dumps(changed)[:60],
)
def test_it_runs_again_when_something_changes_that_pods_are_made_of(usual, changed):
    domain = changed.get("clusterDomain", harness.DOMAIN)
    assert template(harness.FakeCluster(domain=domain), **changed) != usual


@pytest.mark.parametrize(
    "changed",
    [
        {"access": {"admins": ["alice", "bob"], "users": ["carol"]}},
        {"protectData": True},
        {"storage": {"backups": {"size": "50Gi"}}},
    ],
    ids=json.dumps,
)
def test_it_does_not_run_again_for_what_no_pod_is_made_of(usual, changed):
    assert template(**changed) == usual


def test_it_runs_again_when_the_oauth_client_changes(usual, monkeypatch):
    """Of which it is told the name alone."""
    monkeypatch.setattr(openshift, "PORTAL_SCOPES", ("user:info",))
    assert template() != usual


def test_more_replicas_of_the_same_pods_are_no_reason():
    assert template(replicas={"litellm": 3}) == template(replicas={"litellm": 2})


def test_an_autoscaler_is_no_reason(usual):
    target = {"kind": "Deployment", "name": "litellm"}
    scaler = {"metadata": {"name": "litellm"}, "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}}
    path = "/apis/autoscaling/v2/namespaces/litemaas/horizontalpodautoscalers"
    scaled = harness.FakeCluster({path: {"items": [scaler]}})
    assert template(scaled) == usual


def test_every_tier_with_pods_tells_its_revision_and_none_is_secret(run):
    tiers = {one.parent for one in run.awaited}
    assert len(tiers) == 7
    for tier in tiers:
        assert isinstance(run.outputs[tier]["revision"], str), tier


def test_the_values_of_secrets_have_no_part_in_a_revision(demo):
    """Whoever reads the state could else try out guesses. Names have: a changed Secret is a new object."""
    again = harness.run_program(DEMO)
    assert again.one("Secret", "gateway-env").inputs != demo.one("Secret", "gateway-env").inputs
    for tier in {one.parent for one in demo.awaited}:
        assert again.outputs[tier]["revision"] == demo.outputs[tier]["revision"]


def test_nothing_secret_stands_in_the_job(run):
    job = run.one("Job", JOB)
    assert job.marked == job.inputs, "something in it is marked as secret"
    secret = {one["name"] for one in harness.container(job)["env"] if "valueFrom" in one}
    assert secret == {"LITELLM_MASTER_KEY", "ADMIN_API_KEY"}


def test_it_is_told_public_addresses_only(demo):
    env = harness.env(demo.one("Job", JOB))
    assert env["PORTAL_URL"] == demo.exports["portal_url"]
    assert env["GATEWAY_URL"] == demo.exports["gateway_url"]
    assert env["API_URL"] == demo.exports["api_url"]
    assert env["OAUTH_ISSUER"] == f"https://oauth-openshift.{harness.DOMAIN}"
    assert env["OAUTH_CLIENT_ID"] == demo.one("OAuthClient").metadata["name"]
    assert [env["OAUTH_CALLBACK"]] == demo.one("OAuthClient").inputs["redirectURIs"]


def test_all_of_its_scripts_are_there(demo):
    scripts = demo.one("ConfigMap", "verification-scripts").inputs["data"]
    assert set(scripts) == {file.name for file in kube.FILES.glob("verify*.py")}


@pytest.mark.parametrize("limit", [10, 300, 3600])
def test_it_ends_with_its_table_before_its_pod_is_deleted(limit):
    env = harness.env(run_with(limit).one("Job", JOB))
    assert 0 < int(env["PATIENCE_SECONDS"] or 0) < int(env["LIMIT_SECONDS"] or 0) <= limit * 0.8


def run_with(limit: int) -> harness.Run:
    return harness.run_program({**DEMO, "rolloutTimeoutSeconds": limit})
