"""The whole program: what it registers, how the tiers hang together, what it hands out."""

import difflib
import json
import os
from pathlib import Path

import pytest
import yaml

from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION

# What has encrypted something that would be lost with it.
FIXED = {"credentials-litellmSaltKey", "credentials-backendEncryptionKey"}
SNAPSHOTS = Path(__file__).with_name("snapshots")


def compare(name: str, text: str):
    """Compares with the stored snapshot; UPDATE_SNAPSHOTS=1 writes it anew."""
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    stored = file.read_text(encoding="utf-8")
    if stored != text:
        # Not by assert: its own comparison of two long texts takes seconds and shows less.
        changes = "\n".join(difflib.unified_diff(stored.splitlines(), text.splitlines(), "stored", "now", lineterm=""))
        pytest.fail(f"{name} differs; look, then run with UPDATE_SNAPSHOTS=1 if it is meant\n{changes}", pytrace=False)


@pytest.mark.parametrize("profile", ["demo", "production"])
def test_the_manifests_are_those_of_the_snapshot(profile, request):
    text = harness.snapshot(request.getfixturevalue(profile))
    list(yaml.safe_load_all(text))  # a snapshot is YAML that other tools can read
    compare(f"{profile}.yaml", text)


@pytest.mark.parametrize("profile", ["demo", "production"])
def test_the_urns_are_those_of_the_golden_list(profile, request):
    """A renamed URN without an alias is a deletion and a creation: it has to show in review."""
    compare(f"{profile}.urns", harness.urns(request.getfixturevalue(profile)))


def test_a_first_preview_with_every_output_unknown_registers_the_same_resources(run, request):
    config = DEMO if "demo" in request.node.name else PRODUCTION
    assert harness.urns(harness.run_program(config, preview=True)) == harness.urns(run)


def test_a_second_run_gives_the_same_manifests(demo):
    assert harness.snapshot(harness.run_program(DEMO)) == harness.snapshot(demo)


def test_without_models_the_program_still_stands():
    run = harness.run_program({"clusterDomain": harness.DOMAIN})
    assert run.exports["models"] == []
    assert not run.find("Model")


def test_the_outputs_are_the_addresses_an_operator_needs(demo):
    exports = dict(demo.exports)
    assert isinstance(exports.pop("litellm_ui_password"), harness.Secret)
    assert exports == {
        "portal_url": f"https://litemaas-litemaas.{harness.DOMAIN}",
        "gateway_url": f"https://litellm-litemaas.{harness.DOMAIN}",
        "api_url": f"https://litemaas-api-litemaas.{harness.DOMAIN}",
        "login_issuer": f"https://oauth-openshift.{harness.DOMAIN}",
        "namespace": "litemaas",
        "models": ["granite-8b-agent", "mistral-3-int4"],
    }


def test_the_program_says_nothing_when_all_is_well(run):
    assert run.log == []


def test_the_provider_stands_on_the_ambient_kubeconfig_and_the_pinned_context(demo):
    inputs = demo.one("kubernetes", "cluster").inputs
    assert (inputs["kubeconfig"], inputs["context"], inputs["clusterIdentifier"]) == ("", "double@lab", "dev")


def test_the_context_of_the_stack_file_is_the_one_that_is_asked():
    cluster = harness.FakeCluster()
    harness.run_program({**DEMO, "context": "admin@lab"}, cluster=cluster)
    assert cluster.asked_for == ["admin@lab"]


def test_a_missing_domain_is_taken_from_the_cluster():
    cluster = harness.FakeCluster(domain="apps.other.example.com")
    config = {key: value for key, value in DEMO.items() if key != "clusterDomain"}
    run = harness.run_program(config, cluster=cluster)
    assert run.exports["portal_url"] == "https://litemaas-litemaas.apps.other.example.com"


def test_a_changed_domain_changes_hosts_redirect_cors_and_urls_together():
    run = harness.run_program(
        {**DEMO, "clusterDomain": "apps.new.example.com"}, cluster=harness.FakeCluster(domain=None)
    )
    texts = [str(value) for one in run.registrations for _, value in harness.leaves(one.inputs)]
    assert not [text for text in texts if harness.DOMAIN in text], "something still names the old domain"
    named = [text for text in texts if "apps.new.example.com" in text]
    # Three hosts, redirect URI, callback, issuer, CORS origin, public gateway URL; of these the verification
    # is told the three URLs, issuer and callback, the link in the console's menu the portal's, and the page's
    # policy the gateway's.
    assert len(named) == 8 + 5 + 1 + 1


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("database-bootstrap", "database-server"),
        ("gateway-migration", "database-bootstrap"),
        ("gateway-proxy", "gateway-migration"),
        ("models-registration", "gateway-proxy"),
        ("models-registration", "gateway-service"),
        ("backend-server", "database-bootstrap"),
        ("backend-server", "models-registration"),
        ("backend-server", "oauth-client"),
        ("frontend-nginx", "backend-service"),
        ("gateway-proxy", "cache-service"),
    ],
)
def test_order_comes_from_dependencies(later, earlier, demo):
    def needs(name: str) -> set[str]:
        found = next(one for one in demo.registrations if one.name == name)
        direct = {urn.rsplit("::", 1)[1] for urn in found.dependencies}
        return direct.union(*(needs(one) for one in direct))

    assert earlier in needs(later), f"{later} could start before {earlier}"


