"""Calls that go on in the background while a test does something to the cluster."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Load:
    """Some threads that call one after the other, and what became of each call.

    ``count`` holds the outcomes: what ``call`` returned, or the kind of error it raised.
    ``longest_gap`` is the longest time in seconds without a success in any thread.
    """

    def __init__(self, call: Callable[[], str], good: str = "200", workers: int = 4, pause: float = 0.4) -> None:
        """Describe the load; it runs inside the ``with`` block."""
        self._call, self._good, self._pause = call, good, pause
        self._stop, self._lock = threading.Event(), threading.Lock()
        self.count: Counter[str] = Counter()
        self._last, self.longest_gap = time.monotonic(), 0.0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def __enter__(self) -> Self:
        """Start, and return once the first calls went well."""
        self._last = time.monotonic()
        for each in self._threads:
            each.start()
        until = time.monotonic() + 30
        while self.count[self._good] < len(self._threads):
            assert time.monotonic() < until, f"the load did not get going: {dict(self.count)}"
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        """Stop after the calls that are under way."""
        self._stop.set()
        for each in self._threads:
            each.join(120)
        self._note(good=True)

    @property
    def failed(self) -> int:
        """How many calls did not end as they should."""
        return sum(self.count.values()) - self.count[self._good]

    def __str__(self) -> str:
        """For the report."""
        bad = ", ".join(f"{number} x {what}" for what, number in self.count.items() if what != self._good)
        return (
            f"{self.count.total()} calls, lost {bad or 'none'}, longest time without success {self.longest_gap:.1f} s"
        )

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                outcome = self._call()
            except OSError as problem:
                outcome = type(problem).__name__
            self._note(good=outcome == self._good, outcome=outcome)
            self._stop.wait(self._pause)

    def _note(self, *, good: bool, outcome: str | None = None) -> None:
        with self._lock:
            if outcome is not None:
                self.count[outcome] += 1
            if good:
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - self._last)
                self._last = now
