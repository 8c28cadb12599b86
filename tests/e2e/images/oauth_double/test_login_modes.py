"""A ServiceAccount as client, and the OpenID Connect provider, at the OAuth double."""

import base64
import json
import urllib.parse

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from grants import s256
from oauth_login import ACCOUNT, ACCOUNT_PATH, CALLBACK, OAUTH, OIDC, Answer, Double

VERIFIER = "v" * 43
AS_ACCOUNT = {"client_id": ACCOUNT, "client_secret": "token-of-portal"}


def consented(double: Double, name: str) -> str:
    """A code for the ServiceAccount, after the page that asks for consent."""
    cookie = double.login(name, client_id=ACCOUNT)
    query = {"response_type": "code", "client_id": ACCOUNT, "redirect_uri": CALLBACK}
    path = f"/oauth/authorize?{urllib.parse.urlencode(query | {'scope': 'user:info user:check-access'})}"
    assert double.send("GET", path, Cookie=cookie).status == 200, "asked at the first time"
    return double.send("POST", path, {"approve": "yes"}, Cookie=cookie).query["code"]


def provider_login(double: Double, name: str, **changed: str) -> Answer:
    """What the provider answers to somebody who has logged in."""
    query = {"response_type": "code", "client_id": OIDC["CLIENT"], "redirect_uri": CALLBACK, "nonce": "n1"}
    query |= {"scope": "openid profile email", "state": "s1", "code_challenge": s256(VERIFIER)}
    query |= {"code_challenge_method": "S256"} | changed
    path = f"/oidc/authorize?{urllib.parse.urlencode(query)}"
    asked = double.send("GET", path)
    if asked.status != 302 or not asked.headers["Location"].startswith("/login"):
        return asked
    passed = double.send("POST", "/login", {"username": name, "password": "x", "then": path})
    return double.send("GET", path, Cookie=passed.headers["Set-Cookie"].partition(";")[0])


def provider_exchange(double: Double, code: str, /, **changed: str) -> Answer:
    form = {"grant_type": "authorization_code", "client_id": OIDC["CLIENT"], "client_secret": OIDC["SECRET"]}
    form |= {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return double.send("POST", "/oidc/token", form | changed)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_service_account_logs_people_in_by_its_token_after_one_consent(double):
    answer = double.exchange(consented(double, "alice"), **AS_ACCOUNT)
    assert answer.status == 200, answer.body
    assert double.user(answer.json()["access_token"]).json()["metadata"]["name"] == "alice"
    cookie = double.login("alice", client_id=ACCOUNT)
    assert "code" in double.authorize(cookie, client_id=ACCOUNT).query, "asked once only"


@pytest.mark.parametrize("token", ["token-of-another", "made-up", ""])
def test_another_token_than_the_service_accounts_is_refused(double, token):
    answer = double.exchange(consented(double, "alice"), **{**AS_ACCOUNT, "client_secret": token})
    assert (answer.status, answer.json()["error"]) == (401, "unauthorized_client")


def test_a_service_account_sends_people_nowhere_but_where_its_annotation_says(double):
    assert double.authorize(client_id=ACCOUNT, redirect_uri="https://evil.example.com/").status == 400
    double.objects[ACCOUNT_PATH] = {"metadata": {"name": "portal"}}
    assert double.authorize(client_id=ACCOUNT).status == 400, "without an annotation it is no client"


@pytest.mark.parametrize("client", [f"{ACCOUNT}-2", "system:serviceaccount:litemaas", "system:serviceaccount:a:b:c"])
def test_what_is_no_service_account_is_no_client(double, client):
    double.objects[f"{OAUTH}{client}"] = double.objects[f"{OAUTH}portal"]
    assert double.authorize(client_id=client).status == 400


@pytest.mark.parametrize("scope", ["user:full", "user:list-projects", ""])
def test_a_service_account_gets_no_more_than_who_somebody_is(double, scope):
    assert double.authorize(client_id=ACCOUNT, scope=scope).query["error"] == "access_denied"


def test_the_provider_describes_itself(double):
    found = double.send("GET", "/oidc/.well-known/openid-configuration").json()
    here = f"http://127.0.0.1:{double.port}/oidc"
    assert found["issuer"] == here
    ends = ("authorization", "token", "userinfo")
    assert [found[f"{name}_endpoint"] for name in ends] == [f"{here}/{name}" for name in ("authorize", *ends[1:])]


def test_a_login_at_the_provider_ends_in_userinfo_with_its_own_groups(double):
    code = provider_login(double, "alice").query["code"]
    answer = provider_exchange(double, code)
    assert answer.status == 200, answer.body
    token = answer.json()["access_token"]
    shown = double.send("GET", "/oidc/userinfo", Authorization=f"Bearer {token}").json()
    assert shown["preferred_username"] == "alice"
    assert shown["groups"] == ["admins", "others"]
    assert shown["sub"] == "oidc-u-1"
    assert double.user(token).status == 401, "OpenShift knows nothing of it"
    assert provider_exchange(double, code).status == 400, "a code works once"


def test_the_id_token_is_signed_with_the_published_key_and_carries_the_nonce(double):
    text = provider_exchange(double, provider_login(double, "bob").query["code"]).json()["id_token"]
    head, claims, signature = text.split(".")
    (key,) = double.send("GET", "/oidc/jwks").json()["keys"]
    numbers = rsa.RSAPublicNumbers(*(int.from_bytes(decoded(key[name])) for name in ("e", "n")))
    signed = f"{head}.{claims}".encode()
    numbers.public_key().verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    said = json.loads(decoded(claims))
    assert (said["nonce"], said["aud"], said["iss"].rpartition("/")[2]) == ("n1", OIDC["CLIENT"], "oidc")


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"client_secret": "wrong"}, 401),
        ({"client_secret": ""}, 401),
        ({"client_id": "other"}, 401),
        ({"redirect_uri": f"{CALLBACK}/x"}, 400),
        ({"code_verifier": "w" * 43}, 400),
        ({"code_verifier": ""}, 400),
        ({"code": "made-up"}, 400),
        ({"grant_type": "password"}, 400),
    ],
)
def test_the_provider_refuses_wrong_exchanges(double, changed, status):
    assert provider_exchange(double, provider_login(double, "alice").query["code"], **changed).status == status


@pytest.mark.parametrize("changed", [{"redirect_uri": f"{CALLBACK}/extra"}, {"client_id": "other"}])
def test_the_provider_sends_nobody_to_an_address_that_it_does_not_know(double, changed):
    assert provider_login(double, "alice", **changed).status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": "openid user:info"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_the_provider_tells_the_callback_what_it_does_not_grant(double, changed, error):
    assert provider_login(double, "alice", **changed).query["error"] == error


def test_an_unknown_token_opens_no_userinfo(double):
    assert double.send("GET", "/oidc/userinfo", Authorization="Bearer made-up").status == 401
