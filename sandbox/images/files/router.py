#!/usr/bin/python3
"""Serves Routes and Ingresses with HAProxy, in a pod: a stand-in for OpenShift's router, and for ingress-nginx.

Twice a second it reads Routes, Ingresses and Services, writes HAProxy's configuration anew when it
changed, and tells each Route's status what a real router would. Served: edge and reencrypt TLS,
certificates in Secrets that it may read, plain HTTP, paths, the insecure policies, and by annotation
time-outs, allow-lists, limits for each source address and HSTS. Refused, and said so in the status:
passthrough, a host that an older Route of another namespace has, and a Secret that it may not read.

An Ingress is turned into Routes, one for each path, if its class names OpenShift's controller or
ingress-nginx; each is told in the words of that controller. Unlike those, it may read a Secret only
where it was given the right. Without OpenShift's Route API there are Ingresses alone.

In: ROUTER_DOMAIN; /etc/router/tls.pem (certificate and key); /etc/service-ca/service-ca.crt, by
which pods are verified where the Route names no authority; a service account's token.
"""

import base64
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import time
import urllib.error
import zlib
from pathlib import Path
from typing import Any

Object = dict[str, Any]
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONFIG = Path("/tmp/haproxy.cfg")
CERTIFICATES = Path("/tmp/certificates")
SERVICE_CA = Path("/etc/service-ca/service-ca.crt")
ROUTES = "/apis/route.openshift.io/v1"
NAME = "default"
PERIOD_SECONDS = 0.5
INGRESSES = "/apis/networking.k8s.io/v1"
HAPROXY, NGINX = "haproxy.router.openshift.io", "nginx.ingress.kubernetes.io"
TIMEOUT = f"{HAPROXY}/timeout"
OPENSHIFT_CONTROLLER, NGINX_CONTROLLER = "openshift.io/ingress-to-route", "k8s.io/ingress-nginx"
# OpenShift's router drops a list with anything else in it, and lets everybody in.
ADDRESSES = re.compile(r"[0-9a-fA-F.:]+(/[0-9]+)?( [0-9a-fA-F.:]+(/[0-9]+)?)*")
HSTS = re.compile(r"max-age=[0-9]+(;(includeSubDomains|preload))*")
LIMITS = {  # annotation -> what OpenShift's router counts, by source address
    f"{HAPROXY}/rate-limit-connections.concurrent-tcp": "src_conn_cur",
    f"{HAPROXY}/rate-limit-connections.rate-tcp": "src_conn_rate",
    f"{HAPROXY}/rate-limit-connections.rate-http": "src_http_req_rate",
}
HEAD = """\
global
  maxconn 2000
  # A new process takes the old one's sockets over, so that no connection is refused meanwhile.
  stats socket /tmp/haproxy.sock mode 600 level admin expose-fd listeners
  # Old processes end when their last connection does, at the latest now.
  hard-stop-after 15m
defaults
  mode http
  option forwardfor
  # A connection of its own for each request: none is sent to a pod that just closed one.
  option http-server-close
  option redispatch
  retries 3
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
  timeout http-keep-alive 300s
  timeout tunnel 1h
frontend http
  bind :8080
  monitor-uri /healthz-router
"""


def key(route: Object) -> str:
    """A Route's name among all namespaces."""
    return f"{route['metadata']['namespace']}_{route['metadata']['name']}"


def refusals(routes: list[Object]) -> dict[str, tuple[str, str]]:
    """The Routes that are not served, by key, with reason and message."""
    refused: dict[str, tuple[str, str]] = {}
    owner: dict[str, Object] = {}
    by_age = sorted(routes, key=lambda each: (each["metadata"].get("creationTimestamp", ""), key(each)))
    for route in by_age:
        spec, space = route["spec"], route["metadata"]["namespace"]
        first = owner.setdefault(spec["host"], route)
        if first["metadata"]["namespace"] != space:
            refused[key(route)] = "HostAlreadyClaimed", f"route {key(first)} already exposes {spec['host']}"
        elif spec.get("tls", {}).get("termination") == "passthrough":
            refused[key(route)] = "ExtendedValidationFailed", "the sandbox's router does not serve passthrough"
    return refused


def service_port(route: Object, service: Object) -> int:
    """The port of a Service that a Route means: by name, target port or number, else the first."""
    wanted = route["spec"].get("port", {}).get("targetPort")
    ports = service["spec"]["ports"]
    matches = (each for each in ports if wanted in (each.get("name"), each.get("targetPort"), each["port"]))
    return next(matches, ports[0])["port"]


