"""Database tier: PostgreSQL with two databases that share neither role nor URL."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, ResourceOptions

from components import jobs, kube, parts, revision, volumes
from components.cnpg import Operated
from components.external import External
from components.postgres import Bundled
from components.server import Names, Owner, Server
from components.trust import Trust, trusting
from components.wiring import Pods, Target

# What the Job has to say is lost with its pod when its own time limit is over.
_PART_OF_TIME_LIMIT = 2


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """``server`` decides who runs PostgreSQL; ``tools_image`` has bash and psql. Passwords are secret."""

    scope: kube.Scope
    server: Bundled | Operated | External
    names: Names
    tools_image: str
    job_size: kube.Size
    trust: Trust
    admin_password: Output[str]
    portal_password: Output[str]
    gateway_password: Output[str]
    protect: bool


class Database(ComponentResource):
    """PostgreSQL, and the Job that makes databases, roles and the extension before anybody connects.

    LiteLLM's database has two URLs, since its own engine and the backend's driver read them differently.
    ``trust`` is what its clients trust: a private authority of the server's included.
    """

    host: Target[Output[str]]
    port: Output[int]
    portal_url: Target[Output[str]]
    gateway_url: Target[Output[str]]
    portal_gateway_url: Target[Output[str]]
    gateway_identity: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Database", name, None, opts)
        scope, names, child = args.scope, args.names, ResourceOptions(parent=self)
        # A server's pod has no part in it: another password of a role must not restart it.
        passwords = k8s.core.v1.Secret(
            f"{name}-bootstrap-passwords",
            metadata=scope.meta("postgres-bootstrap"),
            immutable=True,
            string_data={
                "admin": args.admin_password,
                "portal": args.portal_password,
                "gateway": args.gateway_password,
            },
            opts=child,
        )
        account = parts.account(name, scope, "postgres", child)
        server = args.server.make(
            Owner(
                tier=self,
                name=name,
                scope=scope,
                account=account,
                admin_password=args.admin_password,
                protect=args.protect,
            )
        )
        script = k8s.core.v1.ConfigMap(
            f"{name}-bootstrap-script",
            metadata=scope.meta("postgres-bootstrap"),
            immutable=True,
            data={"bootstrap.sh": kube.file("bootstrap.sh")},
            opts=child,
        )
        self.trust = args.trust.including(server.authority)
        pod = _bootstrap(args, server, account, passwords.metadata.name, script.metadata.name)
        job = jobs.job(scope, "postgres-bootstrap", trusting(pod, self.trust), patient=True)
        k8s.batch.v1.Job(
            f"{name}-bootstrap",
            metadata=scope.job_meta("postgres-bootstrap"),
            spec=job,
            # No value of the server flows into the Job, which would time out before it is up.
            opts=scope.workload(self, depends_on=server.ready),
        )
        self.host, self.port = server.host, Output.from_input(server.port)
        self.portal_url = server.node(names.portal_role, args.portal_password, names.portal_database)
        self.gateway_url = server.prisma(names.gateway_role, args.gateway_password, names.gateway_database)
        self.portal_gateway_url = server.node(names.gateway_role, args.gateway_password, names.gateway_database)
        self.gateway_identity = Output.format("{0}:{1}/{2}", self.host.address, self.port, names.gateway_database)
        self.edges = [self.host.called_by(Pods("postgres-bootstrap")), *server.edges]
        self.revision = revision.of(*server.made_of, job.template)
        urls = {
            "portal_url": self.portal_url,
            "gateway_url": self.gateway_url,
            "portal_gateway_url": self.portal_gateway_url,
        }
        told = {"port": self.port, "gateway_identity": self.gateway_identity, "revision": self.revision}
        self.register_outputs({"host": self.host.address, **{key: url.address for key, url in urls.items()}, **told})


def _bootstrap(
    args: DatabaseArgs, server: Server, account: Input[str], passwords: Input[str], script: Input[str]
) -> kube.Pod:
    names = {
        "PORTAL_DATABASE": args.names.portal_database,
        "PORTAL_ROLE": args.names.portal_role,
        "GATEWAY_DATABASE": args.names.gateway_database,
        "GATEWAY_ROLE": args.names.gateway_role,
    }
    secrets = {"PORTAL_PASSWORD": (passwords, "portal"), "GATEWAY_PASSWORD": (passwords, "gateway")}
    if server.ready_made:
        who: dict[str, Input[str]] = {"ROLES": "ready"}
    else:
        who = {"ROLES": "managed", "PGUSER": server.admin, "ADMIN_DATABASE": server.admin_database}
        secrets["PGPASSWORD"] = (passwords, "admin")
    patience = str(args.scope.timeout_seconds // _PART_OF_TIME_LIMIT)
    return kube.Pod(
        name="bootstrap",
        image=args.tools_image,
        service_account=account,
        size=args.job_size,
        command=["bash", "/opt/litemaas/bootstrap.sh"],
        env={**server.libpq(), **who, **names, "PATIENCE_SECONDS": patience, "HOME": "/tmp"},
        secret_env=secrets,
        mounts=[
            volumes.config_files("script", "/opt/litemaas", script),
            volumes.scratch("/tmp"),
        ],
    )
