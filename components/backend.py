"""Backend tier: the portal's API server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import kube, parts, probes, revision, volumes, wiring
from components.naming import backends
from components.trust import Trust, trusting
from components.wiring import Target

PORT = 8080
_BACKUPS = "/data/backups"
_SERVER = "litemaas-server"


@dataclass(frozen=True, kw_only=True)
class NewUsers:
    """What people may use when they come; tokens and requests per minute. None: the portal's own default."""

    budget: float | None
    tpm: int | None
    rpm: int | None


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What is asked of an OpenID Connect provider, and in which claim it sends a person's groups."""

    scopes: Sequence[str]
    groups: str


@dataclass(frozen=True, kw_only=True)
class BackendArgs:
    """Outputs are secret, the databases' URLs too; URLs have no trailing slash.

    ``users_url`` is the API that says who has logged in, ``oidc`` is set where a provider says it: one of the two.

    ``ready`` is what must be up before the first start: a database that is missing then
    makes the backend serve mock data for the rest of its life.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    storage: str
    storage_class: str | None
    access_mode: str
    trust: Trust
    ready: Sequence[Resource]
    database_url: Target[Output[str]]
    gateway_database_url: Target[Output[str]]
    gateway_key: Output[str]
    gateway_url: Target[str]
    users_url: Target[str] | None
    jwt_secret: Output[str]
    encryption_key: Output[str]
    admin_api_key: Output[str]
    oauth_client_id: Input[str]
    oauth_client_secret: Output[str]
    oauth_issuer: Target[str]
    oauth_callback: str
    oidc: Claims | None
    origin: str
    initial_admins: Sequence[str]
    new_users: NewUsers
    protect: bool


class Backend(ComponentResource):
    """One backend pod, or several that frontends tell from each other: the state of a login lives in the memory of one.

    Several start in turn, since each migrates the schema, without a lock.
    """

    service: Output[str]
    url: Target[Output[str]]
    env_secret: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: BackendArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Backend", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        env = k8s.core.v1.Secret(
            f"{name}-env",
            metadata=scope.meta("backend"),
            immutable=True,
            string_data={
                "DATABASE_URL": args.database_url.address,
                "LITELLM_DATABASE_URL": args.gateway_database_url.address,
                "LITELLM_API_KEY": args.gateway_key,
                # Misnamed by the backend: it encrypts provider keys with it.
                "LITELLM_MASTER_KEY": args.encryption_key,
                "JWT_SECRET": args.jwt_secret,
                "OAUTH_CLIENT_SECRET": args.oauth_client_secret,
                "ADMIN_API_KEYS": args.admin_api_key,
            },
            opts=child,
        )
        scripts = k8s.core.v1.ConfigMap(
            f"{name}-scripts",
            metadata=scope.meta("backend"),
            immutable=True,
            data={file: kube.file(file) for file in ("start-backend.sh", "wait-for-database.cjs", "alive.cjs")},
            opts=child,
        )
        account = parts.account(name, scope, "backend", child)
        backups = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-backups",
            # Not awaited: with WaitForFirstConsumer it binds when the pod comes.
            metadata=scope.meta("backend", "backend-backups", kube.SKIP_AWAIT),
            spec=volumes.claim_spec(args.storage, args.storage_class, args.access_mode),
            opts=ResourceOptions(parent=self, protect=args.protect),
        )
        pod = trusting(_pod(args, env.metadata.name, scripts.metadata.name, account, backups.metadata.name), args.trust)
        servers, templates = _servers(name, self, args, pod)
        parts.budget(name, scope, "backend", args.size, child)
        service = parts.service(name, scope, "backend", PORT, child)
        self.service = service.address
        self.url = replace(service, address=Output.format("http://{0}:{1}", self.service, PORT))
        self.addresses = _addresses(scope, servers, child)
        self.edges = wiring.calls("backend", args)
        self.env_secret = env.metadata.name
        self.revision = revision.of(*templates)
        told = {"env_secret": self.env_secret, "revision": self.revision}
        self.register_outputs({"service": self.service, "url": self.url.address, **told})


def _only(server: str) -> dict[str, str]:
    """The label by which the pod of one Deployment is told from those of the others; there is none for a single one."""
    return {} if server == "backend" else {_SERVER: server}


def _servers(
    name: str, tier: ComponentResource, args: BackendArgs, pod: kube.Pod
) -> tuple[dict[str, k8s.apps.v1.Deployment], list[k8s.core.v1.PodTemplateSpecArgs]]:
    """Makes a Deployment for each pod; tells them by name, and their templates.

    Not one StatefulSet, which a pod that never gets ready holds up for ever, the next up with its cure included.
    """
    scope, single = args.scope, replace(args.size, replicas=1)
    # URLs are known long before roles exist and models are registered.
    before = [*args.ready]
    made: dict[str, k8s.apps.v1.Deployment] = {}
    templates: list[k8s.core.v1.PodTemplateSpecArgs] = []
    for number, server in enumerate(servers := backends(args.size.replicas), start=1):
        spec = kube.deployment(scope, "backend", pod, recreate=True, only=_only(server))
        made[server] = k8s.apps.v1.Deployment(
            f"{name}-server" if len(servers) == 1 else f"{name}-server-{number}",
            metadata=scope.meta("backend", server, scope.rollout(server, single)),
            spec=spec,
            opts=scope.workload(tier, server, depends_on=before),
        )
        before = [*args.ready, made[server]]
        templates.append(cast("k8s.core.v1.PodTemplateSpecArgs", spec.template))
    return made, templates


def _addresses(
    scope: kube.Scope, servers: Mapping[str, k8s.apps.v1.Deployment], opts: ResourceOptions
) -> list[Output[str]]:
    """Host and port of each of several, known once its pod is ready.

    Frontends that knew them before answered 502 for as long as the first of them took to start: with one backend
    before and two after, for 90 s on a busy node.
    """
    services = {
        each: parts.service(each, scope, "backend", PORT, opts, only=(each, _only(each)))
        for each in servers
        if _only(each)
    }
    return [
        Output.all(one.address, servers[each].id).apply(lambda known: f"{known[0]}:{PORT}")
        for each, one in services.items()
    ]


def _environment(args: BackendArgs) -> dict[str, Input[str]]:
    plain: dict[str, Input[str]] = {
        "HOST": "0.0.0.0",  # noqa: S104 (inside the pod)
        "PORT": str(PORT),
        # Anything else turns mock logins and free administrator tokens on.
        "NODE_ENV": "production",
        # At info, every request's headers are logged, bearer tokens included.
        "LOG_LEVEL": "warn",
        "AUTH_PROVIDER": "oidc" if args.oidc else "openshift",
        "OAUTH_CLIENT_ID": args.oauth_client_id,
        "OAUTH_ISSUER": args.oauth_issuer.address,
        "OAUTH_CALLBACK_URL": args.oauth_callback,
        "CORS_ORIGIN": args.origin,
        # Requests from these origins skip authentication; the default is localhost.
        "ALLOWED_FRONTEND_ORIGINS": "none.invalid",
        # The public URL: the portal shows it to users, and their browsers call it.
        "LITELLM_API_URL": args.gateway_url.address,
        "LITELLM_AUTO_SYNC": "true",
        # Minutes; a model change shows up this late, and a missed first sync is made up for.
        "LITELLM_SYNC_INTERVAL": "2",
        "BACKUP_STORAGE_PATH": _BACKUPS,
        # Per client address and also counting probes; what upstream deploys.
        "RATE_LIMIT_MAX": "1000",
        "RATE_LIMIT_TIME_WINDOW": "5m",
        "HOME": "/tmp",
    }
    limits = {
        "DEFAULT_USER_MAX_BUDGET": args.new_users.budget,
        "DEFAULT_USER_TPM_LIMIT": args.new_users.tpm,
        "DEFAULT_USER_RPM_LIMIT": args.new_users.rpm,
    }
    plain |= {name: str(value) for name, value in limits.items() if value is not None}
    if args.users_url:
        # The derived default is wrong wherever the OAuth host does not stand beside the API's.
        plain["OPENSHIFT_API_URL"] = args.users_url.address
    if args.oidc:
        plain |= {"OIDC_GROUPS_CLAIM": args.oidc.groups, "OIDC_SCOPES": " ".join(args.oidc.scopes)}
    if args.initial_admins:
        plain["INITIAL_ADMIN_USERS"] = ",".join(args.initial_admins)
    return plain


def _pod(args: BackendArgs, env: Input[str], scripts: Input[str], account: Input[str], backups: Input[str]) -> kube.Pod:
    return kube.Pod(
        name="backend",
        image=args.image,
        size=args.size,
        port=PORT,
        command=["sh", "/opt/litemaas/start-backend.sh"],
        env=_environment(args),
        env_from=[env],
        mounts=[
            volumes.config_files("scripts", "/opt/litemaas", scripts),
            volumes.claim("backups", _BACKUPS, backups),
            volumes.scratch("/tmp"),
        ],
        service_account=account,
        # Ten minutes: the start waits for the database.
        startup=probes.http("/api/v1/health/live", PORT, period=2, failures=300),
        readiness=probes.http("/api/v1/health/ready", PORT, period=5),
        liveness=probes.command("node", "/opt/litemaas/alive.cjs", period=30, timeout=10),
        # The others take over: the pod leaves its Service before it closes its socket.
        before_stop=["sleep", "5"] if args.size.replicas > 1 else [],
    )
