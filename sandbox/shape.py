"""Gives the bare API server OpenShift's shape: schemas, policies, nodes, models."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.client import ApiError, Client, object_path

ROUTE, INGRESS = "routes.route.openshift.io", "ingresses.config.openshift.io"
INFERENCE = "inferenceservices.serving.kserve.io"
Object = dict[str, Any]
Wait = Callable[[str, Callable[[], bool]], None]


def load(file: Path) -> list[Object]:
    """The objects of a YAML file."""
    # Imported late: stopping a sandbox must work without .venv.
    import yaml  # noqa: PLC0415

    # The C parser is ten times faster; the wheel has it, a source build may not.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with file.open() as stream:
        return [each for each in yaml.load_all(stream, loader) if each]


def route_crd(openshift: Path) -> Object:
    """OpenShift's Route schema with the rules that its API server adds in code.

    A host that was set cannot be removed; who may change it, a policy in routes.yaml says.
    The CRD of the openshift/api module lacks the first, and it lets capitals in a host and
    blanks in a path through, which the server refuses.
    """
    crd = load(openshift / "routes.crd.yaml")[0]
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["required"] = sorted({*spec["required"], "host"})
    spec["x-kubernetes-validations"] += [
        {"rule": "has(self.host)", "message": "spec.host cannot be removed"},
    ]
    host, path = spec["properties"]["host"], spec["properties"]["path"]
    host["x-kubernetes-validations"] = [{"rule": "self == self.lowerAscii()", "message": "host must be in lower case"}]
    # The bound keeps the rule below within the API server's cost limit.
    path["maxLength"] = 1024
    path["x-kubernetes-validations"] = [
        {"rule": "!self.matches('[ #]')", "message": "path may not contain a space or '#'"}
    ]
    return crd


def definitions(openshift: Path, omit: Collection[str]) -> list[Object]:
    """All custom resource definitions but the omitted ones.

    Raises:
        ValueError: ``omit`` names a definition that does not exist.
    """
    crds = [
        route_crd(openshift),
        *load(openshift / "ingresses.crd.yaml"),
        *load(openshift / "consolelinks.crd.yaml"),
        *load(paths.MANIFESTS / "crds-oauth.yaml"),
        *load(paths.MANIFESTS / "crds-kserve.yaml"),
        *load(paths.MANIFESTS / "crds-cnpg.yaml"),
        *load(paths.MANIFESTS / "crds-certmanager.yaml"),
        *load(paths.MANIFESTS / "crds-external-secrets.yaml"),
    ]
    names = [each["metadata"]["name"] for each in crds]
    if unknown := sorted(set(omit) - set(names)):
        raise ValueError(f"cannot leave out {unknown}: the definitions are {sorted(names)}")
    return [each for each in crds if each["metadata"]["name"] not in omit]


def nodes(kubelet_port: int) -> list[Object]:
    """The simulated nodes, with the address that serves their logs."""
    found = load(paths.MANIFESTS / "nodes.yaml")
    for node in found:
        node["status"]["daemonEndpoints"] = {"kubeletEndpoint": {"Port": kubelet_port}}
    return found


def model_status(model: Object, domain: str) -> Object:
    """The status that KServe would write for a model."""
    meta = model["metadata"]
    name, now = meta["name"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "url": f"https://{name}-{meta['namespace']}.{domain}",
        "address": {"url": f"http://{name}-predictor.{meta['namespace']}.svc.cluster.local:8080"},
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in ("IngressReady", "PredictorReady", "Ready")
        ],
    }


def apply_early(client: Client, openshift: Path, omit: Collection[str], kubelet_port: int | None) -> None:
    """Apply what takes effect with a delay: schemas, policies, and for simulated nodes these and their storage.

    Args:
        client: an administrator's.
        openshift: folder of OpenShift's definitions.
        omit: names of definitions to leave out.
        kubelet_port: of the stand-in for the nodes' kubelets; None where a real node joins.

    Raises:
        ApiError: an object was refused.
    """
    objects = definitions(openshift, omit)
    for file in (
        "scc.yaml",
        "routes.yaml",
        "ingressclasses.yaml",
        "rbac.yaml",
        *(["storage.yaml"] if kubelet_port else []),
    ):
        objects += load(paths.MANIFESTS / file)
    for each in objects:
        client.apply(each)
    for node in nodes(kubelet_port) if kubelet_port else ():
        client.apply(node)
        client.apply(node, "status")


def apply_late(client: Client, openshift: Path, omit: Collection[str], domain: str, wait: Wait) -> None:
    """Wait until schemas and policies are in force, then apply the objects that need them.

    Raises:
        TimeoutError: something did not take effect; the message says what.
        ApiError: an object was refused.
    """
    for crd in definitions(openshift, omit):
        wait(f"{crd['metadata']['name']} to be served", lambda crd=crd: _served(client, crd))
    wait("the policy for user ids to be in force", lambda: _policy_in_force(client))
    if INGRESS not in omit:
        client.apply(
            {
                "apiVersion": "config.openshift.io/v1",
                "kind": "Ingress",
                "metadata": {"name": "cluster"},
                "spec": {"domain": domain},
            }
        )
    for each in load(paths.MANIFESTS / "models.yaml"):
        if each["apiVersion"].startswith("serving.kserve.io") and INFERENCE in omit:
            continue
        client.apply(each)
        if each["kind"] == "InferenceService":
            client.apply({**each, "status": model_status(each, domain)}, "status")
    wait("refusal of foreign user ids to be in force", lambda: _refused(client))


def wait(what: str, ready: Callable[[], bool], seconds: float = 20) -> None:
    """Poll until ``ready`` says so.

    Raises:
        TimeoutError: naming ``what`` did not happen.
    """
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)


def _served(client: Client, crd: Object) -> bool:
    spec = crd["spec"]
    resource = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    return bool(client.request("GET", f"{resource}?limit=1"))


def _policy_in_force(client: Client) -> bool:
    probe = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sandbox-probe"}}
    made = client.request("POST", "/api/v1/namespaces?dryRun=All", probe)
    return "openshift.io/sa.scc.uid-range" in made["metadata"].get("annotations", {})


def _refused(client: Client) -> bool:
    # Sound in every other respect: PodSecurity is asked before the policy.
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user = {"runAsUser": 7, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sandbox-probe", "namespace": "private-ai"},
        "spec": {
            "securityContext": user,
            "containers": [{"name": "a", "image": "a", "securityContext": container}],
        },
    }
    path = object_path(pod).rpartition("/")[0]
    try:
        client.request("POST", f"{path}?dryRun=All", pod)
    except ApiError as refusal:
        return "security context constraint" in str(refusal)
    return False
