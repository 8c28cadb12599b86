"""Two backends behind three frontends, whose pods are deleted one by one while people log in: everybody gets in."""

import html
import itertools
import re
import threading
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.e2e.conftest import report
from tests.e2e.journey import BACKENDS, FRONTENDS
from tests.e2e.stack import Deployed
from tests.e2e.web import Answer, Web, until
from tests.engine.driver import Json

pytestmark = pytest.mark.usefixtures("grown")

LOGINS, SIDE_BY_SIDE = 200, 8
# Those whom the sandbox has a User for.
PEOPLE = ("alice", "bob", "carol")
COUNTS = {"frontend": FRONTENDS, "backend": BACKENDS}


@dataclass
class Browser:
    """Somebody's browser: cookies by host, and what the portal's pages and the one that begins a login again do."""

    web: Web
    portal: str
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def send(self, method: str, url: str, body: Json | None = None, form: dict[str, str] | None = None) -> Answer:
        jar = self.cookies.setdefault(urllib.parse.urlsplit(url).netloc, {})
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        if method == "POST" and form is None:
            headers["Origin"] = self.portal
        answer = self.web.send(method, url, body, headers, form=form)
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            jar[name] = value
        return answer

    def log_in(self, name: str) -> int:
        """How often the login was begun again before a token came.

        Raises:
            AssertionError: it did not come.
        """
        for again in range(4):
            back = self._from_the_oauth_server(self._begin(patient=again > 0), name)
            done = self.send("GET", back)
            if done.status == 302:
                assert "#token=" in done.headers["Location"], done.headers["Location"]
                return again
            assert done.status == 200, f"{done.status}: {done.text[:200]}"
            assert 'fetch("/api/auth/login"' in done.text, done.text[:200]
        msg = "begun again three times in vain"
        raise AssertionError(msg)

    def _begin(self, *, patient: bool) -> str:
        """The button; the page that begins again goes on trying for a minute."""
        for _ in range(30 if patient else 1):
            asked = self.send("POST", f"{self.portal}/api/auth/login", {})
            if asked.status == 200:
                return asked.json()["authUrl"]
            if patient:
                time.sleep(2)
        raise AssertionError(f"no login begins: {asked.status}")

    def _from_the_oauth_server(self, url: str, name: str) -> str:
        """Where it sends the browser; whoever has just given a name is not asked again."""
        answer = self.send("GET", url).ok(302)
        where = urllib.parse.urljoin(url, answer.headers["Location"])
        if where.startswith(self.portal):
            return where
        page = self.send("GET", where).ok().text
        found = re.search(r'name="then" value="([^"]*)"', page)
        assert found, page
        fields = {"username": name, "password": "anything", "then": html.unescape(found[1])}
        passed = self.send("POST", urllib.parse.urljoin(where, "/login"), form=fields).ok(302)
        granted = self.send("GET", urllib.parse.urljoin(where, passed.headers["Location"])).ok(302)
        return granted.headers["Location"]


def _delete_in_turn(stack: Deployed, deleted: Counter[str], stop: threading.Event) -> None:
    """Delete the oldest pod of either tier, wait until all are ready, and so on."""
    for tier in itertools.cycle(("frontend", "backend")):
        if stop.is_set():
            return
        oldest, *_ = sorted(stack.pods(tier), key=lambda pod: pod["metadata"]["creationTimestamp"])
        stack.cluster.kubectl("delete", "pod", "-n", stack.namespace, oldest["metadata"]["name"], "--wait=false")
        deleted[tier] += 1
        until(f"all of {tier} to be ready", lambda tier=tier: stack.is_ready(tier, COUNTS[tier]), 180)


def test_two_hundred_logins_through_three_frontends_and_two_backends_while_their_pods_go_one_by_one(
    stack: Deployed,
) -> None:
    # The first login of each makes a user in LiteLLM, which takes seconds.
    for name in PEOPLE:
        Browser(stack.web, stack.portal).log_in(name)
    outcomes: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    stop = threading.Event()

    def log_in(number: int) -> None:
        # As many as it takes for each tier to lose several pods.
        time.sleep(0.5)
        try:
            again = Browser(stack.web, stack.portal).log_in(PEOPLE[number % len(PEOPLE)])
            outcomes[f"begun again {again} times" if again else "at once"] += 1
        except (AssertionError, OSError) as problem:
            outcomes[f"failed: {str(problem)[:120]}"] += 1

    with ThreadPoolExecutor(SIDE_BY_SIDE + 1) as pool:
        deleting = pool.submit(_delete_in_turn, stack, deleted, stop)
        try:
            list(pool.map(log_in, range(LOGINS)))
        finally:
            stop.set()
        deleting.result()
    report(f"{LOGINS} logins while pods went ({dict(deleted)}): {dict(outcomes)}")
    assert outcomes.total() == LOGINS
    assert min(deleted["frontend"], deleted["backend"]) >= 2, deleted
    assert not [each for each in outcomes if each.startswith("failed")], outcomes


def _pods_of(stack: Deployed, server: str) -> list[str]:
    """A server's pods, with those that are going: they answer until they are gone."""
    listed = stack.cluster.items("pods", stack.namespace, labelSelector="app.kubernetes.io/component=backend")
    return [name for each in listed if (name := each["metadata"]["name"]).startswith(f"{server}-")]


def test_either_backend_alone_lets_people_in(stack: Deployed) -> None:
    """Else the test before may have looked at one of them only."""
    for server in ("backend-1", "backend-2"):
        stack.cluster.kubectl("scale", "-n", stack.namespace, f"deployment/{server}", "--replicas=0")
        until(f"{server} to be gone", lambda server=server: not _pods_of(stack, server), 60)
        try:
            assert [Browser(stack.web, stack.portal).log_in(PEOPLE[0]) for _ in range(5)] == [0] * 5
        finally:
            stack.cluster.kubectl("scale", "-n", stack.namespace, f"deployment/{server}", "--replicas=1")
            until("both to be ready", lambda: stack.is_ready("backend", 2), 120)


def test_a_drain_of_the_node_would_be_let_to_take_one_pod_of_each_at_a_time(stack: Deployed) -> None:
    for tier, count in COUNTS.items():
        budget = stack.cluster.get("poddisruptionbudget", tier, stack.namespace)["status"]
        assert (budget["expectedPods"], budget["disruptionsAllowed"]) == (count, 1)
