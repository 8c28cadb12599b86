"""Whoever takes a model out of the stack file is told whom it would hit."""

import select
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sandbox.cluster import Sandbox
from tests.e2e.conftest import report
from tests.e2e.settings import MODELS, SETTINGS
from tests.e2e.stack import Deployed
from tests.e2e.web import User

MODEL = "devstral-2"
OTHERS = [each for each in SETTINGS["models"] if each != MODEL]
FORMER = "mistral-3-int4"
RENAMED = {
    "name": "coder",
    "endpoint": f"http://{FORMER}-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 8192,
}


class Tunnel(BaseHTTPRequestHandler):
    """A proxy that leads every public name to the sandbox's router: no DNS server knows the sandbox's domain."""

    router = ""

    def do_CONNECT(self) -> None:
        """Connect, and pass on what either side says."""
        with socket.create_connection((self.router, int(self.path.rpartition(":")[2]))) as there:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: there, there: self.connection}
            while ready := select.select(list(pair), [], [], 30)[0]:
                for each in ready:
                    if not (data := each.recv(65536)):
                        self.close_connection = True
                        return
                    pair[each].sendall(data)

    def log_message(self, *_: object) -> None:
        """Nothing of it is news."""


@pytest.fixture
def proxied(stack: Deployed, sandbox: Sandbox) -> Iterator[None]:
    """Pulumi's environment as that of somebody behind a company's proxy; the API server is next door."""
    Tunnel.router = sandbox.host
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = dict(stack.project.env)
    stack.project.env |= {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_address[1]}", "NO_PROXY": sandbox.host}
    yield
    stack.project.env.clear()
    stack.project.env.update(before)
    server.shutdown()
    server.server_close()


@pytest.fixture
def without(stack: Deployed) -> Iterator[None]:
    """The model is not in the stack file."""
    stack.project.change(models=OTHERS)
    yield
    stack.project.write_config(SETTINGS)


@pytest.mark.usefixtures("proxied", "without")
def test_a_model_that_leaves_is_refused_with_the_numbers_of_portal_and_litellm_and_a_renamed_one_is_recognised(
    stack: Deployed, bob: User
) -> None:
    bob.key(MODEL)
    bob.key(MODEL, *[each for each in MODELS if each != MODEL][:1])
    stack.user("carol").key(MODEL)
    subscribed = stack.sql(
        "litemaas_db",
        f"SELECT count(*) FROM subscriptions WHERE model_id = '{MODEL}' AND status = 'active'",  # noqa: S608  a name of ours
    )
    named, alone = stack.sql(
        "litellm_db",
        f"SELECT count(*), count(*) FILTER (WHERE cardinality(models) = 1) "  # noqa: S608  a name of ours
        f"FROM \"LiteLLM_VerificationToken\" WHERE '{MODEL}' = ANY(models)",
    ).split("|")
    stack.project.change(models=[*(each for each in OTHERS if each != FORMER), RENAMED])
    said = " ".join(stack.project.refused().split())
    assert f"litemaas:models = {MODEL}" in said
    told = f"Active subscriptions: {subscribed}; keys that name it: {named} ({alone} of them no other model)"
    assert told in said
    assert int(subscribed) >= 2
    assert int(named) > int(alone) >= 2
    report(f"a vanished model: {told}")
    assert "coder is declared with its server" in said
    assert f"keep the name {FORMER}, with aliases: [coder]" in said


@pytest.mark.usefixtures("without")
def test_where_the_public_names_mean_nothing_the_refusal_says_so(stack: Deployed) -> None:
    said = " ".join(stack.project.refused().split())
    assert "could not be asked: the portal at litemaas-api-litemaas." in said
    assert f"retiredModels: [{MODEL}]" in said
