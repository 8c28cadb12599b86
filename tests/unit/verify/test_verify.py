"""Each check of an installation: what passes, what fails, and what the operator is told then."""

import pytest

from tests.unit.http_double import serving
from tests.unit.verify.installation_double import GRANITE, STATE, InstallationDouble, portal_key, refuse, say

PORTAL, GATEWAY = "/portal/api/v1", "/gateway"


def test_a_good_installation_passes_and_every_check_is_in_the_table(double, verify):
    result = verify(double)
    assert result.code == 0, result.said
    assert [line.split()[0] for line in result.table[:-1]] == ["ok"] * 17
    assert result.table[-1] == "all 17 checks passed"
    assert len(result.said.splitlines()) <= 28, "what the failure hook shows of a log"


def test_models_are_optional(verify):
    served = InstallationDouble()
    with serving(served) as served.url:
        result = verify(served, DECLARED="/nowhere")
    assert result.code == 0, result.said
    assert result.state("models in the portal") == "ok: 0 of 0 as declared"
    assert served.made == []


@pytest.mark.parametrize(
    ("path", "fault", "expected"),
    [
        (f"{PORTAL}/health/ready", refuse(503, "not ready"), ("portal answers", "503 not ready", "no ready backend")),
        (f"{PORTAL}/banners", say(200, [{"id": "mock-banner-1"}]), ("portal data", "invented", "rollout restart")),
        (
            f"{PORTAL}/config",
            say(200, {"environment": "development"}),
            ("portal settings", "environment is", "refresh"),
        ),
        ("/portal/api/auth/login", refuse(500, "oops"), ("portal login", "500 oops", "cannot begin a login")),
        (f"{PORTAL}/api-keys", say(200, {"data": []}), ("guard of the portal", "200 to a browser", "server block")),
        ("/api/api/v1/api-keys", say(200, {"data": []}), ("guard of the API", "200 to a browser", "administrator")),
        ("/api/api/v1/api-keys", (503, b"<html>"), ("guard of the API", "503 (a web page)", "no ready frontend")),
        (f"{GATEWAY}/health/readiness", (503, b"<html>"), ("gateway answers", "503", "no ready LiteLLM pod")),
        (
            f"{GATEWAY}/health/readiness",
            say(200, {"status": "healthy", "db": "Not connected"}),
            ("gateway answers", "db Not connected", "lost its database"),
        ),
        (f"{PORTAL}/models/sync", refuse(401, "Invalid token"), ("model sync", "401 Invalid", "another admin API key")),
        (
            f"{PORTAL}/models/sync",
            say(200, {"success": False, "errors": ["Synchronization failed: fetch failed"]}),
            ("model sync", "fetch failed", "public URL"),
        ),
        (f"{GATEWAY}/key/generate", refuse(500, "DB not connected"), ("temporary key", "500 DB", "its database")),
    ],
)
def test_what_does_not_work_is_a_row_with_what_was_seen_a_cause_and_a_cure(double, verify, path, fault, expected):
    row, seen, advice = expected
    double.faults[path] = fault
    result = verify(double)
    assert result.code == 1
    assert result.state(row).startswith("FAILED: ")
    assert seen in result.state(row)
    assert advice in result.advice(row)
    assert result.failed == [row], "one fault is one failure; what follows from it is not tried"


@pytest.mark.parametrize("status", ["healthy", "connected"])
def test_both_words_of_a_ready_gateway_are_understood(double, verify, status):
    double.faults[f"{GATEWAY}/health/readiness"] = say(200, {"status": status, "db": "connected"})
    assert verify(double).code == 0


@pytest.mark.parametrize(
    "changed",
    [{"client_id": "other"}, {"redirect_uri": "https://other.example.com/api/auth/callback"}],
)
def test_a_login_that_begins_elsewhere_than_declared_fails(double, verify, changed):
    double.faults["/portal/api/auth/login"] = say(200, {"authUrl": double.address(**changed)})
    result = verify(double)
    assert result.failed == ["portal login"]
    assert f"{next(iter(changed))} is {next(iter(changed.values()))}, not" in result.state("portal login")
    assert result.state("OpenShift login") == "not tried: needs: portal login"


def test_another_issuer_fails(double, verify):
    result = verify(double, OAUTH_ISSUER="https://oauth-openshift.apps.example.com")
    assert "not https://oauth-openshift.apps.example.com/oauth/authorize" in result.state("portal login")


@pytest.mark.parametrize(
    ("reply", "seen", "cause"),
    [
        (say(400, {"error": "unauthorized_client", "error_description": "not known"}), "400 unauthorized_cl", "gone"),
        (say(400, {"error": "invalid_request", "error_description": "not registered"}), "not registered", "redirectUR"),
        (say(200, {"error": "invalid_request"}), "200 invalid_request", "redirectURIs"),
        ((503, b"<html>"), "503 (a web page)", "in trouble"),
    ],
)
def test_an_oauth_server_that_does_not_know_the_portal_fails(double, verify, reply, seen, cause):
    double.faults["/oauth/oauth/authorize"] = reply
    result = verify(double)
    assert result.failed == ["OpenShift login"]
    assert seen in result.state("OpenShift login")
    assert cause in result.advice("OpenShift login")


