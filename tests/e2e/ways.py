"""The ways to a model around the gateway: pods of all kinds that call its server, and its own Route."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

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


@contextmanager
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
            stack.cluster.kubectl("delete", "pod", pod, "-n", space, "--wait=false")
    for each in spaces:
        stack.cluster.kubectl("delete", "namespace", each, "--wait=false")


def _pod(stack: Deployed, name: str, space: str) -> Json:
    return stack.cluster.get("pod", name, space)


@contextmanager
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
    """What each of the callers gets; whoever is stopped waits for five seconds, so all at once."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(callers, pool.map(lambda where: direct(stack, *where), callers.values()), strict=True))


def from_outside(stack: Deployed) -> int:
    """The status of a completion through the model's own Route."""
    return stack.web.send("POST", f"https://{HOST}/v1/chat/completions", BODY).status