def test_everything_in_the_namespace_waits_for_it(demo):
    space = demo.one("Namespace")
    for one in demo.manifests:
        if "namespace" in one.metadata:
            assert space.urn in one.dependencies, one.urn


def test_the_namespace_goes_by_the_configured_name_everywhere(production):
    spaces = {one.metadata["namespace"] for one in production.manifests if "namespace" in one.metadata}
    assert spaces == {"portal"}


def test_a_production_stack_has_two_of_what_can_have_two(production):
    replicas = {one.metadata["name"]: one.inputs["spec"]["replicas"] for one in production.servers}
    assert replicas == {"postgres": 1, "redis": 1, "litellm": 2, "backend": 1, "frontend": 2}


def test_a_disruption_budget_exists_only_where_more_than_one_pod_runs(demo, production):
    """With one replica a budget would block every node drain, or mean nothing."""
    assert not demo.find("PodDisruptionBudget")
    assert {one.metadata["name"] for one in production.find("PodDisruptionBudget")} == {"litellm", "frontend"}


def test_replicas_of_the_stack_file_win_over_the_profile():
    run = harness.run_program({**DEMO, "replicas": {"litellm": 3}})
    assert run.one("Deployment", "litellm").inputs["spec"]["replicas"] == 3
    assert [one.metadata["name"] for one in run.find("PodDisruptionBudget")] == ["litellm"]


def test_resources_of_the_stack_file_win_key_by_key(production):
    limits = harness.container(production.one("Deployment", "litellm"))["resources"]["limits"]
    assert limits == {"cpu": "1", "memory": "8Gi", "ephemeral-storage": "1Gi"}


def test_the_pull_secret_reaches_every_pod(demo, production):
    assert all(one.pod and one.pod["imagePullSecrets"] == [{"name": "registry-login"}] for one in production.workloads)
    assert not any("imagePullSecrets" in (one.pod or {}) for one in demo.workloads)


def test_the_storage_class_reaches_the_claim_and_is_left_out_otherwise(demo, production):
    def claim(run):
        return run.one("PersistentVolumeClaim", "postgres-data").inputs["spec"]

    assert claim(production)["storageClassName"] == "fast"
    assert claim(production)["resources"]["requests"]["storage"] == "50Gi"
    assert "storageClassName" not in claim(demo), "an empty class would mean: no dynamic volume"


def test_a_database_server_keeps_the_service_that_it_was_made_with(run):
    """Its name can never change: another one would delete server and pod to make them anew."""
    server = run.one("StatefulSet", "postgres")
    named = run.one("Service", server.inputs["spec"]["serviceName"])
    assert named.inputs["spec"]["clusterIP"] == "None", "a StatefulSet is to have a headless Service"
    assert server.ignore_changes == ("spec.serviceName",)


def test_a_failing_workload_is_explained(run):
    for one in run.awaited:
        assert one.error_hooks == ("explain-failure",), f"{one.urn} would fail without a word about its pods"


def test_a_failed_job_runs_again_at_the_next_up(run):
    """A Job that failed never runs again by itself, and nothing in its spec would have changed."""
    for one in run.manifests:
        assert ("pulumi.com/replaceUnready" in one.annotations) == (one.kind == "Job"), one.urn


def test_up_waits_for_each_workload_as_long_as_the_stack_file_says():
    run = harness.run_program({**DEMO, "rolloutTimeoutSeconds": 45})
    for one in run.awaited:
        assert one.annotations["pulumi.com/timeoutSeconds"] == "45", one.urn
        if one.kind == "Deployment":
            assert one.inputs["spec"]["progressDeadlineSeconds"] == 45
        if one.kind == "Job":
            assert one.inputs["spec"]["activeDeadlineSeconds"] == 45


def test_protected_data_cannot_be_deleted_by_accident(production):
    protected = {one.name for one in production.registrations if one.protect}
    assert protected == FIXED | {"foundation-namespace", "database-server", "database-data", "backend-backups"}


def test_every_generated_secret_outlives_the_protected_namespace(production):
    """A destroy deletes in the order of dependencies, and stops at the namespace."""
    needed = production.one("Namespace").dependencies
    assert {one.urn for one in production.find("Stash")} <= set(needed)


def test_nothing_is_protected_when_the_stack_file_says_so(demo):
    assert not [one.urn for one in demo.registrations if one.protect]


def test_generated_secrets_are_kept_from_the_first_run_on(run):
    for one in run.find("Stash"):
        assert one.ignore_changes == ("input",), f"{one.name} would get a new value at every up"


