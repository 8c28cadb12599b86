"""Sources and rotation of secrets: what is refused, what is announced, and whom it concerns."""

import base64
import json
import re

import pytest
from pulumi import RunError

from components.sources import digest
from config.cluster import Answer
from config.secrets import SECRETS
from tests import harness
from tests.unit.conftest import DEMO

ROTATED = [spec for spec in SECRETS if not spec.fixed]
FIXED = [spec for spec in SECRETS if spec.fixed]
COMPONENT = "app.kubernetes.io/component"
RECORDS = "/api/v1/namespaces/litemaas/secrets"
ELSEWHERE = {"namespace": "platform", "name": "made-there", "key": "jwt"}
PATH = "/api/v1/namespaces/platform/secrets/made-there"
EXTERNAL = {"store": "vault", "key": "litemaas/jwt", "property": "value"}
GOOD = "a-strong-value-0123456789"


def refusal(config, secrets=("secrets",), **more) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program({**DEMO, **config}, secrets, **more)
    text = str(refused.value)
    assert "nothing was touched" in text
    return text


def secret(data: dict[str, str]) -> dict:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


def record(**entries: tuple[str, int, str]) -> harness.FakeCluster:
    """A cluster with a record: source, generation and value by name of the secret."""
    text = json.dumps(
        {name: {"source": s, "generation": g, "digest": digest(value)} for name, (s, g, value) in entries.items()}
    )
    return harness.FakeCluster({RECORDS: {"items": [{"metadata": {}, **secret({"record.json": text})}]}})


def existing(value: str | None, status: int = 200) -> harness.FakeCluster:
    return harness.FakeCluster({PATH: Answer(status, secret({} if value is None else {"jwt": value}))})


# --- What is written ---


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"value": GOOD, "existing": ELSEWHERE}, "has value and existing"),
        ({"existing": ELSEWHERE, "externalSecret": EXTERNAL}, "has existing and externalSecret"),
        ({"value": GOOD, "generation": 2}, "has value and generation 2"),
        ({"existing": ELSEWHERE, "generation": 2}, "rotate it at its source"),
        ({"generation": 0}, "write at least 1"),
        ({"existing": {**ELSEWHERE, "name": "Made There"}}, "is no name of an object"),
        ({"existing": {**ELSEWHERE, "namespace": "a.b"}}, "is no name of a namespace"),
        ({"existing": {**ELSEWHERE, "key": "a/b"}}, "is no key of a Secret"),
        ({"existing": {"name": "x"}}, "is missing"),
        ({"externalSecret": {**EXTERNAL, "storeKind": "Vault"}}, "'ClusterSecretStore' or 'SecretStore'"),
        ({"vaule": GOOD}, "did you mean value?"),
        ("as-one-text-0123456789", "a mapping of keys"),
    ],
    ids=str,
)
def test_a_wrong_source_is_refused_with_its_path_and_without_its_value(source, said):
    text = refusal({"secrets": {"jwtSecret": source}})
    assert "litemaas:secrets.jwtSecret" in text
    assert said in text
    assert GOOD not in text
    assert "as-one-text" not in text


def test_generations_and_places_may_stand_in_clear():
    sources = {"jwtSecret": {"generation": 2}, "redisPassword": {"existing": ELSEWHERE}}
    assert harness.read_config({**DEMO, "secrets": sources}).secrets.jwtSecret.generation == 2  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("spec", FIXED, ids=lambda spec: spec.name)
def test_what_has_encrypted_something_has_one_generation_only(spec):
    text = refusal({"secrets": {spec.name: {"generation": 2}}}, ())
    assert f"litemaas:secrets.{spec.name}.generation" in text
    assert spec.fixed in text
    assert "leave generation out" in text


# --- What the cluster has ---


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (harness.FakeCluster(), "existing = platform/made-there\n      is not there"),
        (existing(None), "has no key jwt (its keys: none)"),
        (existing(None, 403), "may not be read by you"),
        (existing("changeme"), "existing.key = jwt\n      holds a value that is well known"),
        (existing(f"{GOOD}\n"), "a space or a line break"),
    ],
    ids=["missing", "without the key", "forbidden", "weak", "line break"],
)
def test_an_existing_secret_that_cannot_be_used_is_refused(cluster, said):
    text = refusal({"secrets": {"jwtSecret": {"existing": ELSEWHERE}}}, (), cluster=cluster)
    assert "litemaas:secrets.jwtSecret.existing" in text
    assert said in text
    assert "changeme" not in text


def test_the_value_of_an_existing_secret_reaches_its_consumer_marked():
    run = harness.run_program({**DEMO, "secrets": {"jwtSecret": {"existing": ELSEWHERE}}}, cluster=existing(GOOD))
    assert run.one("Secret", "backend-env").inputs["stringData"]["JWT_SECRET"] == GOOD
    for one in run.registrations:
        assert not [path for path, text in harness.outside_secrets(one.marked) if GOOD in str(text)], one.urn


