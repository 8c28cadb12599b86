"""New pods take over while people work: no request fails."""

import pytest

from tests.e2e.conftest import SETTINGS, Deployed, report
from tests.e2e.load import Load
from tests.e2e.web import User
from tests.engine.driver import Json


def ages(deployed: Deployed, component: str) -> set[str]:
    return {each["metadata"]["uid"] for each in deployed.pods(component)}


def roll(deployed: Deployed, component: str, resources: Json, count: int) -> None:
    """Change something in the pods of a component by a `pulumi up`."""
    before = ages(deployed, component)
    deployed.project.change(resources={component: resources})
    deployed.project.up()
    assert deployed.is_ready(component, count)
    assert not before & ages(deployed, component)


@pytest.mark.parametrize("replicas", [2, 1])
def test_a_new_gateway_takes_over_without_a_failed_completion(deployed: Deployed, bob: User, replicas: int) -> None:
    if replicas != SETTINGS["replicas"]["litellm"]:
        deployed.project.change(replicas=SETTINGS["replicas"] | {"litellm": replicas})
        deployed.project.up()
    key = bob.key("granite-8b-agent")
    with Load(lambda: str(deployed.gateway.complete(key.secret, "granite-8b-agent").status)) as load:
        roll(deployed, "litellm", {"limits": {"memory": "2100Mi"}}, replicas)
    report(f"rolling update of LiteLLM, {replicas} replica(s): {load}")
    assert load.failed == 0


def test_a_new_frontend_takes_over_without_a_failed_page_or_call(deployed: Deployed) -> None:
    def page() -> str:
        return str(deployed.web.send("GET", f"{deployed.portal}/").status)

    def call() -> str:
        return str(deployed.web.send("GET", f"{deployed.portal}/api/v1/models").status)

    with Load(page, workers=3) as pages, Load(call, workers=1, pause=0.5) as calls:
        roll(deployed, "frontend", {"limits": {"memory": "300Mi"}}, 2)
    report(f"rolling update of the frontend: pages {pages}; calls {calls}")
    assert (pages.failed, calls.failed) == (0, 0)
