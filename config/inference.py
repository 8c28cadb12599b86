"""KServe's InferenceServices, as a namespace has them: what each serves, where, and who is let in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from config.cluster import Cluster, Json
from config.objects import listed, mapping, name_of
from config.report import Problem
from config.vllm import Served, served

GROUP = "serving.kserve.io"
MARK = "serving.kserve.io/inferenceservice"
AUTH = "security.opendatahub.io/enable-auth"
_VISIBILITY, _EXPOSED = "networking.kserve.io/visibility", "exposed"
_BETA, _ALPHA = f"/apis/{GROUP}/v1beta1", f"/apis/{GROUP}/v1alpha1"
# resource -> the path of all of them in a namespace, and what is not known without.
_LISTS = {
    f"inferenceservices.{GROUP}": (f"{_BETA}/namespaces/{{}}/inferenceservices", "what is served"),
    f"servingruntimes.{GROUP}": (f"{_ALPHA}/namespaces/{{}}/servingruntimes", "with which arguments"),
    "services": ("/api/v1/namespaces/{}/services", "on which port"),
    "deployments.apps": ("/apis/apps/v1/namespaces/{}/deployments", "whether it is scaled to zero"),
    "routes.route.openshift.io": ("/apis/route.openshift.io/v1/namespaces/{}/routes", "who is let in from outside"),
    "networkpolicies.networking.k8s.io": (
        "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
        "who is let in from inside",
    ),
}
_CLUSTER_RUNTIMES = f"{_ALPHA}/clusterservingruntimes"
_TEMPLATE = re.compile(r"\{\{-?\s*\.(Name|Namespace)\s*-?\}\}")
# Where the proxy listens that KServe on OpenShift puts before a model whose auth is on.
_PROXY_PORT, _DEFAULT_PORT, _HTTPS = 8443, 8080, (443, 8443)


@dataclass(frozen=True, kw_only=True)
class InferenceService:
    """One model server. ``url`` is None where no Service leads to it, and ``why_not`` says why.

    ``ports`` are those of its Service that can be called, ``routes`` the hosts that lead to it from outside, and
    ``labels`` those of its pods.
    """

    namespace: str
    name: str
    url: str | None
    why_not: str
    ports: tuple[int, ...]
    served: Served
    replicas: int
    auth: bool
    not_ready: str | None
    exposed: bool
    routes: tuple[str, ...]
    labels: Mapping[str, str]

    def __str__(self) -> str:
        return f"InferenceService {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What a namespace serves by name, its policies, and the ``problems`` of asking for it."""

    namespace: str
    services: Mapping[str, InferenceService]
    policies: Sequence[Json]
    problems: Sequence[Problem] = ()


def serving(cluster: Cluster, namespaces: Iterable[str]) -> dict[str, Serving]:
    """What each namespace serves. Raises UnreachableError."""
    wanted = list(namespaces)
    paths = [(each, kind, path.format(each)) for each in wanted for kind, (path, _) in _LISTS.items()]
    if not paths:
        return {}
    with ThreadPoolExecutor(len(_LISTS)) as pool:
        shared = pool.submit(cluster.read, _CLUSTER_RUNTIMES)
        answers = dict(zip(paths, pool.map(cluster.get, [path for _, _, path in paths]), strict=True))
    runtimes = {name_of(one): one for one in listed(shared.result(), "items")}
    found: dict[str, Serving] = {}
    for each in wanted:
        lists = {kind: answer for (where, kind, _), answer in answers.items() if where == each}
        denied = [_denied(each, kind) for kind, answer in lists.items() if answer.status == HTTPStatus.FORBIDDEN]
        items: dict[str, list[Json]] = {kind: listed(answer.body, "items") for kind, answer in lists.items()}
        named = {kind: {name_of(one): one for one in items[kind]} for kind in ("services", "deployments.apps")}
        own = {name_of(one): one for one in items[f"servingruntimes.{GROUP}"]}
        routes = _hosts(items["routes.route.openshift.io"])
        present = [one for one in items[f"inferenceservices.{GROUP}"] if not one["metadata"].get("deletionTimestamp")]
        found[each] = Serving(
            namespace=each,
            services={name_of(one): _described(one, named, routes, runtimes | own) for one in present},
            policies=items["networkpolicies.networking.k8s.io"],
            problems=denied,
        )
    return found


def selected(cluster: Cluster, namespace: str, selector: str) -> set[str]:
    """The names of the InferenceServices with these labels. Raises UnreachableError."""
    path = f"{_BETA}/namespaces/{namespace}/inferenceservices?labelSelector={quote(selector)}"
    return {name_of(one) for one in listed(cluster.read(path), "items")}


def _denied(namespace: str, kind: str) -> Problem:
    what = (
        f"you may not list them; {_LISTS[kind][1]} cannot be found out for the models there; ask for the verb list "
        f"on {kind}: oc adm policy add-role-to-user view <you> -n {namespace}"
    )
    return Problem(where=f"permission on {kind} in namespace {namespace}", what=what)


