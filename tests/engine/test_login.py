"""The three ways to log in on a real API server, whose controller writes the tokens of ServiceAccounts.

The up that moves to a provider closes the admin page too.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, INGRESS, SETTINGS, Cluster, Json, Project, Told, in_use, leaks

SPACE = "logging-in"
ISSUER = "https://keycloak.example.com/realms/main"
GIVEN = "GivenByTheProvider_0123456789"
ACCOUNT = f"system:serviceaccount:{SPACE}:litemaas-portal"
AS_ACCOUNT: Json = {"mode": "serviceAccount", "manageGroups": False, "initialAdmins": ["alice"]}
AS_OIDC: Json = {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "portal"}, "initialAdmins": ["alice"]}
AUTHENTICATIONS = "authentications.config.openshift.io"


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A stack that logs people in by a ServiceAccount, and in the order of these tests by the others."""
    project = Project(tmp_path_factory.mktemp(SPACE) / "project", program, sandbox.env(), SPACE)
    project.write_config(SETTINGS | {"namespace": SPACE, "access": AS_ACCOUNT})
    project.up()
    return project


def tokens(cluster: Cluster) -> dict[str, str]:
    """The tokens that the cluster has written for ServiceAccounts, by the name of their Secret."""
    found = cluster.items("secrets", SPACE, fieldSelector="type=kubernetes.io/service-account-token")
    return {each["metadata"]["name"]: base64.b64decode(each["data"]["token"]).decode() for each in found}


def env(cluster: Cluster) -> dict[str, str | None]:
    """What the backend is told in clear."""
    pod = cluster.get("deployment", "backend", SPACE)["spec"]["template"]["spec"]
    return {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}


def secret(cluster: Cluster) -> str:
    """What the backend proves itself by."""
    pod = cluster.get("deployment", "backend", SPACE)["spec"]["template"]["spec"]
    name = pod["containers"][0]["envFrom"][0]["secretRef"]["name"]
    return base64.b64decode(cluster.get("secret", name, SPACE)["data"]["OAUTH_CLIENT_SECRET"]).decode()


def whose(cluster: Cluster, token: str) -> str | None:
    """Whom the API server takes the token for, as OpenShift's OAuth server would."""
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    review = cluster.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", kind | {"spec": {"token": token}})
    return review["status"].get("user", {}).get("username")


def clients(cluster: Cluster) -> set[str]:
    return {each["metadata"]["name"] for each in cluster.items("oauthclients", None)}


def test_the_token_that_the_cluster_writes_is_the_secret_of_the_client(stack: Project, cluster: Cluster) -> None:
    ((name, token),) = tokens(cluster).items()
    assert name.startswith("oauth-token-")
    assert secret(cluster) == token
    assert whose(cluster, token) == ACCOUNT
    told = env(cluster)
    assert told["OAUTH_CLIENT_ID"] == ACCOUNT
    annotations = cluster.get("serviceaccount", "litemaas-portal", SPACE)["metadata"]["annotations"]
    assert annotations["serviceaccounts.openshift.io/oauth-redirecturi.portal"] == told["OAUTH_CALLBACK_URL"]
    assert f"{SPACE}-oauth-client" not in clients(cluster)


def test_nothing_changes_at_the_next_preview_and_the_token_shows_nowhere(stack: Project, cluster: Cluster) -> None:
    (token,) = tokens(cluster).values()
    said = stack.preview("--diff", "--refresh", "--expect-no-changes") + json.dumps(stack.export())
    assert not leaks(said, {"token": token})
    for file in stack.state_files():
        assert not leaks(file.read_text(errors="replace"), {"token": token}), file


def test_the_token_of_the_generation_before_stays_good_until_the_next(stack: Project, cluster: Cluster) -> None:
    (first,) = tokens(cluster).values()
    stack.change(secrets={"oauthClientSecret": {"generation": 2}})
    stack.up()
    second = secret(cluster)
    assert set(tokens(cluster).values()) == {first, second}
    assert {whose(cluster, each) for each in (first, second)} == {ACCOUNT}
    stack.change(secrets={"oauthClientSecret": {"generation": 3}})
    stack.up()
    third = secret(cluster)
    assert set(tokens(cluster).values()) == {second, third}
    assert third not in (first, second)


def test_a_lower_generation_and_a_redirect_uri_of_somebody_else_on_the_account_are_refused(
    stack: Project, cluster: Cluster
) -> None:
    annotation = "serviceaccounts.openshift.io/oauth-redirecturi.more"
    where = ["serviceaccount", "litemaas-portal", "-n", SPACE]
    stack.change(secrets=None)
    cluster.kubectl("annotate", *where, f"{annotation}=https://evil.example.com")
    try:
        said = stack.refused()
        assert "is lower than 3, the one in use" in said
        assert f"oc annotate serviceaccount litemaas-portal -n {SPACE} {annotation}-" in said
    finally:
        cluster.kubectl("annotate", *where, f"{annotation}-")


