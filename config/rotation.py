"""What is about to happen to secrets: values from elsewhere are fetched, rotations announced or refused.

The stack keeps a record in a Secret (``components/sources.py``): of each secret the source, the
generation and the digest of the value that was handed out last. What differs from it is a rotation.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import SecretStr

from components.naming import backends
from components.sources import RECORD, RECORD_KEY, digest
from config import existing as existing_secrets
from config.cluster import Answer, Json
from config.existing import Existing
from config.names import COMPONENT_LABEL, STACK_LABEL
from config.profiles import sizing
from config.report import NAMESPACE, Problem
from config.secrets import SECRETS, SecretSpec
from config.settings import Settings
from config.sources import Source
from config.types import weakness

_OPERATOR = "external-secrets.io"


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """``given`` are the values that are known before anything is made; ``notices`` tells of rotations.

    ``pinned`` are digests of the values in use that must not change.
    """

    given: Mapping[str, SecretStr]
    notices: tuple[str, ...]
    pinned: Mapping[str, str]


def existing(settings: Settings) -> dict[str, Existing]:
    """The keys of existing Secrets that are to be read, by name of the secret."""
    return {spec.name: source.existing for spec, source in settings.secrets.items() if source.existing}


def record_path(namespace: str, stack: str) -> str:
    """Where the API server lists the records of ``stack``."""
    labels = f"{COMPONENT_LABEL}%3D{RECORD},{STACK_LABEL}%3D{stack}"
    return f"/api/v1/namespaces/{namespace}/secrets?labelSelector={labels}"


def examine(settings: Settings, found: Mapping[str, Answer], records: Json) -> tuple[Secrets, list[Problem]]:
    """What is known of the secrets, and what is wrong with them.

    ``found`` are the API server's answers for what ``existing`` names, ``records`` for ``record_path``.
    """
    given, problems = dict[str, SecretStr](), list[Problem]()
    notices: list[str] = []
    last = _recorded(records)
    for spec, source in settings.secrets.items():
        value = source.value
        if source.existing:
            where = f"{NAMESPACE}:secrets.{spec.name}.existing"
            weak = partial(weakness, prefix=spec.prefix)
            value, problem = existing_secrets.value(where, source.existing, found[spec.name], weak)
            problems += [problem] if problem else []
        if value:
            given[spec.name] = value
        before = last.get(spec.name)
        # What the operator fetches for a fixed one is compared when it is known (``loading.usable``).
        later = spec.fixed and source.external_secret
        if before and not later and (change := _change(source, value, before)):
            notices.append(f"{spec.name} ({change}): restarts {', '.join(spec.restarts)}. People notice: {spec.notice}")
            problems += _refused(spec, source, change, int(before["generation"]))
    pinned = {spec.name: last[spec.name]["digest"] for spec in SECRETS if spec.fixed and spec.name in last}
    return Secrets(given=given, notices=tuple(notices), pinned=pinned), problems


def unserved(settings: Settings, groups: set[str], server: str) -> list[Problem]:
    """ExternalSecrets that nobody would fill."""
    return [
        Problem(
            where=f"{NAMESPACE}:secrets.{spec.name}.externalSecret",
            what=f"needs the API {_OPERATOR}, which {server} does not serve; nobody would fetch the secret; install "
            "External Secrets Operator, or write another source",
        )
        for spec, source in settings.secrets.items()
        if source.external_secret and _OPERATOR not in groups
    ]


def while_backends_end(settings: Settings, secrets: Secrets, read: Callable[[str], Json]) -> list[Problem]:
    """That several backends are to become one in an `up` that changes secrets too.

    Seen on a real node: the old ones go last, and between them and the new one stands the verification, whom
    their Service leads to all. It failed, so they stayed, and each further `up` failed alike.
    """
    first, *_ = backends(2)
    path = f"/apis/apps/v1/namespaces/{settings.namespace}/deployments/{first}"
    if not secrets.notices or sizing(settings, "backend").replicas > 1 or not read(path):
        return []
    what = (
        "would end several backends in an up that changes secrets too; those that end have the former values until "
        "the up is over, and the verification would reach them; keep their number for this up, and lower it in the next"
    )
    return [Problem(where=f"{NAMESPACE}:replicas.backend", value="1", what=what)]


def _recorded(records: Json) -> dict[str, Json]:
    """The newest record: an up that was killed can have left an older one behind."""
    items = sorted(records.get("items", []), key=lambda one: one["metadata"].get("creationTimestamp", ""))
    if not items:
        return {}
    return json.loads(base64.b64decode(items[-1]["data"][RECORD_KEY]))


def _change(source: Source, value: SecretStr | None, before: Json) -> str | None:
    """What changes, in words; None when nothing does, as far as can be known before the up."""
    if value:
        same = digest(value.get_secret_value()) == before["digest"]
        return None if same else f"another value, from {source.kind}"
    if source.kind != before["source"]:
        return f"{before['source']} -> {source.kind}"
    if source.generation != before["generation"]:
        return f"generation {before['generation']} -> {source.generation}"
    return None


def _refused(spec: SecretSpec, source: Source, change: str, generation: int) -> list[Problem]:
    where = f"{NAMESPACE}:secrets.{spec.name}"
    if spec.fixed:
        what = f"would get another value ({change}), and cannot be rotated: {spec.fixed}; put the former one back"
        return [Problem(where=where, what=what)]
    if source.kind == "generated" and source.generation < generation:
        what = (
            f"is lower than {generation}, the one in use; the former value is gone, so this would only be another new "
            f"one under an old number; write {generation}, or {generation + 1} for a new value"
        )
        return [Problem(where=f"{where}.generation", value=str(source.generation), what=what)]
    return []
