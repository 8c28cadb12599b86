"""New pods take over while people work: no request fails."""

from tests.e2e.conftest import Deployed, report
from tests.e2e.load import Load


def test_a_new_gateway_and_a_new_frontend_take_over_without_a_failed_request(deployed: Deployed) -> None:
    key = deployed.unlimited_key("granite-8b-agent")

    def completion() -> str:
        return str(deployed.gateway.complete(key, "granite-8b-agent").status)

    def page() -> str:
        return str(deployed.web.send("GET", f"{deployed.portal}/").status)

    def call() -> str:
        return str(deployed.web.send("GET", f"{deployed.portal}/api/v1/models").status)

    before = {tier: _uids(deployed, tier) for tier in ("litellm", "frontend")}
    # Something in the pods of both.
    larger = {"litellm": {"limits": {"memory": "2100Mi"}}, "frontend": {"limits": {"memory": "300Mi"}}}
    with (
        Load(completion, workers=3) as completions,
        Load(page, workers=2) as pages,
        Load(call, workers=1, pause=0.5) as calls,
    ):
        deployed.project.change(resources=larger)
        deployed.project.up()
    for tier, uids in before.items():
        assert deployed.is_ready(tier, 2), deployed.readiness(tier)
        assert not uids & _uids(deployed, tier)
    report(f"rolling update: completions {completions}; pages {pages}; calls {calls}")
    assert (completions.failed, pages.failed, calls.failed) == (0, 0, 0)


def _uids(deployed: Deployed, tier: str) -> set[str]:
    return {each["metadata"]["uid"] for each in deployed.pods(tier)}
