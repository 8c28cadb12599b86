"""``python -m tests.bench``: times against a flat program that creates the same objects.

Not a test: what is measured depends on the machine and what else it does. Both programs
take turns in one sandbox, and only ratios within one run say something.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.cluster import Sandbox
from tests.bench import flat, frame, projects, report, startup
from tests.bench.projects import CommandError, Cost, Project

UP = ("up", "--yes", "--skip-preview")
PHASES = {
    "up from empty": UP,
    "up, no change": UP,
    "preview, no change": ("preview",),
    "destroy": ("destroy", "--yes", "--skip-preview"),
}
STARTED = "ours: imports + load()"
_START_REPEATS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns what ``frame.run`` returns."""
    return frame.run("tests.bench", __doc__, _measure, arguments)


def _measure(folder: Path, rounds: int) -> bool:
    """Everything, in a sandbox of its own; whether all targets were met."""
    with Sandbox(folder / "sandbox", name="bench", progress=_say) as sandbox:
        env = sandbox.env()
        ours = projects.ours(folder / "ours", env)
        ours.prepare()
        _say("deploying once, to learn what there is to make")
        ours.timed(*UP)
        resources = ours.resources()
        program = flat.write(resources)
        other = projects.flat(folder / "flat", env, program)
        other.prepare()
        starts, questions = _starts(folder / "ours", program, env)
        ours.timed(*PHASES["destroy"])
        # Not timed: writes bytecode, and shows that the generated program runs at all.
        other.timed("preview")
        times = _rounds((ours, other), rounds, flat.kinds(resources))
    objects = len(flat.kinds(resources))
    _say(f"\n{objects} objects; {len(resources)} resources in our state, {objects + 2} in the flat one's\n")
    _say(report.phases(times))
    _say("\n" + report.starts(starts, questions))
    promised = report.targets(times, starts[STARTED])
    _say("\n" + "\n".join(map(str, promised)))
    return all(each.met for each in promised)


def _rounds(
    pair: tuple[Project, Project], rounds: int, expected: Mapping[str, str]
) -> dict[str, dict[str, list[Cost]]]:
    """Times by phase and program. Raises CommandError, also if the two make different objects."""
    times: dict[str, dict[str, list[Cost]]] = {phase: {one.name: [] for one in pair} for phase in PHASES}
    for number in range(rounds):
        # Who goes first changes, for the second finds the machine warmer.
        turn = pair if number % 2 == 0 else pair[::-1]
        for phase, command in PHASES.items():
            for one in turn:
                times[phase][one.name].append(one.timed(*command))
            if number == 0 and phase == "up from empty":
                for one in pair:
                    _compare(one, expected)
        said = "; ".join(
            f"{phase} {each['ours'][-1].wall:.1f}/{each['flat'][-1].wall:.1f}" for phase, each in times.items()
        )
        _say(f"round {number + 1} of {rounds}, ours/flat, seconds: {said}")
    return times


def _compare(project: Project, expected: Mapping[str, str]) -> None:
    made = flat.kinds(project.resources())
    if made != expected:
        different = sorted(set(made.items()) ^ set(expected.items()))
        raise CommandError(f"{project.name} made other objects than expected: {different}")


def _starts(program: Path, other: str, env: Mapping[str, str]) -> tuple[dict[str, list[Cost]], list[float]]:
    """Costs of starting by label, and seconds of preflight's questions."""
    configured = startup.configured(env)
    sources = startup.programs(program, other)
    costs: dict[str, list[Cost]] = {label: [] for label in sources}
    questions: list[float] = []
    for number in range(_START_REPEATS + 1):
        for label, source in sources.items():
            once = startup.run(source, configured)
            if number:  # the first writes bytecode
                costs[label].append(once)
        questions.append(startup.preflight(configured))
    return costs, questions


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
