"""Two replicas of the gateway are one gateway: they share counters and the state of keys in Redis."""

from concurrent.futures import Future

import pytest

from tests.e2e.conftest import report
from tests.e2e.replicas import addresses, ask
from tests.e2e.stack import Deployed
from tests.e2e.web import User, early_in_a_minute, until


@pytest.fixture(scope="module")
def replicas(stack: Deployed) -> list[str]:
    """The addresses of the two replicas."""
    return addresses(stack)


def test_a_keys_limit_per_minute_holds_across_both_replicas(stack: Deployed, bob: User, replicas: list[str]) -> None:
    key = bob.key("granite-8b-agent", rpmLimit=4)
    early_in_a_minute()
    answers = [[ask(address, key) for _ in range(4)] for address in replicas]
    report(f"a limit of 4 a minute, 4 calls to each of two replicas: {answers}")
    assert answers == [[200] * 4, [429] * 4]


def test_a_blocked_key_is_refused_by_both_replicas(stack: Deployed, bob: User, replicas: list[str]) -> None:
    key = bob.key("granite-8b-agent")
    assert [ask(address, key) for address in replicas] == [200, 200]
    stack.administer("/key/block", {"key": key.secret})
    seconds = until("both to refuse", lambda: [ask(address, key) for address in replicas] == [401, 401], 70, 0.2)
    report(f"a blocked key is refused by both replicas after {seconds:.1f} s")


def test_a_key_that_is_deleted_in_the_portal_is_refused_by_both_replicas(deleted: Future[float]) -> None:
    report(f"a deleted key is refused by both replicas after {deleted.result():.1f} s")
