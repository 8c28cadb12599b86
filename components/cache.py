"""Cache tier: Redis, where the replicas of LiteLLM share limits and key states."""

from dataclasses import dataclass, replace

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, ResourceOptions

from components import kube, parts, probes, revision, serving, volumes
from components.wiring import Target

PORT = 6379
# Where the probes ask: there is neither port nor certificate to know.
_SOCKET = "/data/redis.sock"
# Port 0 closes the one without TLS. Nobody but LiteLLM has the password; a certificate of its own would prove no more.
_TLS = "\n".join(
    (
        "port 0",
        f"tls-port {PORT}",
        f"tls-cert-file {serving.CERTIFICATE}",
        f"tls-key-file {serving.KEY}",
        "tls-auth-clients no",
    )
)


@dataclass(frozen=True, kw_only=True)
class Store:
    """How to reach a Redis, the bundled one or another; ``password`` is secret, TLS is verified."""

    host: Target[str] | Target[Output[str]]
    port: int
    password: Output[str]
    tls: bool


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """``password`` is secret; ``max_memory`` in bytes, below the container's limit; ``tls``: it speaks nothing else."""

    scope: kube.Scope
    image: str
    size: kube.Size
    password: Output[str]
    max_memory: int
    tls: bool


class Cache(ComponentResource):
    """One Redis without persistence: all it holds may be lost, at the price of fresh counters."""

    host: Target[Output[str]]
    port: Output[int]
    password: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: CacheArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Cache", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        # The whole configuration is a Secret, since the password stands in it; the server
        # is started directly, so that any image of Redis 7 works with a read-only root.
        listen = _TLS if args.tls else f"port {PORT}"
        config = Output.format(
            kube.file("redis.conf"), listen=listen, password=args.password, max_memory=args.max_memory
        )
        secret = k8s.core.v1.Secret(
            f"{name}-config",
            metadata=scope.meta("redis"),
            immutable=True,
            string_data={"redis.conf": config, "password": args.password},
            opts=child,
        )
        account = parts.account(name, scope, "redis", child)
        # redis-cli exits 0 on NOAUTH and on LOADING: only the answer tells.
        ping = ("sh", "-c", f'test "$(redis-cli -s {_SOCKET} ping)" = PONG')
        pod = kube.Pod(
            name="redis",
            image=args.image,
            size=args.size,
            port=PORT,
            command=["redis-server", "/etc/redis-litemaas/redis.conf"],
            env={"HOME": "/data"},
            secret_env={"REDISCLI_AUTH": (secret.metadata.name, "password")},
            mounts=[
                volumes.secret_files("config", "/etc/redis-litemaas", secret.metadata.name),
                volumes.scratch("/data"),
                *([serving.mount("redis")] if args.tls else []),
            ],
            service_account=account,
            startup=probes.tcp(PORT, period=2, failures=30),
            readiness=probes.command(*ping, period=5),
            liveness=probes.tcp(PORT, period=20),
        )
        spec = kube.deployment(scope, "redis", pod, recreate=True)
        k8s.apps.v1.Deployment(
            f"{name}-redis",
            metadata=scope.meta("redis", "redis", scope.rollout("redis", args.size)),
            spec=spec,
            opts=scope.workload(self, "redis"),
        )
        service = parts.service(name, scope, "redis", PORT, child, tls=args.tls)
        named = serving.host(service.address, scope.namespace) if args.tls else service.address
        self.host = replace(service, address=named)
        self.port = Output.from_input(PORT)
        self.password = args.password
        self.store = Store(host=self.host, port=PORT, password=args.password, tls=args.tls)
        self.revision = revision.of(spec.template)
        address = {"host": self.host.address, "port": self.port}
        self.register_outputs({**address, "password": self.password, "revision": self.revision})
