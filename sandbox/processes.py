"""Background processes of one sandbox: start, recognise, stop.

A process id alone may be reused by a foreign program, so each pidfile also holds the
process's start time. And each process carries a marker in its environment, by which
`down` finds those whose pidfile was never written because `up` was killed.
"""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

MARKER = "LITEMAAS_SANDBOX_COMPONENT"
PROC = Path("/proc")
# Kept, because Python warns about a process object that is dropped while its process runs.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


class ComponentError(Exception):
    """A component did not start or stopped; the message has the end of its log."""


@dataclass(frozen=True)
class Component:
    """One background process of a sandbox."""

    name: str
    folder: Path
    """The sandbox's state folder."""

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "log" / f"{self.name}.log"

    @property
    def _pidfile(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"

    @property
    def _mark(self) -> str:
        return f"{self.folder}:{self.name}"

    def start(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Start it in a session of its own, so that it outlives this program and its terminal."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._pidfile.parent.mkdir(parents=True, exist_ok=True)
        # Go programs, nearly all. With 0.5 GiB more for the lot of them, the API server takes about a fifth less.
        own = {"GOGC": "400"} | (os.environ if environment is None else environment) | {MARKER: self._mark}
        with self.log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=own,
                cwd=self.folder,
                start_new_session=True,
            )
        _CHILDREN[process.pid] = process
        record = {"pid": process.pid, "started": start_time(process.pid), "command": command}
        self._pidfile.write_text(json.dumps(record))

    def pid(self) -> int | None:
        """Its process id while it runs, else None."""
        try:
            record = json.loads(self._pidfile.read_text())
        except (OSError, ValueError):
            return None
        alive = start_time(record["pid"])
        return record["pid"] if alive and alive == record["started"] else None

    def check(self) -> None:
        """Fail if it does not run.

        Raises:
            ComponentError: with the last lines of its log.
        """
        if self.pid() is None:
            raise ComponentError(f"{self.name} stopped. Its log ends with:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log and where the whole log is."""
        try:
            text = "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            text = "(no log)"
        return f"{text}\nWhole log: {self.log}"

    def has_pidfile(self) -> bool:
        """Whether it was started and not stopped on purpose."""
        return self._pidfile.exists()

    def forget(self) -> None:
        """Remove the pidfile."""
        self._pidfile.unlink(missing_ok=True)


def start_time(pid: int) -> str | None:
    """When a process started, in the system's own notation; None if it is gone or a zombie."""
    if not PROC.is_dir():
        done = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        state, _, started = done.stdout.strip().partition(" ")
        return None if not state or state.startswith("Z") else started.strip()
    try:
        # The program's name may hold spaces and brackets; the fields start after the last one.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def strays(folder: Path, *, below: bool = False) -> list[int]:
    """Processes that carry a sandbox's marker, with or without a pidfile.

    Args:
        folder: the sandbox's state folder.
        below: take it for a folder with the state folders of many sandboxes in it.
    """
    found, wanted = [], f"{MARKER}={folder}{'/' if below else ':'}".encode()
    for entry in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(each.startswith(wanted) for each in variables) and start_time(int(entry.name)):
            found.append(int(entry.name))
    return found


def stop(pids: list[int], patience: float = 3.0) -> None:
    """Ask processes to end; after ``patience`` seconds, make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        until = time.monotonic() + patience
        while time.monotonic() < until:
            pids = [pid for pid in pids if _still_runs(pid)]
            if not pids:
                return
            time.sleep(0.02)


def _still_runs(pid: int) -> bool:
    """Whether a process still runs; collects it if it is our own child and has ended."""
    child = _CHILDREN.get(pid)
    if child is None:
        return start_time(pid) is not None
    if child.poll() is None:
        return True
    del _CHILDREN[pid]
    return False
