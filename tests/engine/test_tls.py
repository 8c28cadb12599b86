"""Trust, certificates and Redis on the real engine and API server: what rolls, what is refused, what is kept secret."""

import base64
import json
from collections.abc import Iterator

import pytest

from tests.engine.driver import DOMAIN, Cluster, Project, Step, leaks
from tests.unit import certificates
from tests.unit.certificates import Made, make

ROUTES = ("litemaas", "litellm", "litemaas-api")
# Whoever reads the one trust file, and whatever is made anew because of it.
TRUSTING = {
    ("replace", "ConfigMap", "foundation-chosen-ca"),
    ("update", "Deployment", "backend-server"),
    ("update", "Deployment", "gateway-proxy"),
    ("update", "CronJob", "key-check-schedule"),
    ("replace", "Job", "database-bootstrap"),
    ("replace", "Job", "models-registration"),
    ("replace", "Job", "verification-checks"),
}


def rows(steps: list[Step]) -> set[tuple[str, str, str]]:
    """What a preview shows, row by row."""
    return {(step.op, step.kind, step.name) for step in steps}


def routes(cluster: Cluster, namespace: str) -> list[dict]:
    """The TLS settings of all Routes of an installation."""
    return [each["spec"]["tls"] for each in cluster.items("routes", namespace)]


def served(namespace: str) -> Made:
    """A certificate for the hosts of an installation."""
    return make(namespace, signer=certificates.authority(), hosts=[f"{each}-{namespace}.{DOMAIN}" for each in ROUTES])


def unchanged(project: Project) -> None:
    """A second up has nothing to do."""
    assert rows(project.preview_json()) == set()


# --- Trust ---


def test_another_authority_rolls_those_that_trust_it_and_nobody_else(main: Project) -> None:
    main.change(trust={"caBundle": certificates.authority().certificate})
    assert rows(main.preview_json()) == TRUSTING


def test_an_authority_that_cannot_be_trusted_is_refused(main: Project) -> None:
    main.change(trust={"caBundle": make("www.example.com").certificate + certificates.authority().key})
    said = main.refused()
    assert "litemaas:trust.caBundle" in said
    assert "holds a private key" in said
    assert certificates.authority().key.splitlines()[1] not in said


@pytest.fixture
def config_map(cluster: Cluster) -> Iterator[str]:
    """A ConfigMap with an authority, in another namespace."""
    cluster.kubectl("create", "namespace", "openshift-config")
    literal = f"--from-literal=ca-bundle.crt={certificates.authority().certificate}"
    cluster.kubectl("create", "configmap", "user-ca-bundle", "-n", "openshift-config", literal)
    yield "user-ca-bundle"
    cluster.kubectl("delete", "namespace", "openshift-config")


def test_a_config_map_of_another_namespace_is_copied_and_its_change_shows(
    empty: Project, cluster: Cluster, config_map: str
) -> None:
    empty.change(trust={"configMap": {"name": config_map}})
    empty.up()
    copies = cluster.items("configmaps", empty.stack)
    (copy,) = (each["data"]["chosen.crt"] for each in copies if "chosen.crt" in each.get("data", {}))
    assert copy == certificates.authority().certificate
    unchanged(empty)
    other = {"data": {"ca-bundle.crt": make("Successor CA", authority=True, days=20).certificate}}
    cluster.patch("configmap", config_map, other, "openshift-config")
    assert rows(empty.preview_json()) == TRUSTING
    assert "the certificate of Successor CA expires on" in empty.preview()
    cluster.patch("configmap", config_map, {"data": {"ca-bundle.crt": "nothing"}}, "openshift-config")
    assert "openshift-config/user-ca-bundle, key ca-bundle.crt" in empty.refused()


# --- The Routes' certificate ---


