"""Doubles of OpenShift's service-ca operator and of cert-manager: what they do for a Service and a Certificate.

Like the operator it writes the Secret that a Service's annotation names, for `<service>.<namespace>.svc`, makes it
anew when somebody deletes it, and puts its authority into every namespace as `openshift-service-ca.crt`. For a
Certificate it does the same and says that it is ready, whatever its issuer is. It renews nothing by itself, and looks
once a second instead of watching.
"""

import argparse
import base64
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox import components
from sandbox.client import ApiError, Client

ASKS = "service.beta.openshift.io/serving-cert-secret-name"
BUNDLE = "openshift-service-ca.crt"
DAYS = 365
NOT_FOUND = 404
NAME_LENGTH = 64
"""Of a common name, which nobody heeds; a host may be longer."""
PEM = serialization.Encoding.PEM
Object = dict[str, Any]


class Authority:
    """A key and its certificate, kept in a folder from one start to the next."""

    def __init__(self, folder: Path) -> None:
        """Read it, or make it."""
        file, key_file = folder / "service-ca.crt", folder / "service-ca.key"
        if not file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            made = _builder("litemaas-sandbox-service-ca", key, None).sign(key, hashes.SHA256())
            components.private(key_file, _key_pem(key))
            file.write_text(made.public_bytes(PEM).decode())
        self.certificate = file.read_text()
        loaded = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file} is damaged; delete the sandbox (down --purge)")
        self._key = loaded

    def sign(self, *hosts: str) -> tuple[str, str]:
        """A certificate for these hosts, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self.certificate.encode())
        names = [x509.DNSName(host) for host in hosts]
        signed = (
            _builder(hosts[0], key, issuer)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return signed.public_bytes(PEM).decode(), _key_pem(key)


def serve(client: Client, authority: Authority) -> None:
    """See to all namespaces and Services once.

    Raises:
        ApiError: the server did not answer.
    """
    named = client.request("GET", f"/api/v1/configmaps?fieldSelector=metadata.name%3D{BUNDLE}")["items"]
    served = {each["metadata"]["namespace"] for each in named}
    for namespace in client.request("GET", "/api/v1/namespaces")["items"]:
        meta = namespace["metadata"]
        if meta["name"] not in served and not meta.get("deletionTimestamp"):
            _bundle(client, meta["name"], authority)
    for service in client.request("GET", "/api/v1/services")["items"]:
        if ASKS in (service["metadata"].get("annotations") or {}):
            _serving(client, service["metadata"], authority)


def issue(client: Client, authority: Authority) -> None:
    """See to all Certificates once, where the cluster has such things.

    Raises:
        ApiError: the server did not answer.
    """
    try:
        found = client.request("GET", "/apis/cert-manager.io/v1/certificates")["items"]
    except ApiError as problem:
        if problem.status != NOT_FOUND:
            raise
        return
    for each in found:
        meta, spec = each["metadata"], each["spec"]
        _pair(client, {"name": spec["secretName"], "namespace": meta["namespace"]}, authority, spec["dnsNames"])
        if not each.get("status"):
            base = f"/apis/cert-manager.io/v1/namespaces/{meta['namespace']}/certificates/{meta['name']}"
            status = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]}}
            client.request("PATCH", f"{base}/status", status, "application/merge-patch+json")


def _bundle(client: Client, namespace: str, authority: Authority) -> None:
    meta = {"name": BUNDLE, "namespace": namespace}
    data = {"service-ca.crt": authority.certificate}
    _create(client, f"/api/v1/namespaces/{namespace}/configmaps", {"kind": "ConfigMap", "metadata": meta, "data": data})


def _serving(client: Client, service: Object, authority: Authority) -> None:
    host = f"{service['name']}.{service['namespace']}.svc"
    owner = {"apiVersion": "v1", "kind": "Service", "name": service["name"], "uid": service["uid"]}
    meta = {"name": service["annotations"][ASKS], "namespace": service["namespace"], "ownerReferences": [owner]}
    _pair(client, meta, authority, [host, f"{host}.cluster.local"])


def _pair(client: Client, meta: Object, authority: Authority, hosts: list[str]) -> None:
    """Make a Secret with a certificate for ``hosts``, unless it is there."""
    path = f"/api/v1/namespaces/{meta['namespace']}/secrets"
    with suppress(ApiError):
        client.request("GET", f"{path}/{meta['name']}")
        return
    pair = zip(("tls.crt", "tls.key"), authority.sign(*hosts), strict=True)
    secret = {
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": meta,
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in pair},
    }
    _create(client, path, secret)


def _create(client: Client, path: str, made: Object) -> None:
    """Create an object that may be there already, or whose namespace may just be going."""
    try:
        client.request("POST", path, {"apiVersion": "v1", **made})
    except ApiError as problem:
        if problem.status not in (403, NOT_FOUND, 409):
            raise


def _builder(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:NAME_LENGTH])])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--api-host", default="127.0.0.1")
    parser.add_argument("--api-port", type=int, required=True)
    options = parser.parse_args()
    pki = options.state / components.PKI
    authority = Authority(pki)
    with Client(options.api_port, pki / "ca.crt", components.token(options.state, "admin"), options.api_host) as client:
        while True:
            try:
                serve(client, authority)
                issue(client, authority)
            except ApiError as problem:
                print(problem, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
