"""The tool chain: Pulumi and an API server, built from pinned Go modules.

Each folder beside this file is one Go module whose committed ``go.mod`` and
``go.sum`` pin one set of tools (in one module they would contradict each other).
:func:`ensure` builds what is missing into a cache outside the checkout. A machine
with an official Pulumi of the right version keeps using that one.

Standard library only: this runs before any virtual environment exists.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain import official
from sandbox.toolchain.builder import Builder, Progress
from sandbox.toolchain.toolsets import CHECKS, CLUSTER, OPENSHIFT, PULUMI

__all__ = ["Toolchain", "ensure", "kube_score"]

PLUGINS = {"pulumi-resource-kubernetes": f"plugins/resource-kubernetes-v{official.KUBERNETES_PLUGIN}"}


@dataclass(frozen=True)
class Toolchain:
    """Tools that are ready to run."""

    path_entries: list[Path]
    """Folders to put in front of PATH."""
    openshift: Path
    """Folder with OpenShift's own custom resource definitions."""
    plugins: Path | None
    """Folder of Pulumi plugins, laid out as in Pulumi's home; None for an installed Pulumi."""

    def binary(self, name: str) -> Path:
        """The file to execute for a tool.

        Args:
            name: ``kubectl``, ``pulumi``, ``kube-apiserver``, ...

        Raises:
            FileNotFoundError: no tool of that name belongs to this tool chain.
        """
        for folder in self.path_entries:
            if os.access(file := folder / name, os.X_OK):
                return file
        raise FileNotFoundError(f"{name} is not part of the tool chain in {self.path_entries}")


def ensure(progress: Progress = print, *, for_tests: bool = False) -> Toolchain:
    """Make every tool available, building what is not there yet.

    Args:
        progress: takes one line of text per step.
        for_tests: also the tools that only tests need.

    Returns:
        The tool chain; within milliseconds when everything is there already.

    Raises:
        BuildError: a build failed, or Go is missing; the message holds the cure.
    """
    found = official.find()
    if found:
        progress(f"toolchain: using the Pulumi {found.version} that is installed here")
    sets = [*CLUSTER, OPENSHIFT] if found else [*PULUMI, *CLUSTER, OPENSHIFT]
    folders = Builder(progress).build([*sets, *(CHECKS if for_tests else ())])
    programs = _gather([folders[each.name] for each in sets if each is not OPENSHIFT])
    entries = [programs, *(found.path_entries if found else ())]
    plugins = None if found else programs / "plugins"
    return Toolchain(entries, folders[OPENSHIFT.name], plugins)


def kube_score(progress: Progress = print) -> Path:
    """The program kube-score, built if it is not there yet.

    Raises:
        BuildError: as :func:`ensure`.
    """
    return Builder(progress).build(CHECKS)["kube-score"] / "bin" / "kube-score"


def _gather(folders: list[Path]) -> Path:
    """Put the programs of several builds into one folder.

    The engine takes its language host from its own folder without a warning, and the host
    wants its start script beside it. These are hard links: both programs look at their real
    path, so symbolic links would lead them apart again. Plugins go where Pulumi keeps them:
    about one that it finds on PATH it warns at each run.
    """
    names = "\n".join([*(folder.name for folder in folders), repr(PLUGINS)])
    target = folders[0].parent / f"bin-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
    if target.exists():
        return target
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="bin-partial-"))
    for program in (each for folder in folders for each in (folder / "bin").iterdir()):
        goal = partial / PLUGINS.get(program.name, ".") / program.name
        goal.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(program, goal)
        except OSError:  # a file system without hard links
            shutil.copy2(program, goal)
    partial.chmod(0o755)
    try:
        partial.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(partial)
    return target
