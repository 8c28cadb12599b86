"""What an operator may declare of models: servers, keys, other names, and who answers in their stead."""

import base64
import json
from typing import Any

import pytest
import yaml
from pulumi import RunError

from config.routing import key_variable
from tests import harness
from tests.unit.conftest import DEMO

URL = "http://{0}.models.svc.cluster.local:8080/v1"
KEY = "sentinel-api-key-of-a-model"
EXISTING = {"namespace": "private-ai", "name": "granite-token", "key": "token"}
STORED = "/api/v1/namespaces/private-ai/secrets/granite-token"


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "endpoint": URL.format(name), "contextLength": 4096, **more}


def stack(*models: Any) -> dict[str, Any]:
    return {**DEMO, "models": list(models)}


def refusal(*models: Any, secrets: frozenset[str] = frozenset()) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config({"models": list(models)}, secrets)
    return str(refused.value)


def declaration(run: harness.Run, name: str) -> dict[str, Any]:
    return json.loads(run.one("ConfigMap", "models-declarations").inputs["data"][f"{name}.json"])


def router_settings(run: harness.Run) -> dict[str, Any]:
    return yaml.safe_load(run.one("ConfigMap", "gateway-config").inputs["data"]["config.yaml"]).get("router_settings")


def holding(key: str = KEY) -> harness.FakeCluster:
    """A cluster with the key in a Secret."""
    return harness.FakeCluster({STORED: {"data": {"token": base64.b64encode(key.encode()).decode()}}})


# --- Several servers ---

TWINS = model("twin", furtherEndpoints=[URL.format("second"), "https://third.example.com/v1"], servedName="ibm/twin")


def test_each_server_of_a_model_is_declared_under_the_same_served_name():
    servers = declaration(harness.shared_run(stack(TWINS)), "twin")["endpoints"]
    assert [one["url"] for one in servers] == [URL.format("twin"), URL.format("second"), "https://third.example.com/v1"]
    assert {(one["served_name"], one["key_env"]) for one in servers} == {("ibm/twin", None)}


def test_litellm_is_let_through_to_every_server():
    egress = harness.shared_run(stack(TWINS)).one("NetworkPolicy", "litellm").inputs["spec"]["egress"]
    text = json.dumps(egress)
    assert '"models"' in text
    assert '"0.0.0.0/0"' in text, "the third is outside of the cluster"


def test_a_failing_server_is_followed_by_another_only_where_there_is_one():
    told = router_settings(harness.run_program(stack({**TWINS, "aliases": ["double"]}, model("single"))))
    assert set(told["model_group_retry_policy"]) == {"twin", "double"}
    assert all(count > 1 for policy in told["model_group_retry_policy"].values() for count in policy.values())


def test_a_server_that_is_written_twice_is_refused():
    text = refusal(model("m", furtherEndpoints=[URL.format("m")]), model("n", furtherEndpoints=[URL.format("x")] * 2))
    assert "litemaas:models[0]\n" in text
    assert "twice as many calls" in text
    assert "litemaas:models[1].furtherEndpoints" in text


# --- Keys ---


def with_value(key: str = KEY) -> harness.Run:
    return harness.shared_run(stack(model("granite", apiKey={"value": key}), "devstral-2"), secrets={"models"})


def test_a_key_reaches_litellm_as_a_variable_that_the_model_names():
    run = with_value()
    (secret,) = run.find("Secret", "gateway-model-keys")
    assert secret.inputs["stringData"] == {"MODEL_KEY_granite": KEY}
    litellm = harness.container(run.one("Deployment", "litellm"))
    assert {"secretRef": {"name": "gateway-model-keys-auto"}} in litellm["envFrom"]
    assert declaration(run, "granite")["endpoints"][0]["key_env"] == "MODEL_KEY_granite"
    assert declaration(run, "devstral-2")["endpoints"][0]["key_env"] is None


def test_a_key_of_an_existing_secret_is_read_at_each_up():
    run = harness.run_program(stack(model("granite", apiKey={"existing": EXISTING})), cluster=holding())
    assert run.one("Secret", "gateway-model-keys").inputs["stringData"] == {"MODEL_KEY_granite": KEY}


