"""What each pod may ask the API server for, in every mode of configuration: nothing, with one exception."""

import pytest

from tests import harness, modes
from tests.modes import MODES
from tests.unit.ways import component

# The only pod that asks the API server anything, and what it may ask.
ASKS = "role-check"
# Jobs of a tier that use its account: they hold the same passwords, and none of them has a right to anything.
OF_A_TIER = {"postgres-bootstrap": "postgres", "litellm-migration": "litellm"}
CREDENTIALS = ("serviceAccountToken", "clusterTrustBundle", "podCertificate")


@pytest.fixture(params=MODES)
def any_run(request) -> harness.Run:
    return modes.run(request.param)


def sources(workload: harness.Registration) -> list[dict]:
    """Everything that the pods' volumes are filled from."""
    volumes = (workload.pod or {}).get("volumes", [])
    return [*volumes, *(each for one in volumes for each in one.get("projected", {}).get("sources", []))]


def test_no_token_is_mounted_by_itself(any_run):
    for workload in any_run.workloads:
        assert (workload.pod or {})["automountServiceAccountToken"] is False, workload.urn
    for account in any_run.find("ServiceAccount"):
        assert account.inputs["automountServiceAccountToken"] is False, account.urn


def test_a_token_is_given_to_the_one_that_asks_and_for_minutes_only(any_run):
    for workload in any_run.workloads:
        given = [each for each in sources(workload) if set(CREDENTIALS) & set(each)]
        assert bool(given) == (component(workload) == ASKS), workload.urn
        for each in given:
            assert each["serviceAccountToken"]["expirationSeconds"] == 600


def test_no_secret_holds_a_token_that_lasts(any_run):
    for one in any_run.find("Secret"):
        assert one.inputs.get("type") != "kubernetes.io/service-account-token", one.urn


def test_every_tier_is_somebody_of_its_own(any_run):
    accounts = {one.metadata["name"] for one in any_run.find("ServiceAccount")}
    used = {component(one): (one.pod or {})["serviceAccountName"] for one in any_run.workloads}
    assert used == {name: OF_A_TIER.get(name, name) for name in used}
    # With another server, the account of PostgreSQL is that of the bootstrap Job alone.
    assert accounts == set(used.values()), "an account that nobody uses, or one that nobody made"


def test_rights_are_those_of_the_one_that_asks_and_name_what_it_reads(any_run):
    assert not [*any_run.find("Role"), *any_run.find("RoleBinding")]
    for binding in any_run.find("ClusterRoleBinding"):
        home = any_run.exports["namespace"]
        assert binding.inputs["subjects"] == [{"kind": "ServiceAccount", "name": ASKS, "namespace": home}]
    for role in any_run.find("ClusterRole"):
        for rule in role.inputs["rules"]:
            assert (rule["apiGroups"], rule["resources"], rule["verbs"]) == (["user.openshift.io"], ["groups"], ["get"])
            assert rule["resourceNames"]
            assert "*" not in [text for _, text in harness.leaves(rule)]
    asking = {component(one) for one in any_run.workloads if component(one) == ASKS}
    assert len(any_run.find("ClusterRoleBinding")) == len(any_run.find("ClusterRole")) == len(asking)
