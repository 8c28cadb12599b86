"""Who has the machine's one real node: written down, so that its left-overs can be found."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox import paths
from sandbox.node import NodeError
from sandbox.node.names import Names
from sandbox.processes import Component

# In the order in which they are ended.
COMPONENTS = ("kubelet", "kube-proxy", "network-policy", "provisioner", "registry", "containerd")


class NodeBusyError(NodeError):
    """Another sandbox has the machine's one real node; the message says how to stop it."""


@dataclass(frozen=True)
class Owner:
    """The sandbox with the real node, as long as anything of the node may be on the machine."""

    state: str
    name: str
    forwarding: str
    """The kernel's setting before the node changed it."""

    @property
    def names(self) -> Names:
        """What its parts are called."""
        return Names(self.name)

    def alive(self) -> bool:
        """Whether any of its processes runs."""
        return any(Component(each, Path(self.state)).pid() for each in COMPONENTS)

    def save(self) -> None:
        """Write it down."""
        _file().write_text(json.dumps(asdict(self), indent=2))

    @staticmethod
    def load() -> "Owner | None":
        """The one written down; None if no node is on the machine."""
        try:
            return Owner(**json.loads(_file().read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def forget() -> None:
        """Nothing of a node is left."""
        _file().unlink(missing_ok=True)


def folder() -> Path:
    """Where the image store and this record are."""
    return paths.cache() / "node"


def refuse_other(state: Path) -> None:
    """Fail if another sandbox's node runs.

    Raises:
        NodeBusyError: with the command that stops it.
    """
    owner = Owner.load()
    if owner and owner.state != str(state) and owner.alive():
        raise NodeBusyError(
            f"the sandbox {owner.name} has the one real node that a machine can have. "
            f"Stop it: python -m sandbox down --state {owner.state}"
        )


@contextmanager
def lock() -> Iterator[None]:
    """Hold the right to change the record; others wait."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _file() -> Path:
    return folder() / "owner.json"
