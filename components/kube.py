"""Builders for Kubernetes objects: what all tiers have in common, in one place.

Nothing here creates a resource. Pods made with ``pod_template`` meet PodSecurity
`restricted` and name no UID, which OpenShift's restricted-v2 chooses per namespace.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pulumi_kubernetes as k8s
from pulumi import ErrorHook, Input, Resource, ResourceHookBinding, ResourceOptions

from components.placement import Placements
from components.sizes import Size
from components.volumes import Mount

FILES = Path(__file__).with_name("files")
# A Service is ready when it is stored; Pulumi would wait ten seconds for endpoints
# that the Deployments wait for anyway (engine.md section 8).
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
# Lets `up --refresh` heal what another manager changed, and `preview --refresh` show it. Only
# for objects that preflight has seen to be ours, never for Secrets and claims (engine.md section 4).
HEAL = {"pulumi.com/patchForce": "true"}
# A Job that failed never runs again by itself, and the engine sees no change in it: without this
# the next `up` reports the old failure.
AGAIN = {"pulumi.com/replaceUnready": "true"}
# A user without a name gets 0, by which images for OpenShift open their files: it stays as a second one (0036).
_GROUP = 10001
_ALL_PODS = ("replicas", "updatedReplicas", "availableReplicas")
_COMPLETE = 'jsonpath={.status.conditions[?(@.type=="Progressing")].reason}=NewReplicaSetAvailable'


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where the objects of an installation go, and how they are marked and waited for."""

    namespace: Input[str]
    labels: Mapping[str, str]
    timeout_seconds: int
    pull_secret: str | None = None
    pull_policy: str = "IfNotPresent"
    autoscaled: frozenset[str] = frozenset()
    placements: Placements = field(default_factory=Placements)
    on_failure: ErrorHook | None = None

    def within(self, namespace: Input[str]) -> "Scope":
        """The same scope, once the namespace exists: what uses it waits for that."""
        return replace(self, namespace=namespace)

    def marks(self, component: str) -> dict[str, str]:
        """The labels of every object of ``component``."""
        return {**self.labels, "app.kubernetes.io/component": component}

    def meta(
        self, component: str, name: Input[str] | None = None, annotations: Mapping[str, Input[str]] | None = None
    ) -> k8s.meta.v1.ObjectMetaArgs:
        """Metadata in the namespace; without ``name`` Pulumi makes one, so that a change is a new object."""
        return k8s.meta.v1.ObjectMetaArgs(
            namespace=self.namespace, name=name, labels=self.marks(component), annotations=dict(annotations or {})
        )

    def global_meta(self, component: str, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        """Metadata of a cluster-scoped object, which preflight has seen to be ours or absent."""
        return k8s.meta.v1.ObjectMetaArgs(name=name, labels=self.marks(component), annotations=HEAL)

    def awaited(self, heal: bool = False) -> dict[str, str]:
        """Annotations of a workload that `up` waits for."""
        return {"pulumi.com/timeoutSeconds": str(self.timeout_seconds)} | (HEAL if heal else {})

    def rollout(self, component: str, size: Size) -> dict[str, str]:
        """Annotations of a Deployment, which is up when all its pods are of the new kind, and ready.

        The engine's own rule takes the old ReplicaSet for the new one until the controller has seen
        the change (docs/decisions/0012). Where an autoscaler decides on the number, the controller's word has to do.
        """
        counts = [f"jsonpath={{.status.{each}}}={size.replicas}" for each in _ALL_PODS]
        told = ["condition=Available", *([_COMPLETE] if component in self.autoscaled else counts)]
        return self.awaited(heal=True) | {"pulumi.com/waitFor": json.dumps(told)}

    def job_meta(self, component: str) -> k8s.meta.v1.ObjectMetaArgs:
        """Metadata of a Job, which `up` waits for, and which runs again if it failed the last time."""
        return self.meta(component, annotations=self.awaited() | AGAIN)

    def workload(
        self,
        parent: Resource,
        component: str | None = None,
        depends_on: Sequence[Resource] | None = None,
        protect: bool | None = None,
    ) -> ResourceOptions:
        """Options of what `up` waits for: a failure to become ready prints the reason.

        ``component`` names a Deployment: where an autoscaler sizes it, its replicas are left alone.
        """
        hooks = ResourceHookBinding(on_error=[self.on_failure]) if self.on_failure else None
        left = ["spec.replicas"] if component in self.autoscaled else None
        return ResourceOptions(parent=parent, depends_on=depends_on, protect=protect, hooks=hooks, ignore_changes=left)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The one container of a pod and what surrounds it; with ``reaped`` it is not the pod's first process."""

    name: str
    image: str
    size: Size
    port: int | None = None
    command: Sequence[str] | None = None
    args: Sequence[str] | None = None
    env: Mapping[str, Input[str]] = field(default_factory=dict[str, Input[str]])
    env_from: Sequence[Input[str]] = ()
    secret_env: Mapping[str, tuple[Input[str], str]] = field(default_factory=dict[str, tuple[Input[str], str]])
    mounts: Sequence[Mount] = ()
    service_account: Input[str] | None = None
    startup: k8s.core.v1.ProbeArgs | None = None
    readiness: k8s.core.v1.ProbeArgs | None = None
    liveness: k8s.core.v1.ProbeArgs | None = None
    before_stop: Sequence[str] = ()
    grace_seconds: int = 30
    reaped: bool = False


def file(name: str) -> str:
    """The text of a file shipped to the cluster."""
    return (FILES / name).read_text(encoding="utf-8")


def selector(scope: Scope, component: str) -> dict[str, str]:
    """The labels by which Services and workloads find the pods of ``component``."""
    marks = scope.marks(component)
    return {key: marks[key] for key in ("app.kubernetes.io/instance", "app.kubernetes.io/component")}


def pod_template(
    scope: Scope, component: str, pod: Pod, *, restart: str | None = None, only: Mapping[str, str] | None = None
) -> k8s.core.v1.PodTemplateSpecArgs:
    """The pod template of ``component`` with one container and the labels ``only``, under the `restricted` policy."""
    volumes = {mount.name: mount.source for mount in pod.mounts}
    placed = scope.placements.of(component)
    spec = k8s.core.v1.PodSpecArgs(
        containers=[_container(pod, scope.pull_policy)],
        volumes=list(volumes.values()),
        service_account_name=pod.service_account,
        automount_service_account_token=False,
        share_process_namespace=pod.reaped or None,
        enable_service_links=False,
        restart_policy=restart,
        termination_grace_period_seconds=pod.grace_seconds,
        image_pull_secrets=[k8s.core.v1.LocalObjectReferenceArgs(name=scope.pull_secret)]
        if scope.pull_secret
        else None,
        node_selector=dict(placed.node_selector) if placed.node_selector else None,
        tolerations=cast("Any", placed.tolerations) or None,
        affinity=cast("Any", placed.affinity) or None,
        priority_class_name=placed.priority_class,
        topology_spread_constraints=placed.constraints(selector(scope, component), several=pod.size.most > 1),
        security_context=k8s.core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_group=_GROUP,
            supplemental_groups=[0],
            seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
    )
    meta = k8s.meta.v1.ObjectMetaArgs(labels={**scope.marks(component), **(only or {})})
    return k8s.core.v1.PodTemplateSpecArgs(metadata=meta, spec=spec)


def _container(pod: Pod, pull_policy: str) -> k8s.core.v1.ContainerArgs:
    plain = [k8s.core.v1.EnvVarArgs(name=name, value=value) for name, value in pod.env.items()]
    secret = [
        k8s.core.v1.EnvVarArgs(
            name=name,
            value_from=k8s.core.v1.EnvVarSourceArgs(
                secret_key_ref=k8s.core.v1.SecretKeySelectorArgs(name=source, key=key)
            ),
        )
        for name, (source, key) in pod.secret_env.items()
    ]
    before_stop = k8s.core.v1.ExecActionArgs(command=list(pod.before_stop))
    return k8s.core.v1.ContainerArgs(
        name=pod.name,
        image=pod.image,
        # Written: the server's own default depends on the tag.
        image_pull_policy=pull_policy,
        command=list(pod.command) if pod.command else None,
        args=list(pod.args) if pod.args else None,
        ports=[k8s.core.v1.ContainerPortArgs(name="main", container_port=pod.port)] if pod.port else None,
        env=[*plain, *secret],
        env_from=[
            k8s.core.v1.EnvFromSourceArgs(secret_ref=k8s.core.v1.SecretEnvSourceArgs(name=name))
            for name in pod.env_from
        ],
        volume_mounts=[mount.as_args() for mount in pod.mounts],
        startup_probe=pod.startup,
        readiness_probe=pod.readiness,
        liveness_probe=pod.liveness,
        lifecycle=k8s.core.v1.LifecycleArgs(pre_stop=k8s.core.v1.LifecycleHandlerArgs(exec_=before_stop))
        if pod.before_stop
        else None,
        resources=k8s.core.v1.ResourceRequirementsArgs(requests=dict(pod.size.requests), limits=dict(pod.size.limits)),
        security_context=k8s.core.v1.SecurityContextArgs(
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
        ),
    )


def service(
    scope: Scope, component: str, port: int, *, headless: bool = False, only: Mapping[str, str] | None = None
) -> k8s.core.v1.ServiceSpecArgs:
    """A Service before the pods of ``component`` with the labels ``only``; ``headless`` has no address of its own."""
    return k8s.core.v1.ServiceSpecArgs(
        type="ClusterIP",
        cluster_ip="None" if headless else None,
        selector={**selector(scope, component), **(only or {})},
        ports=[k8s.core.v1.ServicePortArgs(name="main", port=port, target_port=port)],
    )


def deployment(
    scope: Scope, component: str, pod: Pod, *, recreate: bool = False, only: Mapping[str, str] | None = None
) -> k8s.apps.v1.DeploymentSpecArgs:
    """A Deployment that never has fewer ready pods than asked for, unless ``recreate``.

    With ``only``, labels by which its pod is told from others of the component, it is of one pod.
    """
    if recreate:
        strategy = k8s.apps.v1.DeploymentStrategyArgs(type="Recreate")
    else:
        rolling = k8s.apps.v1.RollingUpdateDeploymentArgs(max_unavailable=0, max_surge=1)
        strategy = k8s.apps.v1.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=rolling)
    return k8s.apps.v1.DeploymentSpecArgs(
        replicas=1 if only else pod.size.replicas,
        progress_deadline_seconds=scope.timeout_seconds,
        strategy=strategy,
        selector=k8s.meta.v1.LabelSelectorArgs(match_labels={**selector(scope, component), **(only or {})}),
        template=pod_template(scope, component, pod, only=only),
    )


def disruption_budget(scope: Scope, component: str) -> k8s.policy.v1.PodDisruptionBudgetSpecArgs:
    """Lets a node drain take one pod of ``component`` at a time."""
    return k8s.policy.v1.PodDisruptionBudgetSpecArgs(
        max_unavailable=1, selector=k8s.meta.v1.LabelSelectorArgs(match_labels=selector(scope, component))
    )
