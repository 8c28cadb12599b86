"""The double of the service-ca operator does for a Service what the operator does."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sandbox.client import ApiError, Client
from sandbox.serviceca import ASKS, BUNDLE, Authority, issue, serve


class StoreDouble(Client):
    """A test double of the API server's client: keeps what is created."""

    def __init__(self, *services: dict[str, Any]) -> None:
        """Serve two namespaces, one of which is going."""
        self.made: dict[str, dict[str, Any]] = {}
        self.said: dict[str, Any] = {}
        self.certificates: list[dict[str, Any]] | None = None
        self._services = services

    def request(self, method: str, path: str, body: Any = None, kind: str = "") -> Any:
        """Answer like the server, as far as the double asks."""
        if method == "POST":
            self.made[f"{path}/{body['metadata']['name']}"] = body
            return body
        if method == "PATCH":
            self.said[path] = body
            return body
        going = {"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        lists = {
            "/api/v1/configmaps": [each for each in self.made.values() if each["kind"] == "ConfigMap"],
            "/api/v1/namespaces": [{"metadata": {"name": "portal"}}, {"metadata": going}],
            "/api/v1/services": [{"metadata": each} for each in self._services],
            "/apis/cert-manager.io/v1/certificates": self.certificates,
        }
        found = lists.get(path.partition("?")[0])
        if found is None and path not in self.made:
            raise ApiError(404, path)
        return {"items": found} if found is not None else self.made[path]


def service(name: str, **annotations: str) -> dict[str, Any]:
    return {"name": name, "namespace": "portal", "uid": "u", "annotations": annotations}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_service_that_asks_gets_a_pair_for_its_name_signed_by_the_authority(authority: Authority):
    store = StoreDouble(service("redis", **{ASKS: "redis-serving"}), service("other"))
    serve(store, authority)
    secrets = {path: each for path, each in store.made.items() if each["kind"] == "Secret"}
    assert set(secrets) == {"/api/v1/namespaces/portal/secrets/redis-serving"}
    data = next(iter(secrets.values()))["data"]
    assert "PRIVATE KEY" in base64.b64decode(data["tls.key"]).decode()
    made = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.encode()))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["redis.portal.svc", "redis.portal.svc.cluster.local"]


def test_every_namespace_gets_the_authority_unless_it_is_going(authority: Authority):
    store = StoreDouble()
    serve(store, authority)
    assert set(store.made) == {f"/api/v1/namespaces/portal/configmaps/{BUNDLE}"}
    assert next(iter(store.made.values()))["data"] == {"service-ca.crt": authority.certificate}


def test_what_is_there_is_left_alone_and_what_was_deleted_comes_back(authority: Authority):
    store = StoreDouble(service("redis", **{ASKS: "redis-serving"}))
    serve(store, authority)
    first = store.made.pop("/api/v1/namespaces/portal/secrets/redis-serving")
    serve(store, authority)
    second = store.made["/api/v1/namespaces/portal/secrets/redis-serving"]
    assert second["data"]["tls.crt"] != first["data"]["tls.crt"]
    serve(store, authority)
    assert store.made["/api/v1/namespaces/portal/secrets/redis-serving"] is second


def test_the_authority_outlives_a_restart_and_its_key_is_for_its_owner_alone(tmp_path: Path):
    assert Authority(tmp_path).certificate == Authority(tmp_path).certificate
    assert (tmp_path / "service-ca.key").stat().st_mode & 0o077 == 0


def test_a_certificate_gets_its_secret_and_is_said_to_be_ready(authority: Authority):
    store = StoreDouble()
    spec = {"secretName": "route-tls", "dnsNames": [f"{'a' * 63}.example.com", "b.example.com"]}
    store.certificates = [{"metadata": {"name": "c", "namespace": "portal"}, "spec": spec}]
    issue(store, authority)
    data = store.made["/api/v1/namespaces/portal/secrets/route-tls"]["data"]
    made = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == spec["dnsNames"]
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}}
    assert store.said == {"/apis/cert-manager.io/v1/namespaces/portal/certificates/c/status": ready}


def test_a_cluster_without_cert_manager_is_none_the_worse(authority: Authority):
    issue(StoreDouble(), authority)
