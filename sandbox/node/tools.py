"""The programs of a real node that come from Go modules, built like the rest of the tool chain."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain.builder import Builder, Progress
from sandbox.toolchain.toolsets import K8S_STAMP, ToolSet

# The longest builds come first, so that they do not run alone at the end.
SETS = (
    ToolSet(
        "node",
        "Kubernetes kubelet and kube-proxy",
        ("k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy"),
        stamp=K8S_STAMP,
    ),
    ToolSet("coredns", "CoreDNS", ("github.com/coredns/coredns",), "coredns"),
    ToolSet(
        "registry",
        "image registry",
        ("github.com/distribution/distribution/v3/cmd/registry",),
        "registry",
    ),
    ToolSet(
        "kube-router",
        "kube-router (network policies)",
        ("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",),
        "kube-router",
    ),
    ToolSet("dirprov", "volume provisioner", (".",), "dirprov"),
)


@dataclass(frozen=True)
class NodeTools:
    """Folders of the built sets by name."""

    folders: dict[str, Path]

    def binary(self, name: str) -> Path:
        """The file to execute.

        Args:
            name: ``kubelet``, ``kube-proxy``, ``coredns``, ``registry``, ``kube-router`` or ``dirprov``.
        """
        return self.folders["node" if name in {"kubelet", "kube-proxy"} else name] / "bin" / name


def ensure(progress: Progress = print, only: tuple[str, ...] = ()) -> NodeTools:
    """Build what is missing.

    Args:
        progress: takes one line of text per step.
        only: names of the sets that are wanted; all when empty.

    Raises:
        BuildError: a build failed, or Go is missing; the message holds the cure.
    """
    wanted = [each for each in SETS if not only or each.name in only]
    return NodeTools(Builder(progress).build(wanted))
