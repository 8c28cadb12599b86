"""Whoever leaves a Group loses its role in the portal and in LiteLLM, and the others keep theirs."""

from tests.e2e.conftest import report
from tests.e2e.leaving import Left
from tests.e2e.stack import Deployed


def test_whoever_leaves_the_group_loses_the_role_and_the_others_keep_theirs(stack: Deployed, left: Left) -> None:
    report(f"the check of roles: {left.said.splitlines()[-1]}")
    assert "erin: lost admin; left: user" in left.said
    assert "erin: no administrator of LiteLLM any more" in left.said

    assert stack.user(left.name).roles() == ["user"]
    assert left.before.api("GET", "/api/v1/admin/users").status == 200, "a token from before is good for its day"
    assert stack.user(left.name).api("GET", "/api/v1/admin/users").status == 403
    assert {name: stack.user(name).roles() for name in left.others} == left.others
    assert "0 changes" in stack.run_check("role-check", "roles-again")
