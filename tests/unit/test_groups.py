"""Groups that give roles: whose they are, what is told of them, and the check that enforces them."""

import json
import re

import pytest
from pulumi import RunError

from config.cluster import Answer
from config.names import ELEVATED
from tests import harness
from tests.unit.conftest import DEMO
from tests.unit.test_check_roles import FILE
from tests.unit.test_preflight import OURS, refusal

UNLISTED = {**DEMO, "access": {}}
GENERIC = ("administrators", "viewers", "developers")


def path(name: str) -> str:
    return f"/apis/user.openshift.io/v1/groups/{name}"


def group(name: str, *users: str, **labels: str) -> dict[str, dict]:
    """The answer to a question after this Group."""
    metadata = {"name": name, "labels": {key.replace("_", "/"): value for key, value in labels.items()}}
    return {path(name): {"kind": "Group", "metadata": metadata, "users": list(users) or None}}


def run(*answers: dict, access: dict | None = None, **more) -> harness.Run:
    merged = {key: value for each in answers for key, value in each.items()}
    cluster = harness.FakeCluster(merged, **more)
    return harness.run_program({**DEMO, "access": access or {}}, cluster=cluster)


def made(found: harness.Run) -> set[str]:
    return {one.metadata["name"] for one in found.find("Group")}


def said(found: harness.Run) -> str:
    return "\n".join(found.log)


# --- Whose they are ---


def test_a_group_of_an_identity_provider_is_used_as_it_is_and_reported():
    found = run(group("litemaas-admins", "alice", "bob"))
    assert made(found) == {"litemaas-readonly", "litemaas-users"}
    assert "Group litemaas-admins exists already and is not this stack's (2 members): it is used as it is" in said(
        found
    )


def test_a_group_that_argo_cd_has_labelled_with_its_application_is_used_as_it_is():
    labels = {"app.kubernetes.io/instance": "groups"}
    answers = {path("litemaas-users"): {"metadata": {"name": "litemaas-users", "labels": labels}}}
    assert made(run(answers)) == {"litemaas-admins", "litemaas-readonly"}


def test_a_group_of_others_is_refused_where_the_stack_file_lists_members():
    text = refusal(harness.FakeCluster(group("litemaas-admins", "alice")), DEMO)
    assert "Group litemaas-admins" in text
    assert "to use it as it is, leave the list of its members out of litemaas:access" in text
    assert "(1 problem)" in text


def test_a_group_of_another_installation_is_refused_since_it_may_have_been_handed_over():
    """Left out of the program, one that this stack has made before would be deleted."""
    labels = {**OURS, "app.kubernetes.io/part-of": "litemaas", "app.kubernetes.io/instance": "staging"}
    body = {"metadata": {"name": "litemaas-users", "labels": labels}}
    text = refusal(harness.FakeCluster({path("litemaas-users"): body}), UNLISTED)
    assert "belongs to stack or release staging (pulumi)" in text
    assert "write access.manageGroups: false" in text


