"""Ingresses in place of Routes, on a cluster that has no Route API."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.driver import DOMAIN, INGRESS, SETTINGS, Cluster, Project

# What a plain Kubernetes lacks; log-in still needs OpenShift's others.
WITHOUT = ("routes.route.openshift.io", "ingresses.config.openshift.io", "consolelinks.console.openshift.io")
OTHERS = ("oauthclients.oauth.openshift.io", "groups.user.openshift.io", "users.user.openshift.io")
_numbers = itertools.count(1)
NAMES = ["litellm", "litemaas", "litemaas-api"]
HOSTS = {"portal": "models.example.com", "gateway": "llm.example.com", "api": "models-api.example.com"}


@pytest.fixture(scope="module")
def routeless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A cluster without Routes."""
    with Sandbox(tmp_path_factory.mktemp("routeless") / "state", name="routeless", omit=WITHOUT) as running:
        yield running


@pytest.fixture
def project(routeless: Sandbox, program: Path, tmp_path: Path) -> Project:
    """A stack on it that was never deployed."""
    made = Project(tmp_path / "project", program, routeless.env(), f"plain-{next(_numbers)}")
    made.write_config(SETTINGS | {"exposure": INGRESS})
    return made


def test_up_again_and_destroy_with_ingresses_on_a_cluster_without_routes(project: Project, routeless: Sandbox) -> None:
    cluster = Cluster(routeless)
    project.up()
    made = cluster.items("ingresses")
    assert sorted(one["metadata"]["name"] for one in made) == NAMES
    assert {one["spec"]["ingressClassName"] for one in made} == {"nginx"}
    assert project.outputs()["portal_url"] == f"https://litemaas-litemaas.{DOMAIN}"
    policy = cluster.get("networkpolicy", "frontend")
    assert "ingress-nginx" in json.dumps(policy["spec"]["ingress"])

    # Other hosts, a list and fewer paths change Ingresses in place, and what is told the addresses.
    project.change(
        gateway={"adminUi": "hidden"},
        exposure={**INGRESS, "hosts": HOSTS, "allowFrom": ["10.0.0.0/8"], "gatewayPaths": ["/v1"]},
    )
    told = project.up_told()
    assert {step.op for step in told.steps if step.kind == "Ingress"} == {"update"}
    gateway = cluster.get("ingress", "litellm")
    assert gateway["metadata"]["annotations"]["nginx.ingress.kubernetes.io/whitelist-source-range"] == "10.0.0.0/8"
    (rule,) = gateway["spec"]["rules"]
    assert rule["host"] == HOSTS["gateway"]
    assert {"/v1", "/health", "/key"} <= {each["path"] for each in rule["http"]["paths"]}
    client = cluster.get("oauthclient", "litemaas-oauth-client", None)
    assert client["redirectURIs"] == [f"https://{HOSTS['portal']}/api/auth/callback"]
    assert project.preview_json() == []

    # An edit by hand heals, as with Routes.
    cluster.patch(
        "ingress", "litellm", {"metadata": {"annotations": {"nginx.ingress.kubernetes.io/proxy-read-timeout": "5"}}}
    )
    project.up("--refresh")
    healed = cluster.get("ingress", "litellm")["metadata"]["annotations"]
    assert healed["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "610"

    project.destroy()
    assert cluster.labelled(project.stack) == []


def test_what_could_not_work_there_and_an_ingress_of_somebody_else_are_refused(
    project: Project, routeless: Sandbox
) -> None:
    cluster = Cluster(routeless)
    backend = {"defaultBackend": {"service": {"name": "other", "port": {"number": 80}}}}
    meta = {"name": "litellm", "namespace": "litemaas"}
    cluster.kubectl("create", "namespace", "litemaas")
    cluster.kubectl("label", "namespace", "litemaas", *_ours(project))
    manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": backend}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    # Made by controllers, after a moment, in every namespace.
    made = ("configmap/kube-root-ca.crt", "configmap/openshift-service-ca.crt", "serviceaccount/default")
    cluster.kubectl("wait", "-n", "litemaas", "--for=create", *made)
    try:
        before = cluster.fingerprint()
        settings = {key: value for key, value in project.config().items() if key != "clusterDomain"}
        project.write_config(settings | {"exposure": {"kind": "ingress", "ingress": {"className": "wep"}}})
        said = project.refused()
        assert "litemaas:clusterDomain" in said
        assert "is no IngressClass of this cluster" in said
        assert "Ingress litellm" in said
        project.write_config(SETTINGS | {"exposure": {"kind": "ingress", "ingress": {"className": "nginx"}}})
        assert "litemaas:exposure.ingress.controllerNamespace" in project.refused()
        project.write_config(SETTINGS)
        said = project.refused()
        assert "cluster API route.openshift.io" in said
        assert "or write exposure.kind: ingress" in said
        assert cluster.touched_since(before) == []
    finally:
        cluster.kubectl("delete", "namespace", "litemaas")


def test_a_cluster_without_any_of_openshifts_apis_is_refused(project: Project, routeless: Sandbox) -> None:
    """Last: it takes the others away."""
    cluster = Cluster(routeless)
    cluster.kubectl("delete", "crd", *OTHERS)
    project.write_config({key: value for key, value in SETTINGS.items() if key != "clusterDomain"})
    before = cluster.fingerprint()
    said = project.refused()
    for each in (
        "cluster API route.openshift.io",
        "this program needs OpenShift; choose another context",
        "cluster API oauth.openshift.io",
        "log-in needs OpenShift's own OAuth server",
        "cluster API user.openshift.io",
        "write access.manageGroups: false",
        "pulumi config set litemaas:clusterDomain apps.<cluster>.<domain>",
    ):
        assert each in said, said
    assert "4 problems" in said
    assert project.resources() == []
    assert cluster.touched_since(before) == []


def _ours(project: Project) -> list[str]:
    return [f"app.kubernetes.io/instance={project.stack}", "app.kubernetes.io/managed-by=pulumi"]
