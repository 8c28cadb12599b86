"""The ways between pods: those that something uses, and those that the network policies leave open.

What is used is read from the other end than the program draws its edges: from the environment,
Secrets and ConfigMaps that each rendered pod gets, and from the Routes.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests import harness

COMPONENT, INSTANCE = "app.kubernetes.io/component", "app.kubernetes.io/instance"
ROUTERS, HOST_NETWORK = (f"policy-group.network.openshift.io/{each}" for each in ("ingress", "host-network"))
EVERYWHERE = {"0.0.0.0/0", "::/0"}
# Addresses of pages that a browser opens; the pod that is told them never calls them.
FOR_BROWSERS = {"CORS_ORIGIN", "OAUTH_CALLBACK_URL"}
OWN = ("postgres", "redis", "litellm")
# What CloudNativePG needs of the pods that it makes: it and they themselves at both ports, and the API server.
OPERATED = {"matchLabels": {"cnpg.io/cluster": "postgres"}}
OPERATED_PORTS = (5432, 8000)
# Peers that two selectors describe together.
CHOSEN = {
    "operator": ({}, {"app.kubernetes.io/name": "cloudnative-pg"}),
    "monitoring": ({"kubernetes.io/metadata.name": "openshift-monitoring"}, {"app.kubernetes.io/name": "prometheus"}),
    "users' monitoring": (
        {"kubernetes.io/metadata.name": "openshift-user-workload-monitoring"},
        {"app.kubernetes.io/name": "prometheus"},
    ),
}
# So are those in a policy for a page.
POLICY = re.compile(r"^ *set \$policy .*$", re.MULTILINE)
URL = re.compile(r"\b[a-z]+://[^\s\"'`;,]+")
# nginx' name for several servers, and one of them.
UPSTREAM = re.compile(r"^upstream (\S+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
SERVER = re.compile(r"^ *server (\S+):(\d+)\b", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Way:
    """A way from or to a pod: the peer in words, and the port; 0 stands for every port."""

    peer: str
    port: int = 0


Ways = dict[str, set[Way]]
# In which ways a policy can let a caller out to places that no label of ours describes.
TO_THE_ROUTER = {Way("routers"), Way("any address", 443)}
TO_THE_API_SERVER = {Way("any address", 443), Way("any address", 6443)}


# --- What is used ---


def told(run: harness.Run, workload: harness.Registration) -> Iterator[tuple[str, str]]:
    """Name and text of everything that the pods of ``workload`` get to read."""
    data = {
        f"{one.name}-auto": one.inputs.get("data") or one.inputs.get("stringData") or {}
        for one in [*run.find("Secret"), *run.find("ConfigMap")]
    }
    container = harness.container(workload)
    for one in container.get("env", []):
        source = one.get("valueFrom", {}).get("secretKeyRef")
        yield one["name"], data[source["name"]][source["key"]] if source else one["value"]
    for one in container.get("envFrom", []):
        yield from data[one["secretRef"]["name"]].items()
    for path, name in harness.leaves((workload.pod or {}).get("volumes", [])):
        if path.endswith((".secretName", ".configMap.name")):
            yield from data.get(name, {}).items()


def addresses(texts: Iterable[tuple[str, str]]) -> Iterator[tuple[str, int]]:
    """Hosts and ports that somebody who is told ``texts`` calls."""
    known = {name: POLICY.sub("", text) for name, text in texts if name not in FOR_BROWSERS}
    several = {name: servers for text in known.values() for name, servers in UPSTREAM.findall(text)}
    for name, text in known.items():
        for url in map(urlsplit, URL.findall(text)):
            host = url.hostname or ""
            if host in several:
                yield from ((server, int(port)) for server, port in SERVER.findall(several[host]))
            elif host not in {"", "127.0.0.1", "localhost"}:
                yield host, url.port or {"http": 80, "https": 443}[url.scheme]
        # HOST alone is what a server listens on.
        if name.endswith("HOST") and name != "HOST":
            yield text, int(known[name.removesuffix("HOST") + "PORT"])


def component(workload: harness.Registration) -> str:
    return workload.template["metadata"]["labels"][COMPONENT]


def components(run: harness.Run) -> set[str]:
    """All that have pods, those of an operator included."""
    return {component(one) for one in run.workloads} | ({"postgres"} if run.find("Cluster") else set())


def behind(run: harness.Run, service: str) -> tuple[str, int]:
    """The component that answers at a Service, and its container's port."""
    spec = run.one("Service", service).inputs["spec"]
    workload = next(one for one in run.workloads if matches(spec["selector"], one))
    assert [one["targetPort"] for one in spec["ports"]] == [one["port"] for one in spec["ports"]]
    return component(workload), spec["ports"][0]["targetPort"]


def way_to(run: harness.Run, host: str, port: int) -> set[Way]:
    # With a certificate a Service of ours is called by the name for which that is good.
    host = host.removesuffix(f".{run.exports['namespace']}.svc") if host.partition(".")[0] in OWN else host
    if host in {one.metadata["name"] for one in run.find("Service")}:
        name, listening = behind(run, host)
        assert listening == port
        return {Way(name, port)}
    if host == "postgres-rw" and run.find("Cluster"):
        return {Way("postgres", port)}
    if host == "kubernetes.default.svc":
        return TO_THE_API_SERVER
    if host.endswith(harness.DOMAIN):
        return TO_THE_ROUTER
    found = re.fullmatch(r"[-a-z0-9.]+?\.([-a-z0-9]+)\.svc(\.cluster\.local)?", host)
    if found and found[1] != run.exports["namespace"]:
        return {Way(f"namespace {found[1]}")}
    return {Way("neighbours")} if found or "." not in host else {Way("any address", port)}


