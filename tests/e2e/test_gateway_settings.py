"""The gateway's settings on a real node: what the portal leaves open is closed, and the autoscaler is there."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import report
from tests.e2e.settings import MODELS
from tests.e2e.stack import Deployed
from tests.e2e.web import Key, User, until

MODEL = "devstral-2"


@pytest.fixture(scope="module")
def emptied(stack: Deployed, bob: User) -> Iterator[Key]:
    """A key whose only model an administrator restricts in the portal, which empties its list of models."""
    alice, key = stack.user("alice"), bob.key(MODEL)
    assert opened(stack, key.secret) == [MODEL]
    identity = next(
        each["id"] for each in alice.api("GET", "/api/v1/models").ok().json()["data"] if each["name"] == MODEL
    )
    alice.api("PUT", f"/api/v1/admin/models/{identity}", {"restrictedAccess": True}).ok()
    yield key
    alice.api("PUT", f"/api/v1/admin/models/{identity}", {"restrictedAccess": False}).ok()
    # Waiting for an approval since then; cancelled, it can be asked for again.
    for each in bob.api("GET", "/api/v1/subscriptions").ok().json()["data"]:
        if each["status"] == "pending":
            bob.api("POST", f"/api/v1/subscriptions/{each['id']}/cancel").ok()


def opened(stack: Deployed, key: str) -> list[str]:
    """The models that answer to a key."""
    return [model for model in MODELS if stack.gateway.complete(key, model).status == 200]


def test_a_key_that_lost_its_last_model_opens_all_until_the_check_blocks_it(stack: Deployed, emptied: Key) -> None:
    administrators = stack.administer("/key/generate", {"models": [], "key_alias": "administrators-own"}).json()["key"]
    until("the replicas to know", lambda: opened(stack, emptied.secret) == list(MODELS), 90)
    said = stack.run_check("key-check", "check-by-hand")
    report(f"the check of keys: {said.splitlines()[-1]}")
    assert "blocked: " in said
    # Both replicas at once, by Redis.
    assert [stack.gateway.complete(emptied.secret, model).status for model in MODELS * 2] == [401] * 8
    assert opened(stack, administrators) == list(MODELS)


def test_a_second_check_finds_nothing_more_to_do(stack: Deployed, emptied: Key) -> None:
    said = stack.run_check("key-check", "check-again")
    assert "blocked: " not in said
    assert "0 of the portal without a model" in said
    assert stack.gateway.complete(emptied.secret, MODEL).status == 401


@pytest.mark.usefixtures("grown", "checked")
def test_an_autoscaler_sizes_the_gateway_and_its_number_is_no_change(stack: Deployed) -> None:
    spec = stack.cluster.get("horizontalpodautoscaler", "litellm", stack.namespace)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
    stack.project.preview("--refresh", "--expect-no-changes")
