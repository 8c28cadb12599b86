"""Says why a workload, Route or Certificate did not become ready: the engine prints no reason of theirs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from pulumi import ErrorHookArgs, log
from pulumi.runtime import is_dry_run

_EVENTS, _LOG_LINES = 6, 8
# A Job ends with what it has to say, the verification with a table.
_JOB_LOG_LINES = 30


class Reader(Protocol):
    """What is needed of a cluster connection."""

    def read(self, path: str) -> Mapping[str, Any]:
        """The decoded answer of GET ``path``; empty if there is none."""
        ...

    def text(self, path: str) -> str:
        """The answer of GET ``path`` as text."""
        ...


def explainer(cluster: Reader, namespace: str) -> Callable[[ErrorHookArgs], bool]:
    """An error hook that prints states, events and last log lines of the failed workload's pods."""

    def explain(failure: ErrorHookArgs) -> bool:
        # A refused or conflicting object never got as far as its pods; at preview nothing did.
        refused = any(word in error for error in failure.errors for word in ("conflict", "is invalid", "forbidden"))
        if refused or is_dry_run():
            return False
        # A diagnosis that fails must not hide the failure itself.
        try:
            inputs = failure.new_inputs or failure.old_inputs or {}
            if say := {"Route": describe_route, "Certificate": describe_certificate}.get(inputs["kind"]):
                log.error(say(cluster, namespace, inputs["metadata"]["name"]))
            elif inputs["kind"] == "Cluster":
                log.error(describe_cluster(cluster, namespace, failure.name, inputs["metadata"]["name"]))
            else:
                labels: Mapping[str, str] = inputs["spec"]["template"]["metadata"]["labels"]
                log.error(describe(cluster, namespace, failure.name, labels, job=inputs["kind"] == "Job"))
        except Exception as error:  # noqa: BLE001
            log.warn(f"{failure.name} failed, and its pods could not be examined: {error}")
        return False

    return explain


def describe(cluster: Reader, namespace: str, workload: str, labels: Mapping[str, str], *, job: bool = False) -> str:
    """The state of the pods with ``labels``, as lines for a person; of a ``job``'s tries the last one."""
    selector = quote(",".join(f"{key}={value}" for key, value in sorted(labels.items())))
    base = f"/api/v1/namespaces/{namespace}"
    pods = cluster.read(f"{base}/pods?labelSelector={selector}").get("items", [])
    component = labels.get("app.kubernetes.io/component", workload)
    lines = [f"{workload} did not become ready. Pods of {component}:"]
    if not pods:
        lines.append("  none: the controller could not make one; its events:")
        lines += _events(cluster, base, None, component)
    # A Job that is run again has the pods of its earlier successes beside it.
    left = [each for each in pods if each.get("status", {}).get("phase") != "Succeeded"]
    for pod in _last_try(left) if job else left:
        lines += _pod(cluster, base, pod, _JOB_LOG_LINES if job else _LOG_LINES)
    lines.append(f"Look further: oc get pods,events -n {namespace}; run up again once the cause is gone.")
    return "\n".join(lines)


def describe_route(cluster: Reader, namespace: str, name: str) -> str:
    """What the routers say about a Route, as lines for a person."""
    path = f"/apis/route.openshift.io/v1/namespaces/{namespace}/routes/{name}"
    route = cluster.read(path)
    routers = route.get("status", {}).get("ingress", [])
    lines = [f"No router admits Route {name} (host {route.get('spec', {}).get('host', 'unknown')}):"]
    lines += [
        f"  router {router.get('routerName', '')}: {_reason(condition)}"
        for router in routers
        for condition in router.get("conditions", [])
    ]
    if not routers:
        lines.append("  no router has looked at it; its ingress controller may not serve this namespace or domain")
    lines.append(f"Look further: oc describe route {name} -n {namespace}; oc get routes -A | grep <host>")
    return "\n".join(lines)


def describe_cluster(cluster: Reader, namespace: str, resource: str, name: str) -> str:
    """What CloudNativePG says about a Cluster, and the state of its pods, as lines for a person."""
    path = f"/apis/postgresql.cnpg.io/v1/namespaces/{namespace}/clusters/{name}"
    status = cluster.read(path).get("status", {})
    phase = f"{status.get('phase', '')} {status.get('phaseReason', '')}".strip()
    said = f"The operator says of Cluster {name}: {phase or 'nothing; does it run, and watch this namespace?'}"
    return f"{said}\n{describe(cluster, namespace, resource, {'cnpg.io/cluster': name})}"


def describe_certificate(cluster: Reader, namespace: str, name: str) -> str:
    """What cert-manager says about a Certificate, as lines for a person."""
    found = cluster.read(f"/apis/cert-manager.io/v1/namespaces/{namespace}/certificates/{name}")
    conditions = found.get("status", {}).get("conditions", [])
    lines = [f"cert-manager has not made certificate {name}:"]
    lines += [f"  {condition['type']} is {condition['status']}: {_reason(condition)}" for condition in conditions]
    if not conditions:
        lines.append("  it has not looked at it, and may not be running: oc get pods -n cert-manager")
    lines.append(f"Look further: oc describe certificate,certificaterequest,order,challenge -n {namespace}")
    return "\n".join(lines)


def _last_try(pods: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The newest pod that failed, since all tell the same; all pods if none did."""
    failed = [each for each in pods if each["status"].get("phase") == "Failed"]
    return [max(failed, key=lambda each: each["metadata"].get("creationTimestamp", ""))] if failed else pods


def _pod(cluster: Reader, base: str, pod: Mapping[str, Any], log_lines: int) -> list[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    lines = [f"  pod {name}: {status.get('phase', 'Unknown')}"]
    lines += [
        f"    {condition['type']} is {condition['status']}: {_reason(condition)}"
        for condition in status.get("conditions", [])
        if condition["status"] != "True" and condition.get("message")
    ]
    for container in status.get("containerStatuses", []):
        lines += _container(container)
    lines += _events(cluster, base, name, None)
    if status.get("containerStatuses"):
        restarted = any(container.get("restartCount") for container in status["containerStatuses"])
        previous = "&previous=true" if restarted else ""
        text = cluster.text(f"{base}/pods/{name}/log?tailLines={log_lines}{previous}")
        lines += [f"    log: {line}" for line in text.rstrip().splitlines()[-log_lines:]]
    return lines


def _container(container: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for moment in ("state", "lastState"):
        states: Mapping[str, Mapping[str, Any]] = container.get(moment) or {}
        for kind, detail in states.items():
            if kind == "running":
                continue
            code = f" with exit code {detail['exitCode']}" if "exitCode" in detail else ""
            lines.append(f"    container {container['name']} {kind}{code}: {_reason(detail)}")
    return lines


def _reason(detail: Mapping[str, Any]) -> str:
    return f"{detail.get('reason', '')} {detail.get('message', '')}".strip()


def _events(cluster: Reader, base: str, pod: str | None, component: str | None) -> list[str]:
    selector = f"&fieldSelector=involvedObject.name%3D{pod}" if pod else ""
    items = cluster.read(f"{base}/events?limit=500{selector}").get("items", [])
    if component:
        items = [item for item in items if item["involvedObject"].get("name", "").startswith(component)]
    warnings = [item for item in items if item.get("type") == "Warning"]
    warnings.sort(key=lambda item: item.get("lastTimestamp") or item.get("eventTime") or "")
    return [f"    event: {_reason(item)}" for item in warnings[-_EVENTS:]]
