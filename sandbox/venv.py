"""Makes `.venv` from the hashed pins, with bytecode, when the pins changed.

Standard library only: it runs before the environment exists.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import paths

REQUIREMENTS = paths.CHECKOUT / "requirements-dev.txt"
UV_PINS = Path(__file__).resolve().parent / "uv.txt"
STAMP = ".requirements"


class VenvError(Exception):
    """The environment could not be made; the message has the cure."""


def sync(progress: Callable[[str], None] = print) -> None:
    """Bring `.venv` in line with `requirements-dev.txt`.

    Raises:
        VenvError: an installer failed.
    """
    python, stamp = paths.VENV / "bin" / "python", paths.VENV / STAMP
    wanted = fingerprint(REQUIREMENTS.read_bytes())
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        progress("venv: already there")
        return
    uv = _uv(progress)
    if not _runs([str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
        progress(f"venv: making {paths.VENV}")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(paths.VENV)])
    progress("venv: installing the pinned packages")
    stamp.unlink(missing_ok=True)
    # The bytecode is compiled here, once: without it each start of the program takes two
    # seconds longer, and a machine may forbid Python to write it later.
    command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    _run([*command, "--python", str(python), str(REQUIREMENTS)])
    stamp.write_text(wanted)
    progress("venv: done")


def compile_pins() -> None:
    """Compile `requirements*.txt` from `requirements*.in`, with hashes, without index addresses.

    Raises:
        VenvError: the resolver failed.
    """
    uv = _uv(print)
    for name in ("requirements", "requirements-dev"):
        command = [uv, "pip", "compile", "--quiet", "--generate-hashes", "--universal"]
        command += ["--python-version=3.11", "--no-emit-index-url", "--no-header", "--no-annotate"]
        _run([*command, f"{name}.in", f"--output-file={name}.txt"])


def fingerprint(requirements: bytes) -> str:
    """What an environment was made from: the pins, and its own place, which its scripts name."""
    digest = hashlib.sha256(requirements + str(paths.VENV).encode())
    return digest.hexdigest()


def _uv(progress: Callable[[str], None]) -> str:
    """The installer on PATH, else our own pinned one in the cache."""
    if (found := shutil.which("uv")) and _runs([found, "--version"]):
        return found
    folder = paths.cache() / f"uv-{hashlib.sha256(UV_PINS.read_bytes()).hexdigest()[:12]}"
    uv = folder / "bin" / "uv"
    if not _runs([str(uv), "--version"]):
        progress("venv: fetching uv")
        if not _runs([sys.executable, "-m", "venv", "--clear", str(folder)]):
            raise VenvError(
                f"{sys.executable} cannot make virtual environments. On Debian: apt-get install python3-venv"
            )
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--require-hashes", "-r", str(UV_PINS)])
    return str(uv)


def _runs(command: list[str]) -> bool:
    """Whether a command ends with exit code 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(command: list[str]) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if code := subprocess.run(command, check=False, env=environment, cwd=paths.CHECKOUT).returncode:
        raise VenvError(
            f"`{' '.join(command)}` failed with exit code {code}; its message is above."
            " If a download failed, run the same command again."
        )
