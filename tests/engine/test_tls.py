"""Trust and certificates on the real engine and API server: what rolls, what is refused, what is kept secret."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.driver import DOMAIN, SETTINGS, TRUSTING, Cluster, Project, leaks
from tests.unit import certificates
from tests.unit.certificates import Made, make

SPACE = "certified"
ROUTES = ("litemaas", "litellm", "litemaas-api")


def routes(cluster: Cluster, namespace: str) -> list[dict]:
    """The TLS settings of all Routes of an installation."""
    return [each["spec"]["tls"] for each in cluster.items("routes", namespace)]


def served(namespace: str) -> Made:
    """A certificate for the hosts of an installation."""
    return make(namespace, signer=certificates.authority(), hosts=[f"{each}-{namespace}.{DOMAIN}" for each in ROUTES])


def unchanged(project: Project) -> None:
    """A second up has nothing to do."""
    assert project.plan().rows == set()


# --- What is refused ---


def test_private_keys_in_clear_and_reencrypt_without_tls_inside_are_refused(empty: Project) -> None:
    made = served("elsewhere")
    empty.change(
        trust={"caBundle": make("www.example.com").certificate + certificates.authority().key},
        exposure={"tls": {"certificate": {"crt": made.certificate, "key": made.key}}},
    )
    said = empty.refused()
    assert "litemaas:trust.caBundle" in said
    assert "holds a private key" in said
    assert "litemaas:exposure.tls.certificate.key" in said
    assert "stands in the stack file in clear" in said
    for key in (certificates.authority().key, made.key):
        assert key.splitlines()[1] not in said
    empty.change(trust=None, exposure={"tls": {"termination": "reencrypt"}})
    assert "write tls.internal: true too" in empty.refused()


def test_a_certificate_for_other_hosts_is_refused(empty: Project) -> None:
    made = served("elsewhere")
    empty.change(exposure={"tls": {"certificate": {"crt": made.certificate}}})
    empty.set_secret("exposure.tls.certificate.key", made.key)
    assert f"and not for litemaas-{empty.stack}.{DOMAIN}" in empty.refused()


# --- One stack that is changed in turn ---


@pytest.fixture(scope="module")
def config_map(cluster: Cluster) -> Iterator[str]:
    """A ConfigMap with an authority, in another namespace."""
    cluster.kubectl("create", "namespace", "openshift-config")
    literal = f"--from-literal=ca-bundle.crt={certificates.authority().certificate}"
    cluster.kubectl("create", "configmap", "user-ca-bundle", "-n", "openshift-config", literal)
    yield "user-ca-bundle"
    cluster.kubectl("delete", "namespace", "openshift-config")


@dataclass(frozen=True)
class Certified:
    """A stack that serves a certificate of its stack file and trusts a ConfigMap, and what was printed."""

    project: Project
    made: Made
    said: str


@pytest.fixture(scope="module")
def certified(cluster: Cluster, program: Path, tmp_path_factory: pytest.TempPathFactory, config_map: str) -> Certified:
    """It is deployed once."""
    project, made = Project(tmp_path_factory.mktemp(SPACE) / "project", program, cluster.env, SPACE), served(SPACE)
    settings = {"trust": {"configMap": {"name": config_map}}, "exposure": {"tls": {"certificate": {}}}}
    settings["exposure"]["tls"]["certificate"]["crt"] = made.certificate
    project.write_config(SETTINGS | {"namespace": SPACE, "access": {"manageGroups": False}} | settings)
    project.set_secret("exposure.tls.certificate.key", made.key)
    return Certified(project, made, project.preview("--diff") + project.up())


def test_a_certificate_of_the_stack_file_is_served_by_all_routes_and_its_key_kept_secret(
    certified: Certified, cluster: Cluster
) -> None:
    project, made = certified.project, certified.made
    names = {each["externalCertificate"]["name"] for each in routes(cluster, SPACE)}
    assert len(routes(cluster, SPACE)) == 3
    (name,) = names
    kept = cluster.get("secret", name, SPACE)
    assert base64.b64decode(kept["data"]["tls.key"]).decode() == made.key
    (role,) = cluster.items("roles", SPACE)
    assert role["rules"][0]["resourceNames"] == [name]
    unchanged(project)

    key = {"key": "".join(made.key.splitlines()[1:-1])[:60]}
    assert leaks(certified.said, key) == []
    assert [file for file in project.state_files() if leaks(file.read_text(errors="replace"), key)] == []
    assert leaks(json.dumps([each for each in cluster.everything() if each["kind"] != "Secret"]), key) == []


def test_a_config_map_of_another_namespace_is_copied(certified: Certified, cluster: Cluster) -> None:
    copies = cluster.items("configmaps", SPACE)
    (copy,) = (each["data"]["chosen.crt"] for each in copies if "chosen.crt" in each.get("data", {}))
    assert copy == certificates.authority().certificate


def test_a_renewed_certificate_and_another_authority_in_the_config_map_show_and_are_taken(
    certified: Certified, cluster: Cluster, config_map: str
) -> None:
    project = certified.project
    before = {each["externalCertificate"]["name"] for each in routes(cluster, SPACE)}
    renewed = served(SPACE)
    config = project.config()
    config["exposure"]["tls"]["certificate"]["crt"] = renewed.certificate
    project.write_config(config)
    assert "is not the key of the certificate" in project.refused()
    project.set_secret("exposure.tls.certificate.key", renewed.key)
    other = {"data": {"ca-bundle.crt": make("Successor CA", authority=True, days=20).certificate}}
    cluster.patch("configmap", config_map, other, "openshift-config")
    told = project.up_told()
    # A renewed one is another Secret, to which the Routes then point.
    pointing = {("update", "Route", name) for _, kind, name in told.rows if kind == "Route"}
    assert len(pointing) == len(ROUTES)
    served_anew = {("replace", "Secret", "exposure-certificate"), ("update", "Role", "exposure-reader"), *pointing}
    assert told.rows == TRUSTING | served_anew
    assert "the certificate of Successor CA expires on" in told.said
    assert {each["externalCertificate"]["name"] for each in routes(cluster, SPACE)} != before


def test_a_config_map_without_an_authority_and_an_issuer_that_is_not_there_are_refused(
    certified: Certified, cluster: Cluster, config_map: str
) -> None:
    certified.project.change(exposure={"tls": {"certificate": {"certManager": {"issuer": "lab"}}}})
    cluster.patch("configmap", config_map, {"data": {"ca-bundle.crt": "nothing"}}, "openshift-config")
    said = certified.project.refused()
    assert "openshift-config/user-ca-bundle, key ca-bundle.crt" in said
    assert "is no ClusterIssuer of this cluster" in said


def test_cert_manager_makes_the_certificate_up_waits_for_it_and_routes_reencrypt_to_tls_inside(
    certified: Certified, cluster: Cluster
) -> None:
    project = certified.project
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "lab"}, "spec": {}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(issuer))
    certificate = {"certManager": {"issuer": "lab"}}
    project.change(
        trust=None, tls={"internal": True}, exposure={"tls": {"certificate": certificate, "termination": "reencrypt"}}
    )
    project.up()
    assert {each["externalCertificate"]["name"] for each in routes(cluster, SPACE)} == {"litemaas-route-tls"}
    assert cluster.get("secret", "litemaas-route-tls", SPACE)["type"] == "kubernetes.io/tls"
    assert {each["termination"] for each in routes(cluster, SPACE)} == {"reencrypt"}
    secrets = {each["metadata"]["name"] for each in cluster.items("secrets", SPACE)}
    assert {"redis-serving", "litellm-serving", "frontend-serving"} <= secrets
    unchanged(project)