def _described(
    body: Json,
    beside: Mapping[str, Mapping[str, Json]],
    routes: Mapping[str, Sequence[str]],
    runtimes: Mapping[str, Json],
) -> InferenceService:
    meta, predictor = body["metadata"], body["spec"]["predictor"]
    name, namespace = meta["name"], meta["namespace"]
    own, base = _containers(predictor, body, runtimes)
    # KServe adds the model's arguments to its runtime's, and takes its command in the runtime's stead.
    command = listed(own, "command") or listed(base, "command")
    words = [*command, *listed(base, "args"), *listed(own, "args")]
    arguments = [_filled(word, meta) for word in words]
    environment = {
        each["name"]: _filled(each.get("value") or "", meta) for one in (base, own) for each in listed(one, "env")
    }
    found = served(arguments, environment)
    auth = str(mapping(meta, "annotations").get(AUTH)).lower() == "true"
    behind = beside["services"].get(f"{name}-predictor")
    ports = _ports(behind, [*listed(own, "ports"), *listed(base, "ports")]) if behind else []
    deployment = beside["deployments.apps"].get(f"{name}-predictor", {})
    assumed = {**mapping(meta, "labels"), MARK: name, "app": f"isvc.{name}-predictor", "component": "predictor"}
    return InferenceService(
        namespace=namespace,
        name=name,
        url=_url(behind, ports, found, auth=auth) if behind and ports else None,
        why_not=_why_not(name, behind),
        ports=tuple(port for port, _ in ports),
        served=found,
        replicas=_replicas(predictor, deployment),
        auth=auth,
        not_ready=_not_ready(body),
        exposed=mapping(meta, "labels").get(_VISIBILITY) == _EXPOSED,
        routes=tuple(dict.fromkeys(host for each in _fronts(name) for host in routes.get(each, ()))),
        labels=mapping(deployment, "spec", "template", "metadata", "labels") or assumed,
    )


def _containers(predictor: Json, body: Json, runtimes: Mapping[str, Json]) -> tuple[Json, Json]:
    """The predictor's own part of the container, and what its runtime gives it; KServe starts the second first."""
    model = mapping(predictor, "model") or _main(listed(predictor, "containers"))
    status = mapping(body, "status")
    chosen = model.get("runtime") or status.get("servingRuntimeName") or status.get("clusterServingRuntimeName")
    runtime = runtimes.get(chosen or "", {})
    return model, _main(listed(runtime, "spec", "containers"))


def _main(containers: Sequence[Json]) -> Json:
    named = [one for one in containers if one.get("name") == "kserve-container"]
    nothing: Json = {}
    return next(iter([*named, *containers]), nothing)


def _filled(text: str, meta: Json) -> str:
    return _TEMPLATE.sub(lambda match: meta[match[1].lower()], text)


def _ports(service: Json, container: Sequence[Json]) -> list[tuple[int, str]]:
    """Number and name of each port that a caller may use, an encrypted one first, then HTTP before others."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return []
    named: dict[str, int] = {one["name"]: one["containerPort"] for one in container if one.get("name")}
    found: list[tuple[int, str]] = []
    for one in listed(spec, "ports"):
        port: Any = one["port"]
        if spec.get("clusterIP") == "None":
            # No address of its own: its name leads to the pods, so their port counts.
            target: Any = one.get("targetPort", port)
            known = {"https": _PROXY_PORT, "http": _DEFAULT_PORT} | named
            port = target if isinstance(target, int) else known.get(cast("str", target))
        if port:
            found.append((port, one.get("name") or ""))
    return sorted(found, key=lambda each: next(i for i, use in enumerate(("https", "http", "")) if use in each[1]))


def _url(service: Json, ports: Sequence[tuple[int, str]], found: Served, *, auth: bool) -> str:
    open_ones = [(port, name) for port, name in ports if not _is_encrypted(port, name)]
    port, name = next(iter(ports if auth else [*open_ones, *ports]))
    scheme = "https" if found.encrypted or _is_encrypted(port, name) else "http"
    meta = service["metadata"]
    return f"{scheme}://{meta['name']}.{meta['namespace']}.svc.cluster.local:{port}{found.prefix}"


def _is_encrypted(port: int, name: str) -> bool:
    return name.startswith("https") or port in _HTTPS


def _why_not(name: str, service: Json | None) -> str:
    if service is None:
        return f"has no Service {name}-predictor yet"
    if service["spec"].get("type") == "ExternalName":
        return f"has a Service {name}-predictor that leads elsewhere (Knative), not to its pods"
    return f"has a Service {name}-predictor without a port that can be called"


def _replicas(predictor: Json, deployment: Json) -> int:
    """How many are wanted now: an autoscaler may have decided otherwise than ``minReplicas``."""
    live = mapping(deployment, "spec").get("replicas")
    # KServe's own default is one.
    return predictor.get("minReplicas", 1) if live is None else live


def _not_ready(body: Json) -> str | None:
    for one in listed(body, "status", "conditions"):
        if one["type"] == "Ready" and one["status"] != "True":
            said = ": ".join(each for each in (one.get("reason"), one.get("message")) if each)
            return said or "without a reason"
    return None


def _fronts(name: str) -> tuple[str, ...]:
    """The Services that lead to the pods of an InferenceService."""
    return name, f"{name}-predictor", f"{name}-metrics"


def _hosts(routes: Sequence[Json]) -> dict[str, list[str]]:
    """The hosts that lead from outside to a Service, by its name."""
    found: dict[str, list[str]] = {}
    for one in routes:
        spec = one["spec"]
        for to in [spec["to"], *listed(spec, "alternateBackends")]:
            if host := spec.get("host"):
                found.setdefault(to["name"], []).append(host)
    return found
