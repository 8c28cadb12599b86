"""Parts of live objects, any of which may be left out or null."""

from typing import Any

from config.cluster import Json


def name_of(body: Json) -> str:
    """An object's name."""
    return body["metadata"]["name"]


def mapping(body: Json, *path: str) -> Json:
    """The mapping at ``path``, an empty one if there is none."""
    found = body
    for each in path:
        inner: Json | None = found.get(each)
        found: Json = inner or {}
    return found


def listed(body: Json, *path: str) -> list[Any]:
    """The list at ``path``, an empty one if there is none."""
    *before, last = path
    return mapping(body, *before).get(last) or []
