"""Models that are offered and no longer declared: what would be lost with them, and whether one was only renamed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from config.cluster import Json
from config.discovery import Discovery
from config.report import NAMESPACE, Problem
from config.settings import Settings
from config.stakes import Stake


@dataclass(frozen=True, kw_only=True)
class Gone:
    """An offered model that is no longer declared; ``successor`` is the declared one with its server, if any."""

    name: str
    successor: str | None


def vanished(settings: Settings, found: Discovery, offered: Iterable[Json]) -> list[Gone]:
    """The models that would go without a word; ``offered`` are the ConfigMaps with declarations of the last up."""
    before = _declarations(offered)
    successors = {
        server: one.declared.name
        for one in found.models
        if one.declared.name not in before
        for url in one.endpoints
        for server in _known_as(url, one.served_name, one.declared.name)
    }
    here = {one.declared.name for one in found.models} | {one.name for one in found.unknown}
    declared = here | set(settings.retired_models)
    return [
        Gone(name=name, successor=next((successors[key] for key in _servers(before[name]) if key in successors), None))
        for name in sorted(set(before) - declared)
    ]


def _declarations(offered: Iterable[Json]) -> dict[str, Json]:
    files: list[dict[str, str]] = [one.get("data") or {} for one in offered]
    declared: list[Json] = [json.loads(text) for each in files for text in each.values()]
    return {one["model"]: one for one in declared}


def _servers(declaration: Json) -> list[tuple[str, str | None]]:
    servers: list[Json] = declaration.get("endpoints", [])
    return [known for one in servers for known in _known_as(one["url"], one["served_name"], declaration["model"])]


def _known_as(url: str, served_name: str, name: str) -> list[tuple[str, str | None]]:
    """How a server may be recognised: by the name it knows the model by, and, where that was left out, by its URL."""
    return [(url, served_name), *([(url, None)] if served_name == name else [])]


def problems(gone: Sequence[Gone], stakes: Mapping[str, Stake]) -> list[Problem]:
    """Refuses that ``gone`` go; ``stakes`` by name say what hangs on them."""
    return [Problem(where=f"{NAMESPACE}:models", value=one.name, what=_what(one, stakes[one.name])) for one in gone]


def _what(one: Gone, stake: Stake) -> str:
    lost = f"{stake}; subscriptions would end, and keys made for it alone be disabled, for good"
    retire = f"write retiredModels: [{one.name}] if you mean it"
    if one.successor:
        return (
            f"is offered now, and {one.successor} is declared with its server: to those who use it, a renamed model is "
            f"another one. {lost}; keep the name {one.name}, with aliases: [{one.successor}] if calls of that name are "
            f"to work too, or {retire}"
        )
    return f"is offered now and no longer declared or discovered. {lost}; put it back, or {retire}"
