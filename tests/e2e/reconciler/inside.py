"""Becomes a command of an image, on this machine's network: `python inside.py`, in namespaces of its own.

Standard input holds JSON: ``lower`` (the image's layers, uppermost first), ``scratch`` (an empty folder),
``files`` (text by path), ``env``, ``command``.
"""

import json
import subprocess
import sys
from pathlib import Path

USER = "1001:0"


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main() -> int:
    job = json.load(sys.stdin)
    folders = {name: Path(job["scratch"], name) for name in ("upper", "work", "root")}
    for each in folders.values():
        each.mkdir()
    root = folders["root"]
    layers = f"lowerdir={':'.join(job['lower'])},upperdir={folders['upper']},workdir={folders['work']}"
    mount("-t", "overlay", "overlay", "-o", layers, str(root))
    mount("--rbind", "/dev", str(root / "dev"))
    mount("-t", "proc", "proc", str(root / "proc"))
    for name in ("tmp", "var/lib/litellm"):
        (root / name).mkdir(exist_ok=True)
        mount("-t", "tmpfs", "tmpfs", str(root / name))
    for name, text in job["files"].items():
        file = root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # Not in this process's place: it has to stay root, for who changes his user outlives his parent.
    command = ["chroot", f"--userspec={USER}", str(root), *job["command"]]
    return subprocess.run(command, env=job["env"], stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
