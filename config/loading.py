"""Reads the stack's configuration into ``Settings``.

Values are read in one place and in clear, so that weak secrets can be refused at
preview; every secret is wrapped in SecretStr at once, which Pulumi refuses to
serialise, and leaves it only through ``secret_outputs`` as a secret Output
(docs/decisions/0003).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from pulumi import Config, Output, RunError
from pulumi.runtime import is_config_secret
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import SecretStr, ValidationError

from components.sources import digest
from config import addresses, capacity, footprint, images, login_findings, placement, profiles, routing
from config.report import NAMESPACE, Problem, explain, summary
from config.resolved import unresolved
from config.secrets import SecretSpec
from config.settings import Settings
from config.types import weakness

# Keys whose value is text as it stands; all others are JSON.
TEXT = frozenset({"clusterDomain", "namespace", "profile", "context"})


def load() -> Settings:
    """The settings of the current stack.

    Raises RunError, which Pulumi prints without a traceback, with all problems at once.
    """
    raw = _raw()
    hidden = {key for key in raw if is_config_secret(f"{NAMESPACE}:{key}")} | {"secrets"}
    problems: list[Problem] = []
    if not is_config_secret(f"{NAMESPACE}:secrets"):
        problems += _in_clear(raw.get("secrets"))
    if "models" not in hidden and (shown := _model_keys_in_clear(raw.get("models"))):
        hidden |= {"models"}
        problems += shown
    if _has_private_key(raw) and "exposure" not in hidden:
        hidden |= {"exposure"}
        problems.append(
            Problem(
                where=f"{NAMESPACE}:exposure.tls.certificate.key",
                what="stands in the stack file in clear; whoever reads the repository could speak for the portal; "
                "have key and certificate replaced, and write the new key with "
                "`pulumi config set --secret --path litemaas:exposure.tls.certificate.key`",
            )
        )
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        problems += explain(error, Settings, hidden)
        raise RunError(summary(problems, "The stack's configuration cannot be used")) from None
    problems += [
        *profiles.contradictions(settings),
        *capacity.contradictions(settings),
        *placement.contradictions(settings),
        *images.contradictions(settings),
        *footprint.too_small(settings),
        *login_findings.contradictions(settings),
        *addresses.contradictions(settings),
        *unresolved(settings.models, settings.model_serving),
        *routing.contradictions(settings.models),
    ]
    if problems:
        raise RunError(summary(problems, "The stack's configuration cannot be used"))
    return settings


def _has_private_key(raw: Any) -> bool:
    """Whether the settings of the Routes, which may have any form here, hold a key of that name or look."""
    text = json.dumps(raw.get("exposure"))
    return '"key":' in text or "PRIVATE KEY" in text


def _in_clear(written: Any) -> list[Problem]:
    """A secret is what stands in ``value``, and whatever is no mapping where one belongs."""
    entries = cast("dict[str, Any]", written if isinstance(written, dict) else {})
    return [
        Problem(
            where=f"{NAMESPACE}:secrets.{name}" + (".value" if isinstance(entry, dict) else ""),
            what="stands in the stack file in clear; whoever reads the repository could use it; write "
            f"`pulumi config set --secret --path {NAMESPACE}:secrets.{name}.value` and make a new value",
        )
        for name, entry in entries.items()
        if entry is not None and (not isinstance(entry, dict) or "value" in entry)
    ]


def _model_keys_in_clear(written: Any) -> list[Problem]:
    """As for secrets: whatever is no mapping where the key of a model belongs may be the key itself."""
    entries = cast("list[Any]", written if isinstance(written, list) else [])
    keys = [
        (index, cast("dict[str, Any]", one).get("apiKey")) for index, one in enumerate(entries) if isinstance(one, dict)
    ]
    return [
        Problem(
            where=f"{NAMESPACE}:models[{index}].apiKey" + (".value" if isinstance(key, dict) else ""),
            what="stands in the stack file in clear; whoever reads the repository could call the model; write "
            f"`pulumi config set --secret --path '{NAMESPACE}:models[{index}].apiKey.value'` and have a new key made",
        )
        for index, key in keys
        if key is not None and (not isinstance(key, dict) or "value" in key)
    ]


def secret_outputs(values: Mapping[str, SecretStr]) -> dict[str, Output[str]]:
    """The secrets that the operator gave, by name, each as a secret Output."""
    return {name: secret_text(value) for name, value in values.items()}


def secret_text(value: SecretStr | None) -> Output[str]:
    """A secret of the settings as a secret Output; of nothing, an empty one."""
    return Output.secret(value.get_secret_value() if value else "")


def usable(spec: SecretSpec, pinned: str | None) -> Callable[[str], str]:
    """Passes on a value that became known during the up only, unless it must not be used.

    ``pinned`` is the digest of the value that it must have, None for any.

    What it returns raises RunError, which Pulumi prints without a traceback.
    """

    def check(text: str) -> str:
        problem = weakness(text, spec.prefix)
        if pinned and digest(text) != pinned:
            problem = f"differs from the one in use, and cannot be rotated: {spec.fixed}"
        if problem:
            where = f"{NAMESPACE}:secrets.{spec.name}.externalSecret"
            found = Problem(where=where, what=f"was fetched and {problem}; mend it in the store")
            raise RunError("\n".join(["A fetched secret cannot be used; what uses it was not touched", str(found)]))
        return text

    return check


def _raw() -> dict[str, Any]:
    """All keys of the namespace, unknown ones included, as the stack file has them.

    An empty text or null stands for a key left out: Pulumi.yaml can only declare a key
    as optional by giving it a default.
    """
    config = Config(NAMESPACE)
    prefix = f"{NAMESPACE}:"
    keys = {key.removeprefix(prefix) for key in (CONFIG.get() or get_config_env()) if key.startswith(prefix)}
    values = {key: config.get(key) if key in TEXT else _parsed(config.get(key)) for key in sorted(keys)}
    return {key: value for key, value in values.items() if value not in (None, "")}


def _parsed(text: str | None) -> Any:
    """A value of the stack file; Pulumi hands everything that is not text over as JSON."""
    try:
        return json.loads(text) if text else None
    except json.JSONDecodeError:
        return text
