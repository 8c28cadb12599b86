"""A cluster on which an `up` could not succeed is refused at preview, with the cure, and not touched."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.conftest import Deployed
from tests.engine.driver import GROUPS, Cluster, Project

STACK_LABEL = "app.kubernetes.io/instance"


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def refused_untouched(project: Project, cluster: Cluster, *expected: str) -> str:
    """Refused with every expected text; neither cluster nor state changed."""
    before = cluster.fingerprint()
    said = project.refused()
    for each in expected:
        assert each in said, said
    assert project.resources() == []
    assert cluster.touched_since(before) == []
    return said


def test_an_api_server_that_does_not_answer(empty: Project, sandbox: Sandbox, tmp_path: Path) -> None:
    content = json.loads(sandbox.kubeconfig.read_text())
    server = f"127.0.0.1:{free_port()}"
    content["clusters"][0]["cluster"]["server"] = f"https://{server}"
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(content))
    empty.env["KUBECONFIG"] = str(file)
    said = empty.refused()
    assert f"the API server {server} (context litemaas-sandbox-engine) does not answer" in said
    assert "pulumi config set litemaas:context" in said
    assert "1 problem" in said
    assert "does not answer" in empty.up(expect=1)
    assert empty.resources() == []


def test_a_kubeconfig_that_is_missing(empty: Project, tmp_path: Path) -> None:
    empty.env["KUBECONFIG"] = str(tmp_path / "none")
    assert "oc login" in empty.refused()


def test_a_context_that_the_kubeconfig_does_not_have(empty: Project) -> None:
    empty.change(context="some-other-cluster")
    said = empty.refused()
    assert "some-other-cluster" in said


def test_a_login_that_is_no_longer_accepted(empty: Project, sandbox: Sandbox, tmp_path: Path) -> None:
    content = json.loads(sandbox.kubeconfig.read_text())
    content["users"][0]["user"]["token"] = sandbox.name
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(content))
    empty.env["KUBECONFIG"] = str(file)
    assert "log in again with `oc login`" in empty.refused()


def test_a_user_without_rights_at_cluster_scope(empty: Project, sandbox: Sandbox, cluster: Cluster) -> None:
    empty.env["KUBECONFIG"] = str(sandbox.kubeconfig_limited)
    empty.change(access={})
    refused_untouched(
        empty,
        cluster,
        "permission on namespaces",
        "permission on oauthclients.oauth.openshift.io",
        "permission on groups.user.openshift.io",
        "you may not get, create, patch, delete them at cluster scope",
        "ask a cluster admin",
    )


@pytest.fixture
def taken(request: pytest.FixtureRequest, empty: Project, cluster: Cluster) -> Iterator[str]:
    """What a stack needs is there already, and not its own; how the owner is named."""
    owned, whose = request.param
    space, client = empty.stack, f"{empty.stack}-oauth-client"
    labels = {STACK_LABEL: "a-release", "app.kubernetes.io/managed-by": "Helm"} if owned else {}
    link = {"href": "https://example.com", "text": "theirs", "location": "HelpMenu"}
    for version, kind, name, more in (
        ("v1", "Namespace", space, {}),
        ("oauth.openshift.io/v1", "OAuthClient", client, {"grantMethod": "auto"}),
        ("console.openshift.io/v1", "ConsoleLink", f"{space}-portal", {"spec": link}),
    ):
        made = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels}, **more}
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    cluster.kubectl("create", "quota", "litemaas", "-n", space, "--hard=pods=100")
    # Made by controllers, after a moment, in every namespace; and the quota's status.
    made = ("configmap/kube-root-ca.crt", "configmap/openshift-service-ca.crt", "serviceaccount/default")
    cluster.kubectl("wait", "-n", space, "--for=create", *made)
    cluster.kubectl("wait", "-n", space, "resourcequota/litemaas", "--for=jsonpath={.status.hard.pods}=100")
    yield whose
    cluster.kubectl("delete", "namespace", space)
    cluster.kubectl("delete", "oauthclient", client)
    cluster.kubectl("delete", "consolelink", f"{space}-portal")


@pytest.mark.parametrize(
    "taken",
    [
        (True, "belongs to stack or release a-release (Helm)"),
        (False, "somebody else: it has no stack label"),
    ],
    ids=["helm", "nobody"],
    indirect=True,
)
def test_everything_that_is_there_and_not_ours(
    empty: Project, cluster: Cluster, taken: str, deployed: Deployed
) -> None:
    name = empty.stack
    empty.change(access={"admins": ["alice"]}, isolation={"quota": {}})
    said = refused_untouched(
        empty,
        cluster,
        f"Namespace {name}",
        "choose another namespace or cluster",
        f"OAuthClient {name}-oauth-client",
        f"oc label --overwrite oauthclient {name}-oauth-client {STACK_LABEL}={name}",
        f"ConsoleLink {name}-portal",
        "write exposure.consoleLink.enabled: false",
        "ResourceQuota litemaas",
        *(f"Group {group}" for group in GROUPS),
    )
    # Namespace, client and link have the one owner, the Groups another.
    assert said.count(taken) >= 3
    assert said.count(f"belongs to stack or release {deployed.project.stack} (pulumi)") >= len(GROUPS)
    assert "somebody else" in said.partition("ResourceQuota litemaas")[2]


def test_a_link_of_somebody_else_is_left_where_we_make_none(empty: Project, cluster: Cluster) -> None:
    name = f"{empty.stack}-portal"
    spec = {"href": "https://example.com", "text": "theirs", "location": "HelpMenu"}
    link = {"apiVersion": "console.openshift.io/v1", "kind": "ConsoleLink", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(link))
    try:
        empty.change(exposure={"consoleLink": {"enabled": False}})
        assert name not in {step.new["metadata"].get("name") for step in empty.preview_json() if "metadata" in step.new}
    finally:
        cluster.kubectl("delete", "consolelink", name)


def test_a_namespace_that_is_being_deleted(empty: Project, cluster: Cluster) -> None:
    space = empty.stack
    labels = {STACK_LABEL: empty.stack, "app.kubernetes.io/managed-by": "pulumi"}
    metadata = {"name": space, "labels": labels}
    cluster.kubectl(
        "create",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
    )
    held = {"name": "held", "namespace": space, "finalizers": ["example.com/keep"]}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}))
    cluster.kubectl("delete", "namespace", space, "--wait=false")
    try:
        said = empty.refused()
        assert f"Namespace {space}" in said
        assert f"wait until `oc get namespace {space}` finds nothing" in said
        assert empty.resources() == []
    finally:
        cluster.patch("configmap", "held", {"metadata": {"finalizers": None}}, space)
        cluster.kubectl("wait", "--for=delete", f"namespace/{space}", "--timeout=60s")
