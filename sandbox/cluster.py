"""One sandbox: start, stop, look at."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox import components, environment, shape, volumes
from sandbox.client import ApiError, Client
from sandbox.controlplane import ControlPlane
from sandbox.node.node import Node
from sandbox.processes import ComponentError
from sandbox.record import FILE, Record
from sandbox.toolchain import Toolchain, ensure

ATTEMPTS = 3


class Sandbox:
    """A control plane of its own, with everything it writes in one folder.

    As a context manager it is up inside the block and, after it, down with its folder
    removed: what a test wants.
    """

    def __init__(
        self,
        state: Path,
        name: str | None = None,
        domain: str | None = None,
        *,
        omit: Collection[str] = (),
        nodes: str | None = None,
        progress: Callable[[str], None] = print,
    ) -> None:
        """Describe a sandbox; nothing happens before :meth:`up`.

        Args:
            state: its folder.
            name: tells kubeconfig contexts of several sandboxes apart.
            domain: the cluster's ingress domain.
            omit: names of custom resource definitions to leave out, as
                ``routes.route.openshift.io``, to play a cluster that lacks an API.
            nodes: ``simulated`` (no container runs) or ``real`` (one node of this machine's own).
            progress: takes a line of text per step.
        """
        self.state = state.absolute()
        record = Record.load(self.state)
        # What was chosen at the first start holds until it is chosen anew.
        self.name = name or record.name
        self.domain = domain or record.domain
        self.omit = sorted(omit or record.omit)
        self.kubeconfig = self.state / "kubeconfig"
        self.kubeconfig_limited = self.state / "kubeconfig-limited"
        self._progress = progress
        self._tools: Toolchain | None = None
        self.kind = nodes or record.nodes
        record.check(self.kind, self.name, self.state)
        self.node = Node(self.state, self.name, self.domain, progress) if self.kind == "real" else None
        self._plane = ControlPlane(self.state, self.node.components if self.node else None)
        self.components = self._plane.components

    def __enter__(self) -> Self:
        """Start it."""
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and remove its folder."""
        self.down(purge=True)

    @property
    def tools(self) -> Toolchain:
        """The programs it is made of, built when first asked for."""
        if self._tools is None:
            self._tools = ensure(self._progress)
        return self._tools

    @property
    def ports(self) -> dict[str, int]:
        """Its loopback ports by use; empty before the first start."""
        return Record.load(self.state).ports

    @property
    def host(self) -> str:
        """Where the API server listens."""
        return self.node.address if self.node else "127.0.0.1"

    def host_of(self, component: str) -> str:
        """Where one of the components listens."""
        return self.host if component in {"apiserver", "kubelet"} else "127.0.0.1"

    def env(self) -> dict[str, str]:
        """A whole environment in which `pulumi` and `kubectl` use this sandbox."""
        return environment.build(self.state, self.tools, os.environ)

    def client(self, user: str = "admin") -> Client:
        """An API client; ``limited`` is the user without rights at cluster scope."""
        token = components.token(self.state, user)
        return Client(self.ports["api"], self.state / components.PKI / "ca.crt", token, self.host)

    def up(self) -> None:
        """Start what does not run and give the API server OpenShift's shape.

        Raises:
            ComponentError: a component stopped; with its name and the end of its log.
            TimeoutError: something did not become ready.
        """
        tools = self.tools
        with self._lock():
            environment.prepare(self.state, tools, os.environ)
            if self.is_up():
                self._progress(f"sandbox {self.name}: already up, nothing to do")
                return
            started = time.monotonic()
            self._stop()
            components.prepare(self.state)
            try:
                if self.node:
                    # First of all, so that `down` knows what may have to be taken back.
                    Record(self.name, self.domain, self.omit, self.ports, nodes=self.kind).save(
                        self.state, complete=False
                    )
                    self.node.prepare()
                self._start(tools)
            except BaseException:
                self._stop()
                raise
            seconds = time.monotonic() - started
            self._progress(f"sandbox {self.name}: up in {seconds:.1f} s, state in {self.state}")

    def down(self, *, purge: bool = False) -> list[str]:
        """Stop every process of this sandbox; harmless when none runs.

        Args:
            purge: also remove the state folder, stored objects and stack state included.

        Returns:
            What was stopped.
        """
        if not self.state.is_dir():
            return []
        with self._lock():
            if self.components["apiserver"].pid() and not self.node:
                volumes.remove(self.client())
            stopped = self._stop()
        if purge and (self.state / FILE).exists():
            shutil.rmtree(self.state, ignore_errors=True)
        return stopped

    def is_up(self) -> bool:
        """Whether every component runs, the API server answers and all nodes are ready."""
        if any(each.pid() is None for each in self.components.values()):
            return False
        try:
            ready = self.client().request("GET", "/readyz") == "ok"
            nodes = self.nodes()
            return ready and Record.load(self.state).complete and bool(nodes) and all(nodes.values())
        except (ApiError, OSError, ValueError):
            return False

    def nodes(self) -> dict[str, bool]:
        """The nodes' names and whether each is ready."""
        listed = self.client().request("GET", "/api/v1/nodes")["items"]
        return {
            node["metadata"]["name"]: any(
                (each["type"], each["status"]) == ("Ready", "True") for each in node["status"].get("conditions", ())
            )
            for node in listed
        }

    def uptime(self) -> float | None:
        """Seconds since the last start; None before the first."""
        started = Record.load(self.state).started
        return time.time() - started if started else None

    def _start(self, tools: Toolchain) -> None:
        record = self._start_server(tools)
        files = tools.openshift, self.omit
        with self.client() as client:
            flags = self.node.controllers_flags() if self.node else []
            self._plane.start("controllers", components.controllers(tools, self.state) + flags)
            self._plane.start("scheduler", components.scheduler(tools, self.state))
            self._plane.start_service_ca(self.host, record.ports["api"])
            shape.apply_early(client, *files, None if self.node else record.ports["kubelet"])
            if self.node:
                self.node.start(client, record.ports, self._plane.wait)
            else:
                self._plane.start_simulation(tools, client, record.ports, routes=shape.ROUTE not in self.omit)
            shape.apply_late(client, *files, self.domain, self._plane.wait)
            if self.node:
                self.node.finish(client, self._plane.wait)
            self._plane.wait("the nodes to be ready", lambda: all(self.nodes().values()))
            for who, name in (("controllers", "kube-root-ca.crt"), ("service-ca double", "openshift-service-ca.crt")):
                # The last namespace that is made; they see to all in one go.
                path = f"/api/v1/namespaces/private-ai/configmaps/{name}"
                self._plane.wait(f"the {who} to work", lambda path=path: bool(client.request("GET", path)))
        record.save(self.state, complete=True)

    def _stop(self) -> list[str]:
        """Stop the node, if a real one was started, and then the control plane."""
        return (self.node.stop() if self.node else []) + self._plane.stop()

    def _start_server(self, tools: Toolchain) -> Record:
        """Start store and API server, on the ports of last time where they are free."""
        ports = self.ports
        for attempt in range(ATTEMPTS):
            if attempt or not ports or not all(map(components.is_free, ports.values())):
                ports = components.free_ports()
            record = Record(self.name, self.domain, self.omit, ports, nodes=self.kind)
            record.save(self.state, complete=False)
            try:
                self._plane.start("etcd", components.etcd(tools, self.state, ports))
                flags = self.node.apiserver_flags() if self.node else []
                self._plane.start("apiserver", components.apiserver(tools, self.state, ports) + flags)
                self._wait_for_server()
            except ComponentError as problem:
                # Somebody may have taken a port between our look and its use.
                if "address already in use" not in str(problem) or attempt == ATTEMPTS - 1:
                    raise
                self._plane.stop()
            else:
                return record
        raise AssertionError("the last attempt returns or raises")

    def _wait_for_server(self) -> None:
        """Wait for its certificate, write the files of its clients, wait for its answer."""
        self._plane.wait("the certificate", lambda: components.authority(self.state) is not None)
        (self.state / components.PKI / "ca.crt").write_text(components.authority(self.state) or "")
        for user, file in (("admin", self.kubeconfig), ("limited", self.kubeconfig_limited)):
            text = components.kubeconfig(self.state, self.name, self.ports["api"], user, self.host)
            components.private(file, text)
        client = self.client()
        ready = lambda: client.request("GET", "/readyz") == "ok"  # noqa: E731
        self._plane.wait("the API server", ready, 60)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
