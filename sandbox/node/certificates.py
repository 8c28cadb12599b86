"""The sandbox's certificate authority, and what it signs: made with openssl."""

import os
from pathlib import Path

from sandbox.node.host import run

DAYS = "365"
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


def authority(folder: Path) -> Path:
    """The authority's certificate, made at the first call; its key lies beside it.

    Raises:
        HostError: openssl refused.
    """
    certificate, key = folder / "sandbox-ca.crt", folder / "sandbox-ca.key"
    if not certificate.exists():
        subject = ("-subj", "/CN=litemaas-sandbox-ca")
        _run("req", "-x509", *CURVE, "-days", DAYS, *subject, "-keyout", str(key), "-out", str(certificate))
    return certificate


def signed(folder: Path, name: str, subject: str, extension: str) -> tuple[Path, Path]:
    """A certificate of the authority and its key, made at the first call.

    Args:
        folder: where the authority is.
        name: of the files.
        subject: as openssl writes it, ``/CN=...``.
        extension: one line of X.509 extensions, as ``subjectAltName=DNS:...``.

    Raises:
        HostError: openssl refused.
    """
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    kept = folder / f"{name}.wanted"
    wanted = f"{subject}\n{extension}\n"
    if certificate.exists() and kept.exists() and kept.read_text() == wanted:
        return certificate, key
    issuer = authority(folder)
    request = _run("req", *CURVE, "-subj", subject, "-keyout", str(key))
    kept.write_text(wanted)
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"{extension}\nbasicConstraints=critical,CA:false\n")
    signer = ("-CA", str(issuer), "-CAkey", str(issuer.with_suffix(".key")), "-CAcreateserial")
    _run("x509", "-req", *signer, "-days", DAYS, "-extfile", str(extensions), "-out", str(certificate), text=request)
    return certificate, key


def _run(*arguments: str, text: str | None = None) -> str:
    before = os.umask(0o077)
    try:
        return run("openssl", *arguments, text=text)
    finally:
        os.umask(before)
