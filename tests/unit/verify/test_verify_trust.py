"""Certificates are verified, against the authorities that the cluster hands out."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.http_double import serving
from tests.unit.verify.conftest import Result
from tests.unit.verify.installation_double import GRANITE, InstallationDouble


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """A certificate authority, and what it signed for 127.0.0.1 and for another address."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)

    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=lab-ca")
    for name, address in (("good", "IP:127.0.0.1"), ("other", "IP:127.0.0.2"), ("named", "DNS:portal.example.com")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={address}\n")
        openssl(f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN=lab")
        signed = f"-CA ca.crt -CAkey ca.key -days 2 -extfile {name}.ext"
        openssl(f"x509 -req -in {name}.csr {signed} -out {name}.crt")
    return folder


@pytest.fixture
def secure(authority, verify, tmp_path) -> Callable[..., Result]:
    """Runs the script against a double behind TLS; ``trusted`` are the authorities in the file of its pod."""

    def run(certificate: str, *trusted: str, host: str = "127.0.0.1", **changed: str) -> Result:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(authority / f"{certificate}.crt", authority / f"{certificate}.key")
        (tmp_path / "ca.pem").write_text("".join(trusted))
        served = InstallationDouble(GRANITE)
        with serving(served, tls) as url:
            served.url = url.replace("127.0.0.1", host)
            return verify(served, SSL_CERT_FILE=str(tmp_path / "ca.pem"), **changed)

    return run


def test_an_authority_of_the_file_is_trusted(secure, authority):
    result = secure("good", (authority / "ca.crt").read_text())
    assert result.code == 0, result.said


def test_without_the_authority_nothing_is_sent_and_the_row_says_why(secure):
    result = secure("good")
    assert result.code == 1
    assert "the certificate of 127.0.0.1" in result.state("portal answers")
    assert "oc edit proxy/cluster" in result.advice("portal answers")


def test_a_certificate_for_another_name_is_refused(secure, authority):
    result = secure("other", (authority / "ca.crt").read_text())
    assert "IP address mismatch" in result.state("portal answers")


def test_where_names_do_not_resolve_an_address_does_and_the_certificate_is_still_the_names(secure, authority):
    trusted = (authority / "ca.crt").read_text()
    proxy = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    result = secure("named", trusted, host="portal.example.com", ADDRESS="127.0.0.1", **proxy)
    assert result.code == 0, result.said
    result = secure("named", trusted, host="another.example.com", ADDRESS="127.0.0.1")
    assert "the certificate of another.example.com" in result.state("portal answers")
