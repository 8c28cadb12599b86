"""Models are found on the cluster: undeclared ones, and what declarations leave out; contradictions are told."""

import json
from typing import Any

import pytest
from pulumi import RunError

from config import discovery
from config.cluster import Answer
from tests import harness
from tests.unit import inference
from tests.unit.conftest import DEMO
from tests.unit.inference import arguments, cluster, front, lists, seed, service
from tests.unit.test_preflight import CONFIG_MAPS, offered, refusal

ALL = {"discover": [{"namespace": "private-ai"}]}
URL = "http://granite-predictor.private-ai.svc.cluster.local:{}/v1"
GRANITE = arguments("granite", 16384, tools=True)
APIS = {"serving.kserve.io"}


def find(double: harness.FakeCluster, *models: Any, serving: Any = ALL, **more: Any) -> discovery.Discovery:
    config = {"clusterDomain": harness.DOMAIN, "models": list(models), "modelServing": serving, **more}
    return discovery.discover(harness.read_config(config), double, APIS)


def only(one: dict[str, Any], *models: Any, **kinds: Any) -> discovery.Discovery:
    found = find(cluster(lists(served=[one], **kinds)), *models)
    assert [str(each) for each in found.problems] == []
    return found


def told(found: discovery.Discovery) -> str:
    return "\n".join(map(str, found.problems))


def test_the_seeds_models_come_out_with_what_they_are_really_served_with():
    found = find(cluster(lists(served=seed())))
    assert {one.declared.name: (one.context_length, one.tools, one.serving) for one in found.models} == {
        name: (length, tools, replicas > 0) for name, (length, tools, replicas) in inference.SEED.items()
    }
    assert [one.endpoints for one in found.models if one.declared.name == "granite-8b-agent"] == [
        ("http://granite-8b-agent-predictor.private-ai.svc.cluster.local:8080/v1",)
    ]


def test_the_catalogue_says_of_the_seeds_models_what_the_cluster_says():
    found = find(cluster(lists(served=seed())), *inference.SEED)
    assert found.problems == ()
    assert {one.declared.name for one in found.models if not one.serving} == {
        "mistral-3-int4",
        "devstral-2",
        "gpt-oss-20b",
    }


def test_a_discovered_model_is_a_resource_like_any_other():
    run = harness.run_program({**DEMO, "models": [], "modelServing": ALL}, cluster=cluster(lists(served=seed())))
    assert {one.name for one in run.find("Model")} == {f"models-{name}" for name in inference.SEED}
    (carrier,) = carriers(run)
    devstral = json.loads(carrier.inputs["data"]["devstral-2.json"])
    assert (devstral["context_length"], devstral["tools"], devstral["serving"]) == (32768, True, False)


def carriers(run: harness.Run) -> list[Any]:
    return [one for one in run.manifests if one.labels.get("app.kubernetes.io/component") == "model"]


PORTS = {
    "a Service's own port": (front("granite", ports=[{"name": "http", "port": 80, "targetPort": 8080}]), 80),
    "behind a headless one the pod's": (
        front("granite", headless=True, ports=[{"name": "http", "port": 80, "targetPort": 8080}]),
        8080,
    ),
    "by the name the container gives it": (
        front("granite", headless=True, ports=[{"name": "http", "port": 80, "targetPort": "h"}]),
        8000,
    ),
    "HTTP rather than others": (
        front("granite", ports=[{"name": "grpc", "port": 9000}, {"name": "http1", "port": 8081}]),
        8081,
    ),
    "HTTP rather than the proxy's": (
        front("granite", ports=[{"name": "https", "port": 8443}, {"name": "http", "port": 8082}]),
        8082,
    ),
    "without a name": (front("granite", ports=[{"port": 8083}]), 8083),
}


@pytest.mark.parametrize(("before", "port"), PORTS.values(), ids=PORTS.keys())
def test_the_port_is_one_that_can_be_called(before, port):
    one = service("granite", GRANITE, ports=[{"name": "h", "containerPort": 8000}])
    assert only(one, services=[before]).models[0].endpoints == (URL.format(port),)


def test_a_model_behind_a_proxy_is_called_over_tls_on_the_proxys_port():
    one = service("granite", GRANITE, annotations=inference.AUTH)
    behind = front("granite", headless=True, ports=[{"name": "https", "port": 8443, "targetPort": "https"}])
    found = find(cluster(lists(served=[one], services=[behind])))
    assert found.models[0].endpoints == ("https://granite-predictor.private-ai.svc.cluster.local:8443/v1",)


