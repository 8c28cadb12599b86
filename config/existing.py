"""Keys of Secrets that somebody else makes and keeps: how they are named, and read at each up."""

import base64
import binascii
from collections.abc import Callable
from http import HTTPStatus

from pydantic import Field, SecretStr

from config.cluster import Answer, Json
from config.entry import Entry
from config.report import Problem
from config.types import NamespaceLabel, ObjectName, SecretKey


class Existing(Entry):
    """One key of a Secret that somebody else makes and keeps."""

    namespace: NamespaceLabel = Field(
        description="Its namespace. No default: the installation's own exists only after the first up.",
        examples=["platform-secrets"],
    )
    name: ObjectName = Field(description="Its name.", examples=["litemaas"])
    key: SecretKey = Field(description="The key of it that holds the value.", examples=["jwt"])


def path(wanted: Existing) -> str:
    """Where the API server has the Secret of ``wanted``."""
    return f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.name}"


def value(
    where: str, wanted: Existing, answer: Answer, fault: Callable[[str], str | None]
) -> tuple[SecretStr | None, Problem | None]:
    """What the API server's ``answer`` for ``path`` holds, or why it cannot be used.

    ``where`` is the path of ``wanted`` in the stack file; ``fault`` says what is wrong with a value.
    """
    shown = f"{wanted.namespace}/{wanted.name}"
    if answer.status == HTTPStatus.FORBIDDEN:
        what = "may not be read by you; up would have no value; ask for the right to get this Secret"
        return None, Problem(where=where, value=shown, what=what)
    data: Json = answer.body.get("data") or {}
    if answer.status != HTTPStatus.OK or wanted.key not in data:
        what = f"has no key {wanted.key}" if answer.status == HTTPStatus.OK else "is not there"
        there = f" (its keys: {', '.join(sorted(data)) or 'none'})" if answer.status == HTTPStatus.OK else ""
        cure = "make it before the up, or correct namespace, name and key"
        return None, Problem(where=where, value=shown, what=f"{what}{there}; up would have no value; {cure}")
    try:
        text = base64.b64decode(data[wanted.key]).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if problem := fault(text):
        return None, Problem(where=f"{where}.key", value=wanted.key, what=f"holds a value that {problem}")
    return SecretStr(text), None