@pytest.mark.parametrize("error", ["access_denied", "invalid_scope"])
def test_denied_scopes_come_back_to_the_portal_and_fail(double, verify, error):
    location = f"{double.url}/portal/api/auth/callback?error={error}&state={STATE}"
    double.faults["/oauth/oauth/authorize"] = (302, b"", {"Location": location})
    result = verify(double)
    assert result.state("OpenShift login") == f"FAILED: sends people back with {error}"
    assert "scopeRestrictions" in result.advice("OpenShift login")


def test_a_login_form_without_a_redirect_is_good(double, verify):
    double.faults["/oauth/oauth/authorize"] = (200, b"<html>choose a provider</html>")
    assert verify(double).code == 0


@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("contextLength", 8192, "granite: contextLength is 8192, not 16384"),
        ("contextLength", None, "granite: contextLength is None, not 16384"),
        ("inputCostPerToken", 5e-06, "granite: inputCostPerToken is 5e-06, not 1e-06"),
        ("outputCostPerToken", None, "granite: outputCostPerToken is None, not 2e-06"),
        ("supportsFunctionCalling", False, "granite: supportsFunctionCalling is False, not True"),
        ("supportsVision", True, "granite: supportsVision is True, not False"),
        ("supportsEmbeddings", True, "granite: supportsEmbeddings is True, not False"),
    ],
)
def test_a_model_that_the_portal_shows_otherwise_than_declared_fails(double, verify, key, value, seen):
    usual = double.published
    double.published = lambda model: usual(model) | ({key: value} if model is GRANITE else {})
    result = verify(double)
    assert result.state("models in the portal") == f"FAILED: {seen}"
    assert result.failed == ["models in the portal"], "the models themselves are called in any case"


def test_a_model_that_the_portal_does_not_show_fails(double, verify):
    double.faults[f"{PORTAL}/models"] = say(200, {"data": [], "pagination": {"totalPages": 0}})
    assert verify(double).state("models in the portal") == "FAILED: e5 is missing; granite is missing"


def test_a_model_that_an_administrator_has_restricted_is_well(double, verify):
    usual = double.published
    double.published = lambda model: usual(model) | {"restrictedAccess": True}
    assert verify(double).code == 0


def test_what_a_version_of_the_portal_does_not_tell_is_no_failure(double, verify):
    usual = double.published
    untold = {"supportsEmbeddings", "restrictedAccess"}
    double.published = lambda model: {key: value for key, value in usual(model).items() if key not in untold}
    assert verify(double).code == 0


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        (lambda _: [], "granite: nothing calls ibm/granite at http://granite.models"),
        (lambda one: one * 2, "granite: 2 entries, not 1"),
        (
            lambda one: [*one, entry(one, "litellm_params", api_base="http://x/v1")],
            "calls go to ibm/granite at http://x",
        ),
        (lambda one: [entry(one, "litellm_params", model="openai/granite")], "nothing calls ibm/granite at http"),
        (lambda one: [entry(one, "model_info", supports_embeddings=True)], "supports_embeddings is True, not False"),
    ],
    ids=["missing", "twice", "a foreign one", "edited in the portal", "another kind"],
)
def test_what_litellm_has_besides_what_is_declared_is_named(double, verify, changed, seen):
    usual = double.entries
    double.entries = lambda model: changed(usual(model)) if model is GRANITE else usual(model)
    result = verify(double)
    assert seen in result.state("models in the gateway")
    assert result.failed == ["models in the gateway"]


def entry(usual, part, **changed):
    return usual[0] | {part: usual[0][part] | changed}


def test_keys_of_the_portal_that_open_every_model_are_counted_and_named(double, verify):
    double.portal_keys += [
        portal_key("carol"),
        portal_key("dave", blocked=True),
        {"key_alias": "an administrator's", "models": [], "metadata": {}},
        {"key_alias": None, "models": [], "metadata": None},
    ]
    result = verify(double)
    assert result.failed == ["keys of the portal"]
    assert result.state("keys of the portal") == "FAILED: 1 of 3 have an empty list of models: carol_5eed5eed"
    assert "/key/block" in result.advice("keys of the portal")


def test_all_pages_of_litellms_keys_are_read(double, verify):
    double.portal_keys = [portal_key(f"user{number}", *(["granite"] if number < 150 else [])) for number in range(201)]
    result = verify(double)
    assert "51 of 201 have an empty list" in result.state("keys of the portal")
    assert "and 46 more" in result.state("keys of the portal")


def test_prices_are_compared_as_exactly_as_the_portal_keeps_them(double, verify):
    usual = double.published
    double.models[0] = GRANITE | {"input_price": 1.23456789012e-06}
    double.published = lambda model: usual(model) | {"inputCostPerToken": round(model["input_price"], 10)}
    assert verify(double).code == 0


def test_all_pages_of_the_portals_list_are_read(verify):
    many = [GRANITE | {"model": f"m{number}", "verify": number == 149} for number in range(150)]
    served = InstallationDouble(*many)
    with serving(served) as served.url:
        result = verify(served)
    assert result.code == 0, result.said
    assert len(served.called(f"{PORTAL}/models")) == 2
