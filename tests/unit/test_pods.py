"""Every pod template meets PodSecurity `restricted` in full and can be scheduled, probed, stopped."""

import json
import re

from config.types import quantity
from tests import harness

FORBIDDEN = {
    "NODE_TLS_REJECT_UNAUTHORIZED": "turns all certificate checks off",
    "K8S_API_SKIP_TLS_VERIFY": "has no effect but says it would",
    "OAUTH_MOCK_ENABLED": "turns mock logins on, in production too",
    "ALLOW_DEV_TOKENS": "hands out administrator tokens",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "lets the proxy start without a key",
    "allow_requests_on_db_unavailable": "turns authentication off while the database is away",
}


def test_every_pod_meets_the_restricted_policy_in_full(run):
    for workload in run.workloads:
        pod = workload.pod
        assert pod
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, workload.urn
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, workload.urn
        for one in [*pod["containers"], *pod.get("initContainers", [])]:
            inner = one["securityContext"]
            assert inner["allowPrivilegeEscalation"] is False, workload.urn
            assert inner["capabilities"] == {"drop": ["ALL"]}, workload.urn
            assert inner["readOnlyRootFilesystem"] is True, workload.urn


def test_no_pod_names_a_user_or_the_group_of_its_volumes(run):
    """OpenShift's SCC chooses them from the namespace's range, and refuses others."""
    for workload in run.workloads:
        assert not {"runAsUser", "fsGroup"} & set(harness.keys(workload.pod))


def test_every_pod_runs_as_a_group_of_its_own_and_has_that_of_its_image_beside_it(run):
    """No SCC sets a group, and the files of images for OpenShift are group 0's (docs/decisions/0036)."""
    for workload in run.workloads:
        context = (workload.pod or {})["securityContext"]
        assert (context["runAsGroup"], context["supplementalGroups"]) == (10001, [0])


def test_no_pod_shares_anything_with_its_node(run):
    for workload in run.workloads:
        used = set(harness.keys(workload.pod))
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostPath", "hostPort", "privileged"} & used, workload.urn


def test_every_tier_has_a_service_account_of_its_own(run):
    """Jobs use that of the tier they belong to; nobody uses the namespace's default one."""
    accounts = {one.name: (one.pod or {})["serviceAccountName"] for one in run.workloads}
    assert accounts == {
        "database-server": "postgres",
        "database-bootstrap": "postgres",
        "cache-redis": "redis",
        "gateway-proxy": "litellm",
        "gateway-migration": "litellm",
        "key-check-schedule": "key-check",
        "models-registration": "models",
        "backend-server": "backend",
        "frontend-nginx": "frontend",
        "verification-checks": "verification",
        **({"role-check-schedule": "role-check"} if run.find("RoleCheck") else {}),
    }
    assert {one.metadata["name"] for one in run.find("ServiceAccount")} == set(accounts.values())


def test_no_pod_gets_the_addresses_of_other_services_in_its_environment(run):
    """Service links would set REDIS_PORT and the like to tcp:// URLs."""
    for workload in run.workloads:
        assert workload.pod
        assert workload.pod["enableServiceLinks"] is False, workload.urn


def test_every_long_running_container_has_three_probes_that_differ(run):
    for workload in run.servers:
        one = harness.container(workload)
        probes = [one["startupProbe"], one["readinessProbe"], one["livenessProbe"]]
        assert all(probes.count(probe) == 1 for probe in probes), f"{workload.urn} repeats a probe"
        for probe in probes:
            assert probe["timeoutSeconds"] >= 5, "a probe on a busy node needs seconds"


def test_jobs_have_no_probes_and_an_end(run):
    for job in run.find("Job"):
        assert "livenessProbe" not in harness.container(job)
        assert job.inputs["spec"]["activeDeadlineSeconds"] > 0
        # Those whose scripts wait by themselves say at once what is wrong.
        patient = job.name in ("database-bootstrap", "models-registration", "verification-checks")
        assert job.inputs["spec"]["backoffLimit"] == (0 if patient else 3)
        (drained,) = job.inputs["spec"]["podFailurePolicy"]["rules"]
        assert drained == {"action": "Ignore", "onPodConditions": [{"status": "True", "type": "DisruptionTarget"}]}
        assert job.pod
        assert job.pod["restartPolicy"] == "Never", "a restarted container would hide its log from the diagnosis"