def used(run: harness.Run, *, monitored: bool = False) -> tuple[Ways, Ways]:
    """The ways into, and out of, each component that something in the program uses.

    ``monitored``: the cluster's Prometheus servers were let in by the stack file.
    """
    out: Ways = {name: set() for name in components(run)}
    into: Ways = {name: set() for name in out}
    for workload in run.workloads:
        texts = [(name, text) for name, text in told(run, workload) if not name.endswith(".json")]
        for host, port in addresses(texts):
            out[component(workload)] |= way_to(run, host, port)
    for one in run.find("ConfigMap"):
        if one.labels[COMPONENT] == "model":
            # The Job that reads it does not call the model; LiteLLM does, which the Job tells of it.
            declared = [json.loads(text)["endpoints"] for text in one.inputs["data"].values()]
            servers = addresses([(server["url"], server["url"]) for each in declared for server in each])
            out["litellm"] |= {way for host, port in servers for way in way_to(run, host, port)}
    _by_others(run, into, out, monitored=monitored)
    for source, ways in out.items():
        for way in ways:
            if way.peer in into:
                into[way.peer].add(Way(source, way.port))
            if way.peer == "neighbours":
                into.setdefault("neighbours", set()).add(Way(source))
    for route in run.find("Route"):
        name, port = behind(run, route.inputs["spec"]["to"]["name"])
        into[name].add(Way("routers", port))
    return into, out


def _by_others(run: harness.Run, into: Ways, out: Ways, *, monitored: bool) -> None:
    """What is used by those who are told nothing by the program: the operator, and who watches."""
    if run.find("Cluster"):
        out["postgres"] |= {Way("postgres", port) for port in OPERATED_PORTS} | TO_THE_API_SERVER
        into["postgres"] |= {Way("operator", port) for port in OPERATED_PORTS}
    for name in ("litellm", "backend") if monitored else ():
        who = ("monitoring", "users' monitoring")
        into[name] |= {Way(each, behind(run, name)[1]) for each in who}


# --- What is let through ---


def matches(labels: dict[str, str], workload: harness.Registration) -> bool:
    return workload.template["metadata"]["labels"].items() >= labels.items()


def selected(run: harness.Run, selector: dict) -> set[str]:
    """The components whose pods ``selector`` finds; "neighbours" for what is none of ours."""
    if selector == {"matchExpressions": [{"key": INSTANCE, "operator": "NotIn", "values": ["dev"]}]}:
        return {"neighbours"}
    if selector == OPERATED:
        return {"postgres"} if run.find("Cluster", "postgres") else set()
    assert set(selector) <= {"matchLabels"}
    if not selector:
        return components(run)
    return {component(one) for one in run.workloads if matches(selector.get("matchLabels", {}), one)}


def peers(run: harness.Run, rule: list[dict]) -> set[str]:
    found: set[str] = set()
    blocks = {one["ipBlock"]["cidr"] for one in rule if "ipBlock" in one}
    assert blocks in (set(), EVERYWHERE), "half of the world only"
    for one in rule:
        if len(one) > 1:
            both = tuple(one[side].get("matchLabels", {}) for side in ("namespaceSelector", "podSelector"))
            found |= {name for name, wanted in CHOSEN.items() if wanted == both}
            assert both in CHOSEN.values(), f"{one} means both at once"
            continue
        if "podSelector" in one:
            found |= selected(run, one["podSelector"])
        elif "ipBlock" in one:
            found.add("any address")
        else:
            ((key, value),) = one["namespaceSelector"]["matchLabels"].items()
            named = key == "kubernetes.io/metadata.name"
            found.add(f"namespace {value}" if named else {ROUTERS: "routers", HOST_NETWORK: "routers"}[key])
    return found


def is_dns(rule: dict) -> bool:
    return any("matchExpressions" in one.get("namespaceSelector", {}) for one in rule["to"])


def ways(run: harness.Run, rules: list[dict], side: str) -> set[Way]:
    found: set[Way] = set()
    for rule in rules:
        ports = [one["port"] for one in rule.get("ports", [])] or [0]
        assert {one["protocol"] for one in rule.get("ports", [])} <= {"TCP"}
        found |= {Way(peer, port) for peer in peers(run, rule[side]) for port in ports}
    return found


def policies(run: harness.Run) -> dict[str, dict]:
    """Those in the installation's namespace, by name; beside a model lie others, which guard that."""
    home = run.exports["namespace"]
    found = [one for one in run.find("NetworkPolicy") if one.metadata["namespace"] == home]
    return {one.metadata["name"]: one.inputs["spec"] for one in found}


def allowed(run: harness.Run) -> tuple[Ways, Ways]:
    """The ways into, and out of, each component that the policies leave open."""
    out: Ways = {name: set() for name in components(run)}
    into: Ways = {name: set() for name in out}
    for spec in policies(run).values():
        for name in selected(run, spec["podSelector"]):
            entering, leaving = into.setdefault(name, set()), out.setdefault(name, set())
            entering |= ways(run, spec.get("ingress", []), "from")
            leaving |= ways(run, [one for one in spec.get("egress", []) if not is_dns(one)], "to")
    return into, {name: found for name, found in out.items() if name != "neighbours" or found}
