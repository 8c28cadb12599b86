"""Database tier: PostgreSQL with two databases that share neither role nor URL."""

from dataclasses import dataclass, replace
from urllib.parse import quote

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, ResourceOptions

from components import kube, parts, probes, revision, volumes
from components.wiring import Pods, Target

PORT = 5432
# Names upstream uses, so that its own documentation applies.
PORTAL, GATEWAY = "litemaas_db", "litellm_db"
PORTAL_ROLE, GATEWAY_ROLE = "litemaas", "litellm"
ADMIN = "postgres"
_HOME = "/var/lib/pgsql"


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """Passwords are secret; ``storage`` is a Kubernetes quantity; ``max_connections`` of all clients together."""

    scope: kube.Scope
    image: str
    size: kube.Size
    job_size: kube.Size
    storage: str
    storage_class: str | None
    max_connections: int
    admin_password: Output[str]
    portal_password: Output[str]
    gateway_password: Output[str]
    protect: bool


class Database(ComponentResource):
    """PostgreSQL, and the Job that makes databases, roles and the extension before anybody connects."""

    host: Target[Output[str]]
    port: Output[int]
    portal_url: Target[Output[str]]
    gateway_url: Target[Output[str]]
    revision: Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Database", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        password = k8s.core.v1.Secret(
            f"{name}-password",
            metadata=scope.meta("postgres"),
            immutable=True,
            string_data={"admin": args.admin_password},
            opts=child,
        )
        # The server's pod has no part in it: another password of a role must not restart it.
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
        service = parts.service(name, scope, "postgres", PORT, child)
        stateful = _stateful_set(args, service.address, account, password.metadata.name)
        server = k8s.apps.v1.StatefulSet(
            f"{name}-server",
            metadata=scope.meta("postgres", "postgres", scope.awaited(heal=True)),
            spec=stateful,
            opts=scope.workload(self, protect=args.protect),
        )
        script = k8s.core.v1.ConfigMap(
            f"{name}-bootstrap-script",
            metadata=scope.meta("postgres-bootstrap"),
            immutable=True,
            data={"bootstrap.sh": kube.file("bootstrap.sh")},
            opts=child,
        )
        self.host, self.port = service, Output.from_input(PORT)
        bootstrap = kube.job(scope, "postgres-bootstrap", self._bootstrap(args, account, passwords, script))
        k8s.batch.v1.Job(
            f"{name}-bootstrap",
            metadata=scope.job_meta("postgres-bootstrap"),
            spec=bootstrap,
            # No value of the server flows into the Job, which would time out before it is up.
            opts=scope.workload(self, depends_on=[server]),
        )
        self.portal_url = self._url(PORTAL_ROLE, args.portal_password, PORTAL)
        self.gateway_url = self._url(GATEWAY_ROLE, args.gateway_password, GATEWAY)
        self.edges = [self.host.called_by(Pods("postgres-bootstrap"))]
        self.revision = revision.of(stateful.template, bootstrap.template)
        urls = {"portal_url": self.portal_url.address, "gateway_url": self.gateway_url.address}
        self.register_outputs({"host": self.host.address, "port": self.port, "revision": self.revision, **urls})

    def _url(self, role: str, password: Output[str], database: str) -> Target[Output[str]]:
        # sslmode must be said: without it the backend tries TLS, fails against a server
        # without, and serves mock data instead (litemaas-contract.md section 1.4).
        encoded = password.apply(lambda text: quote(text, safe=""))
        form = "postgresql://{0}:{1}@{2}:{3}/{4}?sslmode=disable"
        return replace(self.host, address=Output.format(form, role, encoded, self.host.address, self.port, database))

    def _bootstrap(
        self,
        args: DatabaseArgs,
        account: Input[str],
        passwords: k8s.core.v1.Secret,
        script: k8s.core.v1.ConfigMap,
    ) -> kube.Pod:
        names = {
            "PGHOST": self.host.address,
            "PGPORT": str(PORT),
            "PGUSER": ADMIN,
            "PORTAL_DATABASE": PORTAL,
            "PORTAL_ROLE": PORTAL_ROLE,
            "GATEWAY_DATABASE": GATEWAY,
            "GATEWAY_ROLE": GATEWAY_ROLE,
            "HOME": "/tmp",
        }
        secret = passwords.metadata.name
        return kube.Pod(
            name="bootstrap",
            image=args.image,
            service_account=account,
            size=args.job_size,
            command=["bash", "/opt/litemaas/bootstrap.sh"],
            env=names,
            secret_env={
                "PGPASSWORD": (secret, "admin"),
                "PORTAL_PASSWORD": (secret, "portal"),
                "GATEWAY_PASSWORD": (secret, "gateway"),
            },
            mounts=[volumes.config_files("script", "/opt/litemaas", script.metadata.name), volumes.scratch("/tmp")],
        )


def _stateful_set(
    args: DatabaseArgs, service: Input[str], account: Input[str], passwords: Input[str]
) -> k8s.apps.v1.StatefulSetSpecArgs:
    # With a user: without, it asks for the name of a UID that may have none.
    answers = ("bash", "-c", "pg_isready -q -h 127.0.0.1 -U postgres")
    works = ("bash", "-c", "psql -qAt -U postgres -d postgres -c 'select 1'")
    pod = kube.Pod(
        name="postgres",
        image=args.image,
        size=args.size,
        port=PORT,
        env={"HOME": _HOME, "POSTGRESQL_MAX_CONNECTIONS": str(args.max_connections)},
        secret_env={"POSTGRESQL_ADMIN_PASSWORD": (passwords, "admin")},
        mounts=[
            # The image writes its passwd file and configuration into its home, beside the data.
            volumes.scratch(_HOME),
            volumes.Mount(name="data", path=f"{_HOME}/data", source=None, read_only=False),
            volumes.scratch("/var/run/postgresql"),
            volumes.scratch("/tmp"),
        ],
        service_account=account,
        # Ten minutes: crash recovery after a power cut replays the log before it answers.
        startup=probes.command(*answers, period=5, failures=120),
        readiness=probes.command(*works, period=5),
        liveness=probes.command(*answers, period=20, failures=6),
        # SIGTERM alone waits for every client to leave: 120 s without a database were measured at
        # each restart, and a kill at their end (docs/decisions/0011).
        before_stop=["bash", "-c", f"pg_ctl stop --mode=fast --pgdata={_HOME}/data/userdata"],
        grace_seconds=120,
    )
    return k8s.apps.v1.StatefulSetSpecArgs(
        service_name=service,
        replicas=args.size.replicas,
        selector=k8s.meta.v1.LabelSelectorArgs(match_labels=kube.selector(args.scope, "postgres")),
        template=kube.pod_template(args.scope, "postgres", pod),
        volume_claim_templates=[
            k8s.core.v1.PersistentVolumeClaimArgs(
                metadata=k8s.meta.v1.ObjectMetaArgs(name="data", labels=args.scope.marks("postgres")),
                spec=volumes.claim_spec(args.storage, args.storage_class),
            )
        ],
    )
