"""Models with all that has to be known of them, wherever it stands."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from config.models import Model
from config.report import NAMESPACE, Problem

# What a stack file may leave out of a model only if it can be found elsewhere.
_NEEDED = ("endpoint", "context_length")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """``declared`` is what stands in the stack file; lengths in tokens.

    ``serving`` false: its server is scaled to zero.
    """

    declared: Model
    endpoints: tuple[str, ...]
    served_name: str
    context_length: int
    max_output: int
    tools: bool
    serving: bool = True


def unresolved(models: Sequence[Model]) -> list[Problem]:
    """What is missing of models, with its path in the stack file."""
    return [
        Problem(where=f"{NAMESPACE}:models[{index}].{field.alias}", what=_missing(str(field.description), example))
        for index, model in enumerate(models)
        for name in _NEEDED
        if getattr(model, name) is None
        for field in [Model.model_fields[name]]
        for example in field.examples or []
    ]


def _missing(meaning: str, example: object) -> str:
    return f"is missing. {meaning.split('. ', maxsplit=1)[0]}. Write for example {json.dumps(example)}."


def resolved(model: Model) -> Resolved:
    """``model`` with everything filled in. Raises ValueError where ``unresolved`` finds something."""
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
    )
