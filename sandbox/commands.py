"""What `make` does: the whole deployment, from tools to outputs, and back.

Standard library only up to the point where `.venv` exists; what needs more runs there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox import SIMULATED, environment, paths, venv
from sandbox.node import REAL
from sandbox.node.names import Names
from sandbox.record import Record
from sandbox.toolchain import ensure

STACK = "dev"


class CommandError(Exception):
    """A command failed and has said why; ``code`` is its exit code."""

    def __init__(self, command: Sequence[str], code: int) -> None:
        """Keep the exit code for our own."""
        super().__init__(f"`{' '.join(command)}` ended with exit code {code}")
        self.code = code


class Phases:
    """Announces each phase and keeps how long it took."""

    def __init__(self) -> None:
        """Start with none."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, what: str) -> Iterator[None]:
        """Time one phase."""
        print(f"\n==> {what}", flush=True)
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started

    def __str__(self) -> str:
        """One line with every phase."""
        each = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        return f"{each}; in all {sum(self.seconds.values()):.1f} s"


def run(command: Sequence[str], env: Mapping[str, str]) -> None:
    """Run a command in the checkout with its output on the screen.

    Raises:
        CommandError: it failed.
    """
    code = subprocess.run(command, cwd=paths.CHECKOUT, env=dict(env), check=False).returncode
    if code:
        raise CommandError(command, code)


def sandbox(state: Path, *arguments: str) -> list[str]:
    """A sandbox command that runs with the packages of `.venv`."""
    python = str(paths.VENV / "bin" / "python")
    return [python, "-m", "sandbox", *arguments, f"--state={state}"]


def setup(state: Path, phases: Phases, nodes: str | None = None) -> dict[str, str]:
    """Everything before the first Pulumi command.

    Returns:
        The environment in which Pulumi sees the sandbox.
    """
    with phases("tools", "Getting the tool chain (kept in the cache; remove it by hand)"):
        tools = ensure()
    with phases("venv", "Making .venv (undo: make clean)"):
        venv.sync()
    env = environment.build(state, tools, os.environ)
    if nodes == "real":
        with phases("images", "Making the images of the real node (kept in the cache; remove it by hand)"):
            run([str(paths.VENV / "bin" / "python"), "-m", "sandbox", "images"], env)
    with phases("sandbox", "Starting the sandbox (undo: make down)"):
        run(sandbox(state, "up", *([f"--nodes={nodes}"] if nodes else [])), env)
    return env


def deploy(state: Path, nodes: str | None = None) -> int:
    """`make up`: from nothing to a deployed stack, with outputs."""
    phases = Phases()
    env = setup(state, phases, nodes)
    with phases("preview", f"What would change in stack {STACK} (nothing is touched)"):
        run(["pulumi", "stack", "select", "--create", STACK], env)
        run(["pulumi", "preview", "--diff"], env)
    with phases("up", "Deploying (undo: make down)"):
        run(["pulumi", "up", "--yes", "--skip-preview"], env)
    print("\n==> Outputs (again: make outputs)", flush=True)
    run(["pulumi", "stack", "output"], env)
    print(f"\n{explained(state)}\n\ntime: {phases}")
    print(summary(env))
    return 0


def explained(state: Path) -> str:
    """What of a sandbox is real, and what is simulated."""
    record = Record.load(state)
    if record.nodes != "real":
        return SIMULATED
    return REAL.format(address=Names(record.name).address, domain=record.domain)


def summary(env: Mapping[str, str]) -> str:
    """The last line of `make up`: the addresses among the stack's outputs."""
    command = ["pulumi", "stack", "output", "--json"]
    done = subprocess.run(command, cwd=paths.CHECKOUT, env=dict(env), capture_output=True, text=True, check=False)
    outputs = json.loads(done.stdout or "{}")
    addresses = [
        f"{name} {value}" for name, value in outputs.items() if isinstance(value, str) and value.startswith("https://")
    ]
    return "deployed: " + (", ".join(addresses) or f"stack {STACK}")


def pulumi(state: Path, *arguments: str) -> int:
    """Run one Pulumi command on the sandbox's stack, starting the sandbox if it is down."""
    tools = ensure()
    venv.sync()
    env = environment.build(state, tools, os.environ)
    run(sandbox(state, "up"), env)
    run(["pulumi", "stack", "select", "--create", STACK], env)
    run(["pulumi", *arguments], env)
    return 0


def verify(state: Path, *arguments: str) -> int:
    """`make verify`: the checks at the end of `up`, from this machine.

    Returns:
        Their exit code: 0 all is well, 1 something failed, 2 nothing could be asked.
    """
    record = Record.load(state)
    if record.nodes != "real":
        why = "its pods are simulated, and nothing answers at its addresses" if record.started else "there is none"
        print(
            f"verification: not possible on the sandbox: {why}; `make up NODES=real` makes one on which it is, "
            "`make verify CONTEXT=...` verifies a cluster of yours",
            file=sys.stderr,
        )
        return 2
    env = environment.build(state, ensure(lambda _: None), os.environ)
    # Nothing on this machine knows the sandbox's domain; its router has the node's address.
    command = [str(paths.VENV / "bin" / "python"), "-m", "verification", f"--address={Names(record.name).address}"]
    return subprocess.run([*command, *arguments], cwd=paths.CHECKOUT, env=env, check=False).returncode


def destroy(state: Path) -> int:
    """`make down`: destroy the stack's resources, then stop the sandbox."""
    if not (state / "sandbox.json").exists():
        print(f"nothing to do: there is no sandbox in {state}")
        return 0
    tools = ensure(lambda _: None)
    env = environment.build(state, tools, os.environ)
    venv.sync(lambda _: None)
    up = subprocess.run(sandbox(state, "status"), env=env, capture_output=True, check=False)
    if up.returncode:
        print("==> The sandbox is not up: what was deployed is kept for its next start (delete it: make clean)")
    else:
        print(f"==> Destroying stack {STACK} (undo: make up)", flush=True)
        known = subprocess.run(
            ["pulumi", "stack", "select", STACK],
            cwd=paths.CHECKOUT,
            env=env,
            capture_output=True,
            check=False,
        )
        if known.returncode == 0:
            run(["pulumi", "destroy", "--yes", "--skip-preview"], env)
    print("==> Stopping the sandbox (undo: make up)", flush=True)
    run(sandbox(state, "down"), env)
    return 0


def shell(state: Path) -> int:
    """`make shell`: a shell in which pulumi and kubectl use the sandbox."""
    env = setup(state, Phases())
    run(["pulumi", "stack", "select", "--create", STACK], env)
    print("\n==> A shell on the sandbox: pulumi and kubectl just work. Leave it with: exit", flush=True)
    program = env.get("SHELL", "/bin/sh")
    os.chdir(paths.CHECKOUT)
    os.execvpe(program, [program], env)  # noqa: S606  a shell is what was asked for


def check(*command: str) -> int:
    """Run a program of `.venv` without anything of the user's clusters in its environment."""
    tools = ensure(lambda _: None)
    kept = {key: each for key, each in os.environ.items() if not environment.leads_elsewhere(key)}
    programs = [paths.VENV / "bin", *tools.path_entries]
    kept["PATH"] = os.pathsep.join([*map(str, programs), kept.get("PATH", os.defpath)])
    run(command, kept)
    return 0
