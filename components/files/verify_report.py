"""Runs checks, waits while things settle, and prints what came of them.

A check is a function that returns what it saw, or raises Problem.
"""

import dataclasses
import json
import re
import time

OK, FAILED, SKIPPED = "ok", "FAILED", "not tried"
# On purpose: it is not asked, and that is no failure.
LEFT_OUT = "left out"
BAD = (FAILED, SKIPPED)
# `pulumi up` shows the end of this log when the Job fails; the table has to be whole there.
ROOM = 28
# Each check gets this part of the patience to itself, even if others have used it up.
SHARE = 6
SEEN_LENGTH = 160
# Of what is well, so many names do.
NAMED = 40
# Whoever words an error message may quote a key, or a URL with a password in it.
SECRET = re.compile(r"\b(?:sk-|ltm_admin_|Bearer )[^\s\"',}]+|(?<=://)[^/@\s]+(?=@)")


class Problem(Exception):
    """What was seen, why it probably is so, what to do.

    ``final``: waiting would not help. ``echo``: it follows from an earlier one, which says more.
    """

    def __init__(self, seen, cause, todo, final=False, echo=False):
        super().__init__(seen)
        self.seen, self.cause, self.todo, self.final, self.echo = seen, cause, todo, final, echo


@dataclasses.dataclass(frozen=True)
class Row:
    """The outcome of a check."""

    name: str
    state: str
    seen: str
    cause: str = ""
    todo: str = ""

    def lines(self, width):
        """The row as it is printed."""
        told = [f"  {self.state:9}  {self.name:{width}}  {self.seen}"]
        return [*told, f"{'':13}cause: {self.cause}", f"{'':13}do:    {self.todo}"] if self.cause else told


class Report:
    """``patience`` and ``limit`` in seconds, before and after which all is over; ``secrets`` are never printed."""

    def __init__(self, patience, limit, secrets, progress):
        self.rows, self._secrets, self._progress = [], list(secrets), progress
        self._share, self._until = patience / SHARE, time.monotonic() + patience
        self._end = time.monotonic() + limit

    @property
    def left(self):
        """The seconds until the limit, perhaps none."""
        return max(0, self._end - time.monotonic())

    def tell(self, line):
        """Prints a line that says how far it is."""
        print(self.clean(line), file=self._progress, flush=True)

    def hide(self, secret):
        """From now on ``secret`` is not printed."""
        self._secrets.append(secret)

    def clean(self, text):
        """``text`` without secrets, in one line."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return " ".join(SECRET.sub("[hidden]", text).split())

    def attempt(self, name, work):
        """The Row of a check, tried until it succeeds or patience is at its end."""
        until, pause, problem = min(max(self._until, time.monotonic() + self._share), self._end), 1, None
        while True:
            try:
                return Row(name, OK, self.clean(work()))
            except Problem as raised:
                problem = problem if problem and raised.echo else raised
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as raised:
                said = f"{type(raised).__name__}: {raised}"
                problem = Problem(f"an answer of another form ({said})", "another version answers", "compare the versions")
            left = until - time.monotonic()
            # Cut only what is clean already: half a key would not be recognised.
            seen = self.clean(problem.seen)
            seen = seen if len(seen) <= SEEN_LENGTH else f"{seen[:SEEN_LENGTH]}..."
            if problem.final or left <= 0:
                return Row(name, FAILED, seen, self.clean(problem.cause), self.clean(problem.todo))
            self.tell(f"{name}: {seen}; waiting, {left:.0f} s at most")
            time.sleep(min(pause, left))
            pause = min(2 * pause, 8)

    def check(self, name, work, *needs):
        """Adds the Row of a check, which is not tried if one that it needs failed; whether it succeeded."""
        missing = [row for row in self.rows if row.name in needs and row.state in BAD]
        if missing:
            self.rows.append(Row(name, SKIPPED, f"needs: {missing[0].name}"))
        else:
            self.rows.append(self.attempt(name, work))
        return self.rows[-1].state == OK

    @property
    def failed(self):
        """The names of all checks that did not succeed."""
        return [row.name for row in self.rows if row.state in BAD]

    def as_json(self, **where):
        """All rows for programs, of the installation ``where``."""
        rows = [
            {"check": row.name, "state": row.state, "seen": row.seen, "cause": row.cause, "do": row.todo} for row in self.rows
        ]
        return json.dumps({"ok": not self.failed, **where, "checks": rows}, indent=2)

    def table(self, room=ROOM):
        """All rows as text; if they are more lines than ``room``, what is well is folded into one."""
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [line for row in self.rows for line in row.lines(width)]
        if len(lines) >= room:
            lines = self._folded(width, room)
        bad, made = len(self.failed), sum(row.state != LEFT_OUT for row in self.rows)
        end = f"{bad} of {made} checks failed or could not be tried" if bad else f"all {made} checks passed"
        away = len(self.rows) - made
        return "\n".join([*lines, f"{end}; {away} left out" if away else end])

    def _kinds(self):
        """What a folded table has a line for: a state, and what was seen where that is the reason."""
        kinds = [(row.state, row.seen if row.state == LEFT_OUT else None) for row in self.rows if row.state != FAILED]
        return sorted(set(kinds), key=lambda kind: ((OK, LEFT_OUT, SKIPPED).index(kind[0]), kind[1] or ""))

    def _folded(self, width, room):
        lines = []
        for state, seen in self._kinds():
            names = [row.name for row in self.rows if row.state == state and seen in (None, row.seen)]
            told = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
            lines.append(f"  {state:9}  {len(names)}: {told}" + (f" ({seen})" if seen else ""))
        failures = [row for row in self.rows if row.state == FAILED]
        room = (room - len(lines) - 2) // len(Row("", "", "", "c", "t").lines(0))
        lines += [line for row in failures[:room] for line in row.lines(width)]
        if failures[room:]:
            lines.append(f"  {FAILED:9}  {len(failures[room:])} more: {', '.join(row.name for row in failures[room:])}")
        return lines
