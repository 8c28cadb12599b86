"""The configuration files of a node's programs. JSON is YAML, so most are written as JSON."""

import json
from pathlib import Path

from sandbox.node.names import DNS_ADDRESS, Names

PAUSE = "lab.local/pause:1"
# Where images are looked for in the loopback registry first, and their real registry's address.
MIRRORED = {
    "quay.io": "https://quay.io",
    "registry.redhat.io": "https://registry.redhat.io",
    "registry.access.redhat.com": "https://registry.access.redhat.com",
    "docker.io": "https://registry-1.docker.io",
    "ghcr.io": "https://ghcr.io",
    "lab.local": "",
}
KUBELET_PORT, PROXY_HEALTH_PORT, PROXY_METRICS_PORT = 10250, 10256, 10249


def containerd(root: Path, run: Path, *, cri: bool = True) -> str:
    """The settings of containerd.

    Args:
        root: the image store, which outlives the node.
        run: everything else, which does not.
        cri: whether to serve the kubelet; without it, only to clean up.
    """
    off = [f"io.containerd.snapshotter.v1.{each}" for each in ("btrfs", "zfs", "devmapper", "aufs")]
    off += [] if cri else ["io.containerd.grpc.v1.cri"]
    # TOML has the same strings and lists as JSON.
    return f"""\
version = 2
root = {json.dumps(str(root))}
state = {json.dumps(str(run / "containerd"))}
disabled_plugins = {json.dumps(off)}
[grpc]
  address = {json.dumps(str(socket(run)))}
[plugins."io.containerd.grpc.v1.cri"]
  # A container without CAP_SYS_RESOURCE around us may not lower its own score.
  restrict_oom_score_adj = true
  # So that stopping is a matter of unmounting there.
  netns_mounts_under_state_dir = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = {json.dumps(str(run / "runc"))}
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = {json.dumps(str(run / "registries"))}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = {json.dumps(str(run / "cni"))}
"""


def socket(run: Path) -> Path:
    """Where containerd listens."""
    return run / "containerd.sock"


def mirror(host: str, port: int) -> str:
    """Where containerd looks for a registry's images: here first, there after that."""
    here = f"http://127.0.0.1:{port}/v2/{host}"
    return f"""\
server = "{MIRRORED[host] or here}"
[host."{here}"]
  capabilities = ["pull", "resolve"]
  override_path = true
"""


def network(names: Names, run: Path) -> str:
    """How pods are connected: each by a pair of links with the machine between them.

    Not by a bridge: every packet between pods is routed, so network policies see it. Pods have
    no way out (no masquerading), as in a cluster without internet.
    """
    ranges = [[{"subnet": names.pods}]]
    addresses = {"type": "host-local", "dataDir": str(run / "addresses"), "ranges": ranges}
    addresses["routes"] = [{"dst": "0.0.0.0/0"}]
    plugin = {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": names.cgroup, "plugins": [plugin]})


def kubelet(names: Names, run: Path, client_ca: Path) -> str:
    """The settings of the kubelet."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(client_ca)},
            },
            "authorization": {"mode": "Webhook"},
            "address": names.address,
            "port": KUBELET_PORT,
            "readOnlyPort": 0,
            "healthzPort": 0,
            "containerRuntimeEndpoint": f"unix://{socket(run)}",
            "cgroupDriver": "cgroupfs",
            # Its own, so that it never cleans up another kubelet's.
            "cgroupRoot": f"/{names.cgroup}",
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            # Else a chain of its own stays in the machine's tables for ever.
            "makeIPTablesUtilChains": False,
            # A full disk of the machine must not throw pods out.
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            # How soon a changed Secret is in a running pod, at most: a minute and a half on real nodes, of which
            # tests would do nothing but wait.
            "syncFrequency": "10s",
            "clusterDomain": "cluster.local",
            "clusterDNS": [DNS_ADDRESS],
            "resolvConf": "",
            "podLogsDir": str(run / "pod-logs"),
            "volumePluginDir": str(run / "kubelet" / "volume-plugins"),
            "nodeStatusUpdateFrequency": "4s",
            "serializeImagePulls": False,
        },
        indent=2,
    )


def kube_proxy(names: Names, kubeconfig: Path) -> str:
    """The settings of kube-proxy."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            # At the default of a second, a Service still refuses when its pod is ready.
            "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
            "clusterCIDR": names.pods,
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "healthzBindAddress": f"{names.address}:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": f"{names.address}:{PROXY_METRICS_PORT}",
            "oomScoreAdj": 0,
            # Zero leaves the machine's own limits alone.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        },
        indent=2,
    )
