"""Destroy removes everything, unless data is protected; then it says what it protects. What is others' stays."""

import re

from tests.engine.driver import NAMESPACE, OTHERS, READONLY, Cluster, Project, generated


def test_groups_of_others_are_told_at_preview_used_and_left_as_they_are(protected: Project, doomed: Cluster) -> None:
    said = protected.preview("--refresh", "--expect-no-changes")
    assert f"Group {READONLY} exists already and is not this stack's (2 members): it is used as it is" in said
    assert "Group administrators exists (1 member), and LiteMaaS knows it by name" in said
    for name, users in OTHERS.items():
        live = doomed.get("group", name, None)
        assert live["users"] == users
        assert not live["metadata"].get("labels")


def test_the_check_of_roles_may_read_the_groups_that_give_some_and_nothing_else(
    protected: Project, doomed: Cluster
) -> None:
    account = f"system:serviceaccount:{NAMESPACE}:role-check"

    def may(verb: str, what: str) -> bool:
        resource, _, name = what.partition("/")
        group, _, plural = resource.rpartition(":")
        asked = {"verb": verb, "group": group, "resource": plural, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": account, "resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return doomed.request("POST", path, review)["status"]["allowed"]

    groups = "user.openshift.io:groups"
    for name in ("litemaas-admins", READONLY, "administrators", "viewers"):
        assert may("get", f"{groups}/{name}")
        assert not may("patch", f"{groups}/{name}")
    assert not may("get", f"{groups}/others")
    assert not may("list", groups)
    assert not may("get", "user.openshift.io:users/alice")
    spec = doomed.get("cronjob", "role-check")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    told = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
    assert told["OWN_GROUPS"] == "litemaas-admins", "only what this stack has made has to be there"


def test_a_run_of_the_check_of_roles_passes_admission(protected: Project, doomed: Cluster) -> None:
    doomed.kubectl("create", "job", "roles-by-hand", "-n", NAMESPACE, "--from=cronjob/role-check")
    try:
        doomed.kubectl("wait", "-n", NAMESPACE, "job/roles-by-hand", "--for=condition=Complete", "--timeout=120s")
    finally:
        doomed.kubectl("delete", "job", "roles-by-hand", "-n", NAMESPACE)


def test_the_console_has_a_link_to_the_portal(protected: Project, doomed: Cluster) -> None:
    link = doomed.get("consolelink", "litemaas-portal", None)
    assert link["spec"]["href"] == protected.outputs()["portal_url"]
    assert link["spec"]["location"] == "ApplicationMenu"


def test_destroy_refuses_to_delete_data_and_names_what_it_protects(protected: Project, doomed: Cluster) -> None:
    seen, secrets = doomed.fingerprint(), generated(protected)
    said = protected.pulumi("destroy", "--yes", expect=1)
    # The engine stops at the first refusals it meets, and names those.
    named = set(re.findall(r'::([\w-]+)" cannot be deleted\s+because it is protected', said))
    assert named & {"database-server", "backend-backups"}
    assert doomed.touched_since(seen) == []
    # Most of them are not protected by themselves: the namespace depends on them.
    assert generated(protected) == secrets


def test_destroy_without_preview_keeps_all_data_and_up_brings_the_rest_back_with_a_secret_rotated(
    protected: Project, doomed: Cluster
) -> None:
    before, uids = generated(protected), _uids(doomed)
    said = protected.destroy(expect=1)
    assert "because it is protected" in said
    assert _uids(doomed) == uids
    assert doomed.get("persistentvolumeclaim", "postgres-data")["status"]["phase"] == "Bound"
    assert generated(protected) == before
    protected.change(secrets={"jwtSecret": {"generation": 2}})
    protected.up()
    protected.preview("--expect-no-changes", "--refresh")
    now = generated(protected)
    assert now.pop("jwtSecret-2") != before.pop("jwtSecret")
    assert now == before
    assert _uids(doomed) == uids
    protected.pulumi("destroy", "--yes", expect=1)
    assert generated(protected).keys() == {*now, "jwtSecret-2"}


def _uids(cluster: Cluster) -> list[str]:
    return [
        cluster.get("namespace", NAMESPACE, None)["metadata"]["uid"],
        cluster.get("statefulset", "postgres")["metadata"]["uid"],
        cluster.get("persistentvolumeclaim", "backend-backups")["metadata"]["uid"],
        cluster.get("persistentvolumeclaim", "postgres-data")["metadata"]["uid"],
    ]


def test_destroy_removes_everything_once_the_protection_is_off_and_leaves_the_other_stack(
    protected: Project, doomed: Cluster, before: set[str], drifter: Project, drifting: Cluster
) -> None:
    def others() -> list[str]:
        # A run of the check of keys comes by the clock.
        return [each for each in drifting.labelled(drifter.stack) if "/key-check-" not in each]

    beside = others()
    protected.change(protectData=False)
    protected.up()
    ours = doomed.labelled("doomed")
    assert {line.partition(" ")[0] for line in ours} >= {
        "Namespace",
        "OAuthClient",
        "Group",
        "ConsoleLink",
        "ClusterRole",
        "ClusterRoleBinding",
        "Route",
        "Deployment",
        "StatefulSet",
        "Secret",
        "PersistentVolumeClaim",
    }
    protected.pulumi("destroy", "--yes")
    assert doomed.labelled("doomed") == []
    assert NAMESPACE not in doomed.namespaces()
    assert doomed.objects() - before == set()
    assert protected.resources() == []
    assert {name: doomed.get("group", name, None)["users"] for name in OTHERS} == OTHERS
    assert others() == beside
    drifter.preview("--expect-no-changes", "--refresh")
