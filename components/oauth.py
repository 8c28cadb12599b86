"""OAuth prerequisites: the OAuthClient, and the Groups that LiteMaaS turns into roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, ResourceOptions

from components import openshift, revision
from components.kube import Scope


@dataclass(frozen=True, kw_only=True)
class OAuthPrerequisitesArgs:
    """``groups`` maps Group names to members (None: not ours to set); empty makes no group.

    ``client_id`` is plain because it names the object; the secrets are secret. ``former_secret`` is
    accepted besides ``client_secret``.
    """

    scope: Scope
    client_id: str
    client_secret: Output[str]
    former_secret: Output[str] | None
    redirect_uri: str
    groups: Mapping[str, Sequence[str] | None]


class OAuthPrerequisites(ComponentResource):
    """What a cluster admin would have to make by hand before LiteMaaS can log anybody in."""

    client_id: Output[str]
    client_secret: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: OAuthPrerequisitesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:OAuthPrerequisites", name, None, opts)
        child = ResourceOptions(parent=self)
        client = openshift.oauth_client(
            f"{name}-client",
            metadata=args.scope.global_meta("oauth", args.client_id),
            secret=args.client_secret,
            former_secret=args.former_secret,
            redirect_uris=[args.redirect_uri],
            opts=child,
        )
        for group, users in args.groups.items():
            metadata = args.scope.global_meta("oauth", group)
            openshift.group(f"{name}-{group}", metadata=metadata, users=users, opts=child)
        # Through the object's id, so that whoever uses the client waits for it.
        self.client_id = client.id
        self.client_secret = args.client_secret
        # Without the secret, which whoever uses it holds in a Secret of its own.
        self.revision = revision.of(args.client_id, args.redirect_uri, openshift.PORTAL_SCOPES)
        told = {"client_id": self.client_id, "client_secret": self.client_secret}
        self.register_outputs({**told, "revision": self.revision})
