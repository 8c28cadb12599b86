"""A cluster on which an `up` could not succeed is refused at preview, with the cure, and not touched."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.conftest import Deployed
from tests.engine.driver import GROUPS, SETTINGS, Cluster, Project

STACK_LABEL = "app.kubernetes.io/instance"
OPENSHIFT_ONLY = (
    "routes.route.openshift.io",
    "oauthclients.oauth.openshift.io",
    "groups.user.openshift.io",
    "users.user.openshift.io",
    "ingresses.config.openshift.io",
    "consolelinks.console.openshift.io",
)


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


@pytest.fixture(scope="module")
def plain_kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A cluster without OpenShift's APIs."""
    folder = tmp_path_factory.mktemp("plain") / "state"
    with Sandbox(folder, name="plain", omit=OPENSHIFT_ONLY) as running:
        yield running


def test_a_cluster_without_openshifts_apis(plain_kubernetes: Sandbox, program: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", program, plain_kubernetes.env(), "plain")
    project.write_config({key: value for key, value in SETTINGS.items() if key != "clusterDomain"})
    said = refused_untouched(
        project,
        Cluster(plain_kubernetes),
        "cluster API route.openshift.io",
        "this program needs OpenShift; choose another context",
        "cluster API oauth.openshift.io",
        "log-in needs OpenShift's own OAuth server",
        "cluster API user.openshift.io",
        "write access.manageGroups: false",
        "pulumi config set litemaas:clusterDomain apps.<cluster>.<domain>",
    )
    assert "4 problems" in said


@pytest.mark.parametrize("owner", ["another", None], ids=["another stack", "nobody"])
def test_an_oauth_client_that_is_not_ours(empty: Project, cluster: Cluster, owner: str | None) -> None:
    name = f"{empty.stack}-oauth-client"
    labels = {STACK_LABEL: owner, "app.kubernetes.io/managed-by": "pulumi"} if owner else {}
    metadata = {"name": name, "labels": labels}
    client = {"apiVersion": "oauth.openshift.io/v1", "kind": "OAuthClient", "grantMethod": "auto", "metadata": metadata}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(client))
    whose = "belongs to stack or release another (pulumi)" if owner else "somebody else: it has no stack label"
    try:
        cure = f"oc label --overwrite oauthclient {name} {STACK_LABEL}={empty.stack}"
        refused_untouched(empty, cluster, f"OAuthClient {name}", whose, cure)
    finally:
        cluster.kubectl("delete", "oauthclient", name)


def test_a_link_in_the_consoles_menu_that_is_not_ours(empty: Project, cluster: Cluster) -> None:
    name = f"{empty.stack}-portal"
    spec = {"href": "https://example.com", "text": "theirs", "location": "HelpMenu"}
    link = {"apiVersion": "console.openshift.io/v1", "kind": "ConsoleLink", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(link))
    try:
        refused_untouched(empty, cluster, f"ConsoleLink {name}", "write exposure.consoleLink.enabled: false")
        empty.change(exposure={"consoleLink": {"enabled": False}})
        assert f"{name}" not in {
            step.new["metadata"].get("name") for step in empty.preview_json() if "metadata" in step.new
        }
    finally:
        cluster.kubectl("delete", "consolelink", name)


@pytest.mark.parametrize("owner", ["a-release", None], ids=["helm", "nobody"])
def test_a_namespace_that_is_not_ours(empty: Project, cluster: Cluster, owner: str | None) -> None:
    labels = {STACK_LABEL: owner, "app.kubernetes.io/managed-by": "Helm"} if owner else {}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": empty.stack, "labels": labels}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(space))
    # Made by controllers, after a moment, in every namespace.
    made = ("configmap/kube-root-ca.crt", "configmap/openshift-service-ca.crt", "serviceaccount/default")
    cluster.kubectl("wait", "-n", empty.stack, "--for=create", *made)
    whose = "belongs to stack or release a-release (Helm)" if owner else "somebody else: it has no stack label"
    try:
        refused_untouched(empty, cluster, f"Namespace {empty.stack}", whose, "choose another namespace or cluster")
    finally:
        cluster.kubectl("delete", "namespace", empty.stack)


def test_groups_that_another_stack_owns(empty: Project, deployed: Deployed, cluster: Cluster) -> None:
    empty.change(access={"admins": ["alice"]})
    said = refused_untouched(empty, cluster, *(f"Group {name}" for name in GROUPS))
    assert said.count("belongs to stack or release main (pulumi)") >= len(GROUPS)


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
