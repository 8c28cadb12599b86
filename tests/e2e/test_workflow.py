"""The seed's demo workflow: log in, subscribe, make a key, call a model; what it cost, test_usage sees."""

import json
import subprocess

import pytest

from sandbox.cluster import Sandbox
from tests.e2e.settings import MODELS
from tests.e2e.stack import Deployed
from tests.e2e.web import User

# Nothing here minds that a key is on its way out, others are used, and other stacks start and fail meanwhile.
pytestmark = pytest.mark.usefixtures("deleted", "used", "beside")
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.mark.parametrize(
    ("name", "role"),
    [("alice", "admin"), ("carol", "admin-readonly"), ("bob", "user")],
    ids=("admin", "reader", "user"),
)
def test_the_groups_of_the_config_decide_what_somebody_may_do(stack: Deployed, name: str, role: str) -> None:
    roles = stack.user(name).roles()
    assert role in roles
    assert ("admin" in roles) == (name == "alice")


def test_somebody_whom_the_cluster_does_not_know_gets_no_further_than_the_login_form(stack: Deployed) -> None:
    with pytest.raises(AssertionError, match="401"):
        stack.user("mallory")


def test_the_portal_offers_every_model_with_its_real_context_length(stack: Deployed, bob: User) -> None:
    offered = {each["name"]: each["contextLength"] for each in bob.api("GET", "/api/v1/models").ok().json()["data"]}
    assert offered == {
        "granite-8b-agent": 16384,
        "mistral-3-int4": 8192,
        "devstral-2": 32768,
        "gpt-oss-20b": 8192,
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_key_from_the_portal_opens_its_model_and_no_other(stack: Deployed, bob: User, model: str) -> None:
    key = bob.key(model)
    answer = stack.gateway.complete(key.secret, model).ok().json()
    assert answer["choices"][0]["message"]["content"] == "double answers: How are you?"
    other = next(each for each in MODELS if each != model)
    assert stack.gateway.complete(key.secret, other).status == 403


def test_streams_and_tool_calls_pass_the_gateway(stack: Deployed, bob: User) -> None:
    key = bob.key("granite-8b-agent")
    stream = stack.gateway.complete(key.secret, "granite-8b-agent", stream=True).ok()
    assert stream.text.rstrip().endswith("data: [DONE]")
    assert stream.text.count("data: {") > 3
    called = stack.gateway.complete(key.secret, "granite-8b-agent", tools=[TOOL], tool_choice="auto").ok().json()
    assert called["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "weather"


def test_the_call_that_the_seed_shows_works_with_curl(stack: Deployed, sandbox: Sandbox, bob: User) -> None:
    key = bob.key("granite-8b-agent")
    body = {"model": "granite-8b-agent", "messages": [{"role": "user", "content": "Hello"}]}
    command = ["curl", "-sS", "--fail", "--cacert", str(sandbox.state / "pki" / "sandbox-ca.crt")]
    command += ["--connect-to", f"::{sandbox.host}:", "-X", "POST", f"{stack.gateway.url}/v1/chat/completions"]
    command += ["-H", f"Authorization: Bearer {key.secret}", "-H", "Content-Type: application/json"]
    done = subprocess.run([*command, "-d", json.dumps(body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_nobody_calls_a_model_without_a_key(stack: Deployed) -> None:
    assert stack.gateway.complete("", "granite-8b-agent").status == 401
    assert stack.gateway.complete("sk-made-up-by-somebody", "granite-8b-agent").status == 401
