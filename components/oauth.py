"""OAuth prerequisites: what makes the portal a client of whoever logs people in, and the Groups of OpenShift."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, ResourceOptions

from components import openshift, revision
from components.kube import Scope

_ANNOTATIONS = "serviceaccounts.openshift.io"
# By any annotation that begins so OpenShift lets a ServiceAccount send people somewhere.
REDIRECT_PREFIXES = (f"{_ANNOTATIONS}/oauth-redirecturi.", f"{_ANNOTATIONS}/oauth-redirectreference.")
REDIRECT_ANNOTATION = f"{REDIRECT_PREFIXES[0]}portal"


@dataclass(frozen=True, kw_only=True)
class ClusterClient:
    """An OAuthClient called ``name``; ``former_secret`` is accepted besides ``secret``."""

    name: str
    secret: Output[str]
    former_secret: Output[str] | None


@dataclass(frozen=True, kw_only=True)
class ServiceAccountClient:
    """A ServiceAccount called ``name``; another ``generation`` has another token, and the one before stays good."""

    name: str
    generation: int


@dataclass(frozen=True, kw_only=True)
class GivenClient:
    """A client that somebody has registered at another provider."""

    client_id: str
    secret: Output[str]


Client = ClusterClient | ServiceAccountClient | GivenClient


@dataclass(frozen=True, kw_only=True)
class OAuthPrerequisitesArgs:
    """``groups`` maps Group names to members (None: not ours to set); empty makes no group."""

    scope: Scope
    client: Client
    redirect_uri: str
    groups: Mapping[str, Sequence[str] | None]


class OAuthPrerequisites(ComponentResource):
    """What somebody would have to make by hand before LiteMaaS can log anybody in."""

    client_id: Output[str]
    client_secret: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: OAuthPrerequisitesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:OAuthPrerequisites", name, None, opts)
        match args.client:
            case ClusterClient() as client:
                known_as = client.name
                self.client_id, self.client_secret = self._of_the_cluster(name, args, client)
            case ServiceAccountClient() as client:
                # The namespace, of which the id is made as well, cannot change without a change of the redirect URI.
                known_as = client.name
                self.client_id, self.client_secret = self._account(name, args, client)
            case GivenClient() as client:
                known_as = client.client_id
                self.client_id, self.client_secret = Output.from_input(client.client_id), client.secret
        for group, users in args.groups.items():
            metadata = args.scope.global_meta("oauth", group)
            openshift.group(f"{name}-{group}", metadata=metadata, users=users, opts=ResourceOptions(parent=self))
        # Without the secret, which whoever uses it holds in a Secret of its own.
        self.revision = revision.of(known_as, args.redirect_uri, openshift.PORTAL_SCOPES)
        told = {"client_id": self.client_id, "client_secret": self.client_secret}
        self.register_outputs({**told, "revision": self.revision})

    def _of_the_cluster(
        self, name: str, args: OAuthPrerequisitesArgs, client: ClusterClient
    ) -> tuple[Output[str], Output[str]]:
        made = openshift.oauth_client(
            f"{name}-client",
            metadata=args.scope.global_meta("oauth", client.name),
            secret=client.secret,
            former_secret=client.former_secret,
            redirect_uris=[args.redirect_uri],
            opts=ResourceOptions(parent=self),
        )
        # Through the object's id, so that whoever uses the client waits for it.
        return made.id, client.secret

    def _account(
        self, name: str, args: OAuthPrerequisitesArgs, client: ServiceAccountClient
    ) -> tuple[Output[str], Output[str]]:
        """OpenShift takes every ServiceAccount for a client whose annotations name a redirect URI.

        The whole URI, not a reference to the Route: of one OpenShift would take the host alone, and allow every path.
        """
        account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=args.scope.meta("oauth", client.name, {REDIRECT_ANNOTATION: args.redirect_uri}),
            automount_service_account_token=False,
            opts=ResourceOptions(parent=self),
        )
        generations = [each for each in (client.generation - 1, client.generation) if each]
        tokens = [self._token(name, args.scope, account.metadata.name, each) for each in generations]
        client_id = Output.format("system:serviceaccount:{0}:{1}", account.metadata.namespace, account.metadata.name)
        return client_id, tokens[-1]

    def _token(self, name: str, scope: Scope, account: Output[str], generation: int) -> Output[str]:
        """A token that lasts: a backend that runs for months could not be told a new one each hour.

        The provider waits until the cluster has written it (await.untilCoreV1SecretInitialized).
        """
        made = k8s.core.v1.Secret(
            f"{name}-token" if generation == 1 else f"{name}-token-{generation}",
            metadata=scope.meta("oauth", annotations={"kubernetes.io/service-account.name": account}),
            type="kubernetes.io/service-account-token",
            opts=ResourceOptions(parent=self),
        )
        return Output.secret(made.data.apply(lambda data: base64.b64decode(data["token"]).decode()))
