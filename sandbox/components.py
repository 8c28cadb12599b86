"""The processes of the control plane: their command lines and files."""

import base64
import json
import secrets
import socket
from pathlib import Path
from random import SystemRandom

from sandbox import paths
from sandbox.toolchain import Toolchain

SERVICE_RANGE = "10.217.0.0/16"
ISSUER = "https://kubernetes.default.svc"
# Below the range from which systems take ports for outgoing connections.
PORTS = range(20000, 32000)
PORT_USERS = ("etcd", "etcd-peer", "api", "kubelet", "registry")
# DER of an EC private key on P-256 (RFC 5915) around its 32 random bytes.
EC_KEY_HEAD, EC_KEY_TAIL = "30310201010420", "a00a06082a8648ce3d030107"
PKI, TOKENS = "pki", "tokens.csv"
USERS = {"admin": ("system:masters",), "limited": ()}


def free_ports() -> dict[str, int]:
    """Choose a free TCP port on loopback for each listener."""
    chosen: dict[str, int] = {}
    candidates = SystemRandom().sample(PORTS, 200)
    for user in PORT_USERS:
        chosen[user] = next(port for port in candidates if is_free(port))
        candidates = candidates[candidates.index(chosen[user]) + 1 :]
    return chosen


def is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        # Without this a port whose last connection just closed counts as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def prepare(state: Path) -> None:
    """Write keys, tokens and settings that the processes read; keeps those that exist."""
    pki = state / PKI
    pki.mkdir(parents=True, exist_ok=True)
    pki.chmod(0o700)
    if not (key := pki / "service-account.key").exists():
        scalar = secrets.token_bytes(32).hex()
        der = base64.b64encode(bytes.fromhex(EC_KEY_HEAD + scalar + EC_KEY_TAIL)).decode()
        private(key, f"-----BEGIN EC PRIVATE KEY-----\n{der}\n-----END EC PRIVATE KEY-----\n")
    if not (tokens := state / TOKENS).exists():
        rows = [f'{secrets.token_hex(24)},{user},{user}-uid,"{",".join(groups)}"' for user, groups in USERS.items()]
        private(tokens, "\n".join(rows) + "\n")


def token(state: Path, user: str) -> str:
    """The bearer token of one of :data:`USERS`.

    Raises:
        ValueError: the file of tokens is damaged.
    """
    for row in (state / TOKENS).read_text().splitlines():
        value, name, *_ = [*row.split(","), ""]
        if name == user:
            return value
    raise ValueError(f"{state / TOKENS} has no token of {user}; delete the sandbox (down --purge)")


def private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)


def authority(state: Path) -> str | None:
    """The certificate authority (PEM); None until the API server made it at its first start."""
    try:
        chain = (state / PKI / "apiserver.crt").read_text()
    except OSError:
        return None
    marker = "-----BEGIN CERTIFICATE-----"
    # The file holds the server's certificate and then the authority that signed it.
    _, server, signer = (chain.split(marker) + [""] * 3)[:3]
    return marker + signer if server and signer.rstrip().endswith("-----") else None


def kubeconfig(state: Path, name: str, port: int, user: str, host: str = "127.0.0.1") -> str:
    """A kubeconfig (JSON is YAML) with everything embedded."""
    context = f"litemaas-sandbox-{name}"
    data = base64.b64encode((state / PKI / "ca.crt").read_bytes()).decode()
    server = {"server": f"https://{host}:{port}", "certificate-authority-data": data}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": server}],
        "users": [{"name": f"{context}-{user}", "user": {"token": token(state, user)}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": f"{context}-{user}"}}],
        "current-context": context,
    }
    return json.dumps(content, indent=2) + "\n"


def etcd(tools: Toolchain, state: Path, ports: dict[str, int]) -> list[str]:
    """The store. No fsync: losing a sandbox in a power cut is no harm, and tests run faster."""
    client, peer = (f"http://127.0.0.1:{ports[each]}" for each in ("etcd", "etcd-peer"))
    return [
        str(tools.binary("etcd")),
        f"--data-dir={state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(tools: Toolchain, state: Path, ports: dict[str, int]) -> list[str]:
    """The API server; it signs its own certificate into the pki folder at its first start."""
    key = state / PKI / "service-account.key"
    return [
        str(tools.binary("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # The endpoint of the `kubernetes` Service must not be loopback; nothing uses it here.
        "--endpoint-reconciler-type=none",
        f"--secure-port={ports['api']}",
        f"--cert-dir={state / PKI}",
        f"--token-auth-file={state / TOKENS}",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--admission-control-config-file={paths.MANIFESTS / 'admission.yaml'}",
        # The stand-in for OpenShift's SCC admission; off by default in this version.
        "--feature-gates=MutatingAdmissionPolicy=true",
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        "--kubelet-preferred-address-types=InternalIP",
        # Tests create hundreds of objects in a second; fairness would only queue them.
        "--enable-priority-and-fairness=false",
        "--allow-privileged=true",
    ]


def controllers(tools: Toolchain, state: Path) -> list[str]:
    """The controller manager. Its own serving port would cost a key pair and prove nothing."""
    return [
        str(tools.binary("kube-controller-manager")),
        f"--kubeconfig={state / 'kubeconfig'}",
        f"--root-ca-file={state / PKI / 'ca.crt'}",
        f"--service-account-private-key-file={state / PKI / 'service-account.key'}",
        "--use-service-account-credentials=false",
        "--leader-elect=false",
        "--secure-port=0",
        # Volumes for every claim, as directories that no pod ever uses.
        "--enable-hostpath-provisioner=true",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def scheduler(tools: Toolchain, state: Path) -> list[str]:
    """The real scheduler: pods that do not fit stay pending with its reason."""
    return [
        str(tools.binary("kube-scheduler")),
        f"--kubeconfig={state / 'kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def kwok(tools: Toolchain, state: Path, *, routes: bool) -> list[str]:
    """Plays the nodes: declares pods running, completed or failed; with ``routes``, the router too.

    KWOK ends at once if a kind it is told of is not served.
    """
    stages = ["kwok-stages.yaml", *(["kwok-routes.yaml"] if routes else [])]
    return [
        str(tools.binary("kwok")),
        f"--kubeconfig={state / 'kubeconfig'}",
        *(f"--config={paths.MANIFESTS / name}" for name in stages),
        "--manage-all-nodes=true",
        "--node-ip=127.0.0.1",
        "--cidr=10.128.0.0/14",
        "--node-lease-duration-seconds=40",
    ]