def test_an_external_secret_needs_its_operator():
    text = refusal({"secrets": {"jwtSecret": {"externalSecret": EXTERNAL}}}, ())
    assert "needs the API external-secrets.io" in text
    assert "install External Secrets Operator, or write another source" in text


# --- What a rotation is ---


@pytest.mark.parametrize("spec", ROTATED, ids=lambda spec: spec.name)
def test_a_rotation_is_announced_with_what_restarts_and_what_people_notice(spec):
    cluster = record(**{spec.name: ("generated", 1, "x")})
    run = harness.run_program({**DEMO, "secrets": {spec.name: {"generation": 2}}}, cluster=cluster)
    expected = f"{spec.name} (generation 1 -> 2): restarts {', '.join(spec.restarts)}. People notice: {spec.notice}"
    assert run.log == [f"Secrets are rotated:\n  - {expected}"]


@pytest.mark.parametrize(
    ("before", "source", "said"),
    [
        (("generated", 1, "x"), {"value": GOOD}, "another value, from value"),
        (("value", 1, GOOD), {}, "value -> generated"),
        (("existing", 1, "x"), {"value": GOOD}, "another value, from value"),
        (("generated", 1, GOOD), {"value": GOOD}, None),
        (("generated", 2, "x"), {"generation": 2}, None),
    ],
    ids=["given", "no longer given", "moved", "the generated one written down", "nothing"],
)
def test_another_source_is_a_rotation_where_the_value_differs(before, source, said):
    run = harness.run_program({**DEMO, "secrets": {"jwtSecret": source}}, ["secrets"], cluster=record(jwtSecret=before))
    assert [said in line for line in run.log] == ([True] if said else [])


def test_a_lower_generation_is_refused_with_the_numbers_to_write():
    text = refusal({"secrets": {"jwtSecret": {"generation": 2}}}, (), cluster=record(jwtSecret=("generated", 3, "x")))
    assert "litemaas:secrets.jwtSecret.generation = 2" in text
    assert "write 3, or 4 for a new value" in text


NUMBERED = "/apis/apps/v1/namespaces/litemaas/deployments/backend-1"


def with_several(generation: int) -> harness.FakeCluster:
    """A cluster in which several backends serve, and an admin key of this generation is in use."""
    cluster = record(adminApiKey=("generated", generation, "x"))
    cluster._answers[NUMBERED] = {"metadata": {"name": "backend-1"}}
    return cluster


def test_several_backends_do_not_end_in_an_up_that_changes_secrets_too():
    """The old ones have the former values and go last: the verification reached them, for ever."""
    text = refusal({"secrets": {"adminApiKey": {"generation": 2}}}, (), cluster=with_several(1))
    assert "litemaas:replicas.backend = 1" in text
    assert "keep their number for this up, and lower it in the next" in text


def test_several_backends_end_where_no_secret_changes_and_secrets_change_where_they_stay():
    storage = {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "shared"}}
    changed = {"secrets": {"adminApiKey": {"generation": 2}}}
    harness.run_program({**DEMO, **changed}, cluster=with_several(2))
    harness.run_program(
        {**DEMO, **changed, "replicas": {"backend": 2}, "storage": storage},
        cluster=record(adminApiKey=("generated", 1, "x")),
    )


@pytest.mark.parametrize("spec", FIXED, ids=lambda spec: spec.name)
def test_another_value_of_what_has_encrypted_something_is_refused(spec):
    given = {"secrets": {spec.name: {"value": f"{spec.prefix}{GOOD}"}}}
    text = refusal(given, cluster=record(**{spec.name: ("generated", 1, "x")}))
    assert "put the former one back" in text
    assert GOOD not in text
    assert "put the former one back" in refusal({}, (), cluster=record(**{spec.name: ("value", 1, "x")}))
    same = record(**{spec.name: ("generated", 1, f"{spec.prefix}{GOOD}")})
    assert harness.run_program({**DEMO, **given}, ["secrets"], cluster=same).log == []


def test_the_record_that_is_written_is_the_one_that_is_read_and_holds_no_value(demo):
    made = demo.one("Secret", "sources-record")
    assert isinstance(made.marked["stringData"], harness.Secret)
    written = json.loads(made.inputs["stringData"]["record.json"])
    assert set(written) == {spec.name for spec in SECRETS}
    cluster = harness.FakeCluster()
    harness.run_program(DEMO, cluster=cluster)
    asked = next(path for _, path in cluster.requests if path.startswith(RECORDS))
    wanted = dict(pair.split("%3D") for pair in asked.split("labelSelector=")[1].split(","))
    assert [one.name for one in demo.find("Secret") if one.labels.items() >= wanted.items()] == ["sources-record"]
    values = [one.inputs["input"] for one in demo.find("Stash")]
    assert not [value for value in values if value in str(written)]


# --- Whom it concerns ---


def changed_secrets(one: harness.Run, other: harness.Run) -> set[str]:
    before = {found.name: found.inputs["stringData"] for found in one.find("Secret")}
    return {found.name for found in other.find("Secret") if found.inputs["stringData"] != before[found.name]}


