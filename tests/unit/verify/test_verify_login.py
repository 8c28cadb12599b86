"""The checks of a login by mode: where people have to be sent, who has to know the portal, what to do if not."""

import json

import pytest

from tests.unit.verify.installation_double import STATE, InstallationDouble, say

ACCOUNT = "system:serviceaccount:litemaas:litemaas-portal"
DISCOVERY = "/oauth/.well-known/openid-configuration"
AUTHORIZE = "/oauth/protocol/auth"
SENT = "/oauth/oauth/authorize"


def provider(double: InstallationDouble, **changed: str | None) -> None:
    """Lets the double's portal send people to an OpenID Connect provider, which is the double as well."""
    address = double.address().replace(SENT, AUTHORIZE) + "&code_challenge=x&nonce=y"
    double.faults["/portal/api/auth/login"] = say(200, {"authUrl": address})
    double.faults[AUTHORIZE] = say(200, {"page": "Who are you?"})
    document = {
        "issuer": f"{double.url}/oauth",
        "authorization_endpoint": f"{double.url}{AUTHORIZE}",
        "token_endpoint": f"{double.url}/oauth/token",
        "userinfo_endpoint": f"{double.url}/oauth/me",
        **changed,
    }
    double.faults[DISCOVERY] = say(200, {key: value for key, value in document.items() if value is not None})


def test_a_provider_that_knows_the_portal_passes(double, verify):
    provider(double)
    result = verify(double, AUTH_PROVIDER="oidc")
    assert result.code == 0, result.said
    assert result.state("provider login") == "ok: knows the portal, asks who people are"
    assert result.state("portal login").startswith("ok: sends people to 127.0.0.1")


def test_a_portal_that_sends_people_elsewhere_than_the_provider_says_fails(double, verify):
    provider(double, authorization_endpoint="https://other.example.com/auth")
    result = verify(double, AUTH_PROVIDER="oidc")
    assert f"address is {double.url}{AUTHORIZE}, not https://other.example.com/auth" in result.state("portal login")


@pytest.mark.parametrize(
    ("fault", "row", "expected"),
    [
        ((DISCOVERY, say(404, {"error": "not found"})), "portal login", "no discovery document below"),
        ((DISCOVERY, (200, b"<html>")), "portal login", "no provider that the backend can use"),
        ((DISCOVERY, say(200, [])), "portal login", "no provider that the backend can use"),
        (("/portal/api/auth/login", say(500, {"message": "oops"})), "portal login", "does not reach"),
        ((AUTHORIZE, say(400, {"error": "invalid_client"})), "provider login", "does not know this client"),
        ((AUTHORIZE, (400, b"<html>")), "provider login", "redirect URI"),
        ((AUTHORIZE, (502, b"<html>")), "provider login", "the provider is in trouble"),
    ],
)
def test_what_is_wrong_at_a_provider_is_told_with_the_cure(double, verify, fault, row, expected):
    provider(double)
    double.faults |= dict([fault])
    result = verify(double, AUTH_PROVIDER="oidc")
    assert row in result.failed
    assert expected in result.advice(row)


def test_a_provider_without_userinfo_is_none_that_the_backend_can_use(double, verify):
    provider(double, userinfo_endpoint=None)
    result = verify(double, AUTH_PROVIDER="oidc")
    assert "no 'userinfo_endpoint' in its discovery document" in result.state("portal login")


def test_endpoints_that_the_backends_network_policy_keeps_it_from_fail(double, verify):
    provider(double, token_endpoint="https://token.example.com:9443/token")  # noqa: S106 (an address)
    result = verify(double, AUTH_PROVIDER="oidc")
    assert "token_endpoint is https://token.example.com:9443/token" in result.state("portal login")
    assert "network policies" in result.advice("portal login")


def test_scopes_that_a_provider_does_not_give_fail(double, verify):
    provider(double)
    back = f"{double.url}/portal/api/auth/callback?error=invalid_scope&state={STATE}"
    double.faults[AUTHORIZE] = 302, b"", {"Location": back}
    result = verify(double, AUTH_PROVIDER="oidc")
    assert result.state("provider login") == "FAILED: sends people back with invalid_scope"
    assert "litemaas:access.oidc.scopes" in result.advice("provider login")


def test_a_service_account_that_the_oauth_server_does_not_know_is_pointed_at(double, verify):
    double.faults["/portal/api/auth/login"] = say(200, {"authUrl": double.address(client_id=ACCOUNT)})
    result = verify(double, OAUTH_CLIENT_ID=ACCOUNT)
    assert result.failed == ["OpenShift login"]
    assert "its annotation names another redirect URI" in result.advice("OpenShift login")
    assert "oc get serviceaccount litemaas-portal -o yaml -n litemaas" in result.advice("OpenShift login")


def test_a_service_account_that_the_oauth_server_knows_passes(double, verify):
    double.faults["/portal/api/auth/login"] = say(200, {"authUrl": double.address(client_id=ACCOUNT)})
    double.faults[SENT] = 302, b"", {"Location": "/login?then=x"}
    result = verify(double, OAUTH_CLIENT_ID=ACCOUNT)
    assert result.code == 0, result.said
    sent = double.called(SENT)
    assert sent
    assert json.dumps(ACCOUNT.replace(":", "%3A"))[1:-1] in sent[0].path
