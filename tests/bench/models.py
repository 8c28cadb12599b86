"""``python -m tests.bench.models``: how times grow with the number of models.

Not a test, as the other benchmark. Both stacks are of the program as it is; they take turns in one sandbox,
each in a namespace of its own.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster import Sandbox
from tests.bench import frame, projects
from tests.bench.projects import Cost, Project

FEW, MANY = 4, 200
UP = ("up", "--yes", "--skip-preview")
# A preview of many models may take this many times what one of few takes.
GROWTH = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns what ``frame.run`` returns."""
    return frame.run("tests.bench.models", __doc__, _measure, arguments)


def _measure(folder: Path, rounds: int) -> bool:
    """Whether the greatest ratio of previews is within the target."""
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
    reached = max(growth) <= GROWTH
    print(f"{'met' if reached else 'MISSED'}: preview of {MANY} models <= {GROWTH} x that of {FEW}", flush=True)
    return reached


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


def _timed(what: str, stacks: dict[int, Project], pulumi: Sequence[str], rounds: int) -> float:
    """Prints the times of all stacks; the last one's in terms of the first one's."""
    costs: dict[int, list[Cost]] = {count: [] for count in stacks}
    for _ in range(rounds):
        for count, stack in stacks.items():
            costs[count].append(stack.timed(*pulumi))
    wall = {count: statistics.median(one.wall for one in each) for count, each in costs.items()}
    cpu = {count: statistics.median(one.cpu for one in each) for count, each in costs.items()}
    said = "; ".join(f"{count} models {wall[count]:6.1f} s ({cpu[count]:5.1f} s of CPU)" for count in stacks)
    print(f"{what:28} {said}; ratio {wall[MANY] / wall[FEW]:.2f}", flush=True)
    return wall[MANY] / wall[FEW]


if __name__ == "__main__":
    sys.exit(main())
