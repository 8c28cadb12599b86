"""What is changed behind the program's back is shown by `preview --refresh` and healed by `up --refresh`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.engine.driver import (
    ADMINS,
    NAMESPACE,
    READONLY,
    USERS,
    Cluster,
    Json,
    Project,
)

CLIENT = "litemaas-oauth-client"
TIMEOUT = "haproxy.router.openshift.io/timeout"


@dataclass(frozen=True)
class Field:
    """A field that somebody changes: where it is and how the program names the object."""

    resource: str
    name: str
    row: str
    read: Callable[[Json], Any]
    patch: Json
    namespace: str | None = NAMESPACE


def _image(each: Json) -> str:
    return each["spec"]["template"]["spec"]["containers"][0]["image"]


def _containers(name: str, image: str) -> Json:
    return {"spec": {"template": {"spec": {"containers": [{"name": name, "image": image}]}}}}


ROUTE_TIMEOUT = Field(
    "route",
    "litellm",
    "gateway-route",
    lambda each: each["metadata"]["annotations"][TIMEOUT],
    {"metadata": {"annotations": {TIMEOUT: "1s"}}},
)
ROUTE_POLICY = Field(
    "route",
    "litemaas",
    "frontend-litemaas",
    lambda each: each["spec"]["tls"]["insecureEdgeTerminationPolicy"],
    {"spec": {"tls": {"insecureEdgeTerminationPolicy": "Allow"}}},
)
IMAGE = Field("deployment", "frontend", "frontend-nginx", _image, _containers("frontend", "quay.io/example/changed:1"))
REPLICAS = Field(
    "deployment", "litellm", "gateway-proxy", lambda each: each["spec"]["replicas"], {"spec": {"replicas": 3}}
)
GRANT = Field("oauthclient", CLIENT, "oauth-client", lambda each: each["grantMethod"], {"grantMethod": "prompt"}, None)
SECRET = Field("oauthclient", CLIENT, "oauth-client", lambda each: each["secret"], {"secret": "set-by-hand"}, None)
MEMBER = Field("group", READONLY, f"oauth-{READONLY}", lambda each: each["users"], {"users": ["mallory"]}, None)
SELECTOR = Field(
    "service",
    "redis",
    "cache-service",
    lambda each: each["spec"]["selector"],
    {"spec": {"selector": {"app.kubernetes.io/component": "nothing"}}},
)
DATABASE = Field(
    "statefulset", "postgres", "database-server", _image, {"spec": {"template": {"spec": {"containers": None}}}}
)
POLICY = Field(
    "namespace",
    NAMESPACE,
    "foundation-namespace",
    lambda each: each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
    {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    None,
)
LINK = Field(
    "consolelink",
    "litemaas-portal",
    "application-menu-link",
    lambda each: each["spec"]["href"],
    {"spec": {"href": "https://example.com"}},
    None,
)
FIELDS = (ROUTE_TIMEOUT, ROUTE_POLICY, IMAGE, REPLICAS, GRANT, SECRET, MEMBER, SELECTOR, DATABASE, POLICY, LINK)
OURS = "quay.io/example/ours:2"


def tamper(cluster: Cluster, field: Field) -> None:
    """Change it as a person with kubectl does."""
    if field is IMAGE or field is DATABASE:
        container = "frontend" if field is IMAGE else "postgres"
        image = f"{container}=quay.io/example/changed:1"
        cluster.kubectl("set", "image", "-n", NAMESPACE, f"{field.resource}/{field.name}", image)
    elif field is REPLICAS:
        cluster.kubectl("scale", "-n", NAMESPACE, "deployment/litellm", "--replicas=3")
    else:
        cluster.patch(field.resource, field.name, field.patch, field.namespace)


def test_what_kubectl_changed_is_shown_and_healed(drifter: Project, drifting: Cluster) -> None:
    wanted = [each.read(drifting.get(each.resource, each.name, each.namespace)) for each in FIELDS]
    for each in FIELDS:
        tamper(drifting, each)
    changed = [each.read(drifting.get(each.resource, each.name, each.namespace)) for each in FIELDS]
    assert all(before != after for before, after in zip(wanted, changed, strict=True))
    assert drifter.plan("--refresh").names == {each.row for each in FIELDS}
    drifter.up("--refresh")
    now = [each.read(drifting.get(each.resource, each.name, each.namespace)) for each in FIELDS]
    assert now == wanted


def test_replicas_that_an_autoscaler_sets_and_members_that_the_config_does_not_list_are_left(
    drifter: Project, drifting: Cluster
) -> None:
    drifting.patch("group", USERS, {"users": ["dave", "erin"]}, None)
    drifting.kubectl("autoscale", "-n", NAMESPACE, "deployment/litellm", "--min=2", "--max=4", "--cpu-percent=80")
    # The real controller scales to its minimum even without any metrics.
    drifting.kubectl(
        "wait", "-n", NAMESPACE, "deployment/litellm", "--for=jsonpath={.spec.replicas}=2", "--timeout=60s"
    )
    # One annotation: a rollout is no longer waited for by the number of its pods.
    (change,) = drifter.preview_json("--refresh")
    assert change.name == "gateway-proxy"
    assert all(path.startswith("metadata.annotations") for path in change.diff), change.diff
    # Not even a change of the Group itself touches its members.
    drifting.kubectl("label", "--overwrite", "group", USERS, "app.kubernetes.io/part-of=changed")
    drifter.up("--refresh")
    assert drifting.get("deployment", "litellm")["spec"]["replicas"] == 2
    assert drifting.get("group", USERS, None)["users"] == ["dave", "erin"]


def test_what_another_manager_took_over_and_what_was_deleted_are_shown_and_healed_without_a_conflict(
    drifter: Project, drifting: Cluster
) -> None:
    route, client = drifting.get("route", "litellm"), drifting.get("oauthclient", CLIENT, None)
    image = _image(drifting.get("deployment", "frontend"))
    drifting.apply_as(
        "argo",
        {
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": {"name": "litellm", "namespace": NAMESPACE, "annotations": {TIMEOUT: "5s"}},
            "spec": {"host": route["spec"]["host"], "to": route["spec"]["to"]},
        },
    )
    drifting.apply_as(
        "argo",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "frontend", "namespace": NAMESPACE},
            **_containers("frontend", "quay.io/example/argo:1"),
        },
    )
    drifting.apply_as(
        "argo",
        {
            "apiVersion": "oauth.openshift.io/v1",
            "kind": "OAuthClient",
            "metadata": {"name": CLIENT},
            "grantMethod": "prompt",
        },
    )
    drifting.kubectl("delete", "-n", NAMESPACE, "route/litemaas-api", "deployment/redis", "configmap/trusted-ca")
    # Without the autoscaler the replicas are ours again.
    drifting.kubectl("delete", "-n", NAMESPACE, "horizontalpodautoscaler", "litellm", "--ignore-not-found")
    shown = {(step.op, step.name) for step in drifter.preview_json("--refresh")}
    assert shown == {
        ("update", "gateway-route"),
        ("update", "frontend-nginx"),
        ("update", "oauth-client"),
        ("update", "gateway-proxy"),
        ("create", "frontend-litemaas-api"),
        ("create", "cache-redis"),
        ("create", "foundation-trusted-ca"),
    }
    drifter.up("--refresh")
    assert drifting.get("route", "litellm")["metadata"]["annotations"][TIMEOUT] == "610s"
    assert _image(drifting.get("deployment", "frontend")) == image
    assert drifting.get("oauthclient", CLIENT, None)["grantMethod"] == client["grantMethod"]
    assert drifting.get("deployment", "redis")["status"]["readyReplicas"] == 1
    assert drifting.get("deployment", "litellm")["spec"]["replicas"] == 1


def test_a_member_added_to_a_group_that_the_config_lists_does_not_go_unnoticed(
    drifter: Project, drifting: Cluster
) -> None:
    drifting.patch("group", ADMINS, {"users": ["alice", "mallory"]}, None)
    try:
        said = drifter.preview("--refresh", "--diff", expect=None)
        assert "mallory" in said, said
    finally:
        drifting.patch("group", ADMINS, {"users": ["alice"]}, None)


def test_a_redirect_uri_that_somebody_added_is_refused_with_the_command_that_removes_it(
    drifter: Project, drifting: Cluster
) -> None:
    ours = drifting.get("oauthclient", CLIENT, None)["redirectURIs"]
    theirs = "https://evil.example.com/callback"
    drifting.apply_as(
        "somebody",
        {
            "apiVersion": "oauth.openshift.io/v1",
            "kind": "OAuthClient",
            "metadata": {"name": CLIENT},
            "grantMethod": "auto",
            "redirectURIs": [theirs],
        },
    )
    said = drifter.refused()
    assert f"= {theirs}" in said
    command = said.partition(f"remove it: oc patch oauthclient {CLIENT} --type json -p '")[2].partition("'")[0]
    drifting.kubectl("patch", "oauthclient", CLIENT, "--type", "json", "-p", command)
    assert drifting.get("oauthclient", CLIENT, None)["redirectURIs"] == ours
    drifter.preview("--refresh", "--expect-no-changes")


def test_a_change_of_ours_wins_over_another_manager_and_replicas_that_somebody_scaled_are_left_without_a_refresh(
    drifter: Project, drifting: Cluster
) -> None:
    theirs = _containers("frontend", "quay.io/example/argo:1")
    metadata = {"name": "frontend", "namespace": NAMESPACE}
    drifting.apply_as("argo", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, **theirs})
    tamper(drifting, REPLICAS)
    drifter.change(images={"frontend": OURS})
    drifter.pulumi("up", "--yes")
    assert _image(drifting.get("deployment", "frontend")) == OURS
    assert drifting.get("deployment", "litellm")["spec"]["replicas"] == 3