@pytest.mark.parametrize("way", ["value", "existing"])
def test_a_key_stands_in_marked_inputs_of_its_secret_and_nowhere_else(way):
    if way == "value":
        run = with_value()
    else:
        run = harness.run_program(stack(model("granite", apiKey={"existing": EXISTING})), cluster=holding())
    for one in run.registrations:
        assert (KEY in str(one.inputs)) == (one.name == "gateway-model-keys"), one.urn
        assert not [path for path, value in harness.outside_secrets(one.marked) if KEY in str(value)], one.urn
    for urn, outputs in run.outputs.items():
        assert KEY not in str(outputs), urn
    assert KEY not in str(run.log)


def test_a_changed_key_rolls_the_gateway_and_nothing_that_runs_besides():
    """The names of Secrets tell: pods that refer to none that has changed stay."""
    before, after = with_value(), with_value("another-key-of-the-model")
    generated = {"Secret", "OAuthClient", "Stash"}
    stays = {one.urn: one.marked for one in before.registrations if one.kind not in generated}
    assert {one.urn: one.marked for one in after.registrations if one.kind not in generated} == stays
    users = [one.name for one in after.workloads if "gateway-model-keys-auto" in str(one.pod)]
    assert users == ["gateway-proxy"]


def test_without_keys_there_is_no_secret_for_them(demo):
    assert not demo.find("Secret", "gateway-model-keys")
    assert len(harness.container(demo.one("Deployment", "litellm"))["envFrom"]) == 1


def test_no_two_models_share_a_variable():
    names = ["a-b", "a.b", "a--b", "a-.b", "a.-b", "adotb", "a-dot-b", "ab"]
    variables = [key_variable(name) for name in names]
    assert len(set(variables)) == len(names)
    assert all(one.replace("_", "").isalnum() for one in variables)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ({"value": KEY}, "litemaas:models[0].apiKey.value"),
        ({"value": f" {KEY}"}, "litemaas:models[0].apiKey.value"),
        (KEY, "litemaas:models[0].apiKey"),
        ({"value": KEY, "existing": EXISTING}, "litemaas:models[0].apiKey"),
    ],
    ids=["well formed", "ill formed", "text", "two sources"],
)
def test_a_key_in_clear_is_refused_and_never_quoted(key, path):
    text = refusal(model("granite", apiKey=key))
    assert path in text
    assert "pulumi config set --secret --path 'litemaas:models[0].apiKey.value'" in text
    assert "sentinel" not in text


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({}, "neither value nor existing"),
        ({"value": KEY, "existing": EXISTING}, "has value and existing"),
        ({"value": "sentinel with spaces"}, "no HTTP header carries it"),
        ({"value": ""}, "no HTTP header carries it"),
        ({"secret": "granite-token"}, "no such key"),
    ],
    ids=["nothing", "both", "spaces", "empty", "another key"],
)
def test_a_key_that_cannot_be_sent_is_refused_and_never_quoted(key, said):
    text = refusal(model("granite", apiKey=key), secrets=frozenset({"models"}))
    assert said in text
    assert "sentinel" not in text


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (harness.FakeCluster(), "is not there; up would have no value"),
        (harness.FakeCluster({STORED: {"data": {"other": "eA=="}}}), "has no key token (its keys: other)"),
        (harness.FakeCluster({STORED: harness.Answer(403, {})}), "may not be read by you"),
        (holding("sentinel\n"), "no HTTP header carries it"),
    ],
    ids=["no Secret", "no key", "forbidden", "line break"],
)
def test_a_secret_without_a_usable_key_is_a_problem_at_preview(cluster, said):
    with pytest.raises(RunError) as refused:
        harness.run_program(stack("devstral-2", model("granite", apiKey={"existing": EXISTING})), cluster=cluster)
    text = str(refused.value)
    assert "litemaas:models[1].apiKey.existing" in text
    assert said in text
    assert "sentinel" not in text


# --- Other names, other models ---


def test_an_alias_is_hidden_and_has_the_fallbacks_of_its_model():
    """Shown, the portal would take it for a model; LiteLLM looks for fallbacks by the name that was sent."""
    told = router_settings(
        harness.run_program(stack(model("granite", aliases=["old"], fallbacks=["devstral-2"]), "devstral-2"))
    )
    assert told == {
        "model_group_alias": {"old": {"model": "granite", "hidden": True}},
        "fallbacks": [{"granite": ["devstral-2"]}, {"old": ["devstral-2"]}],
    }


