"""Builds tool sets in parallel, once, and lets interrupted builds resume."""

import fcntl
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import paths
from sandbox.toolchain.toolsets import ToolSet

Progress = Callable[[str], None]
BEAT_SECONDS = 20
# Linking the provider or the API server peaks near 3 GB.
MEMORY_PER_JOB = 4 << 30


class BuildError(Exception):
    """A tool could not be built; the message says which, why and what to do."""


@dataclass(frozen=True)
class _Work:
    """One build under way."""

    wanted: ToolSet
    partial: Path
    log: Path
    started: float = field(default_factory=time.monotonic)

    @property
    def source(self) -> Path:
        return self.partial / "src"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Builder:
    """Builds into ``<cache>/toolchain/<set>-<key>``, a folder that is complete once it exists."""

    def __init__(self, progress: Progress, root: Path | None = None) -> None:
        """Take the sink for progress lines and, for tests, another root folder."""
        self._progress = progress
        self._root = root or paths.cache() / "toolchain"
        self._stop = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._left = 0

    def folder(self, wanted: ToolSet) -> Path:
        """Where a tool set lies once it is built."""
        return self._root / f"{wanted.name}-{wanted.key}"

    def build(self, sets: Sequence[ToolSet]) -> dict[str, Path]:
        """Build what is missing.

        Returns:
            The folder of each set by its name.

        Raises:
            BuildError: the first build that failed; the others are stopped.
        """
        missing = [each for each in sets if not self.folder(each).exists()]
        if not missing:
            self._progress("toolchain: already there")
        for each in sets if missing else ():
            if each not in missing:
                self._progress(f"toolchain: {each.title}: already there")
        if missing:
            self._build_missing(missing)
        return {each.name: self.folder(each) for each in sets}

    def _build_missing(self, missing: Sequence[ToolSet]) -> None:
        if not shutil.which("go"):
            raise BuildError(
                "Go is not installed, and these tools have to be built: "
                + ", ".join(each.title for each in missing)
                + ". Install Go 1.26 or newer (https://go.dev/dl), or Pulumi 3 with its plugins."
            )
        self._root.mkdir(parents=True, exist_ok=True)
        self._left = len(missing)
        with ThreadPoolExecutor(jobs()) as pool:
            futures = [pool.submit(self._build_one, each) for each in missing]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                # Also Ctrl-C: Go keeps what it compiled, so the next run resumes there.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list(self._running):
                    process.terminate()
                raise

    def _build_one(self, wanted: ToolSet) -> None:
        target = self.folder(wanted)
        work = _Work(wanted, target.with_suffix(".partial"), target.with_suffix(".log"))
        with self._lock(target, wanted.title):
            if target.exists():
                self._left -= 1
                self._progress(f"toolchain: {wanted.title}: built by another process meanwhile")
                return
            self._progress(f"toolchain: {wanted.title}: starting")
            shutil.rmtree(work.partial, ignore_errors=True)
            self._compile(work)
            work.partial.rename(target)
        self._left -= 1
        self._progress(f"toolchain: {wanted.title}: done in {work.seconds:.0f} s, {self._left} still to do")

    def _compile(self, work: _Work) -> None:
        wanted = work.wanted
        # A copy, so that nothing is ever written into the checkout.
        shutil.copytree(wanted.source, work.source)
        (work.partial / "bin").mkdir()
        work.log.write_bytes(b"")
        self._copy(work, before=True)
        if wanted.packages:
            output = f"{work.partial}/bin/{wanted.output}"
            flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", wanted.ldflags]
            self._go(work, "build", *flags, "-o", output, *wanted.packages)
        self._copy(work, before=False)
        shutil.rmtree(work.source)

    def _copy(self, work: _Work, *, before: bool) -> None:
        for copy in (each for each in work.wanted.copies if each.before == before):
            before_answer = work.log.stat().st_size
            self._go(work, "mod", "download", "-json", copy.module)
            answer = work.log.read_bytes()[before_answer:]
            folder = Path(json.loads(answer)["Dir"])
            goal = (work.source if before else work.partial) / copy.to
            shutil.copyfile(folder / copy.path, goal)
            # Go's module cache is read-only; a program must be executable, a copy deletable.
            goal.chmod(0o755 if copy.to.startswith("bin/") else 0o644)

    def _go(self, work: _Work, *arguments: str) -> None:
        """Run Go with its output in the log, saying at times that it still runs."""
        title = work.wanted.title
        with work.log.open("ab") as sink:
            process = subprocess.Popen(
                ["go", *arguments],
                cwd=work.source,
                env=go_environment(),
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self._running.add(process)
        try:
            code = None
            while code is None:
                try:
                    code = process.wait(BEAT_SECONDS)
                except subprocess.TimeoutExpired:
                    self._progress(
                        f"toolchain: {title}: still building after {work.seconds:.0f} s, {self._left} to do in all"
                    )
        finally:
            self._running.discard(process)
        if self._stop.is_set():
            raise BuildError(f"{title}: stopped")
        if code:
            tail = "\n".join(work.log.read_text(errors="replace").splitlines()[-25:])
            raise BuildError(
                f"{title} could not be built (exit code {code}). The log ends with:\n{tail}\n"
                f"Whole log: {work.log}\nIf a download failed, check the network and GOPROXY and"
                " run the same command again: it resumes. If the compiler was killed, free some"
                " memory."
            )

    @contextmanager
    def _lock(self, target: Path, title: str) -> Iterator[None]:
        """Hold the set's lock, so that two invocations build it once."""
        with target.with_suffix(".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress(f"toolchain: {title}: another process builds it, waiting")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def jobs() -> int:
    """How many builds may run at once with this machine's cores and memory."""
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory // MEMORY_PER_JOB, 4))


def go_environment() -> dict[str, str]:
    """The environment for Go: static programs, no workspace of the user's in the way."""
    return os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