def authority(route: Object) -> Path:
    """The file of the authority by which a Route's pods are verified; another one when it changes."""
    given = route["spec"].get("tls", {}).get("destinationCACertificate")
    return CERTIFICATES / f"{key(route)}-{zlib.crc32(given.encode()):x}.ca" if given else SERVICE_CA


def backend(route: Object, service: Object) -> str:
    """HAProxy's section for one Route."""
    tls = route["spec"].get("tls", {})
    told = route["metadata"].get("annotations") or {}
    timeout = told.get(TIMEOUT)
    server = f"{service['spec']['clusterIP']}:{service_port(route, service)}"
    name = f"{route['spec']['to']['name']}.{route['metadata']['namespace']}.svc"
    verified = f" ssl verify required ca-file {authority(route)} verifyhost {name} sni str({name})"
    lines = [
        f"backend {key(route)}",
        *guards(told),
        *hsts(told, tls),
        "  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
        "  http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        *([f"  timeout server {timeout}"] if timeout else []),
        f"  server service {server}" + (verified if tls.get("termination") == "reencrypt" else ""),
    ]
    return "\n".join(lines) + "\n"


def guards(told: dict[str, str]) -> list[str]:
    """Who is turned away at a Route, by source address: without an answer, as OpenShift's router does it."""
    lines = []
    allowed = told.get(f"{HAPROXY}/ip_allowlist", told.get(f"{HAPROXY}/ip_whitelist", ""))
    if ADDRESSES.fullmatch(allowed):
        lines.append(f"  tcp-request content reject if !{{ src {allowed} }}")
    limits = {counted: told[name] for name, counted in LIMITS.items() if told.get(name, "").isdecimal()}
    if told.get(f"{HAPROXY}/rate-limit-connections") == "true" and limits:
        lines.append("  stick-table type ip size 10k expire 30s store conn_cur,conn_rate(3s),http_req_rate(10s)")
        lines.append("  tcp-request content track-sc2 src")
        lines += [f"  tcp-request content reject if {{ {counted} ge {most} }}" for counted, most in limits.items()]
    return lines


def hsts(told: dict[str, str], tls: Object) -> list[str]:
    """The header by which browsers are told to insist on TLS."""
    wanted = told.get(f"{HAPROXY}/hsts_header", "")
    return [f"  http-response set-header Strict-Transport-Security {wanted}"] if tls and HSTS.fullmatch(wanted) else []


def translated(ingress: Object, controller: str) -> Object:
    """The annotations of an Ingress, in the words of OpenShift's router."""
    told = ingress["metadata"].get("annotations") or {}
    if controller == OPENSHIFT_CONTROLLER:
        return told
    found = {}
    if seconds := told.get(f"{NGINX}/proxy-read-timeout"):
        found[TIMEOUT] = f"{seconds}s"
    if networks := told.get(f"{NGINX}/whitelist-source-range"):
        found[f"{HAPROXY}/ip_allowlist"] = " ".join(each.strip() for each in networks.split(","))
    if connections := told.get(f"{NGINX}/limit-connections"):
        found[f"{HAPROXY}/rate-limit-connections.concurrent-tcp"] = connections
    if rate := told.get(f"{NGINX}/limit-rps"):
        # It lets five times as many pass in a burst; here they are counted over ten seconds.
        found[f"{HAPROXY}/rate-limit-connections.rate-http"] = str(int(rate) * 10)
    if len(found) > (TIMEOUT in found) + (f"{HAPROXY}/ip_allowlist" in found):
        found[f"{HAPROXY}/rate-limit-connections"] = "true"
    return found


