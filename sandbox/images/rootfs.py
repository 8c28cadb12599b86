"""The Debian root filesystem under all images but those from scratch."""

import hashlib
import subprocess
from pathlib import Path

BASE = "debian"
RELEASE = "bookworm"
PACKAGES = ("ca-certificates", "libnss-wrapper")
# Nobody reads manuals in a container.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def fingerprint() -> str:
    """Names this way of making it; the state of Debian is that of the day it is made."""
    return hashlib.sha256(repr((RELEASE, PACKAGES, LEFT_OUT)).encode()).hexdigest()[:12]


def mirror() -> str | None:
    """The Debian mirror that this machine uses; None leaves the choice to mmdebstrap."""
    wanted = "$(REPO_URI) $(ORIGIN) $(CODENAME)"
    command = ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        address, *found = line.split()
        if found == ["Debian", RELEASE]:
            return address.rstrip("/")
    return None


def command(folder: Path) -> list[str]:
    """What makes it in an empty folder."""
    found = mirror()
    return [
        "mmdebstrap",
        "--variant=apt",
        "--skip=cleanup/apt/lists",
        *(f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT),
        f"--include={','.join(PACKAGES)}",
        RELEASE,
        str(folder),
        *([f"deb {found} {RELEASE} main"] if found else []),
    ]


def finish(folder: Path, lists: Path) -> None:
    """Keep packages from starting services in the images, and leave out what no pod needs.

    Args:
        folder: the filesystem.
        lists: where to move apt's package lists, for the images that are built on it.
    """
    (folder / "var/lib/apt/lists").rename(lists)
    (folder / "var/lib/apt/lists").mkdir()
    (lists / "partial").mkdir(exist_ok=True)
    refusal = folder / "usr/sbin/policy-rc.d"
    refusal.write_text("#!/bin/sh\nexit 101\n")
    refusal.chmod(0o755)
    for device in (folder / "dev").iterdir():
        if device.is_dir() and not device.is_symlink():
            device.rmdir()
        else:
            device.unlink()