@pytest.mark.parametrize("spec", SECRETS, ids=lambda spec: spec.name)
def test_the_table_names_exactly_the_servers_that_hold_a_secret(spec):
    values = {one.name: {"value": f"{one.prefix}{GOOD}-{one.name}"} for one in SECRETS}
    before = harness.shared_run({**DEMO, "secrets": values}, ["secrets"])
    values[spec.name] = {"value": f"{spec.prefix}another-{GOOD}"}
    after = harness.run_program({**DEMO, "secrets": values}, ["secrets"])
    objects = {f"{name}-auto" for name in changed_secrets(before, after)}
    restarted = {
        one.labels[COMPONENT] for one in after.servers if objects & {text for _, text in harness.leaves(one.pod)}
    }
    assert restarted == set(spec.restarts)


def test_a_new_generation_is_another_resource_and_leaves_the_others(demo):
    run = harness.run_program({**DEMO, "secrets": {"jwtSecret": {"generation": 3}}})
    names = {one.name for one in demo.find("Stash")}
    assert {one.name for one in run.find("Stash")} == names - {"credentials-jwtSecret"} | {"credentials-jwtSecret-3"}


def test_the_oauth_client_accepts_the_secret_of_the_generation_before_and_hides_it(demo):
    assert "additionalSecrets" not in demo.one("OAuthClient").inputs
    run = harness.run_program({**DEMO, "secrets": {"oauthClientSecret": {"generation": 2}}})
    client = run.one("OAuthClient")
    assert isinstance(client.marked["additionalSecrets"], harness.Secret)
    former, now = (run.one("Stash", f"credentials-oauthClientSecret{suffix}").inputs["input"] for suffix in ("", "-2"))
    assert (client.inputs["secret"], client.inputs["additionalSecrets"]) == (now, [former])


# --- External Secrets Operator ---


class WithOperator(harness.FakeCluster):
    """A double of a cluster that serves ExternalSecrets."""

    def __init__(self, answers: dict | None = None) -> None:
        names = ("route.openshift.io", "oauth.openshift.io", "user.openshift.io", "external-secrets.io")
        super().__init__({"/apis": {"groups": [{"name": name} for name in names]}} | (answers or {}))


@pytest.mark.parametrize(("in_use", "accepted"), [(harness.READ_VALUE, True), ("sk-another", False)])
def test_a_salt_key_may_move_to_a_store_only_as_it_is(in_use: str, accepted: bool):
    config = {**DEMO, "secrets": {"litellmSaltKey": {"externalSecret": EXTERNAL}}}
    known = {"litellmSaltKey": {"source": "generated", "generation": 1, "digest": digest(in_use)}}
    cluster = WithOperator({RECORDS: {"items": [{"metadata": {}, **secret({"record.json": json.dumps(known)})}]}})
    if accepted:
        assert harness.run_program(config, cluster=cluster).log == []
    else:
        with pytest.raises(RunError) as refused:
            harness.run_program(config, cluster=cluster)
        assert "differs from the one in use, and cannot be rotated" in str(refused.value)


def test_an_external_secret_is_requested_awaited_and_its_value_used():
    config = {**DEMO, "secrets": {"litellmMasterKey": {"externalSecret": EXTERNAL}}}
    run = harness.run_program(config, cluster=WithOperator())
    request = run.one("ExternalSecret")
    assert request.inputs["apiVersion"] == "external-secrets.io/v1"
    assert request.inputs["spec"]["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}
    assert request.inputs["spec"]["data"] == [
        {"secretKey": "value", "remoteRef": {"key": "litemaas/jwt", "property": "value"}}
    ]
    assert request.annotations["pulumi.com/waitFor"] == "condition=Ready"
    assert "name" not in request.metadata
    assert re.fullmatch(r"[a-z0-9-]+", request.name), "Pulumi makes the object's name of it"
    assert request.replace_on_changes == ("spec",)
    assert run.one("Secret", "gateway-env").inputs["stringData"]["LITELLM_MASTER_KEY"] == harness.READ_VALUE
    assert isinstance(run.one("Secret", "gateway-env").marked["stringData"], harness.Secret)


def test_a_fetched_value_that_is_weak_is_refused_and_not_quoted():
    config = {**DEMO, "secrets": {"adminApiKey": {"externalSecret": EXTERNAL}}}
    with pytest.raises(RunError) as refused:
        harness.run_program(config, cluster=WithOperator())
    assert "litemaas:secrets.adminApiKey.externalSecret" in str(refused.value)
    assert "does not begin with ltm_admin_" in str(refused.value)
    assert harness.READ_VALUE not in str(refused.value)


def test_a_first_preview_does_not_look_for_a_secret_that_is_not_fetched_yet():
    config = {**DEMO, "secrets": {"adminApiKey": {"externalSecret": EXTERNAL}}}
    run = harness.run_program(config, cluster=WithOperator(), preview=True)
    assert run.one("Secret", "backend-env"), "what uses it is shown all the same"
