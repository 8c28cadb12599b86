"""Jobs that `up` waits for, and how often they are tried; Jobs that come by the clock."""

import pulumi_kubernetes as k8s

from components import kube

_TRIES_MORE = 3
# Within the shortest interval that makes sense, five minutes: the next run starts from the beginning anyway.
_DEADLINE_SECONDS = 240
_LATEST_START_SECONDS = 120


def job(scope: kube.Scope, component: str, pod: kube.Pod, *, patient: bool = False) -> k8s.batch.v1.JobSpecArgs:
    """A Job that ends within the stack's time limit; a pod that a drained node takes along does not count.

    ``patient``: its script waits and tries again by itself, so that its failure is the last word. Else it is
    tried four times, with 70 s between them. Exit codes that end a Job at once would be the way to tell such
    failures apart, but pulumi-kubernetes 4.25 does not know that reason of a failure, and waits on.
    """
    drained = k8s.batch.v1.PodFailurePolicyOnPodConditionsPatternArgs(type="DisruptionTarget", status="True")
    return k8s.batch.v1.JobSpecArgs(
        backoff_limit=0 if patient else _TRIES_MORE,
        active_deadline_seconds=scope.timeout_seconds,
        pod_failure_policy=k8s.batch.v1.PodFailurePolicyArgs(
            rules=[k8s.batch.v1.PodFailurePolicyRuleArgs(action="Ignore", on_pod_conditions=[drained])]
        ),
        template=kube.pod_template(scope, component, pod, restart="Never"),
    )


def scheduled(scope: kube.Scope, component: str, pod: kube.Pod, schedule: str) -> k8s.batch.v1.CronJobSpecArgs:
    """Runs of ``pod`` by the clock, never two at once."""
    job = k8s.batch.v1.JobSpecArgs(
        backoff_limit=1,
        active_deadline_seconds=_DEADLINE_SECONDS,
        template=kube.pod_template(scope, component, pod, restart="Never"),
    )
    metadata = k8s.meta.v1.ObjectMetaArgs(labels=scope.marks(component))
    return k8s.batch.v1.CronJobSpecArgs(
        schedule=schedule,
        # Written, so that somebody's pause is seen as drift.
        suspend=False,
        concurrency_policy="Forbid",
        # Without it a controller that was away for a hundred runs would start none any more.
        starting_deadline_seconds=_LATEST_START_SECONDS,
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=3,
        job_template=k8s.batch.v1.JobTemplateSpecArgs(metadata=metadata, spec=job),
    )
