"""Finds an installed Pulumi that can stand in for the three tools we would build."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox import paths

# The Python SDK in requirements.txt asks for exactly this plugin.
KUBERNETES_PLUGIN = "4.25.0"


@dataclass(frozen=True)
class Official:
    """An installed Pulumi: its version and the folders that hold its programs."""

    version: str
    path_entries: list[Path]


def find() -> Official | None:
    """Look for `pulumi` 3 with its Python host and its Kubernetes plugin.

    Our own builds do not count, though a sandbox's shell has them on PATH, and
    ``LITEMAAS_TOOLCHAIN=build`` skips the search, for tests of our own builds.

    Returns:
        What was found; None unless all three parts are there.
    """
    if os.environ.get("LITEMAAS_TOOLCHAIN") == "build":
        return None
    cli, host = shutil.which("pulumi"), shutil.which("pulumi-language-python")
    if not cli or not host or Path(cli).is_relative_to(paths.cache()):
        return None
    version = _output(cli, "version").strip()
    if not version.removeprefix("v").startswith("3."):
        return None
    plugin = shutil.which("pulumi-resource-kubernetes")
    if not plugin and not _has_plugin(_output(cli, "plugin", "ls", "--json")):
        return None
    programs = [cli, host, *([plugin] if plugin else [])]
    return Official(version, list(dict.fromkeys(Path(each).absolute().parent for each in programs)))


def _has_plugin(listing: str) -> bool:
    """Whether `pulumi plugin ls --json` names the Kubernetes plugin in our version."""
    try:
        plugins = json.loads(listing or "[]")
    except json.JSONDecodeError:
        return False
    return any(
        (each.get("name"), each.get("kind"), each.get("version", "").removeprefix("v"))
        == ("kubernetes", "resource", KUBERNETES_PLUGIN)
        for each in plugins
    )


def _output(*command: str) -> str:
    """Standard output of a short command; empty when it fails or hangs."""
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