@pytest.fixture(scope="module")
def moved(stack: Project) -> Told:
    """The up that moves log-in to a provider, and closes the admin page."""
    stack.change(
        access=AS_OIDC,
        secrets=None,
        gateway={"adminUi": "hidden"},
        exposure={"hstsMaxAgeSeconds": 60, "allowFrom": ["10.0.0.0/8"]},
    )
    assert "the provider knows nothing of a generated one" in stack.refused()
    stack.set_secret("secrets.oauthClientSecret.value", GIVEN)
    return stack.up_told()


def test_an_up_moves_the_stack_to_a_provider_and_leaves_nothing_of_the_account(
    moved: Told, stack: Project, cluster: Cluster
) -> None:
    assert "Log-in moves from openshift to oidc." in moved.said
    told = env(cluster)
    assert (told["AUTH_PROVIDER"], told["OAUTH_ISSUER"], told["OAUTH_CLIENT_ID"]) == ("oidc", ISSUER, "portal")
    assert "OPENSHIFT_API_URL" not in told
    assert secret(cluster) == GIVEN == in_use(stack)["oauthClientSecret"]
    assert tokens(cluster) == {}
    assert "litemaas-portal" not in {each["metadata"]["name"] for each in cluster.items("serviceaccounts", SPACE)}
    assert stack.outputs()["login_issuer"] == ISSUER
    assert stack.preview_json() == []


def test_closing_the_admin_page_makes_a_route_for_each_path_and_takes_the_wide_one_away(
    moved: Told, stack: Project, cluster: Cluster
) -> None:
    assert ("delete", "Route", "gateway-route") in moved.rows
    made = cluster.items("routes", SPACE)
    gateway = [one for one in made if one["spec"]["host"].startswith("litellm-")]
    assert {"/v1", "/health", "/key"} <= {one["spec"]["path"] for one in gateway}
    for one in made:
        told = one["metadata"]["annotations"]
        assert told["haproxy.router.openshift.io/hsts_header"] == "max-age=60"
        assert told["haproxy.router.openshift.io/ip_allowlist"] == "10.0.0.0/8"


def test_ingresses_beside_routes_are_refused(moved: Told, stack: Project) -> None:
    """A router takes the older of two, and the engine would delete these last."""
    before = stack.config()
    stack.change(exposure=INGRESS)
    said = stack.refused()
    stack.write_config(before)
    assert "oc delete route -n" in said
    assert "litemaas litemaas-api" in " ".join(said.partition("oc delete route")[2].split())


def test_an_up_moves_it_back_to_an_oauth_client_and_destroy_leaves_nothing(
    moved: Told, stack: Project, cluster: Cluster
) -> None:
    stack.change(access={"manageGroups": False, "initialAdmins": ["alice"]}, secrets=None, gateway=None, exposure=None)
    said = stack.up()
    assert f"{SPACE}-oauth-client" in clients(cluster)
    assert env(cluster)["AUTH_PROVIDER"] == "openshift"
    # The sandbox' API server is none of OpenShift's, and says nothing of an OAuth server.
    assert "the API server does not say where its OAuth server is" in said
    assert stack.outputs()["login_issuer"] == f"https://oauth-openshift.{DOMAIN}"
    stack.destroy()
    assert cluster.labelled(SPACE) == []


@pytest.mark.parametrize("mode", [AS_ACCOUNT, AS_OIDC], ids=lambda access: access["mode"])
def test_a_login_without_rights_at_cluster_scope_lacks_those_on_the_namespace_alone(
    empty: Project, sandbox: Sandbox, mode: Json
) -> None:
    empty.env["KUBECONFIG"] = str(sandbox.kubeconfig_limited)
    empty.change(access=mode)
    if mode is AS_OIDC:
        empty.set_secret("secrets.oauthClientSecret.value", GIVEN)
    said = empty.refused()
    assert "permission on namespaces" in said
    for other in ("oauthclients", "groups", "consolelinks", "clusterroles"):
        assert f"permission on {other}" not in said


@pytest.fixture
def external(cluster: Cluster) -> Iterator[None]:
    """The cluster says that a provider logs its people in."""
    names = {"plural": "authentications", "singular": "authentication", "kind": "Authentication"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    group = {"group": "config.openshift.io", "scope": "Cluster", "names": names, "versions": [version]}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    crd = kind | {"metadata": {"name": AUTHENTICATIONS}, "spec": group}
    spec = {"type": "OIDC", "oidcProviders": [{"name": "x", "issuer": {"issuerURL": ISSUER}}]}
    one = {"apiVersion": "config.openshift.io/v1", "kind": "Authentication", "metadata": {"name": "cluster"}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(crd))
    try:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{AUTHENTICATIONS}", "--timeout=30s")
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(one | {"spec": spec}))
        yield
    finally:
        cluster.kubectl("delete", "crd", AUTHENTICATIONS)


@pytest.mark.usefixtures("external")
def test_a_cluster_that_leaves_logins_to_a_provider_is_told_what_to_write(empty: Project) -> None:
    said = empty.refused()
    assert "needs OpenShift's own OAuth server, and this cluster leaves log-ins to" in said
    assert f"write access.mode: oidc with access.oidc.issuer: {ISSUER}" in said
    empty.change(access=AS_OIDC)
    empty.set_secret("secrets.oauthClientSecret.value", GIVEN)
    assert "to create" in empty.preview()
