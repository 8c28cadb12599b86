"""What the benchmarks have in common as commands."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.processes import ComponentError
from tests.bench.projects import CommandError


def run(
    module: str, description: str | None, measure: Callable[[Path, int], bool], arguments: Sequence[str] | None = None
) -> int:
    """``measure`` in a folder of its own, so many rounds as asked for; it says whether all targets were met.

    Returns:
        0; 1 if something failed to run, or, with ``--strict``, a target was missed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is timed (default: 3)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        with tempfile.TemporaryDirectory(prefix="litemaas-bench-") as folder:
            reached = measure(Path(folder), options.rounds)
    except (CommandError, ComponentError, TimeoutError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return int(options.strict and not reached)
