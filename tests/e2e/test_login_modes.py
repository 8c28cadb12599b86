"""People log in by each of the modes, to which the one stack is moved by `up`; what is not the client's is refused.

A client that the provider does not know, test_wrong_settings has.
"""

import base64
import urllib.parse

import pytest

from tests.e2e.conftest import SETTINGS, report
from tests.e2e.journey import GIVEN, ISSUER, SECRET
from tests.e2e.stack import Deployed
from tests.e2e.web import Answer
from tests.engine.driver import DOMAIN, in_use


def exchange(stack: Deployed, name: str, ends: str, secret: str) -> Answer:
    """What the login server says to a code of somebody's and a secret; the code is the portal's, who never sees it."""
    begun = stack.web.begin(stack.portal)
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(begun).query))
    # Without the challenge, whose verifier only the portal has.
    kept = {key: value for key, value in asked.items() if not key.startswith("code_challenge")}
    without = urllib.parse.urlunsplit(urllib.parse.urlsplit(begun)._replace(query=urllib.parse.urlencode(kept)))
    back = urllib.parse.urlsplit(stack.web.authorized(without, name))
    form = {
        "grant_type": "authorization_code",
        "code": dict(urllib.parse.parse_qsl(back.query))["code"],
        "client_id": asked["client_id"],
        "client_secret": secret,
        "redirect_uri": asked["redirect_uri"],
    }
    return stack.web.send("POST", ends, form=form)


def elsewhere(stack: Deployed) -> Answer:
    """What the login server says if the portal's client asks it to send people to another address."""
    begun = stack.web.begin(stack.portal)
    other = urllib.parse.quote("https://evil.example.com/api/auth/callback", safe="")
    callback = urllib.parse.quote(f"{stack.portal}/api/auth/callback", safe="")
    assert callback in begun
    return stack.web.send("GET", begun.replace(callback, other))


def test_an_oauth_client_takes_its_secret_and_its_redirect_uri_alone(stack: Deployed) -> None:
    token = f"https://oauth-openshift.{DOMAIN}/oauth/token"
    assert elsewhere(stack).status == 400
    assert exchange(stack, "bob", token, "wrong").status == 401
    assert exchange(stack, "bob", token, in_use(stack.project)[SECRET]).status == 200


@pytest.mark.usefixtures("settled")
def test_a_service_account_logs_people_in_with_the_same_roles_and_keys(stack: Deployed) -> None:
    roles, bob = stack.user("alice").roles(), stack.user("bob").api("GET", "/api/v1/auth/me").ok().json()["id"]
    stack.project.change(access={**SETTINGS["access"], "mode": "serviceAccount"})
    said = stack.project.up()
    report("login by a ServiceAccount: " + said.strip().splitlines()[-1])
    assert "system%3Aserviceaccount%3Alitemaas%3Alitemaas-portal" in stack.web.begin(stack.portal)
    assert stack.user("alice").roles() == roles
    assert stack.user("bob").api("GET", "/api/v1/auth/me").ok().json()["id"] == bob, "the same person as before"
    assert not [
        one for one in stack.cluster.items("oauthclients", None) if one["metadata"]["name"] == "litemaas-oauth-client"
    ]

    token = f"https://oauth-openshift.{DOMAIN}/oauth/token"
    # Two where the secret has been rotated before: both are good.
    selected = "type=kubernetes.io/service-account-token"
    tokens = stack.cluster.items("secrets", stack.namespace, fieldSelector=selected)
    assert tokens
    assert elsewhere(stack).status == 400
    assert exchange(stack, "bob", token, "wrong").status == 401
    other = stack.cluster.kubectl("create", "token", "backend", "-n", stack.namespace).strip()
    assert exchange(stack, "bob", token, other).status == 401, "the token of another ServiceAccount"
    for each in tokens:
        right = base64.b64decode(each["data"]["token"]).decode()
        assert exchange(stack, "bob", token, right).status == 200


def test_a_provider_logs_its_people_in_and_its_groups_give_the_roles(stack: Deployed, at_a_provider: str) -> None:
    assert "Log-in moves from openshift to oidc." in at_a_provider
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