RUNTIME = {
    "metadata": {"name": "vllm-runtime"},
    "spec": {
        "containers": [
            {"name": "helper", "args": ["--max-model-len=1"]},
            {"name": "kserve-container", "args": ["--served-model-name={{.Name}}", "--max-model-len=4096"]},
        ]
    },
}


def test_the_runtimes_arguments_come_before_the_models_own():
    one = service("granite", ["--max-model-len=8192"], runtime="vllm-runtime")
    model = only(one, runtimes=[RUNTIME]).models[0]
    assert (model.served_name, model.context_length) == ("granite", 8192)


def test_the_models_command_stands_in_its_runtimes_stead():
    runtime = {
        "metadata": {"name": "r"},
        "spec": {"containers": [{"name": "c", "command": ["vllm", "--max-model-len=1"]}]},
    }
    one = service("granite", ["--served-model-name=granite"], runtime="r", command=["vllm", "--max-model-len=8192"])
    assert only(one, runtimes=[runtime]).models[0].context_length == 8192


def test_a_runtime_of_the_whole_cluster_counts_where_the_namespace_has_none():
    answers = lists(served=[service("granite", [], runtime="vllm-runtime")])
    double = cluster(answers, {inference.CLUSTER_RUNTIMES: {"items": [RUNTIME]}})
    assert find(double).models[0].context_length == 4096


def test_arguments_may_stand_in_a_container_and_in_variables():
    container = {
        "name": "kserve-container",
        "command": ["vllm", "serve"],
        "args": ["--served-model-name={{ .Name }}"],
        "env": [{"name": "VLLM_ADDITIONAL_ARGS", "value": "--max-model-len 8192"}, {"name": "EMPTY"}],
    }
    model = only(service("granite", containers=[container])).models[0]
    assert (model.served_name, model.context_length, model.tools) == ("granite", 8192, False)


def test_an_embedding_model_is_one_in_the_portal_too():
    found = only(service("granite", ["--max-model-len=512", "--task=embed", "--served-model-name=e5"]))
    assert (found.models[0].declared.embedding, found.models[0].tools) == (True, False)


def test_what_is_declared_wins():
    model = {"name": "granite", "namespace": "private-ai", "contextLength": 4096, "tools": False, "inputPrice": 0.5}
    found = only(service("granite", GRANITE), model).models[0]
    assert (found.context_length, found.tools, found.declared.input_price) == (4096, False, 0.5)
    assert found.endpoints == (URL.format(8080),)


def test_a_declared_endpoint_wins_and_the_rest_is_found_by_it():
    model = {"name": "chat", "endpoint": "http://granite-predictor.private-ai.svc:8080/v1"}
    found = find(cluster(lists(served=[service("granite", GRANITE)])), model, serving={})
    (chat,) = found.models
    assert (chat.declared.name, chat.served_name, chat.context_length) == ("chat", "granite", 16384)
    assert chat.endpoints == ("http://granite-predictor.private-ai.svc:8080/v1",)


CONTRADICTIONS = {
    "more context than served": (
        {"contextLength": 131072},
        ("models[0].contextLength = 131072", "private-ai/granite", "16384"),
    ),
    "longer answers than served": ({"maxOutput": 20000}, ("models[0].maxOutput = 20000", "16384")),
    "another name than served": (
        {"servedName": "ibm/granite"},
        ("models[0].servedName = ibm/granite", "which is granite", "404"),
    ),
    "a port that nobody can call": (
        {"endpoint": URL.format(80)},
        ("models[0].endpoint", "port 80", "called on 8080", URL.format(8080)),
    ),
}


