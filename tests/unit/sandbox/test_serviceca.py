"""The double of the service-ca operator does for a Service what the operator does."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sandbox.client import ApiError, Client
from sandbox.serviceca import ASKS, BUNDLE, Authority, serve


class StoreDouble(Client):
    """A test double of the API server's client: keeps what is created."""

    def __init__(self, *services: dict[str, Any]) -> None:
        """Serve two namespaces, one of which is going."""
        self.made: dict[str, dict[str, Any]] = {}
        self._services = services

    def request(self, method: str, path: str, body: Any = None, kind: str = "") -> Any:
        """Answer like the server, as far as the double asks."""
        if method == "POST":
            self.made[f"{path}/{body['metadata']['name']}"] = body
            return body
        if path.startswith("/api/v1/configmaps"):
            return {"items": [each for each in self.made.values() if each["kind"] == "ConfigMap"]}
        if path == "/api/v1/namespaces":
            going = {"name": "going", "deletionTimestamp": "2026-01-01T00:00:00Z"}
            return {"items": [{"metadata": {"name": "portal"}}, {"metadata": going}]}
        if path == "/api/v1/services":
            return {"items": [{"metadata": each} for each in self._services]}
        if path in self.made:
            return self.made[path]
        raise ApiError(404, path)


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
