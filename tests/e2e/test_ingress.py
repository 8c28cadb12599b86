"""The ways in from outside, used for real: closed paths, HSTS, an allow-list, and Ingresses in place of Routes."""

import http.client
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import report
from tests.e2e.stack import Deployed
from tests.e2e.web import Gateway, Web, until
from tests.engine.driver import Json

CLOSED = ("/", "/ui", "/ui/login", "/sso/key/generate", "/openapi.json", "/config/yaml", "/metrics", "/v1x")
INGRESS: Json = {"kind": "ingress", "ingress": {"className": "nginx", "controllerNamespace": "openshift-ingress"}}
NOBODY = "192.0.2.0/24"
LIST = "nginx.ingress.kubernetes.io/whitelist-source-range"
HIDDEN: Json = {"adminUi": "hidden"}


@pytest.fixture(scope="module", autouse=True)
def back(stack: Deployed) -> Iterator[None]:
    """Afterwards everything is as it was."""
    kept = stack.project.config()
    yield
    stack.project.write_config(kept)
    assert "oc delete ingress -n" in stack.project.refused()
    stack.cluster.kubectl("delete", "ingress", "-n", stack.namespace, "--all")
    stack.project.up()


def changed(stack: Deployed, exposure: Json, expect: int = 0) -> str:
    """An up with other entrances, and the page closed; it ends with the verification through them."""
    # One that is to fail is not waited for as long as one that is to work.
    limit = 60 if expect else stack.settings["rolloutTimeoutSeconds"]
    gateway = {**stack.settings["gateway"], **HIDDEN}
    stack.project.change(exposure=exposure, gateway=gateway, rolloutTimeoutSeconds=limit)
    started = time.monotonic()
    said = stack.project.up(expect=expect)
    report(f"up to {sorted(exposure) or 'closed paths'}: {time.monotonic() - started:.0f} s")
    return said


def status(web: Web, url: str) -> int:
    """Of one request; 0 where the connection is closed without an answer."""
    try:
        return web.send("GET", url, timeout=10).status
    except (ConnectionError, http.client.HTTPException):
        return 0


def closed(stack: Deployed) -> None:
    """Nothing but what is open is there, and people and programs work all the same."""
    gateway = stack.gateway.url
    until("the open paths", lambda: stack.web.send("GET", f"{gateway}/health/liveliness").ok().status == 200)
    until("the closed ones", lambda: {status(stack.web, f"{gateway}{path}") for path in CLOSED} == {503})
    # The whole way: log-in, user and key in LiteLLM through the public address, and a call.
    key = stack.user("bob").key("granite-8b-agent")
    assert Gateway(stack.web, gateway).complete(key.secret, "granite-8b-agent").ok().json()["choices"]
    assert stack.web.send("GET", f"{gateway}/v1/models", headers={"Authorization": f"Bearer {key.secret}"}).ok()


def own_networks(stack: Deployed) -> list[str]:
    """Those of this machine, which is the node, and of its pods."""
    assert stack.cluster.sandbox.node
    return [f"{stack.cluster.sandbox.host}/32", stack.cluster.sandbox.node.names.pods]


def test_an_allow_list_without_the_cluster_itself_fails_the_up_and_lets_nobody_else_in(stack: Deployed) -> None:
    said = changed(stack, {"allowFrom": [NOBODY]}, expect=1)
    assert "verification" in said
    assert status(stack.web, stack.portal) == 0
    assert status(stack.web, f"{stack.gateway.url}/health/liveliness") == 0


def test_with_the_admin_page_closed_everything_else_works_and_hsts_is_told(stack: Deployed) -> None:
    changed(stack, {"hstsMaxAgeSeconds": 3600, "allowFrom": own_networks(stack)})
    closed(stack)
    for url in (stack.portal, f"{stack.gateway.url}/health/liveliness"):
        assert stack.web.send("GET", url).headers["Strict-Transport-Security"] == "max-age=3600"


def test_ingresses_serve_portal_and_gateway_as_routes_do(stack: Deployed) -> None:
    # The router takes the older of two, and the engine deletes last: the operator is told to delete first.
    stack.project.change(exposure=INGRESS)
    assert "oc delete route -n" in stack.project.refused()
    stack.cluster.kubectl("delete", "route", "-n", stack.namespace, "--all")
    changed(stack, {**INGRESS, "allowFrom": own_networks(stack)})
    assert not stack.cluster.items("routes", stack.namespace)
    assert len(stack.cluster.items("ingresses", stack.namespace)) == 3
    closed(stack)
    # The list is the controller's to read, which is no other one after an up.
    stack.cluster.patch("ingress", "litemaas", {"metadata": {"annotations": {LIST: NOBODY}}}, stack.namespace)
    until("the list to count", lambda: status(stack.web, stack.portal) in {0, 403}, 30)
