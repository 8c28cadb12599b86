"""What must be true of the cluster is asked before anything is registered; everything wrong is told at once."""

import json

import pytest
from pulumi import RunError

from config.cluster import Answer
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION, planned_for

OURS = {"app.kubernetes.io/instance": harness.STACK, "app.kubernetes.io/managed-by": "pulumi"}
NAMESPACE = "/api/v1/namespaces/litemaas"
CLIENT = "/apis/oauth.openshift.io/v1/oauthclients/litemaas-oauth-client"
CONFIG_MAPS = f"{NAMESPACE}/configmaps"
# Without a fixed meaning for others, or made by the namespace's own controllers.
NOT_ASKED = {"ServiceAccount", "ConfigMap", "PodDisruptionBudget"}


def cluster(answers=None, **more) -> harness.FakeCluster:
    return harness.FakeCluster(answers, **more)


def refusal(double: harness.FakeCluster, config=None, **more) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program(DEMO if config is None else config, cluster=double, **more)
    text = str(refused.value)
    assert text.startswith("The cluster is not ready for stack dev ("), text
    assert "nothing was touched" in text
    assert "Traceback" not in text
    return text


def owned(**metadata) -> dict:
    return {"metadata": {"name": "litemaas", "labels": OURS, **metadata}}


def offered(*names: str) -> dict:
    return {"items": [{"data": {f"{name}.json": json.dumps({"model": name}) for name in names}}]}


def test_an_unreachable_api_server_is_told_once_with_its_cure():
    text = refusal(cluster(unreachable="the API server x does not answer: timed out; check the network"))
    assert "(1 problem)" in text
    assert text.count("timed out") == 1
    assert "check the network" in text


def test_nothing_is_registered_when_preflight_refuses(monkeypatch):
    """The engine would otherwise have created what came first."""
    registered = []
    monkeypatch.setattr(harness, "_record", lambda *request: registered.append(request))
    refusal(cluster(missing_apis={"route.openshift.io"}))
    assert registered == []


@pytest.mark.parametrize("api", ["route.openshift.io", "oauth.openshift.io", "user.openshift.io"])
def test_a_missing_api_is_named_with_what_cannot_be_made(api):
    text = refusal(cluster(missing_apis={api}))
    assert f"cluster API {api}" in text
    assert "is not served by https://api.lab.example.com:6443" in text
    assert "(1 problem)" in text, "its permissions are not reported as well"


def test_the_group_api_is_not_needed_where_groups_are_managed_elsewhere():
    double = cluster(missing_apis={"user.openshift.io"})
    assert harness.run_program({**DEMO, "access": {"manageGroups": False}}, cluster=double).manifests


@pytest.mark.parametrize("resource", ["namespaces", "oauthclients", "groups"])
def test_missing_rights_at_cluster_scope_are_told_with_their_verbs(resource):
    text = refusal(cluster(denied={("create", resource), ("patch", resource)}))
    assert f"permission on {resource}" in text
    assert "you may not create, patch them" in text
    assert "cluster admin" in text


def test_rights_on_groups_are_not_asked_where_groups_are_managed_elsewhere():
    double = cluster(denied={("create", "groups")})
    assert harness.run_program({**DEMO, "access": {"manageGroups": False}}, cluster=double).manifests


def test_objects_of_this_stack_are_no_obstacle():
    answers = {CLIENT: owned(), NAMESPACE: owned(), f"{NAMESPACE}/services/redis": owned()}
    assert harness.run_program(DEMO, cluster=cluster(answers)).manifests


def test_a_namespace_that_nobody_labelled_is_somebody_elses():
    text = refusal(cluster({NAMESPACE: {"metadata": {"name": "litemaas"}}}))
    assert "Namespace litemaas" in text
    assert "belongs to somebody else" in text
    assert "oc label --overwrite namespace litemaas app.kubernetes.io/instance=dev" in text


def test_an_oauth_client_of_another_stack_is_refused_with_its_name():
    labels = {**OURS, "app.kubernetes.io/instance": "staging"}
    text = refusal(cluster({CLIENT: {"metadata": {"name": "litemaas-oauth-client", "labels": labels}}}))
    assert "OAuthClient litemaas-oauth-client" in text
    assert "belongs to stack or release staging (pulumi)" in text


