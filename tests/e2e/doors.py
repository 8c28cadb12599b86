"""What the log-in server and the gateway's entrance let in, and what not, whatever the mode and the entrance."""

import urllib.parse

from tests.e2e.stack import Deployed
from tests.e2e.web import Answer, until

CLOSED = ("/", "/ui", "/ui/login", "/sso/key/generate", "/openapi.json", "/config/yaml", "/metrics", "/v1x")


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


def closed(stack: Deployed, name: str) -> None:
    """Nothing but what is open is there, and people and programs work all the same."""
    gateway = stack.gateway.url
    until("the open paths", lambda: stack.web.send("GET", f"{gateway}/health/liveliness").ok().status == 200)
    until("the closed ones", lambda: {stack.web.status(f"{gateway}{path}") for path in CLOSED} == {503})
    # The whole way: log-in, user and key in LiteLLM through the public address, and a call.
    key = stack.user(name).key("granite-8b-agent")
    assert stack.gateway.complete(key.secret, "granite-8b-agent").ok().json()["choices"]
    assert stack.web.send("GET", f"{gateway}/v1/models", headers={"Authorization": f"Bearer {key.secret}"}).ok()
