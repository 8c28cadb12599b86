"""Who can talk to whom, tried from inside: every way that is not needed is closed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.cluster import Sandbox
from tests.e2e.stack import Deployed
from tests.e2e.web import until
from tests.engine.driver import Json

PORTS = {"postgres": 5432, "redis": 6379, "litellm": 4000, "backend": 8080, "frontend": 8080}
# Places outside the namespace; "elsewhere" is an address of no use to anybody.
OUTSIDE = ("models", "router", "apiserver", "elsewhere")
ALLOWED = {
    ("postgres-bootstrap", "postgres"),
    ("litellm-migration", "postgres"),
    ("litellm", "postgres"),
    ("litellm", "redis"),
    ("litellm", "models"),
    ("models", "litellm"),
    ("key-check", "litellm"),
    ("role-check", "litellm"),
    ("role-check", "postgres"),
    ("role-check", "apiserver"),
    ("backend", "postgres"),
    ("backend", "router"),
    ("backend", "apiserver"),
    ("frontend", "backend"),
    ("verification", "router"),
}
RUNNING = ("postgres", "redis", "litellm", "backend", "frontend")
# Their pods are gone: others with the same labels take their place.
JOBS = ("postgres-bootstrap", "litellm-migration", "models", "key-check", "role-check", "verification")
STRANGERS = ("another namespace", "a pod of ours without a role")
# Tries all at once; each argument is a target's name, address and port, and for how many seconds.
CONNECT = """
for target in "$@"; do
  read -r name address port seconds <<< "$target"
  try="until < /dev/tcp/$address/$port; do sleep 1; done"
  { timeout "$seconds" bash -c "$try" 2> /dev/null && echo "$name open" || echo "$name closed"; } &
done
wait
"""


def probe(name: str, namespace: str, labels: dict[str, str]) -> Json:
    """A pod that can only be spoken from."""
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "probe",
        "image": "lab.local/tools:1",
        "command": ["sleep", "3600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "securityContext": context,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def sources(stack: Deployed) -> Iterator[dict[str, tuple[str, str]]]:
    """Namespace and pod of everybody who may try."""
    found = {each: (stack.namespace, stack.pods(each)[0]["metadata"]["name"]) for each in RUNNING}
    instance = stack.pods("redis")[0]["metadata"]["labels"]["app.kubernetes.io/instance"]
    made = []
    for each in JOBS:
        labels = {"app.kubernetes.io/instance": instance, "app.kubernetes.io/component": each}
        made.append((each, probe(f"probe-{each}", stack.namespace, labels)))
    made.append((STRANGERS[0], probe("probe", "private-ai", {})))
    made.append((STRANGERS[1], probe("probe", stack.namespace, {})))
    for _, pod in made:
        stack.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    for name, pod in made:
        where = pod["metadata"]["namespace"], pod["metadata"]["name"]
        found[name] = where
        until(f"the pod for {name}", lambda where=where: _running(stack, *where))
    yield found
    for _, pod in made:
        stack.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "-n", pod["metadata"]["namespace"])


def _running(stack: Deployed, namespace: str, name: str) -> bool:
    return stack.cluster.get("pod", name, namespace)["status"]["phase"] == "Running"


@pytest.fixture(scope="module")
def targets(stack: Deployed, sandbox: Sandbox) -> dict[str, tuple[str, int]]:
    """Address and port of everything that somebody may try."""

    def address(service: str, namespace: str) -> str:
        return stack.cluster.get("service", service, namespace)["spec"]["clusterIP"]

    inside = {each: (address(each, stack.namespace), port) for each, port in PORTS.items()}
    return inside | {
        "models": (address("granite-8b-agent-predictor", "private-ai"), 8080),
        "router": (sandbox.host, 443),
        # Where the name kubernetes.default.svc leads; like a cluster's API server on port 6443.
        "apiserver": (address("oauth-openshift", "openshift-authentication"), 443),
        # The kubelet: something that listens on the node.
        "elsewhere": (sandbox.host, 10250),
    }


def test_only_the_allowed_edges_pass(
    stack: Deployed, sources: dict[str, tuple[str, str]], targets: dict[str, tuple[str, int]]
) -> None:
    def tried(source: str) -> str:
        space, pod = sources[source]
        # What the policies say of a new pod takes effect a moment later, on a busy node after seconds.
        seconds = {target: 30 if (source, target) in ALLOWED else 4 for target in targets}
        words = [f"{name} {address} {port} {seconds[name]}" for name, (address, port) in targets.items()]
        return stack.cluster.kubectl("exec", pod, "-n", space, "--", "bash", "-c", CONNECT, "bash", *words)

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(tried, sources))
    wrong = []
    for source, lines in zip(sources, said, strict=True):
        states = dict(line.split() for line in lines.splitlines())
        assert set(states) == set(targets)
        for target, state in states.items():
            if source == STRANGERS[0] and target in OUTSIDE:
                continue  # not ours to forbid
            if (state == "open") != ((source, target) in ALLOWED):
                wrong.append(f"{source} -> {target}: {state}")
    assert wrong == []


def test_the_router_reaches_what_has_a_route_and_nothing_else(stack: Deployed, sandbox: Sandbox) -> None:
    router = stack.cluster.items("pods", "openshift-ingress", labelSelector="app=router")[0]["metadata"]["name"]
    code = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
    reached = {}
    for service, port in PORTS.items():
        address = stack.cluster.get("service", service, stack.namespace)["spec"]["clusterIP"]
        command = ["exec", router, "-n", "openshift-ingress", "--", "sh", "-c"]
        said = stack.cluster.kubectl(*command, f"python3 -c '{code}' {address} {port} && echo open || echo closed")
        reached[service] = said.strip().splitlines()[-1]
    assert reached == {
        "frontend": "open",
        "litellm": "open",
        "backend": "closed",
        "postgres": "closed",
        "redis": "closed",
    }


def test_the_probes_of_the_node_still_pass(stack: Deployed) -> None:
    for tier in RUNNING:
        for pod in stack.pods(tier):
            assert all(each["ready"] for each in pod["status"]["containerStatuses"])
