"""What runs in the cluster for its users: DNS, router, OAuth server, models, storage class."""

import base64
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.node.names import DNS_ADDRESS, Names

HERE = Path(__file__).resolve().parent / "manifests"
Certificate = tuple[Path, Path]
"""Two files: a certificate and its key."""
DEPLOYMENTS = {
    "kube-system": ("coredns", "the cluster's DNS"),
    "openshift-ingress": ("router-default", "the router"),
    "openshift-authentication": ("oauth-openshift", "the stand-in for the OAuth server"),
}
MODELS = "private-ai"
# Ready at once, and not taken out of service by a busy machine: within 3 s of a full load the router
# was, and connections to it were refused. The manifests say the same.
PATIENT = {"periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 10}


def manifests(file: str, names: Names, domain: str) -> list[dict[str, Any]]:
    """The objects of a manifest, with this node's addresses in it."""
    # Imported late: stopping a node must work without .venv.
    import yaml  # noqa: PLC0415

    values = {"DNS": DNS_ADDRESS, "ADDRESS": names.address, "DOMAIN": domain}
    text = Template((HERE / file).read_text()).substitute(values)
    return [each for each in yaml.safe_load_all(text) if each]


def apply(client: Client, names: Names, domain: str, router: Certificate) -> None:
    """Create or update what other things need to start: storage, DNS, the router.

    Args:
        client: an administrator's.
        names: the node's.
        domain: the cluster's ingress domain.
        router: its certificate.

    Raises:
        ApiError: an object was refused.
    """
    for file in ("storage.yaml", "dns.yaml", "router.yaml"):
        for each in manifests(file, names, domain):
            client.apply(each)
    whole = "".join(each.read_text() for each in router)
    client.apply(_secret("openshift-ingress", "router", {"tls.pem": whole}))


def apply_late(client: Client, names: Names, domain: str, oauth: Certificate, authority: Path) -> None:
    """Create or update what needs OpenShift's schemas to be served: the OAuth server, the models.

    Args:
        client: an administrator's.
        names: the node's.
        domain: the cluster's ingress domain.
        oauth: the OAuth server's certificate.
        authority: what signed that.

    Raises:
        ApiError: an object was refused.
    """
    for each in manifests("oauth.yaml", names, domain):
        if each["kind"] == "Route":
            each["spec"]["tls"]["destinationCACertificate"] = authority.read_text()
        client.apply(each)
    pair = {"tls.crt": oauth[0].read_text(), "tls.key": oauth[1].read_text()}
    client.apply(_secret("openshift-authentication", "oauth-openshift", pair))
    for model in client.request("GET", f"/apis/serving.kserve.io/v1beta1/namespaces/{MODELS}/inferenceservices")[
        "items"
    ]:
        client.apply(predictor(model))


def predictor(model: dict[str, Any]) -> dict[str, Any]:
    """The Deployment that KServe would make for an InferenceService, with a stand-in for vLLM.

    One replica, also for a model that its `minReplicas` lets sleep: nothing here would wake it.
    """
    name, namespace = model["metadata"]["name"], model["metadata"]["namespace"]
    spec = model["spec"]["predictor"]["model"]
    labels = {"app": f"isvc.{name}-predictor", "serving.kserve.io/inferenceservice": name}
    container = {
        "name": "kserve-container",
        "image": "lab.local/model-server:1",
        "imagePullPolicy": "Always",
        "args": spec["args"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, **PATIENT},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-predictor", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": labels["app"]}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _secret(namespace: str, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def forget_pods(client: Client) -> None:
    """Remove the pods of an earlier start, whose states are not true any more.

    Raises:
        ApiError: the server refused.
    """
    for namespace in (*DEPLOYMENTS, MODELS):
        path = f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=0"
        try:
            client.request("DELETE", path)
        except ApiError as problem:
            if problem.status != 404:  # noqa: PLR2004  no such namespace yet
                raise


def wait(client: Client, waiting: Callable[..., None]) -> None:
    """Wait until all of them work.

    Args:
        client: an administrator's.
        waiting: polls a condition under a title, as :meth:`ControlPlane.wait` does.

    Raises:
        TimeoutError: one did not become available.
    """
    wanted = [(namespace, name, title) for namespace, (name, title) in DEPLOYMENTS.items()]
    listed = client.request("GET", f"/apis/apps/v1/namespaces/{MODELS}/deployments")["items"]
    wanted += [(MODELS, each["metadata"]["name"], "a model") for each in listed]
    for namespace, name, title in wanted:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        waiting(f"{title} to be available", lambda path=path: _available(client.request("GET", path)), 120)


def _available(deployment: dict[str, Any]) -> bool:
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return current and status.get("availableReplicas", 0) == 1 and status.get("updatedReplicas", 0) == 1