def from_ingress(ingress: Object, controllers: dict[str, str]) -> list[Object]:
    """The Routes of an Ingress, none if its class is somebody else's.

    Args:
        ingress: the Ingress.
        controllers: what each IngressClass names.
    """
    meta, spec = ingress["metadata"], ingress["spec"]
    controller = controllers.get(spec.get("ingressClassName", ""), "")
    if controller not in (OPENSHIFT_CONTROLLER, NGINX_CONTROLLER):
        return []
    told = translated(ingress, controller)
    secrets = {host: each.get("secretName") for each in spec.get("tls", []) for host in each.get("hosts", [])}
    routes = []
    for rule in spec.get("rules", []):
        host = rule["host"]
        # OpenShift asks for the annotation where no Secret is named.
        plain = host not in secrets or (
            controller == OPENSHIFT_CONTROLLER
            and not secrets[host]
            and told.get("route.openshift.io/termination") != "edge"
        )
        tls: Object = {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
        if secrets.get(host):
            tls["externalCertificate"] = {"name": secrets[host]}
        for number, path in enumerate(rule["http"]["paths"]):
            service = path["backend"]["service"]
            port = service["port"]
            routes.append(
                {
                    "metadata": {**meta, "name": f"ingress_{meta['name']}_{number}", "annotations": told},
                    "spec": {
                        "host": host,
                        "path": path.get("path", "/"),
                        "to": {"name": service["name"]},
                        "port": {"targetPort": port.get("name", port.get("number"))},
                        **({} if plain else {"tls": tls}),
                    },
                }
            )
    return routes


def render(routes: list[Object], services: dict[tuple[str, str], Object], pairs: dict[str, str] | None = None) -> str:
    """The whole configuration.

    Args:
        routes: the Routes to serve.
        services: by namespace and name.
        pairs: the files with certificates of Routes, and what changes with their content.
    """
    plain, secure, backends = [], [], []
    # Longer paths first: the first rule that matches wins.
    for route in sorted(routes, key=lambda each: (-len(each["spec"].get("path", "")), key(each))):
        spec = route["spec"]
        service = services.get((route["metadata"]["namespace"], spec["to"]["name"]))
        if service is None or service["spec"].get("clusterIP", "None") == "None":
            continue
        match = f"if {{ req.hdr(host),field(1,:) -i {spec['host']} }}"
        if path := spec.get("path", "").rstrip("/"):
            match += f" {{ path {path} }} || {{ req.hdr(host),field(1,:) -i {spec['host']} }} {{ path_beg {path}/ }}"
        tls = spec.get("tls")
        policy = tls.get("insecureEdgeTerminationPolicy") if tls else "Allow"
        if tls:
            secure.append(f"  use_backend {key(route)} {match}\n")
        if policy == "Allow":
            plain.append(f"  use_backend {key(route)} {match}\n")
        elif policy == "Redirect":
            plain.append(f"  http-request redirect scheme https code 302 {match}\n")
        backends.append(backend(route, service))
    # Redirects must stand before the choice of a backend.
    plain.sort(key=lambda line: "redirect" not in line)
    own = "".join(f" crt {file}" for file in pairs or {})
    changed = "".join(f"  # {file}: {content}\n" for file, content in (pairs or {}).items())
    front = f"frontend https\n  bind :8443 ssl crt /etc/router/tls.pem{own} alpn h2,http/1.1\n{changed}"
    return "".join([HEAD, *plain, front, *secure, *backends])


def status(route: Object, refusal: tuple[str, str] | None, domain: str, now: str) -> Object | None:
    """The status to write; None if the Route has it already.

    Args:
        route: the Route.
        refusal: reason and message if it is not served.
        domain: the router's own domain.
        now: the time of the transition.
    """
    admitted = "False" if refusal else "True"
    for entry in route.get("status", {}).get("ingress", []):
        states = {each["type"]: (each["status"], each.get("reason")) for each in entry.get("conditions", [])}
        same = (admitted, refusal[0] if refusal else None)
        if (
            entry.get("host") == route["spec"]["host"]
            and entry.get("routerName") == NAME
            and states.get("Admitted") == same
        ):
            return None
    condition = {"type": "Admitted", "status": admitted, "lastTransitionTime": now}
    if refusal:
        condition |= {"reason": refusal[0], "message": refusal[1]}
    entry = {
        "host": route["spec"]["host"],
        "routerName": NAME,
        "routerCanonicalHostname": f"router-{NAME}.{domain}",
        "wildcardPolicy": "None",
        "conditions": [condition],
    }
    return {"status": {"ingress": [entry]}}


class Cluster:
    """Requests to the API server as the pod's service account."""

    def __init__(self) -> None:
        # Not by its name, which leads to the stand-in for the OAuth server. Kept open: with a handshake for each
        # of ten questions a second, this took 28 s of a processor in 27 minutes of tests, and 7 s in 16 minutes since.
        tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        self._server = http.client.HTTPSConnection(os.environ["KUBERNETES_SERVICE_HOST"], timeout=10, context=tls)

    def request(self, path: str, patch: Object | None = None) -> Object:
        """Read, or change by merge patch. Raises OSError when refused or not answered."""
        headers = {
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",  # renewed by the kubelet
            "Content-Type": "application/merge-patch+json",
        }
        try:
            self._server.request("PATCH" if patch else "GET", path, json.dumps(patch) if patch else None, headers)
            answer = self._server.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self._server.close()  # opened again by the next question
            raise ConnectionError(f"{path}: {problem!r}") from problem
        if answer.status >= 400:  # noqa: PLR2004  refused
            raise urllib.error.HTTPError(path, answer.status, answer.reason, answer.headers, None)
        return json.loads(text)


class Proxy:
    """The HAProxy process; a changed configuration is loaded without closing a connection."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded = ""

    def load(self, config: str) -> None:
        """Bring a configuration into force; a wrong one is reported and not loaded."""
        if self._process and self._process.poll() is not None:
            raise SystemExit(f"haproxy ended with {self._process.returncode}")
        if config == self._loaded:
            return
        CONFIG.write_text(config)
        self._loaded = config
        if subprocess.run(["haproxy", "-c", "-q", "-f", str(CONFIG)], check=False).returncode:
            print("haproxy refuses the configuration; the last good one stays", flush=True)
        elif self._process:
            self._process.send_signal(signal.SIGUSR2)
        else:
            self._process = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(CONFIG)])


def own_certificates(routes: list[Object], cluster: Cluster) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Files with the certificates that Routes name, with the version of each, and the Routes whose Secret is no use.

    The authorities that Routes hold are written as well.
    """
    pairs: dict[str, str] = {}
    refused: dict[str, tuple[str, str]] = {}
    CERTIFICATES.mkdir(mode=0o700, exist_ok=True)
    for route in routes:
        if (file := authority(route)) != SERVICE_CA:
            file.write_text(route["spec"]["tls"]["destinationCACertificate"])
        name = route["spec"].get("tls", {}).get("externalCertificate", {}).get("name")
        if not name:
            continue
        space = route["metadata"]["namespace"]
        try:
            secret = cluster.request(f"/api/v1/namespaces/{space}/secrets/{name}")
            text = "".join(base64.b64decode(secret["data"][each]).decode() for each in ("tls.crt", "tls.key"))
        except (urllib.error.HTTPError, KeyError) as problem:
            refused[key(route)] = "ExternalCertificateValidationFailed", f"secret {name}: {problem}"
            continue
        file = CERTIFICATES / f"{space}_{name}.pem"
        file.write_text(text)
        pairs[str(file)] = secret["metadata"]["resourceVersion"]
    return pairs, refused


def step(cluster: Cluster, proxy: Proxy, domain: str) -> None:
    """One round. Raises OSError when the API server does not answer."""
    routes = real_routes(cluster)
    listed = cluster.request("/api/v1/services")["items"]
    services = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in listed}
    for route in (each for each in routes if not each["spec"].get("host")):
        meta = route["metadata"]
        route["spec"]["host"] = f"{meta['name']}-{meta['namespace']}.{domain}"
        cluster.request(path_of(route), {"spec": {"host": route["spec"]["host"]}})
    made = ingress_routes(cluster)
    pairs, unreadable = own_certificates([*routes, *made], cluster)
    refused = unreadable | refusals([*routes, *made])
    proxy.load(render([each for each in [*routes, *made] if key(each) not in refused], services, pairs))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for route in routes:
        if wanted := status(route, refused.get(key(route)), domain, now):
            cluster.request(f"{path_of(route)}/status", wanted)


