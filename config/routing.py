"""What LiteLLM is told of models besides the models: other names, other models in their stead, other tries."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from config.models import Model
from config.report import NAMESPACE, Problem
from config.resolved import Resolved

# Another server, until one answers: with one of two dead, 1 of 5 calls failed without, and none of 40 with it.
# A time-out is not tried again: the caller has waited long enough.
_RETRIES = {"InternalServerErrorRetries": 3, "ServiceUnavailableErrorRetries": 3}


def key_variable(model: str) -> str:
    """The environment variable that holds the API key of ``model``; no two models have the same."""
    # Names have no capitals, so these cannot stand in one.
    return f"MODEL_KEY_{model.replace('-', '_').replace('.', 'DOT')}"


def router_settings(models: Sequence[Resolved]) -> dict[str, Any]:
    """``router_settings`` of LiteLLM's configuration file; empty if there is nothing to say."""
    fallbacks = [{name: list(one.declared.fallbacks)} for name, one in _called(models) if one.declared.fallbacks]
    # Not hidden, an alias would stand in /model/info as one more model with the same id.
    aliases = {alias: {"model": one.declared.name, "hidden": True} for one in models for alias in one.declared.aliases}
    retries = {name: _RETRIES for name, one in _called(models) if len(one.endpoints) > 1}
    told = {"fallbacks": fallbacks, "model_group_alias": aliases, "model_group_retry_policy": retries}
    return {key: value for key, value in told.items() if value}


def _called(models: Sequence[Resolved]) -> Iterator[tuple[str, Resolved]]:
    """Each model by each of its names: LiteLLM looks for these settings by the name that was sent."""
    for one in models:
        yield from ((name, one) for name in (one.declared.name, *one.declared.aliases))


def contradictions(models: Sequence[Model]) -> list[Problem]:
    """What cannot be meant by aliases and fallbacks, each with its path in the stack file."""
    known = {model.name: model for model in models}
    names = [*known, *(alias for model in models for alias in model.aliases)]
    problems: list[Problem] = []
    for index, model in enumerate(models):
        where = f"{NAMESPACE}:models[{index}]"
        problems += [
            Problem(where=f"{where}.aliases[{place}]", value=alias, what=_TWICE)
            for place, alias in enumerate(model.aliases)
            if names.count(alias) > 1
        ]
        problems += [
            Problem(where=f"{where}.fallbacks[{place}]", value=name, what=fault)
            for place, name in enumerate(model.fallbacks)
            if (fault := _fault(model, name, known))
        ]
        if len(set(model.fallbacks)) < len(model.fallbacks):
            problems.append(Problem(where=f"{where}.fallbacks", what=_REPEATED))
        if circle := _circle(model.name, known):
            what = (
                f"lead back to it ({' -> '.join(circle)}); while all of them fail, a caller would wait for each "
                "several times; take one of them out"
            )
            problems.append(Problem(where=f"{where}.fallbacks", what=what))
    return problems


_TWICE = "is also another name of a model or alias; calls would go to one of the two by chance; write each name once"
_REPEATED = "name a model twice; it would be asked again although it has just failed; write each once"


def _fault(model: Model, name: str, known: Mapping[str, Model]) -> str | None:
    if name == model.name:
        return "is the model itself; it would be asked again although it has just failed; name another one, or none"
    if name not in known:
        original = next((one.name for one in known.values() if name in one.aliases), None)
        close = original or next(iter(get_close_matches(name, known, n=1)), None)
        hint = f"did you mean {close}? " if close else ""
        return f"is no declared model; {hint}nobody would answer in its stead; write one of: {', '.join(known)}"
    if known[name].embedding != model.embedding:
        return "is of another kind (embedding); it cannot answer what this one is asked; name one of the same kind"
    return None


def _circle(start: str, known: Mapping[str, Model]) -> list[str] | None:
    """A way by fallbacks from ``start`` back to it; only of the circle's first model, so that it is told once."""
    order = list(known)
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in known[way[-1]].fallbacks:
            if name == start and len(way) > 1:
                return [*way, start]
            if name in known and name not in seen and order.index(name) > order.index(start):
                seen.add(name)
                ways.append([*way, name])
    return None
