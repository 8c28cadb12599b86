"""Everything in TLS that can be: the Routes' own certificate, reencrypt, databases, LiteLLM; and nothing beside it."""

import socket
import ssl
import time
import urllib.parse
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.e2e.conftest import report
from tests.e2e.stack import CONNECTIONS, Deployed
from tests.e2e.web import Gateway, User, Web, early_in_a_minute, until
from tests.unit import certificates

SERVERS = {"redis": 6379, "litellm": 4000, "frontend": 8443}
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SERVICE_CA = "openshift-service-ca.crt"


@pytest.fixture(scope="module")
def secured(stack: Deployed, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Web:
    """The stack with all of it switched on, and a client that trusts the authority of its Routes and the sandbox's."""
    lab = certificates.authority()
    urls = (stack.portal, stack.gateway.url, stack.project.outputs()["api_url"])
    made = certificates.make("portal", signer=lab, hosts=[urllib.parse.urlsplit(url).hostname or "" for url in urls])
    stack.project.change(
        tls={"internal": True},
        # The backend and the verification use the public names.
        trust={"caBundle": lab.certificate},
        exposure={"tls": {"termination": "reencrypt", "certificate": {"crt": made.certificate}}},
    )
    stack.project.set_secret("exposure.tls.certificate.key", made.key)
    started = time.monotonic()
    # It ends with the verification, which goes through the Routes.
    stack.project.up()
    report(f"up to TLS everywhere, verified: {time.monotonic() - started:.0f} s")
    file = tmp_path_factory.mktemp("trust") / "ca.pem"
    own = (sandbox.state / "pki" / "sandbox-ca.crt").read_text()
    file.write_text(own + lab.certificate)
    # Nothing comes after these tests, so nobody switches it off again.
    return Web(sandbox.host, file)


def address(stack: Deployed, component: str) -> str:
    """Where one pod of a component is; the node it runs on is this machine."""
    until(f"a pod of {component}", lambda: bool(stack.pods(component)))
    return stack.pods(component)[0]["status"]["podIP"]


def presented(stack: Deployed, component: str, folder: Path) -> bytes:
    """The certificate of a pod, verified as its callers do."""
    file = folder / "service-ca.crt"
    file.write_text(stack.cluster.get("configmap", SERVICE_CA, stack.namespace)["data"]["service-ca.crt"])
    trusted = ssl.create_default_context(cafile=str(file))
    with (
        socket.create_connection((address(stack, component), SERVERS[component]), timeout=10) as plain,
        trusted.wrap_socket(plain, server_hostname=f"{component}.{stack.namespace}.svc") as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def test_portal_and_gateway_are_served_with_the_given_certificate(
    stack: Deployed, secured: Web, sandbox: Sandbox
) -> None:
    until("the portal", lambda: secured.send("GET", stack.portal).ok().status == 200)
    secured.send("GET", f"{stack.gateway.url}/health/liveliness").ok()
    with pytest.raises(ssl.SSLCertVerificationError):
        Web(sandbox.host, sandbox.state / "pki" / "sandbox-ca.crt").send("GET", stack.portal)


@pytest.mark.parametrize("component", SERVERS)
@pytest.mark.usefixtures("secured")
def test_a_pod_presents_a_certificate_for_the_name_of_its_service(
    stack: Deployed, component: str, tmp_path: Path
) -> None:
    assert presented(stack, component, tmp_path)


@pytest.mark.parametrize(("component", "sent"), [("redis", b"PING\r\n"), ("litellm", REQUEST)])
@pytest.mark.usefixtures("secured")
def test_nothing_is_said_to_whoever_speaks_without_tls(stack: Deployed, component: str, sent: bytes) -> None:
    with socket.create_connection((address(stack, component), SERVERS[component]), timeout=10) as plain:
        plain.sendall(sent)
        try:
            answer = plain.recv(1000)
        except ConnectionError:
            answer = b""
    assert b"200 OK" not in answer
    assert b"NOAUTH" not in answer
    assert b"PONG" not in answer


def test_a_limit_holds_across_the_replicas_that_share_it_through_redis_in_tls(stack: Deployed, secured: Web) -> None:
    user: User = secured.log_in(stack.portal, "bob")
    key = user.key("granite-8b-agent", rpmLimit=4)
    gateway = Gateway(secured, stack.gateway.url)
    until("two replicas", lambda: stack.is_ready("litellm", 2))
    early_in_a_minute()
    answers = [gateway.complete(key.secret, "granite-8b-agent").status for _ in range(8)]
    report(f"a limit of 4 a minute, 8 calls to two replicas in TLS: {answers}")
    assert sorted(answers) == [200] * 4 + [429] * 4


@pytest.mark.usefixtures("secured")
def test_every_connection_to_postgres_is_encrypted(stack: Deployed) -> None:
    rows = stack.sql("postgres", CONNECTIONS).splitlines()
    assert set(rows) == {"litemaas|t", "litellm|t"}


@pytest.mark.usefixtures("secured")
def test_a_renewed_certificate_is_served_by_the_frontend_without_a_restart(stack: Deployed, tmp_path: Path) -> None:
    before, pods = presented(stack, "frontend", tmp_path), set(stack.readiness("frontend"))
    # As the operator would: whoever deletes the Secret gets another one.
    stack.cluster.kubectl("delete", "secret", "frontend-serving", "-n", stack.namespace)
    seconds = until("the new certificate", lambda: presented(stack, "frontend", tmp_path) != before, 300, 2)
    report(f"a renewed certificate is served by nginx after {seconds:.0f} s; on a real node a minute more")
    assert set(stack.readiness("frontend")) == pods
