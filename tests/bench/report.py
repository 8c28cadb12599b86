"""Medians, ratios and targets, as text."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.projects import Cost

# Costs, one a round, by who or what caused them.
Times = Mapping[str, Sequence[Cost]]
RATIO_TARGET = 1.1
START_TARGET = 0.6
# The phases of which a ratio was promised.
PROMISED = ("up from empty", "preview, no change")


@dataclass(frozen=True)
class Target:
    """One promise and whether it was kept."""

    what: str
    measured: str
    wanted: str
    met: bool

    def __str__(self) -> str:
        """One line."""
        return f"{'met   ' if self.met else 'MISSED'}  {self.what}: {self.measured} (target {self.wanted})"


def phases(times: Mapping[str, Times]) -> str:
    """A table of medians by phase, and each round's seconds on the clock."""
    header = f"{'median seconds':20}{'ours':>7}{'flat':>7}{'ratio':>7}{'CPU':>9}{'flat':>7}{'ratio':>7}"
    lines = [f"{header}   each round, ours/flat"]
    for phase, each in times.items():
        line = f"{phase:20}"
        for kind, width in (("wall", 7), ("cpu", 9)):
            ours, flat = (statistics.median(getattr(one, kind) for one in each[who]) for who in ("ours", "flat"))
            line += f"{ours:{width}.2f}{flat:7.2f}{ratio(each, kind):7.2f}"
        pairs = ", ".join(f"{a.wall:.1f}/{b.wall:.1f}" for a, b in zip(each["ours"], each["flat"], strict=True))
        lines.append(f"{line}   {pairs}")
    return "\n".join(lines)


def ratio(each: Times, kind: str = "wall") -> float:
    """The median of the rounds' ratios of ours over flat.

    Both programs of a round ran one after the other, so that a busy machine slowed both.
    """
    pairs = zip(each["ours"], each["flat"], strict=True)
    return statistics.median(getattr(a, kind) / getattr(b, kind) for a, b in pairs)


def starts(costs: Times, questions: Sequence[float]) -> str:
    """A table of what happens before the first resource; ``questions`` are preflight's seconds."""
    lines = [f"{'seconds before the start':34}{'median':>8}{'least':>8}{'CPU':>8}"]
    for label, each in costs.items():
        wall = [one.wall for one in each]
        used = statistics.median(one.cpu for one in each)
        lines.append(f"{label:34}{statistics.median(wall):8.2f}{min(wall):8.2f}{used:8.2f}")
    lines.append(f"{'preflight, its questions alone':34}{statistics.median(questions):8.2f}{min(questions):8.2f}")
    return "\n".join(lines)


def targets(times: Mapping[str, Times], started: Sequence[Cost]) -> list[Target]:
    """What was promised, beside what was measured; ``started`` are starts of the program."""
    found = [
        Target(phase, f"{ratio(times[phase]):.2f} of flat", f"{RATIO_TARGET}", ratio(times[phase]) <= RATIO_TARGET)
        for phase in PROMISED
    ]
    start = statistics.median(one.wall for one in started)
    return [*found, Target("start-up", f"{start:.2f} s", f"under {START_TARGET} s", start < START_TARGET)]
