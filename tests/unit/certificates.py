"""Certificates for tests, made on the spot: authorities, servers' ones, expired ones, keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Made:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


def make(
    name: str,
    *,
    signer: Made | None = None,
    authority: bool | None = False,
    hosts: Sequence[str] = (),
    days: float = 90,
    since: float = 1,
) -> Made:
    """A certificate for ``name``, signed by ``signer`` or by itself.

    ``authority`` None leaves the field away; ``days`` from now it ends, ``since`` days ago it began.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    issuer, with_key = subject, key
    if signer:
        issuer = x509.load_pem_x509_certificate(signer.certificate.encode()).subject
        with_key = serialization.load_pem_private_key(signer.key.encode(), None)
        assert isinstance(with_key, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=since))
        .not_valid_after(now + timedelta(days=days))
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    signed = builder.sign(with_key, hashes.SHA256())
    return Made(signed.public_bytes(serialization.Encoding.PEM).decode(), _pem(key))


def locked(made: Made) -> str:
    """The key of ``made`` behind a passphrase."""
    key = serialization.load_pem_private_key(made.key.encode(), None)
    form, how = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"passphrase")
    return key.private_bytes(serialization.Encoding.PEM, form, how).decode()


@cache
def authority() -> Made:
    """One authority for all tests of a run."""
    return make("Lab CA", authority=True)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form, how = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, how).decode()
