"""What a node changes on the machine: a link, control groups, mounts, packet filters. And back."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandbox.node import NodeError
from sandbox.node.names import Names
from sandbox.node.packages import FOLDERS

CGROUPS = Path("/sys/fs/cgroup")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# kube-router's own; kube-proxy has a table to itself.
CHAINS = re.compile(r"KUBE-(ROUTER|POD-FW|NWPLCY)")
SETS = re.compile(r"^(inet6:)?(KUBE-(SRC|DST|PIP|NWPLCY)|kube-router)")


class HostError(NodeError):
    """The machine refused something; the message has the command and its answer."""


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """Run a program of the system.

    Returns:
        Its standard output.

    Raises:
        HostError: it failed, and ``check`` is set.
    """
    environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:{FOLDERS}", "LC_ALL": "C"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)
    if check and done.returncode:
        raise HostError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def make_link(names: Names) -> None:
    """Make the bridge with the node's address; it has no port and leads nowhere.

    Loopback cannot serve: pods could not reach it, and the API server refuses it as the
    address of its own Service.

    Raises:
        HostError: the kernel refused.
    """
    run("ip", "link", "add", names.bridge, "type", "bridge")
    run("ip", "address", "add", f"{names.address}/32", "dev", names.bridge)
    run("ip", "link", "set", names.bridge, "up")


def forward(wanted: str) -> str:
    """Let packets pass between pods ("1"), or not ("0").

    Returns:
        How it was before.
    """
    before = FORWARDING.read_text().strip()
    if before != wanted:
        FORWARDING.write_text(wanted)
    return before


def unified() -> bool:
    """Whether the machine has control groups of version 2 alone."""
    return (CGROUPS / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """The roots of the control group hierarchies."""
    return [CGROUPS] if unified() else [each for each in CGROUPS.iterdir() if each.is_dir() and not each.is_symlink()]


def make_cgroups(names: Names) -> None:
    """Make the node's control group in every hierarchy; the kubelet wants to find it."""
    for root in hierarchies():
        group = root / names.cgroup
        group.mkdir(exist_ok=True)
        # A new cpuset is empty, and nothing could be put into it.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (root / file).exists() and (group / file).exists():
                (group / file).write_text((root / file).read_text())
        if unified():
            wanted = " ".join(f"+{each}" for each in (root / "cgroup.controllers").read_text().split())
            for place in (root, group):
                (place / "cgroup.subtree_control").write_text(wanted)


def pod_processes(names: Names) -> set[int]:
    """Every process in the node's control groups."""
    found: set[int] = set()
    for group in groups(names):
        with suppress(OSError):
            found |= {int(each) for each in (group / "cgroup.procs").read_text().split()}
    return found


def groups(names: Names) -> Iterator[Path]:
    """The node's control groups, innermost first."""
    for root in hierarchies():
        for folder, _, _ in os.walk(root / names.cgroup, topdown=False):
            yield Path(folder)


def kill_pods(names: Names, seconds: float = 10) -> None:
    """End all pods' processes at once; their state is thrown away anyway."""
    until = time.monotonic() + seconds
    while (pids := pod_processes(names)) and time.monotonic() < until:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def remove_cgroups(names: Names, seconds: float = 5) -> None:
    """Remove the control groups; an ended process may hold one for a moment."""
    until = time.monotonic() + seconds
    while True:
        for group in groups(names):
            with suppress(OSError):
                group.rmdir()
        if not any((root / names.cgroup).exists() for root in hierarchies()) or time.monotonic() > until:
            return
        time.sleep(0.05)


def mounts_below(folder: Path) -> list[str]:
    """Mount points in a folder, innermost first."""
    # Blanks and the like are written in octal.
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    decoded = [re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), each) for each in points]
    return [each for each in reversed(decoded) if Path(each).is_relative_to(folder)]


def unmount(folder: Path) -> None:
    """Unmount everything in a folder, even what is mounted several times over."""
    for _ in range(5):
        points = mounts_below(folder)
        if not points:
            return
        for point in points:
            run("umount", "--lazy", point, check=False)


def remove_filters() -> None:
    """Remove the packet filters of kube-proxy and kube-router; only one node runs at a time."""
    for family in ("ip", "ip6"):
        run("nft", "delete", "table", family, "kube-proxy", check=False)
    for program in ("iptables", "ip6tables"):
        rules = run(f"{program}-save", "--table", "filter", check=False).splitlines()
        kept = [line for line in rules if not CHAINS.search(line)]
        if len(kept) != len(rules):
            run(f"{program}-restore", "--table", "filter", text="\n".join(kept) + "\n", check=False)
    for name in run("ipset", "list", "-name", check=False).split():
        if SETS.match(name):
            run("ipset", "destroy", name, check=False)


def leftovers(names: Names, folder: Path) -> dict[str, list[str]]:
    """What of a node is still on the machine, by kind; all empty after a stop."""
    rules = run("nft", "list", "tables", check=False) + run("iptables-save", "--table", "filter", check=False)
    return {
        "mounts": mounts_below(folder),
        "ipsets": [each for each in run("ipset", "list", "-name", check=False).split() if SETS.match(each)],
        "chains": [line for line in rules.splitlines() if CHAINS.search(line) or "kube-proxy" in line],
        "cgroups": [str(root / names.cgroup) for root in hierarchies() if (root / names.cgroup).exists()],
        "links": [names.bridge] if Path("/sys/class/net", names.bridge).exists() else [],
        "processes": [str(pid) for pid in pod_processes(names)],
    }