def test_a_helm_release_of_the_same_name_is_refused():
    labels = {**OURS, "app.kubernetes.io/managed-by": "Helm"}
    assert "stack or release dev (Helm)" in refusal(cluster({NAMESPACE: {"metadata": {"labels": labels}}}))


def test_a_group_of_another_installation_is_refused_with_its_cure():
    path = "/apis/user.openshift.io/v1/groups/litemaas-admins"
    text = refusal(cluster({path: {"metadata": {"name": "litemaas-admins"}}}))
    assert "Group litemaas-admins" in text
    assert "oc label --overwrite group litemaas-admins" in text


def test_a_deployment_made_by_hand_in_the_namespace_is_refused():
    path = "/apis/apps/v1/namespaces/litemaas/deployments/backend"
    text = refusal(cluster({NAMESPACE: owned(), path: {"metadata": {"name": "backend", "labels": {}}}}))
    assert "Deployment backend" in text
    assert "oc label --overwrite deployment backend -n litemaas" in text


def test_a_namespace_that_is_being_deleted_is_waited_for_by_the_operator():
    text = refusal(cluster({NAMESPACE: owned(deletionTimestamp="2026-01-01T00:00:00Z")}))
    assert "is being deleted" in text
    assert "oc get namespace litemaas" in text


def test_another_clusters_domain_is_refused_with_the_right_one():
    text = refusal(cluster(domain="apps.other.example.com"))
    assert f"litemaas:clusterDomain = {harness.DOMAIN}" in text
    assert "write apps.other.example.com" in text


def test_a_domain_that_neither_stack_file_nor_cluster_says_is_asked_for():
    config = {key: value for key, value in DEMO.items() if key != "clusterDomain"}
    text = refusal(cluster(domain=None), config)
    assert "litemaas:clusterDomain" in text
    assert "pulumi config set litemaas:clusterDomain apps." in text


def test_the_domain_of_the_stack_file_is_enough_where_the_cluster_does_not_say():
    assert harness.run_program(DEMO, cluster=cluster(domain=None)).manifests


def test_a_model_that_left_the_stack_file_is_refused():
    text = refusal(cluster({CONFIG_MAPS: offered("granite-8b-agent", "gone")}))
    assert "litemaas:models = gone" in text
    assert "retiredModels: [gone]" in text
    assert "(1 problem)" in text, "the declared one is none"


def test_a_model_that_is_retired_on_purpose_may_go():
    double = cluster({CONFIG_MAPS: offered("gone")})
    assert harness.run_program({**DEMO, "retiredModels": ["gone"]}, cluster=double).manifests


def test_offered_models_are_looked_up_by_the_labels_that_the_program_writes(demo):
    double = cluster()
    harness.run_program(DEMO, cluster=double)
    asked = next(path for _, path in double.requests if path.startswith(CONFIG_MAPS))
    wanted = dict(pair.split("%3D") for pair in asked.split("labelSelector=")[1].split(","))
    (carrier,) = [one for one in demo.find("ConfigMap") if one.labels.items() >= wanted.items()]
    assert {json.loads(text)["model"] for text in carrier.inputs["data"].values()} == set(demo.exports["models"])


def test_everything_that_is_wrong_is_told_at_once():
    double = cluster(
        {
            NAMESPACE: {"metadata": {"name": "litemaas"}},
            CLIENT: {"metadata": {"name": "litemaas-oauth-client", "labels": {}}},
            CONFIG_MAPS: offered("gone"),
        },
        domain="apps.other.example.com",
        missing_apis={"route.openshift.io"},
        denied={("create", "groups")},
    )
    text = refusal(double)
    assert "(6 problems)" in text
    for where in ("clusterDomain", "route.openshift.io", "permission on groups", "Namespace", "OAuthClient", "models"):
        assert where in text


def test_a_preview_is_refused_like_an_up():
    assert "cluster API" in refusal(cluster(missing_apis={"route.openshift.io"}), preview=True)


