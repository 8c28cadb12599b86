"""What people use is recorded, and shown to them."""

import time

import pytest

from tests.e2e.conftest import Used
from tests.e2e.settings import GPT_OSS
from tests.e2e.stack import Deployed
from tests.e2e.web import until


def test_usage_is_recorded_to_the_last_token(stack: Deployed, used: Used) -> None:
    prompt, completion = (sum(each[f"{kind}_tokens"] for each in used.usages) for kind in ("prompt", "completion"))
    cost = prompt * GPT_OSS["inputPrice"] + completion * GPT_OSS["outputPrice"]
    query = (
        f'SELECT count(*), sum(prompt_tokens), sum(completion_tokens), sum(spend) FROM "LiteLLM_SpendLogs" '  # noqa: S608  a key of ours
        f"WHERE api_key = encode(sha256('{used.key.secret}'), 'hex')"
    )

    def recorded() -> list[str]:
        return stack.sql("litellm_db", query).split("|")

    # Rows are written in batches, up to a minute apart.
    until("three rows of usage", lambda: recorded()[0] == "3", 90, 2)
    _, ins, outs, spend = recorded()
    assert (int(ins), int(outs)) == (prompt, completion)
    assert float(spend) == pytest.approx(cost)
    spent = lambda: used.user.api("GET", "/api/v1/usage/budget").ok().json()["currentSpend"]  # noqa: E731
    until("the portal to show the cost", lambda: spent() == pytest.approx(cost), 60, 2)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    page = used.user.api("POST", "/api/v1/usage/analytics", {"startDate": today, "endDate": today}).ok().json()
    assert page["totalRequests"] >= 3
