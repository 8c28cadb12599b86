"""What certificates reveal once the cluster has been asked: of the authorities trusted, of the Routes' own."""

from http import HTTPStatus

from config import certificates
from config.cluster import Cluster
from config.report import NAMESPACE, Problem
from config.settings import Settings


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


def ending(authorities: str) -> list[str]:
    """Warnings about what has to be renewed soon."""
    return [
        f"{NAMESPACE}:trust: {each}; what it signed is refused from then on: add its successor now"
        for each in (certificates.ending(authorities) if authorities else ())
    ]
