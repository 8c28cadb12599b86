"""The portal in the application menu of OpenShift's console."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from config.cluster import VERBS, Json, Right
from config.entry import Entry
from config.names import STACK_LABEL
from config.objects import mapping
from config.report import NAMESPACE, Problem

KIND = "ConsoleLink"
_API = "console.openshift.io"
RIGHTS = [Right(verb, _API, "consolelinks") for verb in VERBS]

_LONGEST = 100
_IMAGE = re.compile(r"https://[^\s/]+/\S*|data:image/[a-z0-9.+-]+(;[a-z0-9=-]+)*,\S+")


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        msg = (
            "is neither an https:// address nor a data:image/ URL; the console would show a broken image; "
            "write one of these, or leave it out"
        )
        raise ValueError(msg)
    return value


def _words(value: str) -> str:
    if not value or value != value.strip() or not value.isprintable() or len(value) > _LONGEST:
        msg = (
            f"is empty, longer than {_LONGEST} characters, of several lines or with spaces around it; nobody could read "
            "it in a menu; write a word or two"
        )
        raise ValueError(msg)
    return value


Words = Annotated[str, AfterValidator(_words)]


class ConsoleLink(Entry):
    """A link to the portal for everybody who uses the console of this cluster."""

    enabled: bool | None = Field(
        default=None,
        description="Make it. Default: where the cluster has the console and you may make ConsoleLinks, which belong to the whole cluster; true refuses where that is not so.",
    )
    text: Words | None = Field(
        default=None,
        description="What it is called. Default: LiteMaaS, with the namespace behind it unless that is litemaas, so that two installations can be told apart.",
        examples=["Models as a service"],
    )
    section: Words = Field(
        default="OpenShift Self Managed Services",
        description="The heading in the menu that it stands under; one that is not there is made. Default: that under which OpenShift AI stands.",
    )
    image_url: Annotated[str, AfterValidator(_image)] | None = Field(
        default=None,
        description="A square image in front of it, an https:// address or a data:image/ URL. Default: one that comes with this program.",
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Whether the link is made, and what the operator should know."""

    made: bool
    notices: Sequence[str] = ()


def asked(wanted: ConsoleLink, apis: Collection[str]) -> bool:
    """Whether it comes into question at all."""
    return wanted.enabled is not False and _API in apis


def plan(
    wanted: ConsoleLink,
    apis: Collection[str],
    allowed: Iterable[tuple[Right, bool]],
    live: Sequence[Json],
    stack: str,
) -> Plan:
    """Whether to make it; ``live`` is the object of its name, if there is one.

    One that this stack has made stays: whoever runs `up` without the right is refused, and does not delete it.
    """
    if not asked(wanted, apis):
        return Plan(made=False)
    there = any(mapping(one, "metadata", "labels").get(STACK_LABEL) == stack for one in live)
    may = all(granted for right, granted in allowed if right in RIGHTS)
    if wanted.enabled or there or may:
        return Plan(made=True)
    notice = (
        "The portal gets no link in the menu of OpenShift's console: you may not make ConsoleLinks at cluster scope. "
        "Write exposure.consoleLink.enabled: false, or ask for a ClusterRole with get, create, patch and delete on them"
    )
    return Plan(made=False, notices=(notice,))


def unserved(wanted: ConsoleLink, apis: Collection[str], server: str) -> list[Problem]:
    """That it is asked for where there is no console."""
    if not wanted.enabled or _API in apis:
        return []
    what = (
        f"asks for a link in OpenShift's console, but {_API} is not served by {server}; nothing could show it; "
        "leave it out, or write false"
    )
    return [Problem(where=f"{NAMESPACE}:exposure.consoleLink.enabled", value="true", what=what)]
