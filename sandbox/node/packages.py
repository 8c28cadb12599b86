"""The Debian packages and rights that a real node and its images need."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.node import NodeError

# What must be there, and the package that has it.
BUILDER: Mapping[str, str] = {"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "mount": "mount"}
NODE: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "nft": "nftables",
    "ipset": "ipset",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
}
# Where an administrator's programs lie, which not every PATH has.
FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class PackagesMissingError(NodeError):
    """Something has to be installed first, or the caller is not root; the message has the cure."""


def missing(wanted: Mapping[str, str]) -> list[str]:
    """The packages whose programs are not there."""
    return sorted({package for program, package in wanted.items() if not _there(program)})


def install_line(names: list[str]) -> str:
    """What an administrator types."""
    return f"apt-get install --no-install-recommends {' '.join(names)}"


def require(wanted: Mapping[str, str], progress: Callable[[str], None]) -> None:
    """Install what is missing, saying so first.

    Raises:
        PackagesMissingError: not root, no apt-get, or it failed.
    """
    absent = missing(wanted)
    cure = f"Run: sudo {install_line(absent)}" if absent else "Run the same command as root."
    if os.geteuid():
        raise PackagesMissingError(f"real containers need root (mounts, network, control groups). {cure}")
    if not absent:
        return
    if not shutil.which("apt-get"):
        raise PackagesMissingError(f"these Debian packages are missing, and there is no apt-get: {' '.join(absent)}")
    progress(f"packages: {install_line(absent)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-qq", "update"], [*install_line(absent).split(), "-qq", "-y"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or missing(wanted):
        raise PackagesMissingError(f"`{install_line(absent)}` failed:\n{done.stderr[-2000:]}")


def _there(program: str) -> bool:
    if program.startswith("/"):
        return Path(program).exists()
    return shutil.which(program, path=FOLDERS) is not None
