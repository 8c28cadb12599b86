"""What certificates reveal once the cluster has been asked: of the authorities trusted, of the Routes' own."""

import base64
from collections.abc import Collection, Sequence
from http import HTTPStatus

from config import certificates
from config.cluster import Cluster
from config.exposure import CertManager
from config.report import NAMESPACE, Problem
from config.settings import Settings

_OWN = f"{NAMESPACE}:exposure.tls.certificate"
_GATE = "RouteExternalCertificate"


def authorities(settings: Settings, cluster: Cluster) -> tuple[str, list[Problem]]:
    """The authorities that the stack file adds, in PEM, and what is wrong with where they come from.

    Raises UnreachableError.
    """
    written, asked = settings.trust.ca_bundle or "", settings.trust.config_map
    if asked is None:
        return written, []
    where = f"{NAMESPACE}:trust.configMap"
    named = f"{asked.namespace}/{asked.name}"
    status, body = cluster.get(f"/api/v1/namespaces/{asked.namespace}/configmaps/{asked.name}")
    if status != HTTPStatus.OK:
        why = "may not be read by you" if status == HTTPStatus.FORBIDDEN else "does not exist"
        what = f"{why}; what it should make trusted would be refused; see oc get configmap -n {asked.namespace}"
        return written, [Problem(where=where, value=named, what=what)]
    data: dict[str, str] = body.get("data") or {}
    if asked.key not in data:
        what = f"has no key {asked.key} in {named}; nothing would be trusted by it; write one of: {', '.join(data)}"
        return written, [Problem(where=f"{where}.key", value=asked.key, what=what)]
    try:
        read = certificates.bundle(data[asked.key])
    except ValueError as error:
        return written, [Problem(where=f"{where} ({named}, key {asked.key})", what=str(error))]
    # Once more through the whole, so that what stands in both is there once.
    return certificates.bundle(written + read), []


def served(settings: Settings, cluster: Cluster, apis: Collection[str], hosts: Sequence[str]) -> list[Problem]:
    """What speaks against the Routes' own certificate: the cluster, or the certificate itself.

    Raises UnreachableError.
    """
    own = settings.exposure.tls.certificate
    if own is None:
        return []
    problems = _gate(cluster) if settings.exposure.kind == "route" else []
    if own.crt:
        problems += _good_for(own.crt, hosts, f"{_OWN}.crt")
    elif own.secret:
        problems += _kept(own.secret, settings.namespace, cluster, hosts)
    elif own.cert_manager:
        problems += _issuer(own.cert_manager, settings.namespace, cluster, apis)
    return problems


def serving(settings: Settings, cluster: Cluster) -> list[Problem]:
    """Whether somebody is there who makes certificates for Services, if they are wanted. Raises UnreachableError."""
    if not settings.tls.internal or cluster.read("/api/v1/namespaces/default/configmaps/openshift-service-ca.crt"):
        return []
    what = (
        "needs OpenShift's service-ca operator, which has left no openshift-service-ca.crt in namespace default; the "
        "pods would wait for their certificates in vain; see oc get pods -n openshift-service-ca, or write false"
    )
    return [Problem(where=f"{NAMESPACE}:tls.internal", value="true", what=what)]


def _gate(cluster: Cluster) -> list[Problem]:
    gates = cluster.read("/apis/config.openshift.io/v1/featuregates/cluster").get("status", {}).get("featureGates", [])
    if not any(one["name"] == _GATE for gate in gates for one in gate.get("disabled", [])):
        return []
    what = (
        f"needs the feature gate {_GATE}, which is off here: the API server would drop the Routes' externalCertificate "
        "and the router serve its own certificate; update to OpenShift 4.19, or leave certificate out"
    )
    return [Problem(where=_OWN, what=what)]


def _good_for(certificate: str, hosts: Sequence[str], where: str) -> list[Problem]:
    lacking = certificates.uncovered(certificate, hosts)
    if not lacking:
        return []
    names = ", ".join(certificates.server_names(certificate)) or "no host at all"
    what = (
        f"is good for {names} and not for {', '.join(lacking)}; browsers and programs would refuse to go there; "
        f"have one made for all of: {', '.join(hosts)}"
    )
    return [Problem(where=where, what=what)]


def _kept(name: str, namespace: str, cluster: Cluster, hosts: Sequence[str]) -> list[Problem]:
    where = f"{_OWN}.secret"
    body = cluster.read(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if body.get("type") != "kubernetes.io/tls":
        why = "is of another type than kubernetes.io/tls" if body else f"is not in namespace {namespace}"
        what = (
            f"{why}; nothing could be served with it; make it: oc create secret tls {name} -n {namespace} "
            "--cert=tls.crt --key=tls.key (before the first up, leave certificate out: the namespace is made by it)"
        )
        return [Problem(where=where, value=name, what=what)]
    data: dict[str, str] = body.get("data") or {}
    crt, key = (base64.b64decode(data.get(each, "")).decode(errors="replace") for each in ("tls.crt", "tls.key"))
    try:
        certificate = certificates.chain(crt)
        certificates.matching(certificate, key)
    except ValueError as error:
        return [Problem(where=f"{where} ({namespace}/{name})", what=str(error))]
    return _good_for(certificate, hosts, f"{where} ({namespace}/{name})")


def _issuer(wanted: CertManager, namespace: str, cluster: Cluster, apis: Collection[str]) -> list[Problem]:
    where = f"{_OWN}.certManager"
    if "cert-manager.io" not in apis:
        what = (
            f"needs cert-manager, whose API {cluster.server} does not serve; no certificate would ever be made; "
            "install the cert-manager Operator for Red Hat OpenShift, or write crt and key"
        )
        return [Problem(where=where, what=what)]
    base = "/apis/cert-manager.io/v1/"
    kind, name = wanted.issuer_kind, wanted.issuer
    path = f"clusterissuers/{name}" if kind == "ClusterIssuer" else f"namespaces/{namespace}/issuers/{name}"
    if cluster.read(base + path):
        return []
    what = f"is no {kind} of this cluster; the certificate would wait for it in vain; see oc get {kind.lower()} -A"
    return [Problem(where=f"{where}.issuer", value=name, what=what)]


def ending(settings: Settings, authorities: str) -> list[str]:
    """Warnings about what has to be renewed soon."""
    own = settings.exposure.tls.certificate
    found = {
        f"{NAMESPACE}:trust": (authorities, "what it signed is refused from then on: add its successor now"),
        f"{_OWN}.crt": (own.crt if own else None, "portal and gateway are refused from then on: have it renewed now"),
    }
    return [
        f"{where}: {each}; {consequence}"
        for where, (text, consequence) in found.items()
        for each in (certificates.ending(text) if text else ())
    ]
