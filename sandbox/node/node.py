"""One real Kubernetes node that joins a sandbox's API server."""

import calendar
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import components
from sandbox.client import Client
from sandbox.images import catalogue, registry
from sandbox.images.make import make
from sandbox.node import addons, certificates, host, owner, packages, settings, tools
from sandbox.node.cleaning import clean_up
from sandbox.node.names import Names
from sandbox.node.runtime import Runtime
from sandbox.processes import Component

# A unix socket's path may have 108 characters, and the kubelet's own are deeper.
LONGEST_STATE = 60
MASTERS = "system:masters"
# By these the stand-in for the OAuth server is asked who somebody is.
API_NAMES = ("kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
Wait = Callable[..., None]
"""Polls a condition under a title, for so many seconds, as `ControlPlane.wait` does."""


class Node:
    """A container runtime, kubelet, Service proxy, network policies, volumes, images, DNS, router."""

    def __init__(self, state: Path, name: str, domain: str, progress: Callable[[str], None] = print) -> None:
        """Describe it; nothing happens before :meth:`prepare`.

        Args:
            state: the sandbox's folder.
            name: the sandbox's name, from which the node's own names follow.
            domain: the cluster's ingress domain.
            progress: takes a line of text per step.
        """
        self._state, self._domain, self._progress = state, domain, progress
        self._sandbox = name
        self.names = Names(name)
        self.folder = state / "node"
        self.volumes = state / "volumes"
        self.components = {each: Component(each, state) for each in owner.COMPONENTS}
        self._pki = state / components.PKI
        self._runtime = Runtime(self.components["containerd"], self.folder)

    @property
    def address(self) -> str:
        """Where the API server has to listen: pods reach it there, other machines do not."""
        return self.names.address

    def prepare(self) -> None:
        """Everything that must be there before the API server starts.

        Raises:
            PackagesMissingError: a Debian package is missing or we are not root; with the cure.
            NodeBusyError: another sandbox has the machine's real node.
            HostError: the kernel refused something.
            ValueError: the state folder's path is too long.
        """
        if len(str(self._state)) > LONGEST_STATE:
            raise ValueError(f"the path {self._state} is too long for sockets in it; choose a shorter --state")
        packages.require({**packages.NODE, **packages.BUILDER}, self._progress)
        self._programs = tools.ensure(self._progress)
        with owner.lock():
            owner.refuse_other(self._state)
            if before := owner.Owner.load():
                clean_up(before)
            found = {kind: each for kind, each in host.leftovers(self.names, self.folder).items() if each}
            if found:
                raise host.HostError(f"this machine seems to run another Kubernetes node: {found}")
            owner.Owner(str(self._state), self._sandbox, host.forward("1")).save()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.volumes.mkdir(exist_ok=True)
        host.make_link(self.names)
        host.make_cgroups(self.names)
        self._write_users()
        certificates.signed(
            self._pki, "kubelet-client", f"/O={MASTERS}/CN=apiserver-kubelet-client", "extendedKeyUsage=clientAuth"
        )
        certificates.signed(
            self._pki, "router", "/CN=sandbox-router", f"subjectAltName=DNS:{self._domain},DNS:*.{self._domain}"
        )
        # The router verifies pods by the name of their Service.
        oauth = (f"oauth-openshift.{self._domain}", "oauth-openshift.openshift-authentication.svc", *API_NAMES)
        hosts = ",".join(f"DNS:{each}" for each in oauth)
        certificates.signed(self._pki, "oauth", "/CN=sandbox-oauth", f"subjectAltName={hosts}")

    def apiserver_flags(self) -> list[str]:
        """What the API server needs more; of a flag that is given twice the last one counts."""
        return [
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            "--endpoint-reconciler-type=lease",
            f"--kubelet-client-certificate={self._pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={self._pki / 'kubelet-client.key'}",
            # A list, to which this adds: a kubelet may only touch what is its own.
            "--authorization-mode=Node",
            "--enable-admission-plugins=NodeRestriction",
        ]

    def controllers_flags(self) -> list[str]:
        """What the controller manager needs more."""
        # Pods find both authorities in kube-root-ca.crt, as on OpenShift: the API server's and
        # that of the router's certificate.
        both = self._pki / "root-ca.crt"
        both.write_text("".join((self._pki / each).read_text() for each in ("ca.crt", "sandbox-ca.crt")))
        return [
            f"--root-ca-file={both}",
            "--enable-hostpath-provisioner=false",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={self.names.pods}",
            "--node-cidr-mask-size=24",
            f"--service-cluster-ip-range={components.SERVICE_RANGE}",
        ]

    def start(self, client: Client, ports: dict[str, int], waiting: Wait) -> None:
        """Start its programs and apply what runs in the cluster; does not wait for readiness.

        Args:
            client: an administrator's, whose API server answers.
            ports: ``api`` and ``registry``.
            waiting: polls a condition under a title.

        Raises:
            ComponentError: a program stopped; with the end of its log.
            ImageError: one of the node's own images could not be built.
        """
        self._started = int(time.time())
        registry.start(self.components["registry"], ports["registry"])
        served = registry.Registry(ports["registry"])
        served.wait(self.components["registry"])
        make(catalogue.SYSTEM, self._quiet, served)
        for registry_host in settings.MIRRORED:
            self._write(f"registries/{registry_host}/hosts.toml", settings.mirror(registry_host, ports["registry"]))
        self._write("cni/10-pods.conflist", settings.network(self.names, self.folder))
        self._runtime.start(self._progress)
        names = [name for each in catalogue.recipes(self._programs).values() for name in each.references]
        self._runtime.forget_outdated({each: served.digest(each) for each in names})
        addons.forget_pods(client)
        addons.apply(client, self.names, self._domain, (self._pki / "router.crt", self._pki / "router.key"))
        commands = self._commands(ports["api"])
        # It looks for its node once, at its start.
        policy = commands.pop("network-policy")
        for name, command in commands.items():
            self.components[name].start(command)
        waiting("the node to be registered", lambda: bool(client.request("GET", f"/api/v1/nodes/{self.names.node}")))
        self.components["network-policy"].start(policy)

    def finish(self, client: Client, waiting: Wait) -> None:
        """Apply what needs OpenShift's schemas; wait until pods run, find each other and are reached.

        Raises:
            TimeoutError: something did not become ready; the message says what.
        """
        waiting("the node to be ready", lambda: self._is_ready(client), 60)
        oauth = (self._pki / "oauth.crt", self._pki / "oauth.key")
        addons.apply_late(client, self.names, self._domain, oauth, self._pki / "sandbox-ca.crt")
        addons.wait(client, waiting)

    def _is_ready(self, client: Client) -> bool:
        """Whether the kubelet has reported that the node is ready since this start."""
        conditions = client.request("GET", f"/api/v1/nodes/{self.names.node}")["status"].get("conditions", ())
        for each in conditions:
            if each["type"] == "Ready" and each["status"] == "True":
                beat = time.strptime(each["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ")
                return calendar.timegm(beat) >= self._started
        return False

    def stop(self) -> list[str]:
        """Stop everything and take back what was changed on the machine; volumes are kept.

        Returns:
            What was stopped; empty when nothing of the node was there.
        """
        with owner.lock():
            mine = owner.Owner.load()
            if mine is None or mine.state != str(self._state):
                return []
            running = [f"{name} ({pid})" for name, each in self.components.items() if (pid := each.pid())]
            clean_up(mine)
            return running or ["what a killed node left"]

    def leftovers(self) -> dict[str, list[str]]:
        """What of it is on the machine, by kind."""
        return host.leftovers(self.names, self.folder)

    def _commands(self, api: int) -> dict[str, list[str]]:
        names, folder, binary = self.names, self.folder, self._programs.binary
        kubelet = self._write("kubelet.json", settings.kubelet(names, folder, self._pki / "sandbox-ca.crt"))
        proxy = self._write("kube-proxy.json", settings.kube_proxy(names, self._kubeconfig("system:kube-proxy", api)))
        policy, provisioner = (self._kubeconfig(each, api) for each in ("network-policy", "provisioner"))
        return {
            "kubelet": [
                str(binary("kubelet")),
                f"--config={kubelet}",
                f"--kubeconfig={self._kubeconfig(f'system:node:{names.node}', api)}",
                f"--root-dir={folder / 'kubelet'}",
                f"--cert-dir={folder / 'kubelet-certificates'}",
                f"--hostname-override={names.node}",
                f"--node-ip={names.address}",
            ],
            "kube-proxy": [str(binary("kube-proxy")), f"--config={proxy}", f"--hostname-override={names.node}"],
            "network-policy": [
                str(binary("kube-router")),
                f"--kubeconfig={policy}",
                f"--hostname-override={names.node}",
                "--run-router=false",
                "--run-service-proxy=false",
                "--run-firewall=true",
                f"--service-cluster-ip-range={components.SERVICE_RANGE}",
                "--health-port=0",
            ],
            "provisioner": [
                str(binary("dirprov")),
                f"--kubeconfig={provisioner}",
                f"--folder={self.volumes}",
                f"--node={names.node}",
                "--name=litemaas.example/directory",
            ],
        }

    def _write_users(self) -> None:
        """Give each program a token; those that exist are kept."""
        users = {f"system:node:{self.names.node}": "system:nodes", "system:kube-proxy": ""}
        users |= dict.fromkeys(("network-policy", "provisioner"), MASTERS)
        file = self._state / components.TOKENS
        rows = file.read_text().splitlines()
        known = {row.split(",")[1] for row in rows}
        rows += [
            f'{secrets.token_hex(24)},{user},{user}-uid,"{groups}"'
            for user, groups in users.items()
            if user not in known
        ]
        components.private(file, "\n".join(rows) + "\n")

    def _kubeconfig(self, user: str, api: int) -> Path:
        text = components.kubeconfig(self._state, self._sandbox, api, user, self.address)
        file = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        components.private(file, text)
        return file

    def _write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def _quiet(self, line: str) -> None:
        """Pass on what takes time; what is there already is no news."""
        if "building" in line or "done in" in line:
            self._progress(line)
