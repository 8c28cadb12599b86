"""Jobs that `up` waits for, and how often they are tried."""

import pulumi_kubernetes as k8s

from components import kube

_TRIES_MORE = 3


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
