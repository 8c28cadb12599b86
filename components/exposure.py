"""Exposure tier: how entrances are made, their certificate, and the router's right to read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import kube, openshift, revision
from components.entrance import Entrance, Guard, Ingresses, IngressKind, Routes
from components.naming import ROUTE_CERTIFICATE, Door

# The only reader; it reads no other Secret of the namespace.
_ROUTER = ("router", "openshift-ingress")


@dataclass(frozen=True, kw_only=True)
class Given:
    """A certificate of the stack file; the key is secret."""

    certificate: str
    key: Output[str]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A Secret in the namespace that somebody else fills."""

    secret: str


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate that cert-manager obtains from an issuer of this name and kind."""

    issuer: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class ExposureArgs:
    """``doors`` are all that are opened.

    ``ingress`` None stands for Routes, ``certificate`` None for the router's own.
    """

    scope: kube.Scope
    doors: Sequence[Door]
    guard: Guard
    ingress: IngressKind | None
    termination: str
    certificate: Given | Kept | Issued | None


class Exposure(ComponentResource):
    """By ``entrance`` tiers are reached from outside; ``certificate`` names a Secret, or none."""

    certificate: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: ExposureArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Exposure", name, None, opts)
        own = _usable(name, args, self) if args.certificate else None
        if args.ingress:
            entrance: Entrance = Ingresses(kind=args.ingress, guard=args.guard, certificate=own)
        else:
            tls = openshift.Tls(termination=args.termination, certificate=own)
            entrance = Routes(tls=tls, guard=args.guard)
        self.entrance = entrance
        self.certificate = own or Output.from_input("")
        # Not of the certificate: its renewal changes nothing that could be tried in vain.
        self.revision = revision.of(args.doors, args.guard, args.ingress)
        self.register_outputs({"certificate": self.certificate, "revision": self.revision})


def _usable(name: str, args: ExposureArgs, parent: Resource) -> Output[str]:
    """The name of the Secret, once it is there: the controller of Ingresses may read every one."""
    if args.ingress is None:
        return _readable(name, args, parent)
    secret, *made = _secret(name, args, parent)
    return Output.all(secret, *made).apply(lambda found: str(found[0]))


def _readable(name: str, args: ExposureArgs, parent: Resource) -> Output[str]:
    """The name of the Secret, once the router may read it.

    OpenShift's API server looks at Secret and rights when it is given a Route, in a preview too. So the name is
    made of what preview knows only of objects that are there, their ids: until then it does not try the Route.
    """
    opts = ResourceOptions(parent=parent)
    secret, *made = _secret(name, args, parent)
    rule = k8s.rbac.v1.PolicyRuleArgs(
        api_groups=[""], resources=["secrets"], resource_names=[secret], verbs=["get", "list", "watch"]
    )
    role = k8s.rbac.v1.Role(f"{name}-reader", metadata=args.scope.meta("exposure"), rules=[rule], opts=opts)
    account, namespace = _ROUTER
    binding = k8s.rbac.v1.RoleBinding(
        f"{name}-reader",
        metadata=args.scope.meta("exposure"),
        role_ref=k8s.rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name),
        subjects=[k8s.rbac.v1.SubjectArgs(kind="ServiceAccount", name=account, namespace=namespace)],
        opts=opts,
    )
    return Output.all(secret, role.id, binding.id, *made).apply(lambda found: str(found[0]))


def _secret(name: str, args: ExposureArgs, parent: Resource) -> list[Input[str]]:
    """The name of the Secret, and behind it the ids of what is made for it."""
    opts = ResourceOptions(parent=parent)
    match args.certificate:
        case Given(certificate=certificate, key=key):
            pair = k8s.core.v1.Secret(
                f"{name}-certificate",
                metadata=args.scope.meta("exposure"),
                type="kubernetes.io/tls",
                immutable=True,
                string_data={"tls.crt": Output.secret(certificate), "tls.key": key},
                opts=opts,
            )
            return [pair.metadata.name, pair.id]
        case Issued(issuer=issuer, kind=kind):
            issued = openshift.certificate(
                f"{name}-certificate",
                metadata=args.scope.meta("exposure", ROUTE_CERTIFICATE, args.scope.awaited() | openshift.READY),
                secret=ROUTE_CERTIFICATE,
                labels=args.scope.marks("exposure"),
                hosts=[door.host for door in args.doors],
                issuer={"group": "cert-manager.io", "kind": kind, "name": issuer},
                opts=args.scope.workload(parent),
            )
            return [ROUTE_CERTIFICATE, issued.id]
        case Kept(secret=secret):
            return [secret]
        case None:
            return []
