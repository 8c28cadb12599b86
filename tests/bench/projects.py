"""Project folders for the benchmark and timed Pulumi commands in them."""

import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.paths import CHECKOUT, VENV

STACK = "dev"
PROGRAM = ("Pulumi.yaml", "__main__.py", "components", "config")
_COMMAND_SECONDS = 300


class CommandError(Exception):
    """A command failed; the text has all it said."""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of processor time of the processes that were started.

    Of Pulumi these are engine, language host, program and provider, but not the API server.
    Processor time says more on a machine that does something else as well.
    """

    wall: float
    cpu: float


def cost(run: Callable[[], object]) -> Cost:
    """What ``run`` costs, which waits for the processes that it starts."""
    before, started = _children(), time.perf_counter()
    run()
    return Cost(time.perf_counter() - started, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Project:
    """A Pulumi project folder with the stack ``dev`` in a backend of its own."""

    name: str
    folder: Path
    env: Mapping[str, str]

    def prepare(self) -> None:
        """Make backend and stack; the folder holds the project already.

        Raises:
            CommandError: Pulumi refused.
        """
        (self.folder / "backend").mkdir()
        self.pulumi("stack", "init", STACK)

    def pulumi(self, *arguments: str) -> str:
        """Run ``pulumi`` on the stack.

        Returns:
            What it wrote to standard output.

        Raises:
            CommandError: it failed or took minutes.
        """
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        backend = {"PULUMI_BACKEND_URL": (self.folder / "backend").as_uri()}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env={**self.env, **backend},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as late:
            raise CommandError(f"{self.name}: `{' '.join(command)}` took over {_COMMAND_SECONDS} s") from late
        if done.returncode:
            said = f"{done.stdout}\n{done.stderr}"
            raise CommandError(f"{self.name}: `{' '.join(command)}` ended with {done.returncode}:\n{said}")
        return done.stdout

    def timed(self, *arguments: str) -> Cost:
        """Run ``pulumi`` on the stack.

        Raises:
            CommandError: it failed.
        """
        return cost(lambda: self.pulumi(*arguments))

    def resources(self) -> list[dict[str, Any]]:
        """The resources in the state, secrets in clear: they are those of a sandbox that is about to go.

        Raises:
            CommandError: Pulumi failed.
        """
        state = json.loads(self.pulumi("stack", "export", "--show-secrets"))
        return state["deployment"].get("resources") or []


def ours(folder: Path, env: Mapping[str, str]) -> Project:
    """The program, linked, with a copy of the stack file: the backend writes its salt into that."""
    folder.mkdir()
    for name in PROGRAM:
        (folder / name).symlink_to(CHECKOUT / name)
    (folder / VENV.name).symlink_to(VENV)
    shutil.copy(CHECKOUT / f"Pulumi.{STACK}.yaml", folder)
    return Project("ours", folder, env)


def flat(folder: Path, env: Mapping[str, str], program: str) -> Project:
    """A project with one file, ``program``."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: flat\nruntime: {name: python, options: {virtualenv: .venv}}\n")
    (folder / "__main__.py").write_text(program, encoding="utf-8")
    (folder / VENV.name).symlink_to(VENV)
    return Project("flat", folder, env)