def test_a_group_of_others_that_is_going_away_is_waited_for():
    body = {"metadata": {"name": "litemaas-users", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert "is being deleted" in refusal(harness.FakeCluster({path("litemaas-users"): body}), UNLISTED)


def test_a_group_of_this_stack_is_made_as_ever():
    body = {"metadata": {"name": "litemaas-users", "labels": OURS}}
    assert "litemaas-users" in made(run({path("litemaas-users"): body}))


# --- What is told of them ---


def test_each_group_that_the_backend_takes_for_its_own_is_reported_with_members_and_role():
    found = run(group("administrators", "alice", "bob"), group("viewers", "carol"), group("developers"))
    text = said(found)
    assert "Group administrators exists (2 members), and LiteMaaS knows it by name" in text
    assert "its members get the role admin at their next login, as those of litemaas-admins do" in text
    assert "Group viewers exists (1 member), and" in text
    assert "the role admin-readonly at their next login, as those of litemaas-readonly do" in text
    assert "Group developers exists (no members) and gives the role user, which everybody has" in text
    assert made(found) == {"litemaas-admins", "litemaas-readonly", "litemaas-users"}


def test_the_generic_groups_are_reported_where_groups_are_managed_elsewhere_too():
    found = run(group("viewers", "carol"), group("litemaas-admins", "alice"), access={"manageGroups": False})
    assert "Group viewers exists (1 member)" in said(found)
    assert "litemaas-admins exists already" not in said(found), "the stack file says so itself"


def test_nothing_is_said_of_groups_where_the_stack_file_names_an_administrator():
    assert not run(access={"admins": ["alice"]}).log
    assert not run(access={"initialAdmins": ["alice"]}).log


@pytest.mark.parametrize("access", [{}, {"manageGroups": False}], ids=["own", "elsewhere"])
def test_a_portal_without_any_administrator_is_told_with_the_command(access):
    assert "nobody is administrator of the portal" in said(run(access=access))
    assert "oc adm groups add-users litemaas-admins <user>" in said(run(access=access))


@pytest.mark.parametrize("name", ["litemaas-admins", "administrators"])
def test_a_member_of_either_group_of_administrators_is_one(name):
    assert "nobody is administrator" not in said(run(group(name, "alice")))


def test_a_group_that_may_not_be_read_may_have_members():
    forbidden = {path(name): Answer(403, {}) for name in ("litemaas-admins", *GENERIC)}
    assert not run(forbidden, access={"manageGroups": False}).log


def test_a_cluster_without_groups_is_not_asked_for_them():
    cluster = harness.FakeCluster(missing_apis={"user.openshift.io"})
    harness.run_program({**DEMO, "access": {"manageGroups": False, "initialAdmins": ["alice"]}}, cluster=cluster)
    assert not [each for _, each in cluster.requests if "user.openshift.io/v1/groups" in each]


# --- The check ---


@pytest.mark.parametrize("kind", ["clusterroles", "clusterrolebindings"])
def test_the_check_needs_the_right_to_hand_on_the_reading_of_groups(kind):
    denied = harness.FakeCluster(denied={("create", kind)})
    text = refusal(denied, {**DEMO, "access": {"enforceGroups": True, "admins": ["alice"]}})
    assert re.search(rf"permission on {kind}.rbac.authorization.k8s.io\s+you may not create them", text)
    assert harness.run_program(DEMO, cluster=harness.FakeCluster(denied={("create", kind)})).manifests


def test_nobody_can_hand_on_a_right_that_he_lacks():
    denied = harness.FakeCluster(denied={("get", "groups")})
    text = refusal(denied, {**DEMO, "access": {"enforceGroups": True, "manageGroups": False}})
    assert "permission on groups.user.openshift.io" in text


def test_a_group_of_others_may_be_gone_without_the_check_failing():
    found = run(group("litemaas-admins", "alice"), access={"enforceGroups": True})
    assert harness.env(found.one("CronJob", "role-check"))["OWN_GROUPS"] == "litemaas-readonly"


def test_a_schedule_that_is_none_is_refused():
    with pytest.raises(RunError) as refused:
        harness.read_config({**DEMO, "access": {"enforceSchedule": "hourly"}})
    assert 'litemaas:access.enforceSchedule = "hourly"' in str(refused.value)
    assert "nothing would be checked" in str(refused.value)


def test_it_is_not_there_unless_it_is_asked_for(demo):
    assert not [one for one in demo.manifests if one.labels.get("app.kubernetes.io/component") == "role-check"]


def test_it_runs_one_at_a_time_and_ends_before_the_next(production):
    spec = production.one("CronJob", "role-check").inputs["spec"]
    assert spec["schedule"] == "*/15 * * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 300


def test_its_account_may_read_these_groups_and_nothing_else(production):
    (rule,) = production.one("ClusterRole", "role-check-reader").inputs["rules"]
    assert rule == {
        "apiGroups": ["user.openshift.io"],
        "resources": ["groups"],
        "resourceNames": ["administrators", "litemaas-admins", "litemaas-readonly", "viewers"],
        "verbs": ["get"],
    }
    (subject,) = production.one("ClusterRoleBinding", "role-check-reader").inputs["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": "role-check", "namespace": "portal"}


def test_no_other_pod_has_a_token_for_the_api_server(production):
    with_token = [one.name for one in production.workloads if "serviceAccountToken" in set(harness.keys(one.pod))]
    assert with_token == ["role-check-schedule"]


def test_it_knows_whom_the_stack_file_names_and_which_groups_are_its_own(production):
    told = harness.env(production.one("CronJob", "role-check"))
    assert told["INITIAL_ADMINS"] == "dave"
    assert told["OWN_GROUPS"] == "litemaas-admins,litemaas-readonly"
    assert json.loads(told["ROLES"] or "") == ELEVATED


def test_the_script_is_the_one_that_is_tested_here(production):
    assert production.one("ConfigMap", "role-check-script").inputs["data"]["check_roles.cjs"] == FILE.read_text()
