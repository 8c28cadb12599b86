"""What is built: one entry per Go module beside this file."""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
K8S = "v1.34.2"
# Clients parse the server's version; without the stamp they read an empty string and fail.
K8S_STAMP = " ".join(
    [
        f"-X k8s.io/component-base/version.gitVersion={K8S}",
        "-X k8s.io/component-base/version.gitMajor=1",
        "-X k8s.io/component-base/version.gitMinor=34",
        "-X k8s.io/component-base/version.gitTreeState=clean",
        f"-X k8s.io/client-go/pkg/version.gitVersion={K8S}",
    ]
)
SDK_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
PROVIDER_VERSION = "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version"


@dataclass(frozen=True)
class Copy:
    """A file taken from a module of the build graph.

    ``before`` the build it is placed beside the sources, otherwise into the result.
    """

    module: str
    path: str
    to: str
    before: bool = False


@dataclass(frozen=True)
class ToolSet:
    """One Go module and the programs that come out of it."""

    name: str
    title: str
    packages: tuple[str, ...] = ()
    output: str = ""
    """File name of the one program; empty when the packages' own names are right."""
    stamp: str = ""
    copies: tuple[Copy, ...] = ()

    @property
    def source(self) -> Path:
        """The folder with the pins."""
        return HERE / self.name

    @property
    def ldflags(self) -> str:
        """What the linker gets: no debug tables (a third of the size), version stamps."""
        return f"-s -w {self.stamp}".strip()

    @property
    def key(self) -> str:
        """Names this exact build: pins, flags, platform. A changed pin is a new key."""
        digest = hashlib.sha256()
        for file in sorted(self.source.iterdir()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        wanted = (self.packages, self.output, self.ldflags, self.copies)
        digest.update(repr((wanted, platform.system(), platform.machine())).encode())
        return digest.hexdigest()[:12]


# The longest builds come first, so that they do not run alone at the end.
PULUMI = (
    ToolSet(
        "provider-kubernetes",
        "Pulumi's Kubernetes provider",
        (".",),
        "pulumi-resource-kubernetes",
        f"-X {PROVIDER_VERSION}=4.25.0",
        tuple(
            Copy(
                "github.com/pulumi/pulumi-kubernetes/provider/v4",
                f"cmd/pulumi-resource-kubernetes/{file}",
                file,
                before=True,
            )
            for file in ("schema.json", "terraform-mapping.json")
        ),
    ),
    ToolSet(
        "pulumi",
        "Pulumi engine and CLI",
        ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
        "pulumi",
        # Without it `pulumi version` is empty and the Automation API refuses the CLI.
        f"-X {SDK_VERSION}=v3.259.0",
        (
            Copy(
                "github.com/pulumi/pulumi/sdk/v3",
                "python/cmd/pulumi-language-python-exec",
                "bin/pulumi-language-python-exec",
            ),
        ),
    ),
    ToolSet(
        "language-python",
        "Pulumi's Python language host",
        ("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
        "pulumi-language-python",
        f"-X {SDK_VERSION}=v3.79.0",
    ),
)
CLUSTER = (
    ToolSet(
        "kubernetes",
        "Kubernetes API server, controllers, scheduler, kubectl",
        tuple(
            f"k8s.io/kubernetes/cmd/{program}"
            for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        ),
        stamp=K8S_STAMP,
    ),
    ToolSet("kwok", "KWOK (simulated nodes)", ("sigs.k8s.io/kwok/cmd/kwok",), "kwok"),
    ToolSet("etcd", "etcd", ("go.etcd.io/etcd/server/v3",), "etcd"),
)
# What tests need and a deployment does not.
CHECKS = (
    ToolSet("kube-score", "kube-score (for tests)", ("github.com/zegl/kube-score/cmd/kube-score",), "kube-score"),
)
OPENSHIFT = ToolSet(
    "openshift",
    "OpenShift's resource definitions",
    copies=(
        Copy(
            "github.com/openshift/api",
            "route/v1/zz_generated.crd-manifests/routes.crd.yaml",
            "routes.crd.yaml",
        ),
        Copy(
            "github.com/openshift/api",
            "payload-manifests/crds/0000_10_config-operator_01_ingresses.crd.yaml",
            "ingresses.crd.yaml",
        ),
        Copy(
            "github.com/openshift/api",
            "console/v1/zz_generated.crd-manifests/00_consolelinks.crd.yaml",
            "consolelinks.crd.yaml",
        ),
    ),
)
