"""Everything in TLS that can be: the Routes' own certificate, reencrypt, databases, LiteLLM; and nothing beside it."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.e2e.conftest import report
from tests.e2e.doors import closed
from tests.e2e.stack import CONNECTIONS, Deployed
from tests.e2e.web import early_in_a_minute, meanwhile, until

SERVERS = {"redis": 6379, "litellm": 4000, "frontend": 8443}
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SERVICE_CA = "openshift-service-ca.crt"


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


@pytest.fixture(scope="module")
def renewed(secured: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[set[str], Future[float]]]:
    """The frontend's pods, and the seconds until another certificate is served than one that somebody deleted.

    Half a minute, spent by other tests.
    """
    folder = tmp_path_factory.mktemp("renewed")
    before, pods = presented(secured, "frontend", folder), secured.uids("frontend")
    # As the operator would: whoever deletes the Secret gets another one.
    secured.cluster.kubectl("delete", "secret", "frontend-serving", "-n", secured.namespace)
    changed = lambda: presented(secured, "frontend", folder) != before  # noqa: E731
    with meanwhile("the new certificate", changed, 300, 1) as waiting:
        yield pods, waiting


@pytest.mark.usefixtures("renewed")
def test_portal_and_gateway_are_served_with_the_given_certificate(stack: Deployed, secured: Deployed) -> None:
    until("the portal", lambda: secured.web.send("GET", stack.portal).ok().status == 200)
    secured.web.send("GET", f"{stack.gateway.url}/health/liveliness").ok()
    with pytest.raises(ssl.SSLCertVerificationError):
        stack.web.send("GET", stack.portal)


def test_with_the_admin_page_closed_everything_else_works_and_hsts_is_told(secured: Deployed) -> None:
    closed(secured, "bob")
    for url in (secured.portal, f"{secured.gateway.url}/health/liveliness"):
        assert secured.web.send("GET", url).headers["Strict-Transport-Security"] == "max-age=3600"


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


def test_a_limit_holds_across_the_replicas_that_share_it_through_redis_in_tls(secured: Deployed) -> None:
    key = secured.user("bob").key("granite-8b-agent", rpmLimit=4)
    until("two replicas", lambda: secured.is_ready("litellm", 2))
    early_in_a_minute()
    answers = [secured.gateway.complete(key.secret, "granite-8b-agent").status for _ in range(8)]
    report(f"a limit of 4 a minute, 8 calls to two replicas in TLS: {answers}")
    assert sorted(answers) == [200] * 4 + [429] * 4


@pytest.mark.usefixtures("secured")
def test_every_connection_to_postgres_is_encrypted(stack: Deployed) -> None:
    rows = stack.sql("postgres", CONNECTIONS).splitlines()
    assert set(rows) == {"litemaas|t", "litellm|t"}


def test_a_renewed_certificate_is_served_by_the_frontend_without_a_restart(
    secured: Deployed, renewed: tuple[set[str], Future[float]]
) -> None:
    pods, waiting = renewed
    report(f"a renewed certificate is served by nginx after {waiting.result():.0f} s; on a real node a minute more")
    assert secured.uids("frontend") == pods
