"""New pods take over while people work: no request fails."""

import pytest

from tests.e2e.conftest import report
from tests.e2e.load import Load
from tests.e2e.stack import Deployed

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_new_gateway_and_a_new_frontend_take_over_without_a_failed_request(stack: Deployed) -> None:
    key = stack.unlimited_key("granite-8b-agent")

    def completion() -> str:
        return str(stack.gateway.complete(key, "granite-8b-agent").status)

    def page() -> str:
        return str(stack.web.send("GET", f"{stack.portal}/").status)

    def call() -> str:
        return str(stack.web.send("GET", f"{stack.portal}/api/v1/models").status)

    before = {tier: _uids(stack, tier) for tier in ("litellm", "frontend")}
    # Something in the pods of both.
    larger = {"litellm": {"limits": {"memory": "2100Mi"}}, "frontend": {"limits": {"memory": "300Mi"}}}
    with (
        Load(completion, workers=3) as completions,
        Load(page, workers=2) as pages,
        Load(call, workers=1, pause=0.5) as calls,
    ):
        stack.project.change(resources=larger)
        stack.project.up()
    for tier, uids in before.items():
        assert stack.is_ready(tier, 2), stack.readiness(tier)
        assert not uids & _uids(stack, tier)
    report(f"rolling update: completions {completions}; pages {pages}; calls {calls}")
    assert (completions.failed, pages.failed, calls.failed) == (0, 0, 0)


def _uids(stack: Deployed, tier: str) -> set[str]:
    return {each["metadata"]["uid"] for each in stack.pods(tier)}
