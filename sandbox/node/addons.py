"""What runs in the cluster for its users: DNS, the router, the storage class."""

import base64
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from sandbox.client import ApiError, Client
from sandbox.node.names import DNS_ADDRESS, Names

HERE = Path(__file__).resolve().parent / "manifests"
DEPLOYMENTS = {
    "kube-system": ("coredns", "the cluster's DNS"),
    "openshift-ingress": ("router-default", "the router"),
}


def manifests(file: str, names: Names, domain: str) -> list[dict[str, Any]]:
    """The objects of a manifest, with this node's addresses in it."""
    # Imported late: stopping a node must work without .venv.
    import yaml  # noqa: PLC0415

    values = {"DNS": DNS_ADDRESS, "ADDRESS": names.address, "DOMAIN": domain}
    text = Template((HERE / file).read_text()).substitute(values)
    return [each for each in yaml.safe_load_all(text) if each]


def apply(client: Client, names: Names, domain: str, certificate: tuple[Path, Path]) -> None:
    """Create or update them.

    Args:
        client: an administrator's.
        names: the node's.
        domain: the cluster's ingress domain.
        certificate: the router's, and its key.

    Raises:
        ApiError: an object was refused.
    """
    for file in ("storage.yaml", "dns.yaml", "router.yaml"):
        for each in manifests(file, names, domain):
            client.apply(each)
    text = "".join(each.read_text() for each in certificate)
    client.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "router", "namespace": "openshift-ingress"},
            "data": {"tls.pem": base64.b64encode(text.encode()).decode()},
        }
    )


def forget_pods(client: Client) -> None:
    """Remove the pods of an earlier start, whose states are not true any more.

    Raises:
        ApiError: the server refused.
    """
    for namespace in DEPLOYMENTS:
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
    for namespace, (name, title) in DEPLOYMENTS.items():
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        waiting(f"{title} to be available", lambda path=path: _available(client.request("GET", path)), 120)


def _available(deployment: dict[str, Any]) -> bool:
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return current and status.get("availableReplicas", 0) == 1 and status.get("updatedReplicas", 0) == 1