def test_preflight_only_asks():
    double = cluster()
    harness.run_program(DEMO, cluster=double)
    changing = [(verb, path) for verb, path in double.requests if verb != "GET"]
    assert {path for _, path in changing} == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_an_object_that_cannot_be_read_is_no_proof_of_anything(status):
    """The rights are asked for by themselves; a refusal here would name the wrong cause."""
    assert harness.run_program(DEMO, cluster=cluster({NAMESPACE: Answer(status, {"kind": "Status"})})).manifests


def test_a_redirect_uri_that_somebody_added_is_refused_with_the_command_that_removes_it():
    callback = f"https://litemaas-litemaas.{harness.DOMAIN}/api/auth/callback"
    client = {**owned(name="litemaas-oauth-client"), "redirectURIs": [callback, "https://evil.example.com/"]}
    text = refusal(cluster({CLIENT: client}))
    assert "redirectURIs[1] = https://evil.example.com/" in text
    assert '"op": "remove", "path": "/redirectURIs/1"' in text
    assert "(1 problem)" in text


def test_a_redirect_uri_of_an_earlier_domain_of_ours_is_no_strangers():
    old = "https://litemaas-litemaas.apps.old.example.com/api/auth/callback"
    fields = [{"manager": "pulumi-kubernetes", "fieldsV1": {"f:redirectURIs": {f'v:"{old}"': {}}}}]
    client = {**owned(name="litemaas-oauth-client", managedFields=fields), "redirectURIs": [old]}
    assert harness.run_program(DEMO, cluster=cluster({CLIENT: client})).manifests


CLAIMS = f"{NAMESPACE}/persistentvolumeclaims"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def claim(name: str, size: str, storage_class: str | None = "fast") -> dict:
    spec: dict = {"resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {f"{CLAIMS}/{name}": {**owned(name=name), "spec": spec}}


EXPANDABLE = {f"{CLASSES}/fast": {"allowVolumeExpansion": True}}
FIXED = {f"{CLASSES}/fast": {"provisioner": "x"}}


@pytest.mark.parametrize(
    ("name", "path", "size"),
    [("postgres-data", "database.storage", "10Gi"), ("backend-backups", "storage.backups", "5Gi")],
)
def test_a_claim_that_would_shrink_is_refused_with_the_size_that_it_has(name, path, size):
    text = refusal(cluster(claim(name, "20Gi") | EXPANDABLE))
    assert f"litemaas:{path}.size = {size}" in text
    assert f"is less than the 20Gi that claim {name} has; a claim never shrinks" in text
    assert "write 20Gi" in text


def test_a_claim_grows_where_its_storage_class_lets_it():
    double = cluster(claim("postgres-data", "5Gi") | claim("backend-backups", "1Gi") | EXPANDABLE)
    assert harness.run_program(DEMO, cluster=double).manifests


@pytest.mark.parametrize("storage_class", ["fast", None])
def test_a_claim_of_a_class_that_does_not_let_it_grow_is_refused(storage_class):
    text = refusal(cluster(claim("postgres-data", "5Gi", storage_class) | FIXED))
    assert "litemaas:database.storage.size = 10Gi" in text
    assert f"its StorageClass {storage_class or '(none)'} does not allow volumes to grow" in text
    assert "write 5Gi, or have a cluster admin set allowVolumeExpansion" in text


def test_a_class_that_cannot_be_read_is_no_proof_of_anything():
    assert harness.run_program(DEMO, cluster=cluster(claim("postgres-data", "5Gi"))).manifests


def test_storage_classes_are_only_asked_for_where_a_claim_is_to_grow():
    double = cluster(claim("postgres-data", "10Gi") | EXPANDABLE)
    harness.run_program(DEMO, cluster=double)
    assert not [path for _, path in double.requests if path.startswith(CLASSES)]


def test_the_same_size_in_other_words_is_no_change():
    assert harness.run_program(DEMO, cluster=cluster(claim("postgres-data", "10240Mi") | FIXED)).manifests


def test_a_moved_claim_is_refused():
    config = {**DEMO, "database": {"storage": {"size": "10Gi", "storageClass": "slow"}}}
    text = refusal(cluster(claim("postgres-data", "10Gi")), config)
    assert "litemaas:database.storage.storageClass = slow" in text
    assert "it would be replaced by an empty one; write fast" in text
    assert "dump both databases" in text


DATABASE = "/apis/apps/v1/namespaces/litemaas/statefulsets/postgres"


def running(image: str) -> harness.FakeCluster:
    spec = {"template": {"spec": {"containers": [{"name": "postgres", "image": image}]}}}
    return cluster({DATABASE: {**owned(name="postgres"), "spec": spec}})


@pytest.mark.parametrize(("live", "why"), [(15, "version 16 cannot read"), (17, "no older version can read")])
def test_another_major_version_of_postgresql_is_refused_with_what_to_do(live, why):
    text = refusal(running(f"quay.io/sclorg/postgresql-{live}-c9s:latest"))
    assert "litemaas:images.postgres = quay.io/sclorg/postgresql-16-c9s:latest" in text
    assert f"the data is of PostgreSQL {live}, which {why}" in text
    assert f"write an image of version {live}" in text
    assert "dump both databases, deploy a new stack" in text
    assert "(1 problem)" in text


@pytest.mark.parametrize("image", ["registry.example.com/postgres:16.1", "registry.example.com/team/database:3"])
def test_another_build_of_the_same_version_or_an_unknown_one_is_none_of_it(image):
    assert harness.run_program(DEMO, cluster=running(image)).manifests


HERE = {"name": "m", "endpoint": "http://m:8080/v1", "contextLength": 4096}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"access": {"manageGroups": False}},
        {"access": {"enforceGroups": True}},
        {"models": [HERE]},
        {"isolation": {"quota": {}, "limitRange": {}, "monitoring": True}},
    ],
    ids=["groups", "no groups", "enforced groups", "a model in the portal's namespace", "a quota"],
)
def test_preflight_looks_at_exactly_the_named_objects_that_the_program_registers(settings):
    config = {**DEMO, **settings, "profile": "production"}
    run = harness.run_program(config)
    registered = {
        (one.kind, one.metadata["name"], one.metadata.get("namespace", ""))
        for one in run.manifests
        if "name" in one.metadata and one.kind not in NOT_ASKED
    }
    planned = planned_for(harness.read_config(config))
    assert {(one.kind, one.name, one.namespace) for one in planned} == registered
    assert len(planned) == len(registered)