def real_routes(cluster: Cluster) -> list[Object]:
    """All Routes; none where the API server does not know the kind."""
    try:
        return cluster.request(f"{ROUTES}/routes")["items"]
    except urllib.error.HTTPError as problem:
        if problem.code == 404:  # noqa: PLR2004  the definition was left out
            return []
        raise


def ingress_routes(cluster: Cluster) -> list[Object]:
    """The Routes of all Ingresses that are served here."""
    classes = cluster.request(f"{INGRESSES}/ingressclasses")["items"]
    controllers = {each["metadata"]["name"]: each["spec"].get("controller", "") for each in classes}
    listed = cluster.request(f"{INGRESSES}/ingresses")["items"]
    return [route for ingress in listed for route in from_ingress(ingress, controllers)]


def path_of(route: Object) -> str:
    """The URL path of a Route."""
    meta = route["metadata"]
    return f"{ROUTES}/namespaces/{meta['namespace']}/routes/{meta['name']}"


def main() -> None:
    """Serve until stopped."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    cluster, proxy, domain = Cluster(), Proxy(), os.environ["ROUTER_DOMAIN"]
    proxy.load(render([], {}))
    while True:
        try:
            step(cluster, proxy, domain)
        except (OSError, KeyError) as problem:
            # A Route that was deleted meanwhile, or a server that restarts: the next round sees.
            print(f"round failed: {problem!r}", flush=True)
        time.sleep(PERIOD_SECONDS)


if __name__ == "__main__":
    main()
