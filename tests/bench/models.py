"""``python -m tests.bench.models``: how times grow with the number of models.

Not a test, as the other benchmark. Both stacks are of the program as it is; they take turns in one sandbox,
each in a namespace of its own.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster import Sandbox
from sandbox.processes import ComponentError
from tests.bench import projects
from tests.bench.projects import CommandError, Cost, Project

FEW, MANY = 4, 200
UP = ("up", "--yes", "--skip-preview")
# A preview of many models may take this many times what one of few takes.
GROWTH = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0; 1 if something failed to run, or, with ``--strict``, a preview of many models took too long.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.models", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="previews of each stack (default: 3)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if the target is missed")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="litemaas-models-") as folder:
            growth = _measure(Path(folder), options.rounds)
    except (CommandError, ComponentError, TimeoutError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(
        f"{'met' if growth <= GROWTH else 'MISSED'}: preview of {MANY} models <= {GROWTH} x that of {FEW}", flush=True
    )
    return int(options.strict and growth > GROWTH)


def _measure(folder: Path, rounds: int) -> float:
    """The greatest ratio of previews."""
    with Sandbox(folder / "sandbox", name="models", progress=print) as sandbox:
        stacks = {count: projects.ours(folder / f"with-{count}", sandbox.env()) for count in (FEW, MANY)}
        for count, stack in stacks.items():
            _configure(stack, count)
            stack.prepare()
        _timed("first preview", stacks, ("preview",), 1)
        _timed("up from empty", stacks, UP, 1)
        growth = [_timed("preview, no change", stacks, ("preview",), rounds)]
        for count, stack in stacks.items():
            _configure(stack, count, changed=True)
        growth.append(_timed("preview, one price changed", stacks, ("preview",), rounds))
        _timed("up, one price changed", stacks, UP, 1)
        _timed("up, no change", stacks, UP, 1)
        _timed("destroy", stacks, ("destroy", "--yes", "--skip-preview"), 1)
    return max(growth)


def _configure(stack: Project, count: int, *, changed: bool = False) -> None:
    models: list[dict[str, Any]] = [
        {
            "name": f"model-{number:03}",
            "endpoint": f"http://model-{number:03}-predictor.private-ai.svc.cluster.local:8080/v1",
            "contextLength": 16384,
            "inputPrice": 2e-6 if changed and number == 1 else 1e-6,
        }
        for number in range(count)
    ]
    file = stack.folder / f"Pulumi.{projects.STACK}.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings["config"] |= {
        "litemaas:namespace": f"models-{count}",
        "litemaas:access": {"manageGroups": False},
        "litemaas:models": models,
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")


def _timed(what: str, stacks: dict[int, Project], command: Sequence[str], rounds: int) -> float:
    """Prints the times of all stacks; the last one's in terms of the first one's."""
    costs: dict[int, list[Cost]] = {count: [] for count in stacks}
    for _ in range(rounds):
        for count, stack in stacks.items():
            costs[count].append(stack.timed(*command))
    wall = {count: statistics.median(one.wall for one in each) for count, each in costs.items()}
    cpu = {count: statistics.median(one.cpu for one in each) for count, each in costs.items()}
    said = "; ".join(f"{count} models {wall[count]:6.1f} s ({cpu[count]:5.1f} s of CPU)" for count in stacks)
    print(f"{what:28} {said}; ratio {wall[MANY] / wall[FEW]:.2f}", flush=True)
    return wall[MANY] / wall[FEW]


if __name__ == "__main__":
    sys.exit(main())
