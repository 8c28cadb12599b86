"""Ingresses in place of Routes, used for real: closed paths and an allow-list."""

import pytest

from tests.e2e.doors import closed
from tests.e2e.journey import Moved, Settled
from tests.e2e.mistakes import NOBODY
from tests.e2e.stack import Deployed
from tests.e2e.web import until

LIST = "nginx.ingress.kubernetes.io/whitelist-source-range"


def test_ingresses_beside_routes_are_refused_with_what_to_delete_first(at_a_provider: Moved) -> None:
    """The router takes the older of two, and the engine deletes last."""
    assert "oc delete route -n" in at_a_provider.refused


@pytest.mark.usefixtures("at_a_provider")
def test_ingresses_serve_portal_and_gateway_as_routes_do(stack: Deployed) -> None:
    assert not stack.cluster.items("routes", stack.namespace)
    assert len(stack.cluster.items("ingresses", stack.namespace)) == 3
    closed(stack, "oscar")


@pytest.mark.usefixtures("at_a_provider")
def test_an_allow_list_lets_nobody_else_in(stack: Deployed) -> None:
    # The list is the controller's to read, which is no other one after an up.
    stack.cluster.patch("ingress", "litemaas", {"metadata": {"annotations": {LIST: NOBODY}}}, stack.namespace)
    until("the list to count", lambda: stack.web.status(stack.portal) in {0, 403}, 30)


@pytest.mark.usefixtures("at_a_provider")
def test_back_to_routes_is_refused_until_the_ingresses_are_gone(stack: Deployed, settled: Settled) -> None:
    """Last: the next up makes the Routes."""
    stack.project.write_config(settled.settings)
    assert "oc delete ingress -n" in stack.project.refused()
    stack.cluster.kubectl("delete", "ingress", "-n", stack.namespace, "--all")
