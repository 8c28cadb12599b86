"""The rules of OpenShift's OAuth server, at its double."""

import base64
import http.client
import json
import urllib.parse

import pytest
from oauth_login import CALLBACK, OAUTH, USER, Answer


def test_a_login_ends_in_the_user_with_its_groups(double):
    answer = double.exchange(double.code())
    assert (answer.status, answer.json()["expires_in"]) == (200, 86400)
    user = double.user(answer.json()["access_token"]).json()
    assert user["metadata"] == {"name": "alice", "uid": "u-1"}
    assert user["fullName"] == "Alice Example"
    assert user["groups"] == ["admins", "system:authenticated", "system:authenticated:oauth"]


def test_the_state_comes_back_and_a_session_needs_no_form(double):
    cookie = double.login("bob")
    answer = double.authorize(cookie, state="other")
    assert answer.headers["Location"].startswith(f"{CALLBACK}?")
    assert answer.query["state"] == "other"


def test_unknown_users_and_empty_passwords_do_not_log_in(double):
    then = double.authorize().query["then"]
    assert double.send("POST", "/login", {"username": "mallory", "password": "x", "then": then}).status == 401
    assert double.send("POST", "/login", {"username": "alice", "password": "", "then": then}).status == 401
    elsewhere = {"username": "alice", "password": "x", "then": "https://evil.example.com"}
    assert double.send("POST", "/login", elsewhere).status == 400


@pytest.mark.parametrize("uri", [f"{CALLBACK}/extra", f"{CALLBACK}?x=1"])
def test_below_a_registered_uri_everything_is_allowed(double, uri):
    assert double.authorize(redirect_uri=uri).status == 302


@pytest.mark.parametrize(
    "uri",
    [
        f"{CALLBACK}x",
        f"{CALLBACK}/../x",
        f"{CALLBACK}/%2e%2e/x",
        f"{CALLBACK}#f",
        CALLBACK.replace("https", "http"),
        CALLBACK.replace("portal.", "other."),
        CALLBACK.replace(".com", ".com:444"),
    ],
)
def test_any_other_uri_is_refused_without_a_redirect(double, uri):
    answer = double.authorize(redirect_uri=uri)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def test_an_unknown_client_is_refused_without_a_redirect(double):
    assert double.authorize(client_id="other").status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "user:full"}, "access_denied"),
        ({"scope": ""}, "access_denied"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_wrong_scopes_and_types_are_told_to_the_callback(double, changed, error):
    answer = double.authorize(**changed)
    assert (answer.status, answer.query["error"], answer.query["state"]) == (302, error, "s1")


def test_without_restrictions_a_client_gets_everything(double):
    del double.objects[f"{OAUTH}portal"]["scopeRestrictions"]
    cookie = double.login("bob", scope="")
    code = double.authorize(cookie, scope="").query["code"]
    assert double.exchange(code).json()["scope"] == "user:full"


def test_a_code_works_once(double):
    code = double.code()
    assert double.exchange(code).status == 200
    answer = double.exchange(code)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")


def test_a_code_belongs_to_its_redirect_uri(double):
    assert double.exchange(double.code(), redirect_uri=f"{CALLBACK}/extra").status == 400


def test_secrets_rotate_and_wrong_ones_fail(double):
    answers = [double.exchange(double.code(), client_secret=secret) for secret in ("new", "old", "wrong", "")]
    assert [answer.status for answer in answers] == [200, 200, 401, 401]
    assert answers[-1].json()["error"] == "unauthorized_client"


def test_basic_authentication_works_too(double):
    form = {"grant_type": "authorization_code", "code": double.code(), "redirect_uri": CALLBACK}
    login = base64.b64encode(b"portal:new").decode()
    assert double.send("POST", "/oauth/token", form, Authorization=f"Basic {login}").status == 200


def test_an_empty_secret_makes_an_open_client(double):
    double.objects[f"{OAUTH}portal"]["secret"] = ""
    assert double.exchange(double.code(), client_secret="").status == 200


def test_grant_method_prompt_asks_once(double):
    double.objects[f"{OAUTH}portal"]["grantMethod"] = "prompt"
    cookie = double.login("carol")
    assert b"Allow selected permissions" in double.authorize(cookie).body
    query = urllib.parse.urlencode({"response_type": "code", "client_id": "portal", "scope": "user:info"})
    assert "code" in double.send("POST", f"/oauth/authorize?{query}", {"approve": "yes"}, Cookie=cookie).query
    assert "code" in double.authorize(cookie).query


def test_group_changes_reach_an_old_token_and_deletion_ends_it(double):
    token = double.token()
    double.objects[f"{USER}groups"]["items"] = []
    assert double.user(token).json()["groups"] == ["system:authenticated", "system:authenticated:oauth"]
    del double.objects[f"{USER}users/alice"]
    assert double.user(token).status == 401


def test_no_token_is_401_in_the_api_servers_form(double):
    answer = double.user("made-up")
    assert (answer.status, answer.json()["kind"], answer.json()["reason"]) == (401, "Status", "Unauthorized")


def test_listed_users_keep_their_uid(double):
    first, second = (double.user(double.token("bob")).json() for _ in range(2))
    assert first["metadata"]["uid"] == second["metadata"]["uid"]
    assert first["fullName"] == "Bob Builder"


def test_token_reviews_name_the_user(double):
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": double.token()}}
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=10)
    connection.request("POST", "/tokenreviews", json.dumps(review))
    status = Answer(connection.getresponse()).json()["status"]
    connection.close()
    assert (status["authenticated"], status["user"]["username"]) == (True, "alice")


def test_in_front_of_an_api_server_the_rest_is_passed_on(double):
    answer = double.send("GET", f"{USER}groups", Authorization="Bearer mine")
    assert (answer.status, answer.headers["x-authorization"]) == (200, "Bearer mine")
    assert "x-litemaas-double" not in answer.headers
    assert double.send("GET", "/oauth/other").status == 404
