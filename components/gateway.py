"""Gateway tier: the LiteLLM proxy, its schema migration, Service and entrance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import jobs, kube, parts, probes, revision, serving, sizes, trust, volumes, wiring
from components.entrance import Entrance, Way
from components.gateway_config import DRAIN_SECONDS, Tuning
from components.naming import Door
from components.wiring import Pods, Target

PORT = 4000

# Arguments of redis-py, by the names under which LiteLLM takes them from the environment. Any value of the first turns
# TLS on in 1.81.0, and without the last, redis-py takes a certificate for any name.
_REDIS_TLS = {"REDIS_SSL": "true", "REDIS_SSL_CA_CERTS": trust.FILE, "REDIS_SSL_CHECK_HOSTNAME": "true"}

_SERVE_TLS = ("--ssl_certfile_path", serving.CERTIFICATE, "--ssl_keyfile_path", serving.KEY)


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """URL, keys and passwords are secret; ``database`` is what must be ready before the migration.

    ``database_identity`` says in clear which database that URL leads to. ``model_keys`` are the API keys of
    models by environment variable, ``router_settings`` are LiteLLM's own.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    tuning: Tuning
    door: Door
    entrance: Entrance
    internal_tls: bool
    database: Resource
    database_identity: Input[str]
    database_url: Target[Output[str]]
    redis_host: Target[str] | Target[Output[str]]
    redis_port: int
    redis_password: Output[str]
    redis_tls: bool
    master_key: Output[str]
    salt_key: Output[str]
    ui_password: Output[str]
    model_keys: Mapping[str, Output[str]]
    router_settings: Mapping[str, Any]
    trust: trust.Trust


class Gateway(ComponentResource):
    """LiteLLM, migrated before it is rolled out, behind its public entrance."""

    service: Output[str]
    internal_url: Target[Output[str]]
    env_secret: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Gateway", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        env = k8s.core.v1.Secret(
            f"{name}-env", metadata=scope.meta("litellm"), immutable=True, string_data=_environment(args), opts=child
        )
        config = k8s.core.v1.ConfigMap(
            f"{name}-config",
            metadata=scope.meta("litellm"),
            immutable=True,
            data={"config.yaml": args.tuning.file(args.router_settings), "migrate.py": kube.file("migrate.py")},
            opts=child,
        )
        account = parts.account(name, scope, "litellm", child)
        pods = {"config": config.metadata.name, "env": env.metadata.name, "account": account}
        keys = _model_keys(f"{name}-model-keys", args, child)
        migration = k8s.batch.v1.Job(
            f"{name}-migration",
            metadata=scope.job_meta("litellm-migration"),
            spec=jobs.job(scope, "litellm-migration", _migration(args, **pods)),
            # The role exists only once the bootstrap Job is done; its URL is known long before.
            opts=ResourceOptions.merge(scope.workload(self, depends_on=[args.database]), _once(args)),
        )
        spec = kube.deployment(scope, "litellm", _proxy(args, keys, **pods))
        proxy = k8s.apps.v1.Deployment(
            f"{name}-proxy",
            metadata=scope.meta("litellm", "litellm", scope.rollout("litellm", args.size)),
            spec=spec,
            # Pods only check the schema; they must not start on an old one.
            opts=scope.workload(self, "litellm", depends_on=[migration]),
        )
        service = parts.service(name, scope, "litellm", PORT, child, tls=args.internal_tls)
        parts.budget(name, scope, "litellm", args.size, child)
        scaled = scope.meta("litellm", "litellm", kube.HEAL)
        sizes.autoscaler(name, scaled, proxy.metadata.name, args.size, child)
        seconds = args.tuning.route_seconds
        way = Way(service=service, seconds=seconds, scope=scope, component="litellm", parent=self)
        entered = args.entrance.open(f"{name}-route", args.door, way)
        self.service = service.address
        url = Output.format("http://{0}:{1}", self.service, PORT)
        if args.internal_tls:
            url = Output.format("https://{0}:{1}", serving.host(self.service, scope.namespace), PORT)
        self.internal_url = replace(service, address=url)
        self.env_secret = env.metadata.name
        migrating = args.database_url.called_by(Pods("litellm-migration"))
        self.edges = [entered, migrating, *wiring.calls("litellm", args)]
        self.revision = revision.of(spec.template)
        told = {"env_secret": self.env_secret, "revision": self.revision}
        self.register_outputs({"service": self.service, "internal_url": self.internal_url.address, **told})


