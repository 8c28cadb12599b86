"""Whoever left a Group administers the gateway no longer, once its replicas have forgotten; test_roles has the rest."""

from tests.e2e.conftest import report
from tests.e2e.leaving import MODEL, Left
from tests.e2e.stack import Deployed


def test_the_key_of_who_left_the_group_is_that_of_a_user(stack: Deployed, left: Left) -> None:
    report(f"a key administers the gateway for {left.demoted.result():.0f} s after its owner has lost the role")
    assert stack.gateway.complete(left.key.secret, MODEL).status == 200, "a user is what erin still is"
