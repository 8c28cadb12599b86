"""People log in by a ServiceAccount, the log-in's client since the last `up`; what is not the client's is refused."""

import base64

from tests.e2e.doors import elsewhere, exchange
from tests.e2e.journey import Settled
from tests.e2e.stack import Deployed
from tests.engine.driver import DOMAIN


def test_a_service_account_logs_people_in_with_the_same_roles_and_keys(settled: Settled, secured: Deployed) -> None:
    assert "system%3Aserviceaccount%3Alitemaas%3Alitemaas-portal" in secured.web.begin(secured.portal)
    assert secured.user("alice").roles() == settled.roles
    bob = secured.user("bob").api("GET", "/api/v1/auth/me").ok().json()["id"]
    assert bob == settled.bob, "the same person as before"
    names = {each["metadata"]["name"] for each in secured.cluster.items("oauthclients", None)}
    assert "litemaas-oauth-client" not in names


def test_the_client_takes_its_own_tokens_and_its_redirect_uri_alone(secured: Deployed) -> None:
    token = f"https://oauth-openshift.{DOMAIN}/oauth/token"
    # Two where the secret has been rotated before: both are good.
    selected = "type=kubernetes.io/service-account-token"
    tokens = secured.cluster.items("secrets", secured.namespace, fieldSelector=selected)
    assert tokens
    assert elsewhere(secured).status == 400
    assert exchange(secured, "bob", token, "wrong").status == 401
    other = secured.cluster.kubectl("create", "token", "backend", "-n", secured.namespace).strip()
    assert exchange(secured, "bob", token, other).status == 401, "the token of another ServiceAccount"
    for each in tokens:
        right = base64.b64decode(each["data"]["token"]).decode()
        assert exchange(secured, "bob", token, right).status == 200