def test_two_runs_generate_different_secrets(demo):
    again = harness.run_program(DEMO)
    for one in demo.find("Stash"):
        assert one.inputs["input"] != again.one("Stash", one.name).inputs["input"]


def test_every_object_carries_the_labels_of_its_stack(run):
    for one in run.manifests:
        assert (
            one.labels.items()
            >= {
                "app.kubernetes.io/managed-by": "pulumi",
                "app.kubernetes.io/part-of": "litemaas",
                "app.kubernetes.io/instance": "dev",
            }.items()
        ), one.urn
        assert one.labels["app.kubernetes.io/component"], one.urn


def test_pods_carry_the_labels_too(run):
    for one in run.workloads:
        labels = one.template["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "dev", one.urn


def test_services_and_selectors_find_exactly_their_own_pods(run):
    for service in run.find("Service"):
        wanted = service.inputs["spec"]["selector"].items()
        found = [one for one in run.workloads if one.template["metadata"]["labels"].items() >= wanted]
        # The server's headless one is that of its StatefulSet.
        assert [one.metadata.get("name") for one in found] == [service.metadata["name"].removesuffix("-pods")], (
            service.urn
        )
    for one in run.servers:
        selector = one.inputs["spec"]["selector"]["matchLabels"]
        assert one.template["metadata"]["labels"].items() >= selector.items()


def test_secrets_and_config_maps_with_data_are_auto_named_and_immutable(run):
    """A changed value is then a new object, and that rolls the pods out."""
    for one in [*run.find("Secret"), *run.find("ConfigMap")]:
        if "data" in one.inputs or "stringData" in one.inputs:
            assert "name" not in one.metadata, one.urn
            assert one.inputs["immutable"] is True, one.urn


def test_only_addresses_are_named(run):
    """What an operator types, and what others address; Jobs rerun by being new objects."""
    named = {one.kind for one in run.manifests if "name" in one.metadata}
    assert named == {
        "Namespace",
        "ConfigMap",  # trusted-ca alone, which OpenShift fills
        "ServiceAccount",
        "Service",
        "Deployment",
        "CronJob",
        "StatefulSet",
        "PersistentVolumeClaim",
        "Route",
        "OAuthClient",
        "Group",
        "ConsoleLink",
        "NetworkPolicy",
    } | {kind for kind in ("PodDisruptionBudget", "ResourceQuota", "LimitRange") if run.find(kind)}
    assert [one.metadata["name"] for one in run.find("ConfigMap") if "name" in one.metadata] == ["trusted-ca"]


def test_every_reference_to_a_secret_or_config_map_leads_to_one(run):
    made = {one.metadata.get("name", f"{one.name}-auto") for one in run.manifests}
    made |= {"kube-root-ca.crt", "openshift-service-ca.crt"}  # in every namespace of OpenShift
    for workload in run.workloads:
        references = [
            (path, value)
            for path, value in harness.leaves(workload.pod)
            if path.endswith((".secretName", "Ref.name", ".configMap.name", "KeyRef.name", ".claimName"))
        ]
        for path, value in references:
            assert value in made, f"{workload.urn}{path} names {value}, which is not made"


def test_the_namespace_enforces_the_restricted_policy(run):
    assert run.one("Namespace").labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_trust_bundle_is_left_to_the_operator_that_fills_it(run):
    bundle = run.one("ConfigMap", "trusted-ca")
    assert bundle.labels["config.openshift.io/inject-trusted-cabundle"] == "true"
    assert "data" not in bundle.inputs, "owning data would empty what OpenShift injected"
    assert "immutable" not in bundle.inputs


def test_a_model_row_shows_its_declaration_and_one_object_carries_them_all(production):
    shown = production.one("Model").inputs
    assert shown["endpoints"][0]["served_name"] == "intfloat/e5"
    assert shown["input_price"] == 1e-07
    carrier = production.one("ConfigMap", "models-declarations")
    assert json.loads(carrier.inputs["data"]["embedder.json"]) == {**shown, "tpm": None}


@pytest.mark.parametrize(
    ("host", "more"), [("new.private-ai.svc", set()), ("new.example.com", {"isolation-litellm"})], ids=["near", "far"]
)
def test_one_changed_model_changes_that_model_the_way_to_it_and_the_job_only(demo, host, more):
    entry = {"endpoint": f"http://{host}/v1", "contextLength": 16384, "tools": True}
    changed = harness.run_program({**DEMO, "models": [{"name": "granite-8b-agent", **entry}, "mistral-3-int4"]})
    generated = {"Secret", "OAuthClient"}
    before = {one.urn: one.marked for one in demo.registrations if one.kind not in generated}
    differing = {one.name for one in changed.registrations if before.get(one.urn, one.marked) != one.marked}
    differing -= {one.name for one in demo.registrations if one.kind in generated | {"Stash"}}
    rows = {"models-granite-8b-agent", "models-declarations"}
    assert differing == rows | more, "auto-naming then makes a new Job"
