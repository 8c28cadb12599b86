"""Scheduled check: keys of the portal that lost their last model, and so open every model, are blocked."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import jobs, kube, parts, volumes, wiring
from components.trust import Trust, trusting
from components.wiring import Target

NAME = "key-check"


@dataclass(frozen=True, kw_only=True)
class KeyCheckArgs:
    """``image`` is LiteLLM's own, used for its Python; ``env_secret`` holds its master key.

    ``gateway`` has to be up before a first run could do anything but fail.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    schedule: str
    gateway: Resource
    gateway_url: Target[Output[str]]
    env_secret: Input[str]
    trust: Trust


class KeyCheck(ComponentResource):
    """Runs by the clock, not at `up`: it is the portal that empties keys, at any time."""

    cron_job: Output[str]

    def __init__(self, name: str, args: KeyCheckArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:KeyCheck", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        account = parts.account(name, scope, NAME, child)
        script = k8s.core.v1.ConfigMap(
            f"{name}-script",
            metadata=scope.meta(NAME),
            immutable=True,
            data={"check_keys.py": kube.file("check_keys.py")},
            opts=child,
        )
        pod = trusting(_pod(args, account, script.metadata.name), args.trust)
        # Named: an operator makes a Job of it by hand.
        made = k8s.batch.v1.CronJob(
            f"{name}-schedule",
            metadata=scope.meta(NAME, NAME, kube.HEAL),
            spec=jobs.scheduled(scope, NAME, pod, args.schedule),
            opts=ResourceOptions(parent=self, depends_on=[args.gateway]),
        )
        self.cron_job = made.metadata.name
        self.edges = wiring.calls(NAME, args)
        self.register_outputs({"cron_job": self.cron_job})


def _pod(args: KeyCheckArgs, account: Input[str], script: Input[str]) -> kube.Pod:
    return kube.Pod(
        name="check",
        image=args.image,
        size=args.size,
        command=["python3", "/opt/litemaas/check_keys.py"],
        env={"LITELLM_URL": args.gateway_url.address, "HOME": "/tmp"},
        secret_env={"LITELLM_MASTER_KEY": (args.env_secret, "LITELLM_MASTER_KEY")},
        mounts=[volumes.config_files("script", "/opt/litemaas", script)],
        service_account=account,
    )