def test_without_any_of_it_litellm_is_told_nothing(demo):
    assert router_settings(demo) is None


FAULTS = {
    "an alias of another model's name": (
        [model("a", aliases=["b"]), model("b")],
        "litemaas:models[0].aliases[0] = b",
        "write each name once",
    ),
    "an alias of the model's own name": (
        [model("a", aliases=["a"])],
        "litemaas:models[0].aliases[0] = a",
        "each name once",
    ),
    "an alias of two models": (
        [model("a", aliases=["x"]), model("b", aliases=["x"])],
        "litemaas:models[1].aliases[0] = x",
        "each name once",
    ),
    "a malformed alias": ([model("a", aliases=["X Y"])], 'litemaas:models[0].aliases[0] = "X Y"', "granite-8b-agent"),
    "an unknown fallback": (
        [model("alpha", fallbacks=["bta"]), model("beta")],
        "litemaas:models[0].fallbacks[0] = bta",
        "did you mean beta?",
    ),
    "a fallback by an alias": (
        [model("a", fallbacks=["x"]), model("b", aliases=["x"])],
        "litemaas:models[0].fallbacks[0] = x",
        "did you mean b?",
    ),
    "itself": ([model("a", fallbacks=["a"])], "litemaas:models[0].fallbacks[0] = a", "is the model itself"),
    "one twice": (
        [model("a", fallbacks=["b", "b"]), model("b")],
        "litemaas:models[0].fallbacks",
        "write each once",
    ),
    "another kind": (
        [model("a", fallbacks=["b"]), model("b", embedding=True)],
        "litemaas:models[0].fallbacks[0] = b",
        "of the same kind",
    ),
    "a circle of two": (
        [model("a", fallbacks=["b"]), model("b", fallbacks=["a"])],
        "litemaas:models[0].fallbacks",
        "a -> b -> a",
    ),
    "a circle behind another model": (
        [
            model("a", fallbacks=["b"]),
            model("b", fallbacks=["c"]),
            model("c", fallbacks=["d"]),
            model("d", fallbacks=["b"]),
        ],
        "litemaas:models[1].fallbacks",
        "b -> c -> d -> b",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_meant_is_refused_with_path_value_and_cure(fault):
    models, path, cure = FAULTS[fault]
    text = refusal(*models)
    assert path in text
    assert cure in text


def test_a_circle_is_told_once():
    models = [model("a", fallbacks=["b"]), model("b", fallbacks=["a"])]
    assert refusal(*models).count("lead back") == 1


def test_two_models_may_fall_back_on_the_same_third():
    harness.read_config({"models": [model("a", fallbacks=["b", "c"]), model("b", fallbacks=["c"]), model("c")]})


def test_an_alias_may_be_the_name_of_a_retired_model():
    """So that callers of the former name go on."""
    harness.read_config({"models": [model("new", aliases=["old"])], "retiredModels": ["old"]})


# --- New users ---


def environment(run: harness.Run) -> dict[str, str]:
    pod = harness.container(run.one("Deployment", "backend"))
    return {one["name"]: one.get("value", "") for one in pod["env"] if one["name"].startswith("DEFAULT_USER_")}


def test_what_new_users_may_use_reaches_the_portal():
    access = {"newUsers": {"maxBudget": 12.5, "tpm": 5000, "rpm": 30}}
    assert environment(harness.run_program({**DEMO, "access": access})) == {
        "DEFAULT_USER_MAX_BUDGET": "12.5",
        "DEFAULT_USER_TPM_LIMIT": "5000",
        "DEFAULT_USER_RPM_LIMIT": "30",
    }


def test_what_is_not_written_is_left_to_the_portal(demo):
    assert environment(demo) == {}
    run = harness.run_program({**DEMO, "access": {"newUsers": {"rpm": 30}}})
    assert environment(run) == {"DEFAULT_USER_RPM_LIMIT": "30"}


@pytest.mark.parametrize(("key", "value"), [("maxBudget", 0), ("tpm", 0), ("rpm", -1)])
def test_a_limit_of_nothing_for_new_users_is_refused(key, value):
    with pytest.raises(RunError) as refused:
        harness.read_config({"access": {"newUsers": {key: value}}})
    assert f"litemaas:access.newUsers.{key} = {value}" in str(refused.value)
    assert "write at least" in str(refused.value)
