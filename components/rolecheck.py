"""Scheduled check: roles in the portal that no Group gives any more are taken away."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import jobs, kube, parts, volumes, wiring
from components.trust import Trust, trusting
from components.wiring import Target

NAME = "role-check"
_IDENTITY = "/run/litemaas-identity"
# The kubelet's shortest; it renews the token while the pod runs.
_TOKEN_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class RoleCheckArgs:
    """``image`` is the backend's own, used for its Node and its driver; ``env_secret`` holds what it logs in with.

    ``roles`` are what Groups give, by their names; ``own_groups`` those of them that this stack makes.
    ``backend`` has to be up before there is a table to look at.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    schedule: str
    roles: Mapping[str, str]
    own_groups: Sequence[str]
    initial_admins: Sequence[str]
    backend: Resource
    env_secret: Input[str]
    kubernetes_url: Target[str]
    database_url: Target[Output[str]]
    gateway_url: Target[Output[str]]
    trust: Trust


class RoleCheck(ComponentResource):
    """Runs by the clock: nobody tells the portal when somebody leaves a Group."""

    cron_job: Output[str]

    def __init__(self, name: str, args: RoleCheckArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:RoleCheck", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        account = parts.account(name, scope, NAME, child)
        reader = _reader(name, args, account, self)
        script = k8s.core.v1.ConfigMap(
            f"{name}-script",
            metadata=scope.meta(NAME),
            immutable=True,
            data={"check_roles.cjs": kube.file("check_roles.cjs")},
            opts=child,
        )
        pod = trusting(_pod(args, account, script.metadata.name), args.trust)
        # Named: an operator makes a Job of it by hand.
        made = k8s.batch.v1.CronJob(
            f"{name}-schedule",
            metadata=scope.meta(NAME, NAME, kube.HEAL),
            spec=jobs.scheduled(scope, NAME, pod, args.schedule),
            opts=ResourceOptions(parent=self, depends_on=[args.backend, reader]),
        )
        self.cron_job = made.metadata.name
        self.edges = wiring.calls(NAME, args)
        self.register_outputs({"cron_job": self.cron_job})


def _reader(name: str, args: RoleCheckArgs, account: Input[str], parent: Resource) -> Resource:
    """The right to read exactly these Groups, which belong to the whole cluster."""
    scope, child = args.scope, ResourceOptions(parent=parent)
    metadata = k8s.meta.v1.ObjectMetaArgs(labels=scope.marks(NAME))
    rule = k8s.rbac.v1.PolicyRuleArgs(
        api_groups=["user.openshift.io"], resources=["groups"], resource_names=sorted(args.roles), verbs=["get"]
    )
    role = k8s.rbac.v1.ClusterRole(f"{name}-reader", metadata=metadata, rules=[rule], opts=child)
    reference = k8s.rbac.v1.RoleRefArgs(
        api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=role.metadata.name
    )
    subject = k8s.rbac.v1.SubjectArgs(kind="ServiceAccount", name=account, namespace=scope.namespace)
    return k8s.rbac.v1.ClusterRoleBinding(
        f"{name}-reader", metadata=metadata, role_ref=reference, subjects=[subject], opts=child
    )


def _pod(args: RoleCheckArgs, account: Input[str], script: Input[str]) -> kube.Pod:
    return kube.Pod(
        name="check",
        image=args.image,
        size=args.size,
        command=["node", "/opt/litemaas/check_roles.cjs"],
        env={
            "KUBERNETES_URL": args.kubernetes_url.address,
            "TOKEN_FILE": f"{_IDENTITY}/token",
            "ROLES": json.dumps(dict(args.roles), sort_keys=True),
            "OWN_GROUPS": ",".join(sorted(args.own_groups)),
            "INITIAL_ADMINS": ",".join(args.initial_admins),
            "LITELLM_URL": args.gateway_url.address,
            "HOME": "/tmp",
        },
        secret_env={name: (args.env_secret, name) for name in ("DATABASE_URL", "LITELLM_API_KEY")},
        mounts=[
            volumes.config_files("script", "/opt/litemaas", script),
            volumes.token("identity", _IDENTITY, _TOKEN_SECONDS),
        ],
        service_account=account,
    )
