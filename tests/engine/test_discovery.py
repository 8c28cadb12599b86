"""Models that the cluster serves, read at preview from a real API server; lockdown and its end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import GRANITE, Cluster, Json, Project, Told

SPACE = "private-ai"
DISCOVERED = {"discover": [{"namespace": SPACE}]}
SERVED = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
# The seed's four, as they are really served.
SEED = {"mistral-3-int4": 8192, "granite-8b-agent": 16384, "devstral-2": 32768, "gpt-oss-20b": 8192}
WORDS = ["--max-model-len", "4096", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
JOINED = ["--served-model-name={{.Name}}-x", "--max-model-len=4k"]
RUNTIME = {
    "apiVersion": "serving.kserve.io/v1alpha1",
    "kind": "ClusterServingRuntime",
    "metadata": {"name": "shared-runtime"},
    "spec": {
        "containers": [
            {"name": "kserve-container", "args": JOINED, "ports": [{"name": "h", "containerPort": 8000}]},
        ]
    },
}


def service(name: str, space: str, predictor: Json, **metadata: Any) -> Json:
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": space, **metadata},
        "spec": {"predictor": predictor},
    }


def model(**more: Any) -> Json:
    return {"model": {"modelFormat": {"name": "vLLM"}, **more}}


def front(name: str, space: str, *ports: Json, headless: bool = False) -> Json:
    spec: Json = {"selector": {"app": f"isvc.{name}-predictor"}, "ports": list(ports)}
    if headless:
        spec["clusterIP"] = "None"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-predictor", "namespace": space},
        "spec": spec,
    }


PORT = {"name": "http", "port": 80, "targetPort": 8080}


@pytest.fixture(scope="module")
def variants(cluster: Cluster) -> Iterator[str]:
    """A namespace with an InferenceService of every form."""
    space = "model-variants"
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}},
        RUNTIME,
        service("words", space, model(args=[*WORDS, "--served-model-name", "words"]), labels={"offered": "yes"}),
        front("words", space, PORT),
        service("headless", space, model(runtime="shared-runtime", args=WORDS[:2])),
        front("headless", space, {"name": "http", "port": 80, "targetPort": "h"}, headless=True),
        service(
            "container",
            space,
            {
                "minReplicas": 0,
                "containers": [
                    {
                        "name": "kserve-container",
                        "command": ["sh", "-c", "vllm serve /m --max-model-len 2048 --served-model-name container"],
                    }
                ],
            },
        ),
        front("container", space, PORT),
        service(
            "variable",
            space,
            model(env=[{"name": "VLLM_ADDITIONAL_ARGS", "value": "--max-model-len=1K --task=embed"}]),
        ),
        front("variable", space, PORT),
        service("no-service", space, model(args=WORDS)),
    ]
    for each in made:
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(each))
    yield space
    cluster.kubectl("delete", "namespace", space)
    cluster.kubectl("delete", "clusterservingruntime", "shared-runtime")


def rows(plan: Told) -> dict[str, Json]:
    """The inputs of every model that a preview would make, by name."""
    return {step.new["model"]: step.new for step in plan.steps if step.kind == "Model"}


def test_the_seeds_models_are_discovered_as_they_are_really_served_and_labels_choose_among_others(
    empty: Project, variants: str
) -> None:
    chosen = {"namespace": variants, "labelSelector": "offered in (yes)"}
    empty.change(models=[], modelServing={"discover": [{"namespace": SPACE}, chosen]})
    found = rows(empty.plan())
    assert found.pop("words")
    assert {name: one["context_length"] for name, one in found.items()} == SEED
    assert {name: one["tools"] for name, one in found.items()} == {name: name != "gpt-oss-20b" for name in SEED}
    assert {name for name, one in found.items() if one["serving"]} == {"granite-8b-agent"}
    assert found["granite-8b-agent"]["endpoints"][0]["url"] == GRANITE["endpoint"]


def test_every_form_of_an_inference_service_is_read(empty: Project, variants: str) -> None:
    empty.change(models=[], modelServing={"discover": [{"namespace": variants}]})
    plan = empty.plan()
    assert f"InferenceService {variants}/no-service has no Service no-service-predictor yet" in plan.said
    found = rows(plan)
    one = {name: (row["endpoints"][0]["url"], row["endpoints"][0]["served_name"]) for name, row in found.items()}
    address = f"http://{{0}}-predictor.{variants}.svc.cluster.local:{{1}}/v1"
    assert one == {
        "words": (address.format("words", 80), "words"),
        "headless": (address.format("headless", 8000), "headless-x"),
        "container": (address.format("container", 80), "container"),
        "variable": (address.format("variable", 80), "variable"),
    }
    lengths = {name: row["context_length"] for name, row in found.items()}
    assert lengths == {"words": 4096, "headless": 4096, "container": 2048, "variable": 1024}
    assert {name for name, row in found.items() if row["tools"]} == {"words"}
    assert {name for name, row in found.items() if row["embedding"]} == {"variable"}
    assert {name for name, row in found.items() if not row["serving"]} == {"container"}


def test_contradictions_are_refused_with_both_values_and_a_length_that_nobody_tells_with_its_place(
    empty: Project,
) -> None:
    devstral = {"name": "devstral-2", "namespace": SPACE, "contextLength": 131072}
    oss = {"name": "gpt-oss-20b", "namespace": SPACE, "tools": True}
    alone = {"name": "m", "endpoint": "http://m-predictor.private-ai.svc.cluster.local:8080/v1"}
    empty.change(models=[devstral, oss, alone])
    said = empty.refused()
    assert "models[0].contextLength = 131072" in said
    assert "--max-model-len 32768" in said
    assert "models[1].tools = true" in said
    assert "litemaas:models[2].contextLength" in said
    assert "Write for example 16384" in said
    assert "(3 problems)" in said


def test_a_model_scaled_to_zero_and_ways_around_the_gateway_are_told(empty: Project) -> None:
    empty.change(models=["granite-8b-agent", "devstral-2"])
    said = empty.preview()
    assert "devstral-2: InferenceService private-ai/devstral-2 has 0 replicas" in said
    assert "granite-8b-agent (InferenceService private-ai/granite-8b-agent): from outside" in said
    assert "from every pod of the cluster" in said
    assert "modelServing.lockdown: true" in said


def test_a_user_who_may_not_look_there_is_told_the_verb(empty: Project, sandbox: Sandbox) -> None:
    empty.env["KUBECONFIG"] = str(sandbox.kubeconfig_limited)
    empty.change(models=[], modelServing={**DISCOVERED, "lockdown": True})
    said = empty.refused()
    assert f"permission on inferenceservices.serving.kserve.io in namespace {SPACE}" in said
    assert "the verb list" in said


@pytest.fixture
def passing(cluster: Cluster) -> Iterator[Json]:
    """An InferenceService that a test deletes."""
    one = service("passing", SPACE, model(args=WORDS))
    for each in (one, front("passing", SPACE, PORT)):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(each))
    yield one
    for kind, name in (("inferenceservice", "passing"), ("service", "passing-predictor")):
        cluster.kubectl("delete", kind, name, "-n", SPACE, "--ignore-not-found")


def policies(cluster: Cluster) -> dict[str, Json]:
    return {each["metadata"]["name"]: each for each in cluster.items("networkpolicies", SPACE)}


def test_discovery_and_lockdown_from_up_to_destroy(empty: Project, cluster: Cluster, passing: Json) -> None:
    empty.change(models=["granite-8b-agent"], modelServing={**DISCOVERED, "lockdown": True})
    empty.up()
    names = {*SEED, "passing"}
    assert set(empty.outputs()["models"]) == names
    namespace = empty.config()["namespace"]
    made = policies(cluster)
    assert set(made) == {f"{namespace}-lockdown-{name}" for name in names}
    assert {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in made.values()} == {empty.stack}
    plan = empty.plan()
    assert "Models answer without a key" not in plan.said
    assert plan.rows == set()

    # Somebody deletes one: no subscription goes with it, until it is said that it is meant.
    cluster.kubectl("delete", "inferenceservice", "passing", "-n", SPACE)
    said = empty.refused()
    assert "litemaas:models = passing" in said
    assert "no longer declared or discovered" in said
    empty.change(retiredModels=["passing"], modelServing=DISCOVERED)
    empty.up()
    assert set(empty.outputs()["models"]) == set(SEED)

    # A policy of that name that somebody else made is not taken.
    assert policies(cluster) == {}
    theirs = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{namespace}-lockdown-devstral-2", "namespace": SPACE},
        "spec": {"podSelector": {}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(theirs))
    try:
        empty.change(modelServing={**DISCOVERED, "lockdown": True})
        assert f"NetworkPolicy {namespace}-lockdown-devstral-2" in empty.refused()
    finally:
        cluster.kubectl("delete", "networkpolicy", theirs["metadata"]["name"], "-n", SPACE)
    empty.up()
    assert set(policies(cluster)) == {f"{namespace}-lockdown-{name}" for name in SEED}
    empty.destroy()
    assert policies(cluster) == {}
