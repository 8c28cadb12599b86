"""Jobs that `up` waits for, and after which of their failures they are not tried again."""

import pulumi_kubernetes as k8s

from components import kube

# What a script exits with when the same would come of another try: EX_CONFIG of sysexits.h, which neither
# bash, Python nor psql use for anything else.
REFUSED = 78
_TRIES_MORE = 3


def job(scope: kube.Scope, component: str, pod: kube.Pod, *, patient: bool = False) -> k8s.batch.v1.JobSpecArgs:
    """A Job that ends within the stack's time limit, tried four times but for what no other try would change.

    ``patient``: its script waits by itself, so that each failure of it is the last word. A pod that a drained
    node takes along never counts. OpenShift honours this from 4.13 on; before, all is tried four times.
    """
    told = k8s.batch.v1.PodFailurePolicyOnExitCodesRequirementArgs(
        container_name=pod.name,
        operator="NotIn" if patient else "In",
        values=[0] if patient else [REFUSED],
    )
    taken = k8s.batch.v1.PodFailurePolicyOnPodConditionsPatternArgs(type="DisruptionTarget", status="True")
    return k8s.batch.v1.JobSpecArgs(
        backoff_limit=_TRIES_MORE,
        active_deadline_seconds=scope.timeout_seconds,
        pod_failure_policy=k8s.batch.v1.PodFailurePolicyArgs(
            rules=[
                k8s.batch.v1.PodFailurePolicyRuleArgs(action="Ignore", on_pod_conditions=[taken]),
                k8s.batch.v1.PodFailurePolicyRuleArgs(action="FailJob", on_exit_codes=told),
            ]
        ),
        template=kube.pod_template(scope, component, pod, restart="Never"),
    )
