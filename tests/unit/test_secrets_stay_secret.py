"""Sentinels: every secret, given or generated, ends in Secret objects, marked, and nowhere else."""

import pytest
from pulumi import RunError

from config.secrets import SECRETS
from tests import harness
from tests.unit.conftest import DEMO

SENTINEL = harness.Sentinel({spec.name: spec.prefix for spec in SECRETS})
HOLDERS = {"Secret", "OAuthClient", "Stash"}


def given_values(values: dict[str, str]) -> dict:
    return {name: {"value": value} for name, value in values.items()}


@pytest.fixture(scope="module")
def given() -> harness.Run:
    return harness.run_program({**DEMO, "secrets": given_values(SENTINEL.values)}, secrets={"secrets"})


def generated_values(run: harness.Run) -> dict[str, str]:
    return {one.name: one.inputs["input"] for one in run.find("Stash")}


def test_every_secret_of_the_table_can_be_given_and_arrives(given):
    arrived = SENTINEL.seen_in([one.inputs for one in given.manifests])
    assert sorted(arrived) == sorted(spec.name for spec in SECRETS)


def test_given_secrets_stand_only_in_marked_inputs_of_the_objects_that_hold_secrets(given):
    for one in given.registrations:
        if one.kind in HOLDERS:
            outside = [path for path, value in harness.outside_secrets(one.marked) if SENTINEL.seen_in(value)]
            assert not outside, f"{one.urn} has unmarked secrets at {outside}"
        else:
            found = SENTINEL.seen_in(one.inputs)
            assert not found, f"{one.urn} holds {found}"


def test_generated_secrets_stand_only_in_marked_inputs_of_the_objects_that_hold_secrets(run):
    values = generated_values(run)
    assert len(values) == len(SECRETS)
    for one in run.registrations:
        for path, value in harness.outside_secrets(one.marked):
            assert not [name for name, secret in values.items() if secret in str(value)], f"{one.urn}{path}"
        if one.kind not in HOLDERS:
            assert not [name for name, secret in values.items() if secret in str(one.inputs)], one.urn


def test_outputs_of_components_and_of_the_stack_mark_every_secret(given):
    for urn, outputs in given.outputs.items():
        outside = [path for path, value in harness.outside_secrets(outputs) if SENTINEL.seen_in(value)]
        assert not outside, f"{urn} hands out {outside} in clear"


def test_the_program_logs_no_secret(given):
    assert not SENTINEL.seen_in(given.log)


def test_the_data_of_every_secret_object_is_marked(run):
    for one in run.find("Secret"):
        values = one.marked["stringData"]
        assert isinstance(values, harness.Secret) or all(isinstance(v, harness.Secret) for v in values.values()), (
            one.urn
        )


def test_secrets_reach_containers_by_reference_only(given):
    for workload in given.workloads:
        assert not SENTINEL.seen_in(workload.pod), workload.urn


def test_generated_secrets_look_as_their_consumers_insist(run):
    for spec in SECRETS:
        value = run.one("Stash", f"credentials-{spec.name}").inputs["input"]
        assert value.startswith(spec.prefix)
        assert len(value.removeprefix(spec.prefix)) >= 43, "32 bytes in base64"


def test_generated_secrets_would_be_accepted_if_an_operator_gave_them(run):
    """So that one can be carried to another stack."""
    values = {name.removeprefix("credentials-"): value for name, value in generated_values(run).items()}
    settings = harness.read_config({"clusterDomain": harness.DOMAIN, "secrets": given_values(values)}, {"secrets"})
    assert {spec.name for spec, source in settings.secrets.items() if source.kind == "value"} == set(values)


def test_all_secrets_differ(run):
    values = list(generated_values(run).values())
    assert len(set(values)) == len(values)


def test_a_given_secret_leaves_the_generated_one_in_place(given):
    """Taking the given one away again must not make a third value."""
    assert len(given.find("Stash")) == len(SECRETS)


def test_a_refused_secret_is_not_quoted():
    values = {
        "litellmMasterKey": "wrong-prefix-sentinel-value",
        "jwtSecret": "short-sentinel",
        "nonsense": "sentinel-x",
    }
    with pytest.raises(RunError) as refusal:
        harness.run_program({**DEMO, "secrets": given_values(values)}, secrets={"secrets"})
    text = str(refusal.value)
    assert "litemaas:secrets.litellmMasterKey.value" in text
    assert "litemaas:secrets.jwtSecret.value" in text
    assert "litemaas:secrets.nonsense" in text
    assert "sentinel" not in text


def test_secrets_in_clear_in_the_stack_file_are_refused_and_not_quoted():
    with pytest.raises(RunError) as refusal:
        harness.run_program({**DEMO, "secrets": {"jwtSecret": {"value": "a-long-enough-sentinel-0123456789"}}})
    assert "pulumi config set --secret --path litemaas:secrets." in str(refusal.value)
    assert "sentinel" not in str(refusal.value)


def test_bad_secrets_in_clear_are_not_quoted_either():
    with pytest.raises(RunError) as refusal:
        harness.run_program({**DEMO, "secrets": {"litellmMasterKey": {"value": "sentinel"}}})
    assert "2 problems" in str(refusal.value)
    assert "sentinel" not in str(refusal.value)
