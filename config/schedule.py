"""When something runs by the clock."""

import re
from typing import Annotated

from pydantic import AfterValidator

# The fields of a schedule, and what each may hold at least and at most (Sunday is 0 and 7 in crontab, 0 here).
_SCHEDULE = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}
_STEP = re.compile(r"(\*|(?P<first>\d{1,2})(-(?P<last>\d{1,2}))?)(/(?P<step>\d{1,2}))?")
_SHORTHAND = ("@hourly", "@daily", "@midnight", "@weekly")


def _schedule(value: str) -> str:
    parts = value.split()
    valid = value in _SHORTHAND or (
        len(parts) == len(_SCHEDULE)
        and all(
            _within(item, *limits)
            for part, limits in zip(parts, _SCHEDULE.values(), strict=True)
            for item in part.split(",")
        )
    )
    if not valid:
        msg = (
            f"is no schedule of five numbers ({', '.join(_SCHEDULE)}; *, ranges, lists and steps too) that the API "
            "server would take; nothing would be checked; write for example */5 * * * *"
        )
        raise ValueError(msg)
    return value


def _within(item: str, least: int, most: int) -> bool:
    match = _STEP.fullmatch(item)
    if match is None or match["step"] in ("0", "00"):
        return False
    first = int(match["first"] or least)
    last = int(match["last"] or first)
    return least <= first <= last <= most


Schedule = Annotated[str, AfterValidator(_schedule)]
