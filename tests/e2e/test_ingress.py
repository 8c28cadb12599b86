"""The ways in from outside, used for real: closed paths, HSTS, an allow-list, and Ingresses in place of Routes."""

import pytest

from tests.e2e.mistakes import NOBODY
from tests.e2e.stack import Deployed
from tests.e2e.web import Gateway, until
from tests.engine.driver import Json

CLOSED = ("/", "/ui", "/ui/login", "/sso/key/generate", "/openapi.json", "/config/yaml", "/metrics", "/v1x")
LIST = "nginx.ingress.kubernetes.io/whitelist-source-range"


def closed(stack: Deployed, name: str) -> None:
    """Nothing but what is open is there, and people and programs work all the same."""
    gateway = stack.gateway.url
    until("the open paths", lambda: stack.web.send("GET", f"{gateway}/health/liveliness").ok().status == 200)
    until("the closed ones", lambda: {stack.web.status(f"{gateway}{path}") for path in CLOSED} == {503})
    # The whole way: log-in, user and key in LiteLLM through the public address, and a call.
    key = stack.user(name).key("granite-8b-agent")
    assert Gateway(stack.web, gateway).complete(key.secret, "granite-8b-agent").ok().json()["choices"]
    assert stack.web.send("GET", f"{gateway}/v1/models", headers={"Authorization": f"Bearer {key.secret}"}).ok()


@pytest.mark.usefixtures("at_a_provider")
def test_with_the_admin_page_closed_everything_else_works_and_hsts_is_told(stack: Deployed) -> None:
    closed(stack, "oscar")
    for url in (stack.portal, f"{stack.gateway.url}/health/liveliness"):
        assert stack.web.send("GET", url).headers["Strict-Transport-Security"] == "max-age=3600"


def test_ingresses_beside_routes_are_refused_with_what_to_delete_first(ingresses: str) -> None:
    """The router takes the older of two, and the engine deletes last."""
    assert "oc delete route -n" in ingresses


@pytest.mark.usefixtures("ingresses")
def test_ingresses_serve_portal_and_gateway_as_routes_do(stack: Deployed) -> None:
    assert not stack.cluster.items("routes", stack.namespace)
    assert len(stack.cluster.items("ingresses", stack.namespace)) == 3
    closed(stack, "bob")
    assert "admin" in stack.user("alice").roles()


@pytest.mark.usefixtures("ingresses")
def test_an_allow_list_lets_nobody_else_in(stack: Deployed) -> None:
    # The list is the controller's to read, which is no other one after an up.
    stack.cluster.patch("ingress", "litemaas", {"metadata": {"annotations": {LIST: NOBODY}}}, stack.namespace)
    until("the list to count", lambda: stack.web.status(stack.portal) in {0, 403}, 30)


@pytest.mark.usefixtures("ingresses")
def test_back_to_routes_is_refused_until_the_ingresses_are_gone(stack: Deployed, settled: Json) -> None:
    """Last: the next up, of test_tls, makes the Routes."""
    stack.project.write_config(settled)
    assert "oc delete ingress -n" in stack.project.refused()
    stack.cluster.kubectl("delete", "ingress", "-n", stack.namespace, "--all")