def test_the_paths_that_preflight_asks_are_those_of_the_objects(production):
    """Group, version and plural of a path must fit the kind, or a stranger's object is never seen."""
    plurals = {"NetworkPolicy": "networkpolicies"}
    for one in planned_for(harness.read_config(PRODUCTION)):
        api = production.one(one.kind, one.name).inputs["apiVersion"]
        prefix = f"/apis/{api}" if "/" in api else f"/api/{api}"
        space = f"/namespaces/{one.namespace}" if one.namespace else ""
        plural = plurals.get(one.kind, f"{one.kind.lower()}s")
        assert one.path == f"{prefix}{space}/{plural}/{one.name}"


def scaled(deployment: str, most: int) -> dict:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": deployment}, "maxReplicas": most}
    scalers = {"items": [{"metadata": {"name": "by-hand"}, "spec": spec}]}
    return {"/apis/autoscaling/v2/namespaces/litemaas/horizontalpodautoscalers": Answer(200, scalers)}


def test_an_autoscaler_may_not_make_more_gateway_pods_than_the_database_has_connections_for():
    text = refusal(cluster(scaled("litellm", 15)))
    assert "HorizontalPodAutoscaler by-hand maxReplicas" in text
    assert "may open 210 database connections" in text
    assert harness.run_program(DEMO, cluster=cluster(scaled("frontend", 99))).manifests


def test_replicas_under_an_autoscaler_are_left_to_it():
    run = harness.run_program(DEMO, cluster=cluster(scaled("litellm", 14)))
    left = {one.metadata["name"]: one.ignore_changes for one in run.find("Deployment")}
    assert left == {"litellm": ("spec.replicas",), "backend": (), "frontend": (), "redis": ()}
