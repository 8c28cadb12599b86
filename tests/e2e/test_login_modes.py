"""People log in at OpenShift, and at a provider once an `up` has moved there; what is not the client's is refused.

By a ServiceAccount they do in test_service_account; a client that the provider does not know, test_wrong_settings has.
"""

import pytest

from tests.e2e.doors import elsewhere, exchange
from tests.e2e.journey import GIVEN, ISSUER, SECRET, Moved
from tests.e2e.stack import Deployed
from tests.engine.driver import DOMAIN, in_use


def test_an_oauth_client_takes_its_secret_and_its_redirect_uri_alone(stack: Deployed) -> None:
    token = f"https://oauth-openshift.{DOMAIN}/oauth/token"
    assert elsewhere(stack).status == 400
    assert exchange(stack, "bob", token, "wrong").status == 401
    assert exchange(stack, "bob", token, in_use(stack.project)[SECRET]).status == 200


def test_a_provider_logs_its_people_in_and_its_groups_give_the_roles(stack: Deployed, at_a_provider: Moved) -> None:
    assert "Log-in moves from openshift to oidc." in at_a_provider.said
    assert stack.web.begin(stack.portal).startswith(f"{ISSUER}/authorize?")
    assert "admin" in stack.user("olga").roles()
    assert stack.user("oscar").roles() == ["user"]
    key = stack.user("oscar").key("granite-8b-agent")
    assert stack.gateway.complete(key.secret, "granite-8b-agent").status == 200
    with pytest.raises(AssertionError):
        stack.user("bob")  # Of the same name and another e-mail than the bob of before: preview says so.

    assert elsewhere(stack).status == 400
    assert exchange(stack, "oscar", f"{ISSUER}/token", "wrong").status == 401
    assert exchange(stack, "oscar", f"{ISSUER}/token", GIVEN).status == 200
