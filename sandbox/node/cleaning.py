"""Takes a node off the machine, however it ended."""

import shutil
from pathlib import Path

from sandbox.node import host, owner
from sandbox.node.runtime import Runtime, kill
from sandbox.processes import Component, stop


def clean_up(mine: owner.Owner) -> None:
    """Stop a node and take back what it changed, however it ended.

    Raises:
        HostError: something could not be unmounted; nothing is deleted then.
    """
    state, names = Path(mine.state), mine.names
    folder = state / "node"
    parts = {each: Component(each, state) for each in owner.COMPONENTS}
    kill([parts[each] for each in ("kubelet", "kube-proxy", "network-policy", "provisioner")])
    host.kill_pods(names)
    Runtime(parts["containerd"], folder).stop()
    stop([pid for pid in [parts["registry"].pid()] if pid])
    parts["registry"].forget()
    host.unmount(folder)
    if left := host.mounts_below(folder):
        # Volumes may be mounted there: deleting would reach through into them.
        raise host.HostError(f"these could not be unmounted: {', '.join(left)}")
    host.run("ip", "link", "delete", names.bridge, check=False)
    host.remove_filters()
    host.remove_cgroups(names)
    if mine.forwarding == "0":
        host.forward("0")
    for each in Path("/var/lib/cni/results").glob(f"{names.cgroup}-*"):
        each.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    owner.Owner.forget()
