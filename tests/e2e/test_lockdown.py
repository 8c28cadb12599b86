"""Around the gateway: with `modelServing.lockdown` only the gateway reaches a model.

That anybody may call it without, and the gateway while it is closed, test_open_models and test_rolling_updates show.
"""

import pytest

from tests.e2e.stack import Deployed
from tests.e2e.ways import CALLERS, MODEL, POLICY, SPACE, all_direct, from_outside
from tests.e2e.web import until

pytestmark = pytest.mark.usefixtures("grown")


def test_with_lockdown_only_the_gateway_its_own_pods_and_prometheus_reach_it(
    stack: Deployed, callers: dict[str, tuple[str, str]]
) -> None:
    wanted = {name: "200" if let_in else "000" for name, (_, _, let_in) in CALLERS.items()}
    assert all_direct(stack, callers) == wanted


@pytest.mark.usefixtures("callers")
def test_the_models_own_route_leads_nowhere(stack: Deployed) -> None:
    until("the Route to lead nowhere", lambda: from_outside(stack) in (502, 503, 504))


def test_each_model_has_a_policy_and_the_probes_of_the_node_still_pass(stack: Deployed) -> None:
    assert POLICY in {each["metadata"]["name"] for each in stack.cluster.items("networkpolicies", SPACE)}
    pods = stack.cluster.items("pods", SPACE, labelSelector=f"app=isvc.{MODEL}-predictor")
    assert pods
    assert all(each["ready"] for pod in pods for each in pod["status"]["containerStatuses"])
