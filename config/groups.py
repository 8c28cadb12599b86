"""The Groups that give roles: which of them the stack makes, which it only uses, and what should be known of both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from config.cluster import Answer, Json
from config.findings import Owned, ours
from config.names import (
    ADMINS,
    ELEVATED,
    GENERIC,
    GRANTS,
    MANAGER,
    MANAGER_LABEL,
    PART_LABEL,
    READONLY,
    USERS,
    identity,
)
from config.objects import listed, mapping
from config.settings import Settings

Members = Sequence[str] | None
_API = "user.openshift.io"


def asked(settings: Settings, apis: Iterable[str]) -> dict[str, str]:
    """The path of each Group that decides, besides those that the stack may own; none without the API."""
    # A provider's groups are its own.
    if settings.access.mode == "oidc" or _API not in apis:
        return {}
    names = GENERIC if settings.access.manage_groups else GRANTS
    return {name: f"/apis/{_API}/v1/groups/{name}" for name in names}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The Groups that the stack makes, with their members (None: not its to say), and those ``used`` as they are."""

    made: Mapping[str, Members]
    used: frozenset[str]
    notices: Sequence[str]


def plan(settings: Settings, found: Iterable[tuple[Owned, Json]], others: Mapping[str, Answer], stack: str) -> Plan:
    """What becomes of the Groups, from those that the stack may own and the answers for ``asked``."""
    live: dict[str, Json | None] = {one.name: body for one, body in found if one.kind == "Group"}
    for name, (status, body) in others.items():
        # None: it may be there.
        live[name] = body if status == HTTPStatus.OK else {} if status == HTTPStatus.NOT_FOUND else None
    declared = _declared(settings)
    used = frozenset(
        name
        for name, members in declared.items()
        if members is None and (body := live.get(name)) and _somebody_elses(body, stack)
    )
    made = {name: members for name, members in declared.items() if name not in used}
    return Plan(made=made, used=used, notices=_notices(settings, live, used))


def _somebody_elses(body: Json, stack: str) -> bool:
    """Made by hand, by an identity provider or another tool; not by another installation of this program.

    One of those may have got it from this stack, by the label: left out of the program now, it would be deleted.
    """
    labels = mapping(body, "metadata", "labels")
    of_this_program = {MANAGER_LABEL: MANAGER, PART_LABEL: identity(stack)[PART_LABEL]}
    ends = "deletionTimestamp" in mapping(body, "metadata")
    return not ours(labels, stack) and not labels.items() >= of_this_program.items() and not ends


def _declared(settings: Settings) -> dict[str, Members]:
    access = settings.access
    declared: dict[str, Members] = {ADMINS: access.admins, READONLY: access.readonly, USERS: access.users}
    return declared if access.manage_groups else {}


def _notices(settings: Settings, live: Mapping[str, Json | None], used: Iterable[str]) -> list[str]:
    """What surprises people: which Groups give roles besides the stack's own, and that nobody is administrator."""
    lines = [_used(name, live[name] or {}) for name in sorted(used)]
    lines += [_generic(name, body) for name in GENERIC if (body := live.get(name))]
    lines += _no_administrator(settings, live)
    return ["\n  - ".join(["Groups:", *lines])] if lines else []


def _used(name: str, body: Json) -> str:
    return (
        f"Group {name} exists already and is not this stack's ({_count(body)}): it is used as it is, neither changed "
        "nor deleted; whoever manages it decides who is in it. If this preview deletes it nevertheless, an earlier up "
        f"has made one of this name: keep it by `pulumi state delete` of oauth-{name} first"
    )


def _generic(name: str, body: Json) -> str:
    role = GENERIC[name]
    if role == "user":
        return f"Group {name} exists ({_count(body)}) and gives the role user, which everybody has who can log in"
    same = next(group for group, given in GRANTS.items() if given == role)
    return (
        f"Group {name} exists ({_count(body)}), and LiteMaaS knows it by name: its members get the role {role} at "
        f"their next login, as those of {same} do; if that is not meant, take them out of it, or rename the Group"
    )


def _count(body: Json) -> str:
    number = len(listed(body, "users"))
    return f"{number or 'no'} member{'' if number == 1 else 's'}"


def _no_administrator(settings: Settings, live: Mapping[str, Json | None]) -> list[str]:
    access = settings.access
    giving = [live.get(name) for name, role in ELEVATED.items() if role == "admin"]
    # One that could not be read may have members.
    perhaps = any(body is None or listed(body, "users") for body in giving)
    if access.admins or access.initial_admins or perhaps:
        return []
    notice = (
        f"nobody is administrator of the portal: access.admins and access.initialAdmins name nobody, and {ADMINS} "
        f"has no members; name somebody there, or run: oc adm groups add-users {ADMINS} <user>"
    )
    return [notice]
