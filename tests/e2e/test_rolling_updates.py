"""New pods take over while people work: no request fails."""

import pytest

from tests.e2e.journey import Grown
from tests.e2e.stack import Deployed


@pytest.mark.parametrize("tier", ["litellm", "frontend"])
def test_every_pod_of_a_tier_is_a_new_one(stack: Deployed, grown: Grown, tier: str) -> None:
    assert not grown.before[tier] & stack.uids(tier)


@pytest.mark.parametrize("load", ["completions", "pages", "calls"])
def test_no_request_failed_meanwhile(grown: Grown, load: str) -> None:
    assert grown.loads[load].failed == 0, str(grown.loads[load])
