"""Who serves Ingresses, as the IngressClass says, and what that controller cannot do."""

from components import entrance
from config import arguments
from config.cluster import Cluster
from config.report import NAMESPACE, Problem
from config.settings import Settings

_HERE = f"{NAMESPACE}:exposure"


def examine(settings: Settings, cluster: Cluster) -> tuple[str, list[Problem]]:
    """The controller of the wanted IngressClass, empty for Routes, and what speaks against it.

    Raises UnreachableError.
    """
    wanted = settings.exposure.ingress
    if wanted is None:
        return "", []
    found = cluster.read(f"/apis/networking.k8s.io/v1/ingressclasses/{wanted.class_name}")
    if not found:
        what = (
            "is no IngressClass of this cluster, or you may not read it; no controller would serve the Ingresses; "
            "see oc get ingressclass"
        )
        return "", [Problem(where=f"{_HERE}.ingress.className", value=wanted.class_name, what=what)]
    name = str(found.get("spec", {}).get("controller", ""))
    return name, [*_unknown_pods(settings, name), *_not_understood(settings, name), *_set_here(settings, name)]


def notices(settings: Settings, name: str) -> list[str]:
    """What the operator has to see to, with a controller of this ``name``."""
    if not name or name in (entrance.NGINX, entrance.OPENSHIFT):
        return []
    seconds = settings.gateway.request_timeout_seconds
    text = (
        f"It is not known which annotations the Ingress controller {name} understands, and none is set: see to it that "
        f"an answer may take {seconds + 10} s, streams are not held back and plain HTTP is redirected; "
        "write them as exposure.ingress.annotations"
    )
    return [text]


def _unknown_pods(settings: Settings, name: str) -> list[Problem]:
    wanted = settings.exposure.ingress
    if wanted is None or wanted.controller_namespace or name == entrance.OPENSHIFT:
        return []
    what = (
        f"is missing, and {name} is none of OpenShift's routers; the network policies would let nobody in; "
        "write the namespace of the controller's pods"
    )
    return [Problem(where=f"{_HERE}.ingress.controllerNamespace", what=what)]


def _not_understood(settings: Settings, name: str) -> list[Problem]:
    wanted = settings.exposure
    problems: list[Problem] = []
    guarded = {
        "allowFrom": bool(wanted.allow_from),
        "rateLimit": bool(wanted.rate_limit.connections or wanted.rate_limit.requests_per_second),
    }
    if name not in (entrance.NGINX, entrance.OPENSHIFT):
        what = (
            f"cannot be handed to the Ingress controller {name}, whose annotations are not known here; everybody would "
            "be let in; leave it out, and write its own words as exposure.ingress.annotations"
        )
        problems += [Problem(where=f"{_HERE}.{key}", what=what) for key, given in guarded.items() if given]
    if wanted.hsts_max_age_seconds is not None and name != entrance.OPENSHIFT:
        what = (
            f"is decided by the Ingress controller {name} for all its hosts, ingress-nginx sends the header by itself; "
            "nothing would come of it; leave it out"
        )
        problems.append(Problem(where=f"{_HERE}.hstsMaxAgeSeconds", what=what))
    return problems


def _set_here(settings: Settings, name: str) -> list[Problem]:
    """Annotations that say again, or otherwise, what the program says."""
    wanted = settings.exposure.ingress
    twice = sorted(
        {*(wanted.annotations if wanted else ())} & {*entrance.annotations(name, arguments.guard(settings), 0)}
    )
    what = "is set by the program; two could not both hold; remove it, and see the other settings of exposure"
    return [Problem(where=f"{_HERE}.ingress.annotations", value=key, what=what) for key in twice]
