"""The bundled PostgreSQL: one pod on one claim."""

from dataclasses import dataclass, replace

import pulumi_kubernetes as k8s
from pulumi import Input, ResourceOptions

from components import kube, parts, probes, serving, volumes
from components.server import PORT, Dimensions, Owner, Server

_HOME = "/var/lib/pgsql"
_TLS = {"ssl": "on", "ssl_cert_file": serving.CERTIFICATE, "ssl_key_file": serving.KEY}
# The server reads a renewed certificate when it is told to; connections that are open stay.
_RENEWED = (
    f"if [ {serving.CERTIFICATE} -nt /tmp/served ]; then "
    "touch /tmp/served && psql -qAt -U postgres -d postgres -c 'select pg_reload_conf()' > /dev/null; fi"
)

# A server from before has another one, and would be deleted and made again for it.
_FOR_LIFE = ResourceOptions(ignore_changes=["spec.serviceName"])


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """``image`` has the environment contract of the sclorg images; ``tls``: its clients use nothing else."""

    image: str
    dimensions: Dimensions
    tls: bool = False

    def make(self, owner: Owner) -> Server:
        """The server, as children of the tier."""
        name, scope, child = owner.name, owner.scope, ResourceOptions(parent=owner.tier)
        service = parts.service(name, scope, "postgres", PORT, child, tls=self.tls)
        # The one that a StatefulSet is to have. Clients use the other: its address stays when the pod's changes.
        pods = k8s.core.v1.Service(
            f"{name}-pods",
            metadata=scope.meta("postgres", "postgres-pods", kube.SKIP_AWAIT | kube.HEAL),
            spec=kube.service(scope, "postgres", PORT, headless=True),
            opts=child,
        )
        # Not from a template of the StatefulSet, which could never change: a claim of its own grows in place.
        claim = k8s.core.v1.PersistentVolumeClaim(
            f"{name}-data",
            # Not awaited: with WaitForFirstConsumer it binds when the pod comes.
            metadata=scope.meta("postgres", "postgres-data", kube.SKIP_AWAIT),
            spec=volumes.claim_spec(self.dimensions.storage, self.dimensions.storage_class),
            opts=ResourceOptions(parent=owner.tier, protect=owner.protect),
        )
        password = k8s.core.v1.Secret(
            f"{name}-password",
            metadata=scope.meta("postgres"),
            immutable=True,
            string_data={"admin": owner.admin_password},
            opts=child,
        )
        pod = _pod(self, owner.account, password.metadata.name, claim.metadata.name)
        template = kube.pod_template(scope, "postgres", pod)
        made = k8s.apps.v1.StatefulSet(
            f"{name}-server",
            metadata=scope.meta("postgres", "postgres", scope.awaited(heal=True)),
            spec=k8s.apps.v1.StatefulSetSpecArgs(
                service_name=pods.metadata.name,
                replicas=self.dimensions.size.replicas,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=kube.selector(scope, "postgres")),
                template=template,
            ),
            opts=ResourceOptions.merge(scope.workload(owner.tier, protect=owner.protect), _FOR_LIFE),
        )
        # The authority is in the one file of what pods trust.
        named = serving.host(service.address, scope.namespace) if self.tls else service.address
        return Server(host=replace(service, address=named), verified=self.tls, ready=[made], made_of=[template])


def _pod(args: Bundled, account: Input[str], password: Input[str], claim: Input[str]) -> kube.Pod:
    # With a user: without, it asks for the name of a UID that may have none.
    answers = ("bash", "-c", "pg_isready -q -h 127.0.0.1 -U postgres")
    works = ("bash", "-c", "psql -qAt -U postgres -d postgres -c 'select 1'")
    settings = {**args.dimensions.parameters, **(_TLS if args.tls else {})}
    parameters = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    alive = " ".join(answers[2:])
    return kube.Pod(
        name="postgres",
        image=args.image,
        size=args.dimensions.size,
        port=PORT,
        # What the sclorg images run; it hands its arguments on to the server.
        command=["run-postgresql"] if parameters else None,
        args=parameters,
        env={"HOME": _HOME, "POSTGRESQL_MAX_CONNECTIONS": str(args.dimensions.max_connections)},
        secret_env={"POSTGRESQL_ADMIN_PASSWORD": (password, "admin")},
        mounts=[
            # The image writes its passwd file and configuration into its home, beside the data.
            volumes.scratch(_HOME),
            volumes.claim("data", f"{_HOME}/data", claim),
            volumes.scratch("/var/run/postgresql"),
            volumes.scratch("/tmp"),
            *([serving.mount("postgres")] if args.tls else []),
        ],
        service_account=account,
        # Ten minutes: crash recovery after a power cut replays the log before it answers.
        startup=probes.command(*answers, period=2, failures=300),
        readiness=probes.command(*works, period=5),
        liveness=probes.command("bash", "-c", f"{_RENEWED}; {alive}" if args.tls else alive, period=20, failures=6),
        # SIGTERM alone waits for every client to leave: 120 s without a database were measured at
        # each restart, and a kill at their end (docs/decisions/0011).
        before_stop=["bash", "-c", f"pg_ctl stop --mode=fast --pgdata={_HOME}/data/userdata"],
        grace_seconds=120,
        # A first process inherits orphans. PostgreSQL takes one that ends badly for a server process of its own
        # and throws everybody out, say after a probe that took too long (docs/decisions/0037).
        reaped=True,
    )
