"""Typed builders for OpenShift's own kinds and cert-manager's, which Pulumi only knows as CustomResource.

OpenShift's API servers drop zero values silently, after which Pulumi would plan the
same update for ever (openshift-apis.md section 3): what is empty is left out here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import CustomResource, Input, Output, ResourceOptions

from components.wiring import Target

# What an operator makes is there when the operator says so.
READY = {"pulumi.com/waitFor": "condition=Ready"}
# Until a router has admitted it a Route is a wish: another one may hold the host already.
ADMITTED = 'jsonpath={.status.ingress[0].conditions[?(@.type=="Admitted")].status}=True'
# The portal asks for these two; without the restriction anybody could ask this
# client, which never prompts, for user:full (openshift-apis.md section 3.3).
PORTAL_SCOPES = ("user:info", "user:check-access")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """TLS of a Route: ``certificate`` is a Secret's name (None: the router's own certificate)."""

    termination: str = "edge"
    certificate: Input[str] | None = None

    def spec(self) -> dict[str, object]:
        own = {"externalCertificate": {"name": self.certificate}} if self.certificate is not None else {}
        return {"termination": self.termination, "insecureEdgeTerminationPolicy": "Redirect", **own}


class Manifest(CustomResource):
    """An object of a kind without a class of its own.

    pulumi-kubernetes' CustomResource class has room for ``spec`` alone; OAuthClient and
    Group have their fields at the root. ``fields`` are written as the API names them.
    """

    def __init__(
        self,
        name: str,
        *,
        api_version: str,
        kind: str,
        metadata: k8s.meta.v1.ObjectMetaArgs,
        fields: Mapping[str, object],
        opts: ResourceOptions,
    ) -> None:
        props = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
        super().__init__(f"kubernetes:{api_version}:{kind}", name, props, opts)


def route(
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    host: Input[str],
    service: Target[Output[str]],
    tls: Tls,
    opts: ResourceOptions,
    path: str | None = None,
) -> None:
    """A Route that redirects plain HTTP to TLS; ``path`` and what is below it, or the whole host."""
    spec = {
        "host": host,
        **({"path": path} if path else {}),
        "to": {"kind": "Service", "name": service.address, "weight": 100},
        "port": {"targetPort": "main"},
        "tls": tls.spec(),
        "wildcardPolicy": "None",
    }
    Manifest(
        name, api_version="route.openshift.io/v1", kind="Route", metadata=metadata, fields={"spec": spec}, opts=opts
    )


def oauth_client(
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    secret: Output[str],
    former_secret: Output[str] | None = None,
    redirect_uris: Sequence[Input[str]],
    opts: ResourceOptions,
) -> Manifest:
    """An OAuthClient that logs people in without asking them, for the portal's two scopes only.

    ``former_secret`` is accepted as well: by a backend that has not been told the new one yet.
    """
    fields: dict[str, object] = {
        # Marked here as well: the engine would show it, the state keep it, in clear.
        "secret": Output.secret(secret),
        "redirectURIs": list(dict.fromkeys(redirect_uris)),
        "grantMethod": "auto",
        "scopeRestrictions": [{"literals": list(PORTAL_SCOPES)}],
    }
    if former_secret is not None:
        fields["additionalSecrets"] = Output.secret([former_secret])
    return Manifest(
        name, api_version="oauth.openshift.io/v1", kind="OAuthClient", metadata=metadata, fields=fields, opts=opts
    )


def group(
    name: str, *, metadata: k8s.meta.v1.ObjectMetaArgs, users: Sequence[str] | None, opts: ResourceOptions
) -> Manifest:
    """A Group. ``users`` None leaves its members to others: the field is not written at all."""
    fields: Mapping[str, object] = {} if users is None else {"users": list(users)}
    if users is None:
        # At any real update the provider would take over the members that kubectl wrote,
        # and drop them as no longer declared: so there must be no update.
        others = ["users", "metadata.labels", "metadata.annotations"]
        opts = ResourceOptions.merge(opts, ResourceOptions(ignore_changes=others))
    return Manifest(name, api_version="user.openshift.io/v1", kind="Group", metadata=metadata, fields=fields, opts=opts)


def console_link(
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    href: str,
    text: str,
    section: str,
    image_url: str,
    opts: ResourceOptions,
) -> Manifest:
    """A ConsoleLink in the application menu of OpenShift's console."""
    menu = {"section": section, "imageURL": image_url}
    spec = {"href": href, "text": text, "location": "ApplicationMenu", "applicationMenu": menu}
    api = "console.openshift.io/v1"
    return Manifest(name, api_version=api, kind="ConsoleLink", metadata=metadata, fields={"spec": spec}, opts=opts)


def certificate(
    name: str,
    *,
    metadata: k8s.meta.v1.ObjectMetaArgs,
    secret: str,
    labels: Mapping[str, str],
    hosts: Sequence[str],
    issuer: Mapping[str, str],
    opts: ResourceOptions,
) -> Manifest:
    """A Certificate of cert-manager, which writes ``secret``, labels it, and has a new key at each renewal."""
    spec = {
        "secretName": secret,
        "secretTemplate": {"labels": dict(labels)},
        "dnsNames": list(hosts),
        "issuerRef": dict(issuer),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
    }
    return Manifest(
        name, api_version="cert-manager.io/v1", kind="Certificate", metadata=metadata, fields={"spec": spec}, opts=opts
    )
