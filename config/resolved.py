"""Models with all that has to be known of them, wherever it stands."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from config.models import Model
from config.report import NAMESPACE, Problem
from config.serving import ModelServing

_PREDICTOR = re.compile(r"(?P<name>[a-z0-9-]+)-predictor\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?")


class Predictor(NamedTuple):
    """The InferenceService behind an endpoint, by the name of its Service."""

    namespace: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """``declared`` is what stands in the stack file and, under it, what the cluster says; lengths in tokens.

    ``serving`` false: its server is scaled to zero.
    """

    declared: Model
    endpoints: tuple[str, ...]
    served_name: str
    context_length: int
    max_output: int
    tools: bool
    serving: bool = True


def predictor(endpoint: str | None) -> Predictor | None:
    """Whose ``endpoint`` it is, if KServe made its Service."""
    match = _PREDICTOR.fullmatch(urlsplit(endpoint or "").hostname or "")
    return Predictor(match["namespace"], match["name"]) if match else None


def unresolved(models: Sequence[Model], serving: ModelServing) -> list[Problem]:
    """What is missing of models and cannot be found on the cluster, with its path in the stack file."""
    problems: list[Problem] = []
    for index, model in enumerate(models):
        found_out = model.namespace or serving.namespaces if model.endpoint is None else predictor(model.endpoint)
        if not found_out:
            needed = ("endpoint", "context_length")
            problems += [missing(index, name) for name in needed if getattr(model, name) is None]
    return problems


def missing(index: int, name: str) -> Problem:
    """The field ``name`` of a model is not there, and has to be written."""
    field = Model.model_fields[name]
    meaning = str(field.description).split(". ", maxsplit=1)[0]
    example = json.dumps(next(iter(field.examples or [])))
    where = f"{NAMESPACE}:models[{index}].{field.alias}"
    return Problem(where=where, what=f"is missing. {meaning}. Write for example {example}.")


def resolved(model: Model, *, serving: bool = True) -> Resolved:
    """``model`` with everything filled in. Raises ValueError where something is missing."""
    if model.endpoint is None or model.context_length is None:
        msg = f"{model.name} is not resolved"
        raise ValueError(msg)
    return Resolved(
        declared=model,
        endpoints=(model.endpoint, *model.further_endpoints),
        served_name=model.backend_model,
        context_length=model.context_length,
        max_output=model.max_output or model.context_length,
        tools=model.tools,
        serving=serving,
    )
