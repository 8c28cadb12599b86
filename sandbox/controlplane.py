"""The set of processes that make one control plane."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox import components, paths, processes, shape
from sandbox.client import ApiError, Client
from sandbox.processes import Component
from sandbox.toolchain import Toolchain

# In the order in which they are stopped: the store last.
SIMULATED = ("kwok", "kubelet")
COMPONENTS = (*SIMULATED, "service-ca", "scheduler", "controllers", "apiserver", "etcd")
PORT_OF = {"etcd": "etcd", "apiserver": "api", "kubelet": "kubelet", "registry": "registry"}


class ControlPlane:
    """Starts, watches and stops the components of one sandbox."""

    def __init__(self, state: Path, real: Mapping[str, Component] | None = None) -> None:
        """Describe the components of the sandbox in a state folder.

        Args:
            state: the folder.
            real: the components of a real node; simulated nodes have none.
        """
        self._state = state
        self._own = [each for each in COMPONENTS if not real or each not in SIMULATED]
        self.components = {**(real or {}), **{each: Component(each, state) for each in self._own}}

    def start(self, name: str, command: list[str]) -> None:
        """Start one component."""
        self.components[name].start(command)

    def start_simulation(self, tools: Toolchain, client: Client, ports: dict[str, int], *, routes: bool) -> None:
        """Start what plays nodes and, with ``routes``, the router; and the stand-in for the nodes' kubelets."""
        if routes:
            # KWOK looks in the schema, which the server publishes a moment after the API.
            schema = "apis/route.openshift.io/v1"
            self.wait("Routes to be served", lambda: schema in client.request("GET", "/openapi/v3")["paths"])
        self.start("kwok", components.kwok(tools, self._state, routes=routes))
        self._start_own("kubelet", f"--port={ports['kubelet']}", f"--api-port={ports['api']}")

    def start_service_ca(self, host: str, port: int) -> None:
        """Start the double of OpenShift's service-ca operator."""
        self._start_own("service-ca", f"--api-host={host}", f"--api-port={port}")

    def _start_own(self, name: str, *options: str) -> None:
        """Start a component that is a module of this package."""
        command = [sys.executable, "-m", f"sandbox.{name.replace('-', '')}", f"--state={self._state}", *options]
        self.components[name].start(command, os.environ | {"PYTHONPATH": str(paths.CHECKOUT)})

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
        for names in (self._own[:-1], self._own[-1:]):
            running = {each: self.components[each].pid() for each in names}
            # The API server would wait a minute for its watchers; nothing is lost without.
            processes.stop([pid for pid in running.values() if pid], patience=1.5)
            stopped += [f"{name} ({pid})" for name, pid in running.items() if pid]
            for each in names:
                self.components[each].forget()
        left = processes.strays(self._state)
        processes.stop(left)
        return stopped + [f"left-over process ({pid})" for pid in left]
