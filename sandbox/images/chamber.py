"""Runs commands inside a root filesystem under construction: `python -m sandbox.images.chamber`.

It is started in namespaces of its own, so that its mounts and its left-over processes
vanish with it, however it ends. Standard input holds the job as JSON.

Standard library only, and nothing of this package: it runs before `.venv` exists.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# What a package client needs to know of the machine's way out.
PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY", "PIP_DEFAULT_TIMEOUT")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
TRUST = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")


def mount(*arguments: str) -> None:
    """Mount something; in this process's namespace only."""
    subprocess.run(["mount", *arguments], check=True)


def enter(job: dict[str, Any]) -> Path:
    """Mount the filesystem with what a package manager needs in it.

    Args:
        job: ``root`` (empty folder), ``lower`` (folders, uppermost first), ``upper``, ``work``,
            ``lists`` (apt's package lists, kept between images), ``out`` (may be empty).

    Returns:
        The folder to change the root to.
    """
    root = Path(job["root"])
    layers = f"lowerdir={':'.join(job['lower'])},upperdir={job['upper']},workdir={job['work']}"
    mount("-t", "overlay", "overlay", "-o", layers, str(root))
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "proc", "proc", str(root / "proc"))
    for scratch in ("tmp", "var/cache/apt", "var/log"):
        mount("-t", "tmpfs", "tmpfs", str(root / scratch))
    mount("--bind", job["lists"], str(root / "var/lib/apt/lists"))
    (root / "var/log/apt").mkdir()
    for name in ("resolv.conf", "hosts"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), root / "tmp" / name)
            (root / "etc" / name).touch()
            mount("--bind", str(root / "tmp" / name), str(root / "etc" / name))
    if Path(AUTHORITIES).exists():
        shutil.copy(AUTHORITIES, root / "tmp/authorities.crt")
    if job["out"]:
        (root / "out").mkdir(exist_ok=True)
        mount("--bind", job["out"], str(root / "out"))
    return root


def place(root: Path, files: list[dict[str, Any]]) -> None:
    """Copy files in, with their modes; folders keep those of their files."""
    for each in files:
        source, target = Path(each["source"]), root / each["target"].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
            target.chmod(each["mode"])


def environment() -> dict[str, str]:
    """A small environment, with the machine's proxies and package indexes."""
    # The host may trust more authorities than the image does, while it is built.
    values = dict.fromkeys(TRUST, "/tmp/authorities.crt") if Path(AUTHORITIES).exists() else {}
    values |= {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
    values |= {"DEBIAN_FRONTEND": "noninteractive", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1"}
    return values | {key: value for key, value in os.environ.items() if key.upper() in PASSED_ON}


def main() -> int:
    """Do the job.

    Returns:
        The exit code of the first command that failed, else 0.
    """
    job = json.load(sys.stdin)
    root = enter(job)
    code = inside(root, job["install"])
    if not code:
        # After the packages: one that finds its configuration there already asks what to do.
        place(root, job["files"])
        code = inside(root, job["script"])
    return code


def inside(root: Path, script: str) -> int:
    """Run a shell script with the root changed.

    Returns:
        Its exit code.
    """
    command = ["chroot", str(root), "sh", "-euc", script]
    return subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
