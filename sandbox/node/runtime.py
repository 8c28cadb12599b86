"""containerd: started with a store that outlives it, stopped without a container left in it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sandbox.node import owner, settings
from sandbox.node.host import run
from sandbox.node.packages import FOLDERS
from sandbox.processes import MARKER, PROC, Component, stop


def store() -> Path:
    """The image store, kept between nodes."""
    return owner.folder() / "containerd"


def _unclean() -> Path:
    """Exists while containers may be in the store."""
    return owner.folder() / "containers-may-be-left"


class Runtime:
    """The container runtime of one node."""

    def __init__(self, component: Component, folder: Path) -> None:
        """Describe it.

        Args:
            component: its process.
            folder: the node's folder of throw-away state.
        """
        self._component, self._folder = component, folder
        self._socket = settings.socket(folder)

    def start(self, progress: Callable[[str], None]) -> None:
        """Start it, having removed containers that a killed one left in the store.

        Raises:
            ComponentError: it stopped; with the end of its log.
            TimeoutError: it does not answer.
        """
        if _unclean().exists():
            progress("node: removing containers that a killed node left")
            self._launch(cri=False)
            self._remove_containers()
            stop([pid for pid in [self._component.pid()] if pid])
        _unclean().touch()
        self._launch(cri=True)

    def stop(self) -> None:
        """Stop it and its shims; if it still answers, with an empty store of containers."""
        pid = self._component.pid()
        if pid and self._answers():
            self._remove_containers()
        shims = shims_of(self._component)
        stop([pid] if pid else [])
        stop([each for each in shims if each != pid], patience=0)
        self._component.forget()

    def forget_outdated(self, served: Mapping[str, str | None]) -> list[str]:
        """Remove stored images that are not those of the registry any more: a pod may not ask again.

        Args:
            served: the digest of each name that the registry may have; None where it has none.

        Returns:
            The names that were removed.
        """
        rows = [row.split() for row in self._ctr("images", "list").splitlines()[1:]]
        outdated = [row[0] for row in rows if row[0] in served and served[row[0]] != row[2]]
        if outdated:
            self._ctr("images", "remove", *outdated)
        return outdated

    def _launch(self, *, cri: bool) -> None:
        file = self._folder / "containerd.toml"
        file.write_text(settings.containerd(store(), self._folder, cri=cri))
        path = f"{os.environ.get('PATH', '')}:{FOLDERS}"
        self._component.start(["/usr/bin/containerd", "--config", str(file)], {**os.environ, "PATH": path})
        until = time.monotonic() + 30
        while not self._answers():
            self._component.check()
            if time.monotonic() > until:
                raise TimeoutError(f"containerd did not answer within 30 s; see {self._component.log}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        return self._socket.exists() and "Server" in self._ctr("version", check=False)

    def _remove_containers(self) -> None:
        """Remove all tasks and containers; several rounds, since an end is noticed with a delay."""
        for _ in range(20):
            tasks = self._ctr("tasks", "list", "-q", check=False).split()
            containers = self._ctr("containers", "list", "-q", check=False).split()
            if not tasks and not containers:
                _unclean().unlink(missing_ok=True)
                return
            if tasks:
                self._ctr("tasks", "delete", "--force", *tasks, check=False)
            if containers:
                self._ctr("containers", "delete", *containers, check=False)
            time.sleep(0.1)

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        words = ("timeout", "60", "ctr", "--address", str(self._socket), "--namespace", "k8s.io", *arguments)
        return run(*words, check=check)


def shims_of(component: Component) -> list[int]:
    """The processes that carry containerd's mark: itself and the shims, which outlive it."""
    wanted, found = f"{MARKER}={component.folder}:{component.name}".encode(), []
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def kill(components: list[Component]) -> None:
    """End processes at once whose state is thrown away."""
    for each in components:
        if pid := each.pid():
            with suppress(ProcessLookupError, subprocess.SubprocessError):
                os.kill(pid, signal.SIGKILL)
    stop([pid for each in components if (pid := each.pid())], patience=2)
    for each in components:
        each.forget()
