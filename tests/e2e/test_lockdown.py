"""Around the gateway: a model that anybody may call, until `modelServing.lockdown` lets only the gateway reach it."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import report
from tests.e2e.load import Load
from tests.e2e.stack import Deployed
from tests.e2e.test_network import probe
from tests.e2e.web import until
from tests.engine.driver import DOMAIN, Json

MODEL, SPACE = "granite-8b-agent", "private-ai"
HOST = f"{MODEL}-{SPACE}.{DOMAIN}"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "How are you?"}], "max_tokens": 4}
MONITORING = "openshift-user-workload-monitoring"
# Who calls the model's server directly: namespace, labels, and whether lockdown lets them.
CALLERS = {
    "a third namespace": ("strangers", {}, False),
    "the model's own namespace": (SPACE, {}, False),
    "a pod of the model's own": (SPACE, {"serving.kserve.io/inferenceservice": MODEL}, True),
    "another model's pod": (SPACE, {"serving.kserve.io/inferenceservice": "devstral-2"}, False),
    "Prometheus": (MONITORING, {"app.kubernetes.io/name": "prometheus"}, True),
    "another pod of monitoring": (MONITORING, {}, False),
    "one that calls itself Prometheus": ("strangers", {"app.kubernetes.io/name": "prometheus"}, False),
    "one that calls itself the gateway": ("strangers", {"app.kubernetes.io/component": "litellm"}, False),
}
POLICY = f"litemaas-lockdown-{MODEL}"


@pytest.fixture(scope="module")
def callers(stack: Deployed) -> Iterator[dict[str, tuple[str, str]]]:
    """Namespace and pod of everybody in CALLERS."""
    spaces = sorted({space for space, _, _ in CALLERS.values()} - {SPACE})
    for each in spaces:
        stack.cluster.kubectl("create", "namespace", each)
    found = {}
    for number, (name, (space, labels, _)) in enumerate(CALLERS.items()):
        pod = probe(f"caller-{number}", space, labels)
        if space == MONITORING:
            # No user id is given to pods of the cluster's own namespaces.
            pod["spec"]["securityContext"]["runAsUser"] = 65532
        stack.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        found[name] = space, pod["metadata"]["name"]
    for name, (space, pod) in found.items():
        until(f"the pod of {name}", lambda s=space, p=pod: _pod(stack, p, s)["status"]["phase"] == "Running")
    yield found
    for space, pod in found.values():
        if space == SPACE:
            stack.cluster.kubectl("delete", "pod", pod, "-n", space)
    for each in spaces:
        stack.cluster.kubectl("delete", "namespace", each)


def _pod(stack: Deployed, name: str, space: str) -> Json:
    return stack.cluster.get("pod", name, space)


@pytest.fixture(scope="module")
def exposed(stack: Deployed) -> Iterator[None]:
    """The Route that OpenShift AI makes for a model with the label `exposed`."""
    route = {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": MODEL, "namespace": SPACE, "labels": {"inferenceservice-name": MODEL}},
        "spec": {
            "host": HOST,
            "to": {"kind": "Service", "name": f"{MODEL}-predictor", "weight": 100},
            "port": {"targetPort": "http"},
            "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
            "wildcardPolicy": "None",
        },
    }
    stack.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(route))
    yield
    stack.cluster.kubectl("delete", "route", MODEL, "-n", SPACE)


def direct(stack: Deployed, space: str, pod: str) -> str:
    """The status of a completion that a pod asks of the model's server itself; 000 without an answer."""
    url = f"http://{MODEL}-predictor.{SPACE}.svc.cluster.local:8080/v1/chat/completions"
    shown = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5"]
    words = ["curl", *shown, "-H", "Content-Type: application/json", "-d", json.dumps(BODY), url, "||", "true"]
    line = " ".join(each if each in ("||", "true") else f"'{each}'" for each in words)
    return stack.cluster.kubectl("exec", pod, "-n", space, "--", "bash", "-c", line).strip()


def all_direct(stack: Deployed, callers: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: direct(stack, *where) for name, where in callers.items()}


def from_outside(stack: Deployed) -> int:
    """The status of a completion through the model's own Route."""
    return stack.web.send("POST", f"https://{HOST}/v1/chat/completions", BODY).status


@pytest.fixture(scope="module")
def before(stack: Deployed, callers: dict[str, tuple[str, str]], exposed: None) -> dict[str, str]:
    """What the callers get as long as nobody stops them."""
    until("the model's Route", lambda: from_outside(stack) == 200)
    return all_direct(stack, callers)


@pytest.fixture(scope="module")
def locked(stack: Deployed, before: dict[str, str]) -> Iterator[tuple[str, Load]]:
    """Lockdown, what preview said of it, and the calls through the gateway that went on meanwhile."""
    assert "200" in before.values()
    open_said = stack.project.preview()
    key = stack.unlimited_key(MODEL)
    stack.project.change(modelServing={"lockdown": True})
    said = open_said + stack.project.preview()
    with Load(lambda: str(stack.gateway.complete(key, MODEL).status), workers=2) as load:
        stack.project.up()
        until("the Route to lead nowhere", lambda: from_outside(stack) in (502, 503, 504))
    report(f"calls through the gateway while its models are locked down: {load}")
    yield said, load
    stack.project.change(modelServing=None)
    stack.project.up()


def test_before_lockdown_anybody_calls_the_model_without_a_key(before: dict[str, str]) -> None:
    assert before == dict.fromkeys(CALLERS, "200")


def test_preview_tells_of_the_ways_and_of_what_lockdown_closes(locked: tuple[str, Load]) -> None:
    said, _ = locked
    assert f"{MODEL} (InferenceService {SPACE}/{MODEL}): from outside at https://{HOST}" in said
    assert "from every pod of the cluster" in said
    assert f"lockdown closes https://{HOST}" in said


@pytest.mark.usefixtures("locked")
def test_with_lockdown_only_the_gateway_its_own_pods_and_prometheus_reach_it(
    stack: Deployed, callers: dict[str, tuple[str, str]]
) -> None:
    wanted = {name: "200" if let_in else "000" for name, (_, _, let_in) in CALLERS.items()}
    assert all_direct(stack, callers) == wanted
    assert from_outside(stack) in (502, 503, 504)


def test_through_the_gateway_no_call_was_lost(locked: tuple[str, Load]) -> None:
    _, load = locked
    assert load.failed == 0, str(load)


@pytest.mark.usefixtures("locked")
def test_the_probes_of_the_node_still_reach_the_model(stack: Deployed) -> None:
    pods = stack.cluster.items("pods", SPACE, "-l", f"app=isvc.{MODEL}-predictor")
    assert pods
    assert all(each["ready"] for pod in pods for each in pod["status"]["containerStatuses"])


@pytest.mark.usefixtures("locked")
def test_without_lockdown_the_policies_are_gone(stack: Deployed, callers: dict[str, tuple[str, str]]) -> None:
    """Last: it takes lockdown back before its fixture does."""
    names = lambda: {each["metadata"]["name"] for each in stack.cluster.items("networkpolicies", SPACE)}  # noqa: E731
    assert POLICY in names()
    stack.project.change(modelServing=None)
    stack.project.up()
    assert names() == set()
    until("the way to the model", lambda: direct(stack, *callers["a third namespace"]) == "200")
