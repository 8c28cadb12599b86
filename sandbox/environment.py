"""The environment in which Pulumi and kubectl see a sandbox and nothing else."""

import os
from collections.abc import Mapping
from pathlib import Path

from sandbox import paths
from sandbox.toolchain import Toolchain

PASSPHRASE = "litemaas-sandbox"  # noqa: S105  documented: it protects nothing but the sandbox
# What would lead a command to another backend, stack, cluster or plugin.
FOREIGN = ("PULUMI_", "KUBE", "K8S_", "HELM_", "OPENSHIFT_")
# A program that may not write bytecode pays for its compilation at each start.
SLOW = ("PYTHONDONTWRITEBYTECODE",)


def overrides(state: Path, tools: Toolchain, ambient: Mapping[str, str]) -> dict[str, str]:
    """The variables that a sandbox sets.

    Args:
        state: the sandbox's state folder.
        tools: where the programs are.
        ambient: the environment to extend the PATH of.
    """
    programs = [*tools.path_entries, paths.VENV / "bin"]
    home, backend = state / "pulumi-home", state / "pulumi"
    values = {
        "PATH": os.pathsep.join([*map(str, programs), ambient.get("PATH", os.defpath)]),
        "KUBECONFIG": str(state / "kubeconfig"),
        # kubectl names its cache after the address, and a later sandbox may get the same port.
        "KUBECACHEDIR": str(state / "kube-cache"),
        "LITEMAAS_SANDBOX": str(state),
        "PULUMI_BACKEND_URL": backend.as_uri(),
        "PULUMI_HOME": str(home),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    if tools.plugins:
        # Our own programs come as they are: the engine must not fetch others.
        values["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return values


def build(state: Path, tools: Toolchain, ambient: Mapping[str, str]) -> dict[str, str]:
    """A whole environment: the ambient one less what leads elsewhere, plus the sandbox's."""
    kept = {key: value for key, value in ambient.items() if not leads_elsewhere(key)}
    return kept | overrides(state, tools, ambient)


def leads_elsewhere(variable: str) -> bool:
    """Whether a variable must not reach a command that works on the sandbox."""
    return variable.startswith(FOREIGN) or variable in SLOW


def prepare(state: Path, tools: Toolchain, ambient: Mapping[str, str]) -> None:
    """Make the folders that the environment names, with the plugins in Pulumi's home.

    An installed Pulumi has them in its own home; what it fetches later goes there too.
    """
    home = state / "pulumi-home"
    for folder in (home, state / "pulumi"):
        folder.mkdir(parents=True, exist_ok=True)
    installed = Path(ambient.get("PULUMI_HOME") or Path.home() / ".pulumi") / "plugins"
    wanted, link = tools.plugins or installed, home / "plugins"
    if link.is_symlink():
        link.unlink()
    if wanted.is_dir() and not link.exists():
        link.symlink_to(wanted)