@pytest.mark.parametrize(("wrong", "said"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_contradiction_that_makes_calls_fail_is_refused_with_both_values(wrong, said):
    model = {"name": "granite", "namespace": "private-ai", **wrong}
    text = told(find(cluster(lists(served=[service("granite", GRANITE)])), model))
    assert len(text.splitlines()) == 2
    assert all(each in text for each in said), text


def test_tools_that_the_server_has_off_are_refused():
    model = {"name": "granite", "namespace": "private-ai", "tools": True}
    text = told(find(cluster(lists(served=[service("granite", arguments("granite", 8192, tools=False))])), model))
    assert "models[0].tools = true" in text
    assert "--enable-auto-tool-choice" in text


def test_of_a_server_whose_arguments_nobody_can_read_the_declaration_is_believed():
    one = service("granite", ["start.sh"])
    model = {"name": "granite", "namespace": "private-ai", "tools": True, "contextLength": 99999, "servedName": "x"}
    assert only(one, model).models[0].tools


def test_a_model_whose_server_wants_a_token_is_refused_without_one():
    one = service("granite", GRANITE, annotations=inference.AUTH)
    text = told(find(cluster(lists(served=[one])), {"name": "granite", "namespace": "private-ai"}))
    assert "models[0].apiKey" in text
    assert "enable-auth" in text


def test_a_discovered_model_whose_server_wants_a_token_is_refused_with_what_to_write():
    one = service("granite", GRANITE, annotations=inference.AUTH)
    text = told(find(cluster(lists(served=[one]))))
    assert "InferenceService private-ai/granite\n" in text
    assert "models: [{name: granite, namespace: private-ai, apiKey: ...}]" in text


def test_zero_replicas_are_offered_not_verified_and_told():
    found = only(service("granite", GRANITE, replicas=0))
    assert not found.models[0].serving
    (warning,) = found.warnings
    assert warning.startswith(
        "granite: InferenceService private-ai/granite has 0 replicas; the model is offered and not"
    )


@pytest.mark.parametrize(("replicas", "live", "runs"), [(0, 1, True), (1, 0, False)])
def test_how_many_run_now_counts_more_than_how_many_there_must_be_at_least(replicas, live, runs):
    deployment = {"metadata": {"name": "granite-predictor"}, "spec": {"replicas": live}}
    found = only(service("granite", GRANITE, replicas=replicas), deployments=[deployment])
    assert found.models[0].serving is runs


def test_a_server_that_is_not_ready_is_told_with_its_reason():
    one = service("granite", GRANITE)
    one["status"] = {"conditions": [{"type": "Ready", "status": "False", "reason": "NoGpu", "message": "0/3 nodes"}]}
    assert only(one).warnings == (
        "granite: InferenceService private-ai/granite is not ready (NoGpu: 0/3 nodes); calls to it may fail",
    )


def test_a_discovered_model_without_a_context_length_is_refused_with_what_to_write():
    text = told(find(cluster(lists(served=[service("granite", ["--served-model-name=granite"])]))))
    assert "InferenceService private-ai/granite" in text
    assert "models: [{name: granite, namespace: private-ai, contextLength: <tokens>}]" in text


def test_a_declared_model_without_a_context_length_anywhere_is_refused():
    one = service("granite", ["--served-model-name=granite"])
    text = told(find(cluster(lists(served=[one])), {"name": "granite"}))
    assert "models[0].contextLength" in text


def test_labels_choose_what_is_discovered():
    chosen = {f"{inference.SERVED.format('private-ai')}?labelSelector=team%20in%20%28a%2Cb%29": {"items": seed()[:1]}}
    serving = {"discover": [{"namespace": "private-ai", "labelSelector": "team in (a,b)"}]}
    found = find(cluster(lists(served=seed()), chosen), serving=serving)
    assert [one.declared.name for one in found.models] == ["mistral-3-int4"]


def test_a_retired_model_is_not_discovered_again():
    found = find(cluster(lists(served=seed())), retiredModels=["devstral-2"])
    assert {one.declared.name for one in found.models} == set(inference.SEED) - {"devstral-2"}


def test_one_name_in_two_namespaces_is_refused():
    double = cluster(lists(served=[service("granite", GRANITE)]), lists("b", served=[service("granite", GRANITE, "b")]))
    text = told(find(double, serving={"discover": [{"namespace": "private-ai"}, {"namespace": "b"}]}))
    assert "InferenceService b/granite" in text
    assert "InferenceService private-ai/granite" in text


def test_a_declared_model_says_which_of_two_it_means():
    double = cluster(lists(served=[service("granite", GRANITE)]), lists("b", served=[service("granite", GRANITE, "b")]))
    serving = {"namespace": "private-ai", "discover": [{"namespace": "b"}]}
    assert "models[0].namespace" in told(find(double, {"name": "granite"}, serving=serving))
    found = find(double, {"name": "granite", "namespace": "b"}, serving=serving)
    assert found.problems == ()
    assert [one.namespace for one in found.services["granite"]] == ["b"]


FURTHER = {
    "endpoint": URL.format(8080),
    "furtherEndpoints": ["http://granite-predictor.b.svc.cluster.local:8080/v1"],
}


def two_servers(second: dict[str, Any]) -> harness.FakeCluster:
    return cluster(lists(served=[service("granite", GRANITE, replicas=0)]), lists("b", served=[second]))


def test_a_model_runs_while_one_of_its_servers_does():
    found = find(two_servers(service("granite", GRANITE, "b")), {"name": "chat", **FURTHER}, serving={})
    assert found.models[0].serving
    assert "another server has to do until somebody scales it up" in found.warnings[0]


def test_a_model_whose_servers_are_all_at_zero_does_not_run():
    found = find(two_servers(service("granite", GRANITE, "b", replicas=0)), {"name": "chat", **FURTHER}, serving={})
    assert not found.models[0].serving
    assert len(found.warnings) == 2


def test_what_is_said_of_a_model_has_to_be_true_of_all_its_servers():
    smaller = service("granite", arguments("granite", 8192, tools=True), "b")
    text = told(find(two_servers(smaller), {"name": "chat", **FURTHER}, serving={}))
    assert "models[0].contextLength = 16384" in text
    assert "InferenceService b/granite serves (--max-model-len 8192)" in text


def test_a_further_server_on_a_port_that_nobody_can_call_is_named():
    model = {"name": "chat", **FURTHER, "furtherEndpoints": ["http://granite-predictor.b.svc.cluster.local:80/v1"]}
    text = told(find(two_servers(service("granite", GRANITE, "b")), model, serving={}))
    assert "models[0].furtherEndpoints[0] = http://granite-predictor.b" in text


def test_a_discovered_model_must_not_have_the_name_of_an_alias():
    model = {"name": "chat", "endpoint": "http://x/v1", "contextLength": 9, "aliases": ["granite"]}
    text = told(find(cluster(lists(served=[service("granite", GRANITE)])), model))
    assert "InferenceService private-ai/granite" in text
    assert "has the name of chat" in text


def test_a_declared_model_that_nobody_serves_is_refused_with_the_nearest_name():
    text = told(find(cluster(lists(served=[service("granite", GRANITE)])), {"name": "granit"}))
    assert "models[0].endpoint" in text
    assert "did you mean granite?" in text


def test_an_inference_service_without_its_service_is_not_offered_yet():
    found = only(service("granite", GRANITE), services=[])
    assert found.models == ()
    assert "has no Service granite-predictor yet" in found.warnings[0]


def test_a_knative_service_is_no_endpoint():
    knative = front("granite")
    knative["spec"] = {"type": "ExternalName", "externalName": "gateway"}
    text = told(find(cluster(lists(served=[service("granite", GRANITE)], services=[knative])), {"name": "granite"}))
    assert "Knative" in text


def test_an_inference_service_that_is_deleted_by_accident_cuts_no_subscription():
    config = {**DEMO, "models": [], "modelServing": ALL}
    left = lists(served=seed()[1:])
    text = refusal(cluster(left, {CONFIG_MAPS: offered("mistral-3-int4", "granite-8b-agent")}), config)
    assert "(1 problem)" in text
    assert "litemaas:models = mistral-3-int4" in text
    assert "no longer declared or discovered" in text
    assert "retiredModels: [mistral-3-int4]" in text


def test_one_that_is_on_its_way_out_counts_as_gone():
    going = [service("granite", GRANITE, deletionTimestamp="2026-11-26T00:00:00Z")]
    text = refusal(
        cluster(lists(served=going), {CONFIG_MAPS: offered("granite")}), {**DEMO, "models": [], "modelServing": ALL}
    )
    assert "no longer declared or discovered" in text


FORBIDDEN = {inference.SERVED.format("private-ai"): Answer(403, {})}


def test_a_missing_permission_names_the_verb_and_takes_nothing_for_removed():
    double = cluster(lists(), FORBIDDEN, {CONFIG_MAPS: offered("granite")})
    text = refusal(double, {**DEMO, "models": [], "modelServing": ALL})
    assert "(1 problem)" in text
    assert "permission on inferenceservices.serving.kserve.io in namespace private-ai" in text
    assert "the verb list" in text


def test_models_that_say_all_of_themselves_need_no_permission():
    found = find(cluster(lists(), FORBIDDEN), *DEMO["models"], serving={})
    assert found.problems == ()
    assert len(found.models) == 2
    assert "you may not list them" in found.warnings[0]


def test_without_kserve_only_who_asks_for_discovery_is_refused(demo):
    assert demo.find("Model")
    text = refusal(harness.FakeCluster(), {**DEMO, "modelServing": ALL})
    assert "cluster API serving.kserve.io" in text
    assert "(1 problem)" in text


def test_a_model_that_cannot_be_found_anywhere_is_refused_before_the_cluster_is_asked():
    double = harness.FakeCluster()
    with pytest.raises(RunError) as refused:
        harness.run_program({**DEMO, "models": [{"name": "m"}]}, cluster=double)
    assert "models[0].endpoint" in str(refused.value)
    assert double.requests == []
