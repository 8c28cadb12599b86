"""Turns validation errors into what an operator can act on.

Every problem is printed as: the key's path as written in the stack file, the value
found there (never a secret), what is wrong and would break, and what to write.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

NAMESPACE = "litemaas"
_SHOWN = 80
_KINDS = {
    "int": "a whole number without quotes",
    "float": "a number without quotes",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "model": "a mapping of keys",
    "dict": "a mapping of keys",
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that has to be changed before anything is touched."""

    where: str
    what: str
    value: str | None = None

    def __str__(self) -> str:
        found = f" = {self.value}" if self.value is not None else ""
        return f"  - {self.where}{found}\n      {self.what}"


def explain(error: ValidationError, model: type[BaseModel], hidden: Iterable[str] = ()) -> list[Problem]:
    """One Problem per validation error; values under the top-level keys ``hidden`` are masked."""
    masked = set(hidden)
    problems: list[Problem] = []
    for item in error.errors(include_url=False):
        where = item["loc"]
        secret = bool(where) and str(where[0]) in masked
        value = "[secret]" if secret else _shown(item["input"])
        # A rule over several fields quotes what it is about; the whole mapping would drown it.
        whole = isinstance(item["input"], dict | list | BaseModel) and item["type"] in {"value_error", "missing"}
        problems.append(
            Problem(
                where=_path(where),
                value=None if whole or item["type"] == "missing" else value,
                what=_what(item["type"], item.get("ctx", {}), item["msg"], model, where),
            )
        )
    return problems


def summary(problems: Sequence[Problem], headline: str) -> str:
    """The text of a refusal."""
    count = f"{len(problems)} problem" + ("" if len(problems) == 1 else "s")
    return "\n".join([f"{headline} ({count}); nothing was touched", *map(str, problems)])


def _path(where: Sequence[int | str]) -> str:
    path = ""
    for part in where:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{NAMESPACE}:{path.lstrip('.')}" if path else f"{NAMESPACE}:"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except TypeError:
        text = str(value)
    if "-----BEGIN" in text:
        return "(text in PEM)"  # a private key, for all we know
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _what(kind: str, ctx: dict[str, Any], message: str, model: type[BaseModel], where: Sequence[int | str]) -> str:
    if kind == "value_error":
        return str(ctx["error"])
    owner, field = _locate(model, where)
    if kind == "extra_forbidden":
        return _unknown(str(where[-1]), owner)
    meaning = field.description.split(". ")[0] + "." if field and field.description else ""
    example = f" Write for example {json.dumps(field.examples[0])}." if field and field.examples else ""
    base = kind.removesuffix("_type").removesuffix("_parsing")
    if kind == "missing":
        fault = "is missing"
    elif base in _KINDS:
        fault = f"has the wrong type: write {_KINDS[base]}"
    elif kind == "literal_error":
        fault = f"is none of the choices: write {ctx['expected']}"
    elif kind == "greater_than_equal":
        fault = f"is out of range: write at least {ctx['ge']}"
    elif kind == "less_than_equal":
        fault = f"is out of range: write at most {ctx['le']}"
    else:
        fault = message
    return f"{fault}. {meaning}{example}".rstrip()


def _unknown(key: str, owner: type[BaseModel]) -> str:
    known = sorted(info.alias or name for name, info in owner.model_fields.items())
    close = get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"no such key; {hint}it would be ignored while you rely on it; write one of: {', '.join(known)}"


def _locate(model: type[BaseModel], where: Sequence[int | str]) -> tuple[type[BaseModel], Any]:
    """The model that ``where`` leads to, and the field in it (None for an unknown key)."""
    owner, field = model, None
    for part in where:
        if isinstance(part, int):
            continue
        if field is not None:
            owner = _inner(field.annotation) or owner
        field = next((f for n, f in owner.model_fields.items() if part in (f.alias, n)), None)
        if field is None:
            break
    return owner, field


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (found := _inner(argument)) is not None:
            return found
    return None
