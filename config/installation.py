"""What the checks have to know of an installation, as the cluster tells it: no stack, no passphrase is needed.

`up` leaves the verification Job behind, and in its pod template all that the checks are told in the cluster:
addresses in clear, secrets by the names of their Secrets, declarations of models and authorities by the names
of their ConfigMaps.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from config.cluster import Cluster, Json

# Of what the Job is told. Nothing else of its template reaches a process here: whoever may write Jobs there
# must not be able to choose what runs on this machine.
SETTINGS = (
    "PORTAL_URL",
    "API_URL",
    "GATEWAY_URL",
    "AUTH_PROVIDER",
    "OAUTH_ISSUER",
    "ELSEWHERE",
    "OAUTH_CLIENT_ID",
    "OAUTH_CALLBACK",
    "NAMESPACE",
    "LITELLM_MASTER_KEY",
    "ADMIN_API_KEY",
)
_JOBS = "jobs?labelSelector=app.kubernetes.io/part-of=litemaas,app.kubernetes.io/component=verification"
_OTHER_VERSION = "this was deployed by another version of the program"


class CannotAskError(Exception):
    """The checks cannot be made; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """``settings`` are the environment of the checks in the cluster, ``models`` the declarations by name.

    ``authorities`` are what the pods trust besides public authorities, ``scripts`` the checks that `up` ran.
    """

    namespace: str
    settings: Mapping[str, str] = field(repr=False)
    models: Mapping[str, Json]
    authorities: Sequence[str]
    scripts: Mapping[str, str]


def find(cluster: Cluster, namespace: str | None) -> Installation:
    """The installation in ``namespace``, or the only one of the cluster.

    Raises:
        CannotAskError: there is none, there are several, or something of it may not be read.
        UnreachableError: the cluster does not answer.
    """
    job = _job(cluster, namespace)
    reader = _Reader(cluster, job["metadata"]["namespace"])
    pod: Json = job["spec"]["template"]["spec"]
    container: Json = pod["containers"][0]
    settings = reader.settings(container["env"])
    # sh <folder>/trust.sh python3 <folder>/verify.py, see components/trust.py
    _, trust, _, script = container["command"]
    declared = reader.files(pod, container, settings.pop("DECLARED"))
    return Installation(
        namespace=reader.namespace,
        settings=settings,
        models=_models(declared),
        authorities=[
            text for name, text in reader.files(pod, container, _folder(trust)).items() if name.endswith(".crt")
        ],
        scripts=reader.files(pod, container, _folder(script)),
    )


def _job(cluster: Cluster, namespace: str | None) -> Json:
    """The newest verification Job."""
    where = f"namespace {namespace}" if namespace else f"the cluster of context {cluster.context}"
    status, body = cluster.get(f"/apis/batch/v1/{f'namespaces/{namespace}/' if namespace else ''}{_JOBS}")
    if status == HTTPStatus.FORBIDDEN and not namespace:
        msg = "you may not list the Jobs of all namespaces; say which one is meant with --namespace"
        raise CannotAskError(msg)
    if status != HTTPStatus.OK:
        msg = f"the Jobs of {where} cannot be read ({status} {body.get('message', '')}); check your login: `oc whoami`"
        raise CannotAskError(msg)
    jobs = [one for one in body["items"] if "deletionTimestamp" not in one["metadata"]]
    if not jobs:
        msg = (
            f"{where} has no verification Job: nothing is deployed, or no `pulumi up` has come so far; "
            "deploy first, or choose with --context and --namespace"
        )
        raise CannotAskError(msg)
    found = sorted({one["metadata"]["namespace"] for one in jobs})
    if len(found) > 1:
        msg = f"{where} has several installations; choose with --namespace: {', '.join(found)}"
        raise CannotAskError(msg)
    return max(jobs, key=lambda one: one["metadata"]["creationTimestamp"])


def _models(declared: Mapping[str, str]) -> dict[str, Json]:
    models: list[Json] = [json.loads(text) for _, text in sorted(declared.items())]
    if any("endpoints" not in one or "serving" not in one for one in models):
        msg = f"{_OTHER_VERSION}, which declares models otherwise; run `pulumi up` first"
        raise CannotAskError(msg)
    return {one["model"]: one for one in models}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


class _Reader:
    """Reads what a pod of one namespace would be given."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self.namespace = cluster, namespace
        self._read: dict[str, Json] = {}

    def settings(self, env: list[Json]) -> dict[str, str]:
        """The known variables by name."""
        given = {one["name"]: one for one in env if one["name"] in (*SETTINGS, "DECLARED")}
        if missing := {*SETTINGS, "DECLARED"} - set(given):
            msg = f"{_OTHER_VERSION}, without {', '.join(sorted(missing))}; run `pulumi up` first"
            raise CannotAskError(msg)
        return {name: self._value(one) for name, one in given.items()}

    def _value(self, variable: Json) -> str:
        if "valueFrom" not in variable:
            return variable.get("value", "")
        asked: Json = variable["valueFrom"]["secretKeyRef"]
        try:
            return base64.b64decode(self._data("secrets", asked["name"])[asked["key"]]).decode()
        except (KeyError, binascii.Error, UnicodeDecodeError):
            msg = f"Secret {asked['name']} has no usable {asked['key']}; `pulumi up --refresh` writes it anew"
            raise CannotAskError(msg) from None

    def files(self, pod: Json, container: Json, folder: str) -> dict[str, str]:
        """The files of ConfigMaps below ``folder``, as text by name; none if nothing is mounted there."""
        mounted = [one["name"] for one in container["volumeMounts"] if one["mountPath"] == folder]
        found: dict[str, str] = {}
        for volume in pod["volumes"]:
            if volume["name"] in mounted:
                for source in _sources(volume):
                    found |= self._config_map(source)
        return found

    def _config_map(self, source: Json) -> dict[str, str]:
        data = self._data("configmaps", source["name"], optional=source.get("optional", False))
        if "items" not in source:
            return dict(data)
        return {one["path"]: data[one["key"]] for one in source["items"] if one["key"] in data}

    def _data(self, kind: str, name: str, *, optional: bool = False) -> Mapping[str, str]:
        path = f"/api/v1/namespaces/{self.namespace}/{kind}/{name}"
        if path not in self._read:
            status, body = self._cluster.get(path)
            if status == HTTPStatus.FORBIDDEN:
                msg = (
                    f"you may not read {kind} in namespace {self.namespace}; the checks need what a project's admin may"
                )
                raise CannotAskError(msg)
            if status != HTTPStatus.OK and not optional:
                msg = (
                    f"{kind}/{name} in namespace {self.namespace} cannot be read ({status}): the last `pulumi up` did "
                    "not come to its end, or somebody deleted it; run `pulumi up --refresh`"
                )
                raise CannotAskError(msg)
            self._read[path] = body
        data: Any = self._read[path].get("data")
        return data or {}


def _sources(volume: Json) -> list[Json]:
    """The ConfigMaps that a volume is made of."""
    if "configMap" in volume:
        return [volume["configMap"]]
    projected: list[Json] = volume.get("projected", {}).get("sources", [])
    return [one["configMap"] for one in projected if "configMap" in one]
