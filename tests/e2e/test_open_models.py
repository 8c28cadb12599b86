"""Without lockdown anybody calls a model around the gateway; it left nothing behind, and preview says what it does."""

import pytest

from tests.e2e.stack import Deployed
from tests.e2e.ways import CALLERS, HOST, SPACE, all_direct, from_outside
from tests.e2e.web import until


def test_without_lockdown_the_policies_are_gone(stack: Deployed) -> None:
    assert not stack.cluster.items("networkpolicies", SPACE)


def test_without_lockdown_anybody_calls_the_model_without_a_key(
    stack: Deployed, callers: dict[str, tuple[str, str]]
) -> None:
    until("the model's Route", lambda: from_outside(stack) == 200)
    assert all_direct(stack, callers) == dict.fromkeys(CALLERS, "200")


@pytest.mark.usefixtures("callers")
def test_preview_tells_of_what_lockdown_closes(stack: Deployed) -> None:
    """Of the ways that are open without it, tests/engine/test_discovery.py has it."""
    stack.project.change(modelServing={"lockdown": True})
    try:
        assert f"lockdown closes https://{HOST}" in stack.project.preview()
    finally:
        stack.project.change(modelServing=None)
