"""Foundation tier: the namespace, and the certificates that its pods trust."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components.kube import HEAL, Scope
from components.trust import Trust, contents

# OpenShift's network operator fills a ConfigMap with this label with the system's and the
# proxy's certificate authorities, under the key ca-bundle.crt.
INJECT_TRUST = {"config.openshift.io/inject-trusted-cabundle": "true"}


@dataclass(frozen=True, kw_only=True)
class FoundationArgs:
    """``scope.namespace`` is the name of the namespace to make; ``protect`` refuses its deletion.

    ``authorities`` in PEM are trusted besides those of the cluster. ``lasting`` is what must not go before
    the namespace, whatever a destroy is told.
    """

    scope: Scope
    authorities: str
    lasting: Resource
    protect: bool


class Foundation(ComponentResource):
    """The namespace under PodSecurity `restricted`, and what its pods trust (``trust``)."""

    namespace: Output[str]
    trusted_ca: Output[str]
    chosen_ca: Output[str]

    def __init__(self, name: str, args: FoundationArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Foundation", name, None, opts)
        labels = args.scope.marks("foundation") | {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }
        space = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=args.scope.namespace, labels=labels, annotations=HEAL),
            opts=ResourceOptions(parent=self, protect=args.protect, depends_on=[args.lasting]),
        )
        self.home = space
        self.namespace = space.metadata.name
        # Named and without data: the operator owns the data, so a change is no new object.
        bundle = k8s.core.v1.ConfigMap(
            f"{name}-trusted-ca",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name="trusted-ca", namespace=self.namespace, labels=args.scope.marks("foundation") | INJECT_TRUST
            ),
            opts=ResourceOptions(parent=self),
        )
        # Auto-named: with a changed authority, just the pods that read it start anew.
        chosen = k8s.core.v1.ConfigMap(
            f"{name}-chosen-ca",
            metadata=args.scope.within(self.namespace).meta("foundation"),
            immutable=True,
            data=contents(args.authorities),
            opts=ResourceOptions(parent=self),
        )
        self.trusted_ca, self.chosen_ca = bundle.metadata.name, chosen.metadata.name
        self.trust = Trust(injected=self.trusted_ca, chosen=self.chosen_ca)
        told = {"trusted_ca": self.trusted_ca, "chosen_ca": self.chosen_ca}
        self.register_outputs({"namespace": self.namespace, **told})
