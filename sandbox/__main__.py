"""``python -m sandbox``: the sandbox's own commands and those behind `make`."""

import argparse
import io
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import SIMULATED, commands, environment, node, paths, processes, venv
from sandbox.node import owner
from sandbox.node.cleaning import clean_up
from sandbox.toolchain import ensure
from sandbox.toolchain.builder import BuildError

if TYPE_CHECKING:
    from sandbox.cluster import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 when all is well; for `status`, only when everything is up.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Into a file, a CI system's log, progress would else come when all is over.
        sys.stdout.reconfigure(line_buffering=True)
    # A `timeout` or a CI system ends us this way; builds and half-started sandboxes end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    except commands.CommandError as failure:
        print(f"error: {failure}; what it said is above", file=sys.stderr)
        return failure.code
    except (
        BuildError,
        node.NodeError,
        processes.ComponentError,
        TimeoutError,
        ValueError,
        venv.VenvError,
    ) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--state", help="folder of the sandbox (default: .sandbox)")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", help="name in the kubeconfig's context (default: dev)")
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=SIMULATED)
    known = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text, parents in (
        ("toolchain", _toolchain, "build the tools that are missing", []),
        ("venv", _venv, "make .venv from the hashed pins", []),
        ("requirements", _requirements, "compile requirements*.txt anew", []),
        ("up", _up, "start the sandbox", [shared, named]),
        ("images", _images, "build the images of a real node and serve them to it", []),
        ("down", _down, "stop it; stored objects stay for the next start", [shared]),
        ("status", _status, "show what runs and what is simulated", [shared]),
        ("env", _env, "print shell lines that point pulumi and kubectl at it", [shared]),
        ("deploy", _deploy, "everything from tools to outputs: `make up`", [shared]),
        ("pulumi", _pulumi, "a Pulumi command on the sandbox's stack", [shared]),
        ("verify", _verify, "make the checks at the end of `up` from this machine: `make verify`", [shared]),
        ("destroy", _destroy, "destroy the stack, stop the sandbox: `make down`", [shared]),
        ("shell", _shell, "a shell on the sandbox", [shared]),
        ("reap", _reap, "stop every sandbox below a folder, for the end of a test run", []),
        ("run", _run, "a program of .venv, with no cluster in its environment", []),
    ):
        command = known.add_parser(name, help=text, parents=parents)
        command.set_defaults(run=run)
        if name in {"up", "deploy"}:
            command.add_argument("--nodes", choices=("simulated", "real"), help="what runs pods (default: simulated)")
        if name == "images":
            command.add_argument("names", nargs="*", help="which (default: all)")
        if name == "up":
            command.add_argument("--domain", help="ingress domain of the cluster")
            command.add_argument("--omit", action="append", default=[], help="definition to leave out, repeatable")
        if name == "down":
            command.add_argument("--purge", action="store_true", help="also delete stored objects and stack state")
        if name == "reap":
            command.add_argument("folder", help="what their state folders lie in")
        if name in {"pulumi", "run", "verify"}:
            command.add_argument("rest", nargs=argparse.REMAINDER, help="its arguments; -- before options")
    return parser


def _sandbox(options: argparse.Namespace) -> "Sandbox":
    # Imported late: the commands that make the tools and .venv need nothing of it.
    from sandbox.cluster import Sandbox  # noqa: PLC0415

    return Sandbox(
        paths.state(options.state),
        getattr(options, "name", None),
        getattr(options, "domain", None),
        omit=getattr(options, "omit", ()),
        nodes=getattr(options, "nodes", None),
    )


def _toolchain(_: argparse.Namespace) -> int:
    print("toolchain: complete:", *ensure(for_tests=True).path_entries, sep="\n  ")
    return 0


def _venv(_: argparse.Namespace) -> int:
    venv.sync()
    return 0


def _requirements(_: argparse.Namespace) -> int:
    venv.compile_pins()
    return 0


def _up(options: argparse.Namespace) -> int:
    sandbox = _sandbox(options)
    sandbox.up()
    print(f"kubeconfig: {sandbox.kubeconfig} (undo: python -m sandbox down)")
    return 0


def _images(options: argparse.Namespace) -> int:
    from sandbox.images.make import make  # noqa: PLC0415

    make(options.names, lambda line: print(line, flush=True))
    return 0


def _down(options: argparse.Namespace) -> int:
    stopped = _sandbox(options).down(purge=options.purge)
    print("sandbox: stopped " + ", ".join(stopped) if stopped else "sandbox: nothing was running")
    return 0


def _status(options: argparse.Namespace) -> int:
    from sandbox.controlplane import PORT_OF  # noqa: PLC0415
    from sandbox.node import settings  # noqa: PLC0415

    sandbox = _sandbox(options)
    for name, component in sandbox.components.items():
        pid, port = component.pid(), sandbox.ports.get(PORT_OF.get(name, ""))
        if sandbox.node and name == "kubelet":
            port = settings.KUBELET_PORT
        state = f"running, pid {pid}" if pid else "stopped"
        print(f"{name:14} {state:22}" + (f" {sandbox.host_of(name)}:{port}" if pid and port else ""))
    up = sandbox.is_up()
    if up:
        print(f"nodes        {', '.join(sandbox.nodes())}")
        print(f"domain       {sandbox.domain}")
        print(f"left out     {', '.join(sandbox.omit) or 'nothing'}")
        print(f"up for       {sandbox.uptime() or 0:.0f} s")
        print(f"kubeconfig   {sandbox.kubeconfig}")
    print(f"sandbox {sandbox.name} is {'up' if up else 'not up'}\n\n{commands.explained(sandbox.state)}")
    return 0 if up else 1


def _env(options: argparse.Namespace) -> int:
    # What is printed is for `eval`, so progress goes elsewhere.
    tools = ensure(lambda line: print(line, file=sys.stderr))
    values = environment.overrides(paths.state(options.state), tools, os.environ)
    for key in sorted(filter(environment.leads_elsewhere, os.environ)):
        if key not in values:
            print(f"unset {key}")
    for key, value in values.items():
        print(f"export {key}={shlex.quote(value)}")
    return 0


def _deploy(options: argparse.Namespace) -> int:
    return commands.deploy(paths.state(options.state), options.nodes)


def _pulumi(options: argparse.Namespace) -> int:
    return commands.pulumi(paths.state(options.state), *options.rest)


def _verify(options: argparse.Namespace) -> int:
    return commands.verify(paths.state(options.state), *(one for one in options.rest if one != "--"))


def _destroy(options: argparse.Namespace) -> int:
    return commands.destroy(paths.state(options.state))


def _shell(options: argparse.Namespace) -> int:
    return commands.shell(paths.state(options.state))


def _reap(options: argparse.Namespace) -> int:
    folder = Path(options.folder).absolute()
    with owner.lock():
        found = owner.Owner.load()
        if found and Path(found.state).is_relative_to(folder):
            clean_up(found)
            print(f"sandbox: took back the real node of {found.name}")
    left = processes.strays(folder, below=True)
    processes.stop(left)
    print(f"sandbox: stopped {len(left)} left-over processes below {options.folder}")
    return 0


def _run(options: argparse.Namespace) -> int:
    return commands.check(*options.rest)


if __name__ == "__main__":
    sys.exit(main())
