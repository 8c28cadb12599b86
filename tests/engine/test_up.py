"""From an empty cluster to a running installation, and again."""

from tests.engine.conftest import Deployed
from tests.engine.driver import NAMESPACE, Cluster, Json, Project, comes_by_the_clock, counts

PORTAL = "https://litemaas-litemaas.apps.sandbox.example.com"


def test_up_from_empty_creates_everything_that_the_preview_promised(deployed: Deployed) -> None:
    promised, made = counts(deployed.preview), counts(deployed.up)
    assert set(promised) == {"create"}
    assert made == {"created": promised["create"]}


def test_a_second_up_changes_nothing(again: str) -> None:
    assert set(counts(again)) == {"unchanged"}


def test_the_outputs_name_every_address_and_hide_the_password(main: Project) -> None:
    assert main.outputs() == {
        "portal_url": PORTAL,
        "gateway_url": "https://litellm-litemaas.apps.sandbox.example.com",
        "api_url": "https://litemaas-api-litemaas.apps.sandbox.example.com",
        "login_issuer": "https://oauth-openshift.apps.sandbox.example.com",
        "namespace": NAMESPACE,
        "models": ["granite-8b-agent", "mistral-3-int4"],
        "litellm_ui_password": "[secret]",
    }


def test_preview_expects_no_changes_even_where_the_domain_is_read_from_the_cluster(main: Project) -> None:
    main.change(clusterDomain=None)
    main.preview("--expect-no-changes")


def test_every_object_in_the_state_carries_the_labels_of_its_stack(main: Project, cluster: Cluster) -> None:
    ours = {each["id"].rpartition("/")[2] for each in main.resources() if each["type"].startswith("kubernetes:")}
    found = {line.rpartition("/")[2] for line in cluster.labelled("main")}
    assert ours - found == set()


def test_every_pod_runs_under_a_user_id_of_its_namespaces_range(deployed: Deployed, cluster: Cluster) -> None:
    annotations = cluster.get("namespace", NAMESPACE, None)["metadata"]["annotations"]
    first, _, count = annotations["openshift.io/sa.scc.uid-range"].partition("/")
    pods = cluster.items("pods")
    assert len(pods) >= 5
    users = {pod["metadata"]["name"]: pod["spec"]["securityContext"]["runAsUser"] for pod in pods}
    outside = {name: user for name, user in users.items() if not int(first) <= user < int(first) + int(count)}
    assert outside == {}
    named = [name for name, each in _containers(pods) if "runAsUser" in each["securityContext"]]
    assert named == []


def test_the_namespace_enforces_restricted_and_no_pod_violates_it(deployed: Deployed, cluster: Cluster) -> None:
    labels = cluster.get("namespace", NAMESPACE, None)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    # The API server examines the pods that run when the label is set; it warns of those that violate it.
    label = "pod-security.kubernetes.io/enforce=restricted"
    dry = cluster.kubectl("label", "--dry-run=server", "--overwrite", "namespace", NAMESPACE, label)
    assert "violat" not in dry
    for name, each in _containers(cluster.items("pods")):
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"]["drop"] == ["ALL"], name


def _containers(pods: list[Json]) -> list[tuple[str, Json]]:
    return [
        (f"{pod['metadata']['name']}/{each['name']}", each)
        for pod in pods
        for each in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    ]


def test_every_claim_is_bound(deployed: Deployed, cluster: Cluster) -> None:
    phases = {each["metadata"]["name"]: each["status"]["phase"] for each in cluster.items("persistentvolumeclaims")}
    assert phases == {"backend-backups": "Bound", "postgres-data": "Bound"}


def test_workloads_start_in_the_order_in_which_they_need_each_other(deployed: Deployed, cluster: Cluster) -> None:
    jobs = {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in cluster.items("jobs")}
    done = {name: job["status"]["completionTime"] for name, job in jobs.items()}
    born = {each["metadata"]["name"]: each["metadata"]["creationTimestamp"] for each in cluster.items("deployments")}
    assert done["postgres-bootstrap"] <= jobs["litellm-migration"]["metadata"]["creationTimestamp"]
    assert done["litellm-migration"] <= born["litellm"]
    assert born["litellm"] <= jobs["models"]["metadata"]["creationTimestamp"]
    assert done["models"] <= born["backend"]
    assert max(born.values()) <= jobs["verification"]["metadata"]["creationTimestamp"]


def test_the_verification_is_the_last_to_be_made(deployed: Deployed, cluster: Cluster) -> None:
    kinds = ("jobs", "deployments", "statefulsets", "routes", "networkpolicies", "services", "configmaps", "secrets")
    ours = {
        f"{kind}/{each['metadata']['name']}": each["metadata"]["creationTimestamp"]
        for kind in kinds
        for each in cluster.items(kind)
        if each["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == "main"
        and not comes_by_the_clock(each)
    }
    last = [name for name in ours if name.startswith("jobs/verification-checks")]
    assert len(last) == 1
    assert max(ours.values()) == ours[last[0]]