def test_a_certificate_of_the_stack_file_is_served_by_all_routes_and_its_key_kept_secret(
    empty: Project, cluster: Cluster
) -> None:
    made = served(empty.stack)
    empty.change(exposure={"tls": {"certificate": {"crt": made.certificate}}})
    empty.set_secret("exposure.tls.certificate.key", made.key)
    said = [empty.preview("--diff"), empty.up()]
    names = {each["externalCertificate"]["name"] for each in routes(cluster, empty.stack)}
    assert len(routes(cluster, empty.stack)) == 3
    (name,) = names
    kept = cluster.get("secret", name, empty.stack)
    assert base64.b64decode(kept["data"]["tls.key"]).decode() == made.key
    (role,) = cluster.items("roles", empty.stack)
    assert role["rules"][0]["resourceNames"] == [name]
    unchanged(empty)

    key = {"key": "".join(made.key.splitlines()[1:-1])[:60]}
    assert leaks("\n".join(said), key) == []
    assert [file for file in empty.state_files() if leaks(file.read_text(errors="replace"), key)] == []
    assert leaks(json.dumps([each for each in cluster.everything() if each["kind"] != "Secret"]), key) == []

    # A renewed one: another Secret, to which the Routes then point.
    renewed = served(empty.stack)
    config = empty.config()
    config["exposure"]["tls"]["certificate"]["crt"] = renewed.certificate
    empty.write_config(config)
    assert "is not the key of the certificate" in empty.refused()
    empty.set_secret("exposure.tls.certificate.key", renewed.key)
    assert {("replace", "Secret", "exposure-certificate"), ("update", "Role", "exposure-reader")} <= rows(
        empty.preview_json()
    )
    empty.up()
    assert {each["externalCertificate"]["name"] for each in routes(cluster, empty.stack)} != names


def test_a_certificate_for_other_hosts_and_a_key_in_clear_are_refused(empty: Project) -> None:
    made = served("elsewhere")
    empty.change(exposure={"tls": {"certificate": {"crt": made.certificate, "key": made.key}}})
    said = empty.refused()
    assert "litemaas:exposure.tls.certificate.key" in said
    assert "stands in the stack file in clear" in said
    assert made.key.splitlines()[1] not in said
    empty.change(exposure={"tls": {"certificate": {"crt": made.certificate}}})
    empty.set_secret("exposure.tls.certificate.key", made.key)
    assert f"and not for litemaas-{empty.stack}.{DOMAIN}" in empty.refused()


def test_cert_manager_makes_the_certificate_and_up_waits_for_it(empty: Project, cluster: Cluster) -> None:
    certificate = {"certManager": {"issuer": "lab"}}
    empty.change(exposure={"tls": {"certificate": certificate}})
    assert "is no ClusterIssuer of this cluster" in empty.refused()
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "lab"}, "spec": {}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(issuer))
    empty.up()
    assert {each["externalCertificate"]["name"] for each in routes(cluster, empty.stack)} == {"litemaas-route-tls"}
    assert cluster.get("secret", "litemaas-route-tls", empty.stack)["type"] == "kubernetes.io/tls"
    unchanged(empty)


# --- Inside ---


def test_tls_inside_and_an_external_redis(empty: Project, cluster: Cluster) -> None:
    empty.change(tls={"internal": True}, exposure={"tls": {"termination": "reencrypt"}})
    empty.up()
    assert {each["termination"] for each in routes(cluster, empty.stack)} == {"reencrypt"}
    secrets = {each["metadata"]["name"] for each in cluster.items("secrets", empty.stack)}
    assert {"redis-serving", "litellm-serving", "frontend-serving"} <= secrets
    unchanged(empty)

    empty.change(redis={"mode": "external", "host": "redis.example.com"})
    assert "litemaas:secrets.redisPassword" in empty.refused()
    empty.set_secret("secrets.redisPassword.value", "external-0123456789")
    gone = {(step.kind, step.name) for step in empty.preview_json() if step.op == "delete"}
    assert {("Deployment", "cache-redis"), ("Service", "cache-service"), ("NetworkPolicy", "isolation-redis")} <= gone
    empty.up()
    assert not cluster.items("pods", empty.stack, "-l", "app.kubernetes.io/component=redis")
    unchanged(empty)


def test_reencrypt_without_tls_inside_is_refused(main: Project) -> None:
    main.change(exposure={"tls": {"termination": "reencrypt"}})
    assert "write tls.internal: true too" in main.refused()
