"""What an operator may say about entrances: host names, who may come in, paths, Ingresses."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from components.naming import slug
from config.entry import Entry
from config.types import Count, HostName, NamespaceLabel, ObjectName, each_once

# What users' programs call; vLLM's and OpenAI's clients know these, with and without /v1.
OPEN_PATHS = ["/v1", "/chat/completions", "/completions", "/embeddings", "/models"]
_PATH = re.compile(r"(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)+")
_PATH_LENGTH = 40
# More of them an older router does not take in one line of its configuration, and lets everybody in.
_MOST_NETWORKS = 61
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        inside = f"write {ipaddress.ip_network(value, strict=False)}"
    except ValueError:
        inside = "write for example 192.0.2.0/24 or 2001:db8::/32"
    # A router drops a list with one bad entry, and lets everybody in.
    msg = f"is no network in CIDR notation; the router would ignore the whole list and let everybody in; {inside}"
    raise ValueError(msg)


def _networks(value: list[str]) -> list[str]:
    if len(value) > _MOST_NETWORKS:
        msg = (
            f"has {len(value)} networks; an older router takes {_MOST_NETWORKS} at most and would let everybody in; "
            "write larger ones"
        )
        raise ValueError(msg)
    return each_once(value)


def _path(value: str) -> str:
    if not _PATH.fullmatch(value) or len(value) > _PATH_LENGTH:
        msg = (
            f"is no path of at most {_PATH_LENGTH} characters (a-z, 0-9, -, ., _ between slashes, none at the end); "
            "no call would match it; write for example /v1 (everything open is: gateway.adminUi: exposed)"
        )
        raise ValueError(msg)
    return value


def _paths(value: list[str]) -> list[str]:
    if not value:
        msg = "is empty; nobody could call a model; write at least /v1, or leave it out"
        raise ValueError(msg)
    each_once([slug(path) for path in value])
    return value


def _full_name(value: str) -> str:
    if "." not in value:
        msg = "is no full host name; no DNS server would know it; write it with its domain"
        raise ValueError(msg)
    return value


def _labels(value: dict[str, str]) -> dict[str, str]:
    bad = [key for key, text in value.items() if not (_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(text))]
    if bad:
        msg = (
            f"has {', '.join(bad)}, which is no label; the API server would refuse the policy; write it as oc shows it"
        )
        raise ValueError(msg)
    return value


def _annotations(value: dict[str, str]) -> dict[str, str]:
    bad = [key for key in value if not _LABEL_KEY.fullmatch(key)]
    if bad:
        msg = f"has {', '.join(bad)}, which is no annotation; the API server would refuse the Ingresses; mend it"
        raise ValueError(msg)
    return value


Network = Annotated[str, AfterValidator(_network)]
Networks = Annotated[list[Network], AfterValidator(_networks)]
Path = Annotated[str, AfterValidator(_path)]
Paths = Annotated[list[Path], AfterValidator(_paths)]
FullHostName = Annotated[HostName, AfterValidator(_full_name)]


class Hosts(Entry):
    """Host names of one's own; DNS has to lead them to the router or controller."""

    portal: FullHostName | None = Field(
        default=None,
        description="Of the portal. OAuth callback, CORS origin, verification and console link follow. Default: `litemaas-<namespace>.<clusterDomain>`.",
        examples=["models.example.com"],
    )
    gateway: FullHostName | None = Field(
        default=None,
        description="Of LiteLLM, where programs and the portal's playground call models. Default: `litellm-<namespace>.<clusterDomain>`.",
        examples=["llm.example.com"],
    )
    api: FullHostName | None = Field(
        default=None,
        description="Of the portal's API for programs. Default: `litemaas-api-<namespace>.<clusterDomain>`.",
    )


class RateLimit(Entry):
    """Limits for each source address. Behind one shared address (NAT, a proxy) all people count as one."""

    connections: Count | None = Field(
        default=None,
        description="Connections at once from one address. Default: unlimited. Behind a shared address (NAT, a proxy) it hits everybody together, and the portal's own backend comes from one address, too.",
        examples=[200],
    )
    requests_per_second: Count | None = Field(
        default=None,
        description="Requests in a second from one address; OpenShift's router counts them over ten. Default: unlimited; otherwise as for connections. LiteLLM limits single keys and users, which is fairer.",
        examples=[50],
    )


class Ingress(Entry):
    """Ingresses in place of Routes."""

    class_name: ObjectName = Field(
        description="Name of the IngressClass; `oc get ingressclass` lists them. OpenShift's own is openshift-default.",
        examples=["nginx"],
    )
    controller_namespace: NamespaceLabel | None = Field(
        default=None,
        description="Where the controller's pods run: the network policies let them in, and no others. Default: none, which is right for OpenShift's own routers only, and refused for others. A controller on the nodes' own network is let in by a policy of one's own.",
        examples=["ingress-nginx"],
    )
    controller_labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default={},
        description="Labels of the controller's pods. Default: none, all pods of its namespace are let in.",
        examples=[{"app.kubernetes.io/name": "ingress-nginx"}],
    )
    annotations: Annotated[dict[str, str], AfterValidator(_annotations)] = Field(
        default={},
        description="Annotations of the Ingresses, handed on as they are; what the program sets itself is refused. Default: none. Time-outs, allow-list and limits are set for ingress-nginx and OpenShift's routers; for another controller write them here.",
    )
