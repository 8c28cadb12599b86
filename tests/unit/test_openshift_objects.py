"""OpenShift's own kinds: the rules that its real API servers taught (openshift-apis.md section 3)."""

import json

import pulumi
import pytest
from pulumi import Output, ResourceOptions
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from components import openshift
from tests import harness
from tests.unit.conftest import DEMO


def zero_values(value, path=""):
    """Paths of values that the aggregated API servers drop, after which every preview shows a change."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from zero_values(inner, f"{path}.{key}")
    if value in ("", False) or value is None or (isinstance(value, dict | list) and not value):
        yield path


def test_no_zero_value_is_written_to_openshifts_own_kinds(run):
    for one in [*run.find("OAuthClient"), *run.find("Route"), *run.find("Group")]:
        fields = {key: value for key, value in one.inputs.items() if key != "metadata"}
        found = list(zero_values(fields))
        allowed = [".users"] if one.kind == "Group" else []
        assert set(found) <= set(allowed), f"{one.urn} writes {found}"


def test_the_oauth_client_asks_nobody_and_opens_two_scopes_only(run):
    client = run.one("OAuthClient").inputs
    assert client["grantMethod"] == "auto"
    assert client["scopeRestrictions"] == [{"literals": ["user:info", "user:check-access"]}]
    assert set(client) == {
        "apiVersion",
        "kind",
        "metadata",
        "secret",
        "redirectURIs",
        "grantMethod",
        "scopeRestrictions",
    }


def test_the_redirect_uri_is_the_full_callback(run):
    host = run.one("Route", "litemaas").inputs["spec"]["host"]
    assert run.one("OAuthClient").inputs["redirectURIs"] == [f"https://{host}/api/auth/callback"]


def test_the_secret_of_the_oauth_client_is_marked_and_never_empty(run):
    secret = run.one("OAuthClient").marked["secret"]
    assert isinstance(secret, harness.Secret)
    assert len(secret.value) >= 32, "with none, the token exchange succeeds for anybody"


def test_redirect_uris_given_twice_are_written_once():
    def program():
        openshift.oauth_client(
            "client",
            metadata=ObjectMetaArgs(name="client"),
            secret=Output.secret("x" * 32),
            redirect_uris=["https://a.example.com/cb", "https://b.example.com/cb", "https://a.example.com/cb"],
            opts=ResourceOptions(),
        )

    uris = harness.build(program).one("OAuthClient").inputs["redirectURIs"]
    assert uris == ["https://a.example.com/cb", "https://b.example.com/cb"]


def test_a_secret_that_was_not_marked_still_reaches_the_client_marked():
    def program():
        openshift.oauth_client(
            "client",
            metadata=ObjectMetaArgs(name="client"),
            secret=Output.from_input("x" * 32),
            redirect_uris=["https://a.example.com/cb"],
            opts=ResourceOptions(),
        )

    assert isinstance(harness.build(program).one("OAuthClient").marked["secret"], harness.Secret)


def test_the_client_is_named_after_the_namespace_because_it_is_of_the_whole_cluster(demo, production):
    assert demo.one("OAuthClient").metadata["name"] == "litemaas-oauth-client"
    assert production.one("OAuthClient").metadata["name"] == "portal-oauth-client"
    assert "namespace" not in demo.one("OAuthClient").metadata


def test_groups_have_the_names_that_litemaas_knows(run):
    names = {one.metadata["name"] for one in run.find("Group")}
    assert names == {"litemaas-admins", "litemaas-readonly", "litemaas-users"}


def test_a_group_without_members_in_the_configuration_has_no_users_key(demo):
    assert demo.one("Group", "litemaas-admins").inputs["users"] == ["alice"]
    for name in ("litemaas-readonly", "litemaas-users"):
        assert "users" not in demo.one("Group", name).inputs, "an empty list would own what `oc` added"


def test_groups_managed_elsewhere_are_not_made():
    run = harness.run_program({**DEMO, "access": {"manageGroups": False}})
    assert not run.find("Group")
    assert run.find("OAuthClient")


def test_a_route_states_host_target_weight_termination_and_wildcard_policy(run):
    for route in run.find("Route"):
        spec = route.inputs["spec"]
        # A Route for one path of the gateway has the path behind its name.
        name = "litellm" if "path" in spec else route.metadata["name"]
        assert spec["host"] == f"{name}-{route.metadata['namespace']}.{harness.DOMAIN}"
        assert spec["to"].items() >= {"kind": "Service", "weight": 100}.items()
        assert spec["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}
        assert spec["wildcardPolicy"] == "None"


def test_a_route_names_a_service_and_a_port_that_exist(run):
    for route in run.find("Route"):
        service = run.one("Service", route.inputs["spec"]["to"]["name"])
        ports = {port["name"] for port in service.inputs["spec"]["ports"]}
        assert route.inputs["spec"]["port"]["targetPort"] in ports


def test_a_changed_host_changes_the_route_on_the_spot(run):
    """Whoever may make OAuthClients may change hosts; a replacement would be dry-run against the old Route."""
    for route in run.find("Route"):
        assert route.replace_on_changes == (), route.urn


def test_a_group_whose_members_are_others_is_never_updated(run):
    """At any update the provider would take over the members that kubectl wrote, and drop them."""
    for group in run.find("Group"):
        left = () if "users" in group.inputs else ("users", "metadata.labels", "metadata.annotations")
        assert group.ignore_changes == left, group.urn


def test_up_waits_until_a_router_has_admitted_each_route(run):
    """Another Route may hold the host already; stored is not served."""
    for route in run.find("Route"):
        marked, admitted = json.loads(route.annotations["pulumi.com/waitFor"])
        assert admitted.endswith('(@.type=="Admitted")].status}=True')
        assert marked == f"jsonpath={{.metadata.annotations.entrance}}={route.annotations['entrance']}"
        assert route.annotations["pulumi.com/timeoutSeconds"] == "600"
        assert route.error_hooks == ("explain-failure",), f"{route.urn} would fail without the router's reason"


def test_the_mark_of_a_route_changes_with_what_the_router_is_told():
    """By it the engine tells the changed Route from the one before, which is admitted as well."""
    runs = [harness.run_program({**DEMO, "exposure": exposure}) for exposure in ({}, {"allowFrom": ["10.0.0.0/8"]})]
    marks = [{one.metadata["name"]: one.annotations["entrance"] for one in run.find("Route")} for run in runs]
    assert all(marks[0][name] != marks[1][name] for name in marks[0])


@pytest.mark.parametrize(
    "kind",
    ["Deployment", "StatefulSet", "Namespace", "Service", "Route", "OAuthClient", "Group", "NetworkPolicy"],
)
def test_what_is_wholly_ours_is_healed_when_somebody_changed_it(kind, run):
    for one in run.find(kind):
        assert one.annotations["pulumi.com/patchForce"] == "true", one.urn


def test_what_others_may_write_to_is_not_taken_by_force(run):
    for kind in ("Secret", "ConfigMap", "PersistentVolumeClaim", "ServiceAccount"):
        for one in run.find(kind):
            assert "pulumi.com/patchForce" not in one.annotations, one.urn


def test_custom_resources_are_typed_as_the_engine_expects(run):
    assert run.one("OAuthClient").type == "kubernetes:oauth.openshift.io/v1:OAuthClient"
    assert {one.type for one in run.find("Group")} == {"kubernetes:user.openshift.io/v1:Group"}
    assert {one.type for one in run.find("Route")} == {"kubernetes:route.openshift.io/v1:Route"}
    assert pulumi.CustomResource in openshift.Manifest.__mro__