def test_probes_ask_a_port_that_the_container_opens(run):
    for workload in run.servers:
        one = harness.container(workload)
        ports = {port["containerPort"] for port in one["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = one[probe].get("httpGet") or one[probe].get("tcpSocket") or {}
            assert asked.get("port", next(iter(ports))) in ports, f"{workload.urn} {probe}"


def test_every_container_states_requests_and_limits_with_ephemeral_storage(run):
    for workload in run.workloads:
        resources = harness.container(workload)["resources"]
        for kind in ("requests", "limits"):
            assert set(resources[kind]) == {"cpu", "memory", "ephemeral-storage"}, f"{workload.urn} {kind}"
        for name, request in resources["requests"].items():
            assert quantity(request) <= quantity(resources["limits"][name]), f"{workload.urn} {name}"


def test_scratch_directories_fit_into_the_pods_ephemeral_storage(run):
    """The kubelet evicts a pod whose emptyDirs outgrow the limit, before a single one is full."""
    for workload in run.workloads:
        assert workload.pod
        sizes = [quantity(one["emptyDir"]["sizeLimit"]) for one in workload.pod["volumes"] if "emptyDir" in one]
        limit = quantity(harness.container(workload)["resources"]["limits"]["ephemeral-storage"])
        assert all(size <= limit for size in sizes), f"{workload.urn}: one scratch directory is larger than the limit"


def test_every_scratch_directory_has_a_size_limit(run):
    for workload in run.workloads:
        for volume in (workload.pod or {}).get("volumes", []):
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], f"{workload.urn} {volume}"


def test_every_mount_has_its_volume_and_every_volume_its_mount(run):
    for workload in run.workloads:
        volumes = {one["name"] for one in (workload.pod or {}).get("volumes", [])}
        assert set(harness.mounts(workload).values()) == volumes, workload.urn
        assert all(re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) for name in volumes), workload.urn


def test_home_is_set_in_every_container(run):
    """Under a UID without passwd entry HOME is / or missing: Node, Python and psql then fail or complain."""
    for workload in run.workloads:
        assert "HOME" in harness.env(workload), f"{workload.urn} has no HOME"


def test_no_switch_that_weakens_security_is_set_anywhere(run):
    for one in run.manifests:
        words = [*harness.keys(one.inputs), *(str(value) for _, value in harness.leaves(one.inputs))]
        for switch, why in FORBIDDEN.items():
            assert not any(switch in word for word in words), f"{one.urn} has {switch}, which {why}"


def test_images_come_from_the_configuration(run):
    for workload in run.workloads:
        assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]+/.+[:@].+", harness.container(workload)["image"]), workload.urn


def test_several_replicas_are_spread_over_nodes(production):
    for workload in production.servers:
        spread = (workload.pod or {}).get("topologySpreadConstraints")
        assert bool(spread) == (workload.inputs["spec"]["replicas"] > 1), workload.urn
        if spread:
            labels = workload.template["metadata"]["labels"]
            assert labels.items() >= spread[0]["labelSelector"]["matchLabels"].items()


def test_a_pod_is_given_longer_to_stop_than_its_drain_takes(run):
    for workload in run.servers:
        hook = harness.container(workload).get("lifecycle", {}).get("preStop", {})
        words = hook["exec"]["command"] if hook else []
        drain = int(words[1]) if words[:1] == ["sleep"] else 0
        assert (workload.pod or {})["terminationGracePeriodSeconds"] > drain, workload.urn


def test_postgresql_is_told_to_stop_without_waiting_for_its_clients(run):
    """SIGTERM alone took the database away for the whole grace period of 120 s."""
    server = next(one for one in run.servers if one.type.endswith("StatefulSet"))
    command = harness.container(server)["lifecycle"]["preStop"]["exec"]["command"]
    assert "--mode=fast" in command[-1]
    folder = command[-1].rpartition("--pgdata=")[2]
    assert any(folder.startswith(f"{path}/") for path in harness.mounts(server))


def test_a_deployment_is_waited_for_until_all_its_pods_are_of_the_new_kind(run):
    for workload in (one for one in run.servers if one.type.endswith(":Deployment")):
        wanted = json.loads(workload.inputs["metadata"]["annotations"]["pulumi.com/waitFor"])
        number = workload.inputs["spec"]["replicas"]
        assert f"jsonpath={{.status.updatedReplicas}}={number}" in wanted
        assert f"jsonpath={{.status.replicas}}={number}" in wanted


def test_files_given_to_a_container_cannot_be_written_by_it(run):
    for workload in run.workloads:
        volumes = {one["name"]: one for one in (workload.pod or {}).get("volumes", [])}
        for mount in harness.container(workload).get("volumeMounts", []):
            volume = volumes.get(mount["name"], {})
            if {"configMap", "secret", "projected"} & set(volume):
                assert mount["readOnly"] is True, f"{workload.urn} {mount['mountPath']}"


def test_a_workload_on_a_claim_of_one_node_is_recreated_not_rolled(run):
    """A rolling update would wait for ever for a volume that the old pod holds."""
    for workload in run.find("Deployment"):
        claims = [one for one in (workload.pod or {}).get("volumes", []) if "persistentVolumeClaim" in one]
        if claims:
            assert workload.inputs["spec"]["strategy"] == {"type": "Recreate"}, workload.urn
