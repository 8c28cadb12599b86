"""Whoever leaves a Group loses its role in the portal and in LiteLLM, and the others keep theirs."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import report
from tests.e2e.stack import Deployed
from tests.e2e.web import until
from tests.engine.driver import ADMINS, Json

pytestmark = pytest.mark.usefixtures("beside")


@pytest.fixture
def erin(stack: Deployed) -> Iterator[str]:
    """A person whom the cluster knows, an administrator by hand; gone from cluster and Group afterwards."""
    user: Json = {"apiVersion": "user.openshift.io/v1", "kind": "User", "metadata": {"name": "erin"}}
    stack.cluster.request("POST", "/apis/user.openshift.io/v1/users", user)
    stack.cluster.patch("group", ADMINS, {"users": ["alice", "erin"]}, None)
    yield "erin"
    stack.cluster.patch("group", ADMINS, {"users": ["alice"]}, None)
    stack.cluster.kubectl("delete", "user", "erin")


def administers_the_gateway(stack: Deployed, key: str) -> bool:
    """Whether a key of the portal opens what only LiteLLM's administrators see."""
    header = {"Authorization": f"Bearer {key}"}
    return stack.web.send("GET", f"{stack.gateway.url}/user/list", headers=header).status == 200


def test_whoever_leaves_the_group_loses_the_role_and_the_others_keep_theirs(stack: Deployed, erin: str) -> None:
    others = {name: stack.user(name).roles() for name in ("alice", "bob", "carol")}
    before = stack.user(erin)
    key = before.key("granite-8b-agent")
    assert "admin" in before.roles()
    assert administers_the_gateway(stack, key.secret), "LiteLLM was told so at the first login"
    assert "erin" not in stack.run_check("role-check", "roles-in-order")

    stack.cluster.patch("group", ADMINS, {"users": ["alice"]}, None)
    assert "admin" in stack.user(erin).roles(), "the backend takes nothing away at a login"
    said = stack.run_check("role-check", "roles-by-hand")
    report(f"the check of roles: {said.splitlines()[-1]}")
    assert "erin: lost admin; left: user" in said
    assert "erin: no administrator of LiteLLM any more" in said

    assert stack.user(erin).roles() == ["user"]
    assert before.api("GET", "/api/v1/admin/users").status == 200, "a token from before is good for its day"
    assert stack.user(erin).api("GET", "/api/v1/admin/users").status == 403
    # Each replica keeps a user in mind for a while.
    until("the key to be a user's", lambda: not administers_the_gateway(stack, key.secret), 90)
    assert stack.gateway.complete(key.secret, "granite-8b-agent").status == 200, "a user is what erin still is"
    assert {name: stack.user(name).roles() for name in others} == others
    assert "0 changes" in stack.run_check("role-check", "roles-again")