def _once(args: GatewayArgs) -> ResourceOptions:
    """A schema is migrated once for each version: what else changes of the Job is for its next time.

    A Job's template cannot be changed, so each change of a size or a password would be another Job, and
    another migration. Replaced, it is made of all that is wanted then (docs/decisions/0016).
    """
    # Equal keys are what the script refuses: it has to see that also when nothing else is new.
    mixed_up = Output.unsecret(Output.all(args.master_key, args.salt_key).apply(lambda keys: keys[0] == keys[1]))
    version = revision.of(args.image, kube.file("migrate.py"), args.database_identity, mixed_up)
    return ResourceOptions(ignore_changes=["spec"], replacement_trigger=version)


def _model_keys(name: str, args: GatewayArgs, opts: ResourceOptions) -> list[Input[str]]:
    """The name of the Secret with the models' keys, if there are any.

    Apart from the other secrets, so that a changed key rolls these pods and nothing else.
    """
    if not args.model_keys:
        return []
    made = k8s.core.v1.Secret(
        name, metadata=args.scope.meta("litellm"), immutable=True, string_data=dict(args.model_keys), opts=opts
    )
    return [made.metadata.name]


def _environment(args: GatewayArgs) -> dict[str, Input[str]]:
    return {
        "DATABASE_URL": args.database_url.address,
        "LITELLM_MASTER_KEY": args.master_key,
        "LITELLM_SALT_KEY": args.salt_key,
        "UI_USERNAME": "admin",
        "UI_PASSWORD": args.ui_password,
        "REDIS_HOST": args.redis_host.address,
        "REDIS_PORT": str(args.redis_port),
        "REDIS_PASSWORD": args.redis_password,
        **(_REDIS_TLS if args.redis_tls else {}),
    }


def _pod(
    tier: GatewayArgs,
    pods: Mapping[str, Input[str]],
    plain: Mapping[str, Input[str]],
    more_mounts: Sequence[volumes.Mount] = (),
    **more: Any,  # noqa: ANN401 (the fields of kube.Pod, which checks them)
) -> kube.Pod:
    """What the proxy and its migration share: image, environment, directories."""
    pod = kube.Pod(
        image=tier.image,
        service_account=pods["account"],
        env={
            # Unset, prisma crashes at import under a UID without a passwd entry.
            "HOME": "/app",
            # The web page's files are copied to /var/lib/litellm, not edited in the image.
            "LITELLM_NON_ROOT": "true",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            # Else each start waits for a price list from the internet.
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            **plain,
        },
        mounts=[
            volumes.config_files("config", "/etc/litellm", pods["config"]),
            volumes.scratch("/tmp", "512Mi"),
            volumes.scratch("/var/lib/litellm", "256Mi"),
            *more_mounts,
        ],
        **more,
    )
    return trust.trusting(pod, tier.trust)


def _migration(args: GatewayArgs, **pods: Input[str]) -> kube.Pod:
    return _pod(
        args,
        pods,
        {"DISABLE_SCHEMA_UPDATE": "false", "LITELLM_MIGRATION_DIR": "/tmp/migrations"},
        name="migration",
        size=replace(args.size, replicas=1),
        # The rest of that Secret is not its business, above all the address of Redis. The keys are compared.
        secret_env={name: (pods["env"], name) for name in ("DATABASE_URL", "LITELLM_MASTER_KEY", "LITELLM_SALT_KEY")},
        command=["python3", "/etc/litellm/migrate.py"],
    )


def _proxy(args: GatewayArgs, keys: Sequence[Input[str]], **pods: Input[str]) -> kube.Pod:
    tls = args.internal_tls
    return _pod(
        args,
        pods,
        {
            "STORE_MODEL_IN_DB": "True",
            # Several pods migrating at once deadlock; the Job has done it.
            "DISABLE_SCHEMA_UPDATE": "true",
            **args.tuning.environment(),
        },
        name="litellm",
        size=args.size,
        port=PORT,
        env_from=[pods["env"], *keys],
        # What the image's own entry point executes; named, since trust.sh has to know it.
        command=["litellm"],
        args=[
            *("--config", "/etc/litellm/config.yaml", "--port", str(PORT)),
            *(("--num_workers", str(args.tuning.workers)) if args.tuning.workers > 1 else ()),
            *(_SERVE_TLS if tls else ()),
        ],
        more_mounts=[serving.mount("litellm")] if tls else [],
        # Readiness is slow while the database is away (4 s); liveness asks nobody else.
        # Often, until it answers: each round is waited for by every rollout, twice with the next probe's. Five minutes.
        startup=probes.http("/health/readiness", PORT, tls=tls, period=2, timeout=8, failures=150),
        readiness=probes.http("/health/readiness", PORT, tls=tls, period=5, timeout=8),
        liveness=probes.http("/health/liveliness", PORT, tls=tls, period=15, failures=5),
        # SIGTERM closes the socket at once: the pod leaves the Service first.
        before_stop=["sleep", str(DRAIN_SECONDS)],
        grace_seconds=args.tuning.grace_seconds,
    )
