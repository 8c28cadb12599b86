"""Two replicas of the gateway are one gateway: they share counters and the state of keys in Redis."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.e2e.conftest import report
from tests.e2e.stack import Deployed
from tests.e2e.web import Key, User, early_in_a_minute, until

pytestmark = pytest.mark.usefixtures("quiet")


def ask(address: str, key: Key, model: str = "granite-8b-agent") -> int:
    """The status of a completion by one replica, spoken to directly."""
    connection = http.client.HTTPConnection(address, 4000, timeout=30)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})
    headers = {"Authorization": f"Bearer {key.secret}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.fixture(scope="module")
def replicas(stack: Deployed) -> tuple[str, str]:
    """The addresses of the two replicas; the node they run on is this machine."""
    until("two replicas", lambda: stack.is_ready("litellm", 2))
    first, second = (each["status"]["podIP"] for each in stack.pods("litellm"))
    return first, second


@pytest.fixture(scope="module", autouse=True)
def deleted(bob: User, replicas: tuple[str, str]) -> Iterator[Future[float]]:
    """The seconds for which a replica still took a key that was deleted: up to a minute, spent by other tests."""
    key = bob.key("granite-8b-agent")
    assert [ask(address, key) for address in replicas] == [200, 200]
    bob.api("DELETE", f"/api/v1/api-keys/{key.id}").ok()
    refused = lambda: [ask(address, key) for address in replicas] == [401, 401]  # noqa: E731
    with ThreadPoolExecutor() as pool:
        yield pool.submit(until, "both to refuse", refused, 70, 0.2)


def test_a_keys_limit_per_minute_holds_across_both_replicas(
    stack: Deployed, bob: User, replicas: tuple[str, str]
) -> None:
    key = bob.key("granite-8b-agent", rpmLimit=4)
    early_in_a_minute()
    answers = [[ask(address, key) for _ in range(4)] for address in replicas]
    report(f"a limit of 4 a minute, 4 calls to each of two replicas: {answers}")
    assert answers == [[200] * 4, [429] * 4]


def test_a_blocked_key_is_refused_by_both_replicas(stack: Deployed, bob: User, replicas: tuple[str, str]) -> None:
    key = bob.key("granite-8b-agent")
    assert [ask(address, key) for address in replicas] == [200, 200]
    stack.administer("/key/block", {"key": key.secret})
    seconds = until("both to refuse", lambda: [ask(address, key) for address in replicas] == [401, 401], 70, 0.2)
    report(f"a blocked key is refused by both replicas after {seconds:.1f} s")


def test_a_key_that_is_deleted_in_the_portal_is_refused_by_both_replicas(deleted: Future[float]) -> None:
    report(f"a deleted key is refused by both replicas after {deleted.result():.1f} s")
