"""InferenceServices and what belongs to them, as an API server with KServe lists them."""

from typing import Any

from tests import harness

Json = dict[str, Any]
SPACE = "private-ai"
SERVED = "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices"
RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
CLUSTER_RUNTIMES = "/apis/serving.kserve.io/v1alpha1/clusterservingruntimes"
SERVICES = "/api/v1/namespaces/{}/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"
ROUTES = "/apis/route.openshift.io/v1/namespaces/{}/routes"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
AUTH = {"security.opendatahub.io/enable-auth": "true"}
# The seed's four: what they are started with, and whether they are scaled to zero.
SEED = {
    "mistral-3-int4": (8192, True, 0),
    "granite-8b-agent": (16384, True, 1),
    "devstral-2": (32768, True, 0),
    "gpt-oss-20b": (8192, False, 0),
}


def arguments(name: str, length: int, *, tools: bool) -> list[str]:
    words = [f"--served-model-name={name}", f"--max-model-len={length}", "--gpu-memory-utilization=0.9"]
    return [*words, *(["--enable-auto-tool-choice", "--tool-call-parser=granite"] if tools else [])]


def service(name: str, args: list[str] | None = None, space: str = SPACE, **more: Any) -> Json:
    """An InferenceService; ``more`` goes into its model, besides ``replicas`` and what its metadata has."""
    metadata = {key: more.pop(key) for key in ("labels", "annotations", "deletionTimestamp") if key in more}
    predictor: Json = {"minReplicas": more.pop("replicas", 1)}
    if "containers" in more:
        predictor["containers"] = more.pop("containers")
    else:
        predictor["model"] = {"modelFormat": {"name": "vLLM"}, "args": args, **more}
    return {"metadata": {"name": name, "namespace": space, **metadata}, "spec": {"predictor": predictor}}


def front(name: str, space: str = SPACE, *, headless: bool = False, ports: list[Json] | None = None) -> Json:
    """The predictor's Service."""
    spec = {
        "clusterIP": "None" if headless else "10.217.4.5",
        "ports": ports or [{"name": "http", "port": 8080, "targetPort": 8080}],
    }
    return {"metadata": {"name": f"{name}-predictor", "namespace": space}, "spec": spec}


def route(name: str, host: str) -> Json:
    return {"metadata": {"name": name}, "spec": {"host": host, "to": {"kind": "Service", "name": f"{name}-predictor"}}}


def lists(space: str = SPACE, **kinds: list[Json]) -> dict[str, Json]:
    """Answers for a namespace; a Service for every InferenceService unless ``services`` are given."""
    served = kinds.get("served", [])
    fronts = kinds.get("services", [front(one["metadata"]["name"], space) for one in served])
    paths = {SERVED: served, RUNTIMES: kinds.get("runtimes", []), SERVICES: fronts}
    paths |= {DEPLOYMENTS: kinds.get("deployments", []), ROUTES: kinds.get("routes", [])}
    paths |= {POLICIES: kinds.get("policies", [])}
    return {path.format(space): {"items": items} for path, items in paths.items()}


def seed() -> list[Json]:
    return [
        service(name, arguments(name, length, tools=tools), replicas=replicas)
        for name, (length, tools, replicas) in SEED.items()
    ]


def cluster(*answers: Json, **more: Any) -> harness.FakeCluster:
    """A double of a cluster with KServe."""
    known: Json = {}
    for each in answers:
        known |= each
    return harness.FakeCluster(known, more_apis={"serving.kserve.io"}, **more)
