"""The set of processes that make one control plane."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import paths, processes, shape
from sandbox.client import ApiError
from sandbox.processes import Component

# In the order in which they are stopped: the store last.
COMPONENTS = ("kwok", "kubelet", "scheduler", "controllers", "apiserver", "etcd")
PORT_OF = {"etcd": "etcd", "apiserver": "api", "kubelet": "kubelet"}


class ControlPlane:
    """Starts, watches and stops the components of one sandbox."""

    def __init__(self, state: Path) -> None:
        """Describe the components of the sandbox in a state folder."""
        self._state = state
        self.components = {each: Component(each, state) for each in COMPONENTS}

    def start(self, name: str, command: list[str]) -> None:
        """Start one component."""
        self.components[name].start(command)

    def start_kubelet(self, ports: dict[str, int]) -> None:
        """Start the stand-in for the nodes' kubelets, which is our own program."""
        command = [sys.executable, "-m", "sandbox.kubelet", f"--state={self._state}"]
        command += [f"--port={ports['kubelet']}", f"--api-port={ports['api']}"]
        own = os.environ | {"PYTHONPATH": str(paths.CHECKOUT)}
        self.components["kubelet"].start(command, own)

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 30) -> None:
        """Poll until ready; a refusal counts as not yet.

        Raises:
            ComponentError: a component stopped meanwhile.
            TimeoutError: naming ``what`` did not happen.
        """

        def poll() -> bool:
            for each in self.components.values():
                if each.has_pidfile():
                    each.check()
            try:
                return ready()
            except ApiError:
                return False

        shape.wait(what, poll, seconds)

    def stop(self) -> list[str]:
        """Stop every process of the sandbox.

        Returns:
            What was stopped; empty when nothing ran.
        """
        stopped = []
        for names in (COMPONENTS[:-1], COMPONENTS[-1:]):
            running = {each: self.components[each].pid() for each in names}
            # The API server would wait a minute for its watchers; nothing is lost without.
            processes.stop([pid for pid in running.values() if pid], patience=1.5)
            stopped += [f"{name} ({pid})" for name, pid in running.items() if pid]
            for each in names:
                self.components[each].forget()
        left = processes.strays(self._state)
        processes.stop(left)
        return stopped + [f"left-over process ({pid})" for pid in left]
