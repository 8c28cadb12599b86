"""Somebody administers portal and gateway, and leaves the Group that gave the role."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.stack import Deployed
from tests.e2e.web import Key, User, meanwhile
from tests.engine.driver import ADMINS

MODEL = "granite-8b-agent"


@dataclass(frozen=True)
class Left:
    """Somebody who was an administrator, and what the check of roles said once the Group had one member less."""

    name: str
    before: User
    key: Key
    others: dict[str, list[str]]
    said: str
    # The seconds for which replicas of the gateway still had the former role in mind, spent by other tests.
    demoted: Future[float]


@contextmanager
def left(stack: Deployed) -> Iterator[Left]:
    """A person whom the cluster knows, an administrator by hand, and no longer."""
    name, users = "erin", "/apis/user.openshift.io/v1/users"
    stack.cluster.request(
        "POST", users, {"apiVersion": "user.openshift.io/v1", "kind": "User", "metadata": {"name": name}}
    )
    stack.cluster.patch("group", ADMINS, {"users": ["alice", name]}, None)
    others = {each: stack.user(each).roles() for each in ("alice", "bob", "carol")}
    before = stack.user(name)
    key = before.key(MODEL)
    header = {"Authorization": f"Bearer {key.secret}"}
    administers = lambda: stack.web.send("GET", f"{stack.gateway.url}/user/list", headers=header).status == 200  # noqa: E731
    assert "admin" in before.roles()
    assert administers(), "LiteLLM was told so at the first login"
    assert name not in stack.run_check("role-check", "roles-in-order")

    stack.cluster.patch("group", ADMINS, {"users": ["alice"]}, None)
    assert "admin" in stack.user(name).roles(), "the backend takes nothing away at a login"
    said = stack.run_check("role-check", "roles-by-hand")
    with meanwhile("the key to be a user's", lambda: not administers(), 90) as demoted:
        yield Left(name, before, key, others, said, demoted)
    stack.cluster.kubectl("delete", "user", name)
