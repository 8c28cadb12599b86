"""The three ways to log in: what each makes and needs, which issuer is used, and what is refused."""

import base64

import pytest
from pulumi import RunError

from config.cluster import Answer
from tests import harness
from tests.unit.conftest import DEMO, planned_for
from tests.unit.test_preflight import OURS, refusal

ISSUER = "https://keycloak.example.com/realms/main"
GIVEN = "from-the-provider-0123456789abcdef"
METADATA = "/.well-known/oauth-authorization-server"
AUTHENTICATION = "/apis/config.openshift.io/v1/authentications/cluster"
ACCOUNT = "/api/v1/namespaces/litemaas/serviceaccounts/litemaas-portal"
REDIRECT = "serviceaccounts.openshift.io/oauth-redirecturi.portal"
HOSTED = "https://oauth-cluster1.hosted.example.net:8443"
AS_ACCOUNT = {**DEMO, "access": {"mode": "serviceAccount", "manageGroups": False, "initialAdmins": ["alice"]}}
AS_OIDC = {
    **DEMO,
    "access": {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "portal"}, "initialAdmins": ["alice"]},
    "secrets": {"oauthClientSecret": {"value": GIVEN}},
}


def oidc(*, access: dict | None = None, **changed) -> dict:
    """A stack that logs in at a provider, with other settings of it."""
    merged = {**AS_OIDC["access"], "oidc": {**AS_OIDC["access"]["oidc"], **changed}, **(access or {})}
    return {**AS_OIDC, "access": {key: value for key, value in merged.items() if value is not None}}


def refused(config: dict) -> str:
    with pytest.raises(RunError) as error:
        harness.read_config(config, ["secrets"])
    assert "Traceback" not in str(error.value)
    return str(error.value)


def environment(run: harness.Run) -> dict[str, str | None]:
    return harness.env(run.one("Deployment", "backend"))


def secret_of(run: harness.Run) -> str:
    return run.one("Secret", "backend-env").inputs["stringData"]["OAUTH_CLIENT_SECRET"]


@pytest.fixture(scope="module")
def as_account() -> harness.Run:
    return harness.shared_run(AS_ACCOUNT)


@pytest.fixture(scope="module")
def as_oidc() -> harness.Run:
    return harness.shared_run(AS_OIDC, ["secrets"])


# --- A ServiceAccount as client ---


def test_a_service_account_with_the_redirect_uri_is_the_client_and_nothing_of_the_cluster_is_made(as_account):
    account = as_account.one("ServiceAccount", "litemaas-portal")
    callback = f"https://litemaas-litemaas.{harness.DOMAIN}/api/auth/callback"
    assert account.annotations == {REDIRECT: callback}, "the whole URI: OpenShift would allow all paths below a host"
    assert environment(as_account)["OAUTH_CLIENT_ID"] == "system:serviceaccount:litemaas:litemaas-portal"
    assert environment(as_account)["OAUTH_CALLBACK_URL"] == callback
    assert not as_account.find("OAuthClient")
    assert not as_account.find("Group")


def test_its_token_is_the_clients_secret_and_stays_one(as_account):
    token = as_account.one("Secret", "oauth-token")
    assert token.inputs["type"] == "kubernetes.io/service-account-token"
    assert token.annotations["kubernetes.io/service-account.name"] == "litemaas-portal"
    assert secret_of(as_account) == f"{harness.FILLED}-oauth-token"
    for one in as_account.registrations:
        seen = "".join(str(text) for _, text in harness.outside_secrets(one.marked))
        assert harness.FILLED not in seen, one.urn
    for urn, outputs in as_account.outputs.items():
        assert harness.FILLED not in "".join(str(text) for _, text in harness.outside_secrets(outputs)), urn


def test_no_pod_runs_as_the_client(as_account):
    """Whoever breaks into a pod must not find the client's token in it."""
    assert "litemaas-portal" not in {(one.pod or {}).get("serviceAccountName") for one in as_account.workloads}
    assert as_account.one("ServiceAccount", "litemaas-portal").inputs["automountServiceAccountToken"] is False


def test_another_generation_is_another_token_beside_the_one_before():
    run = harness.run_program({**AS_ACCOUNT, "secrets": {"oauthClientSecret": {"generation": 3}}})
    names = {one.name for one in run.find("Secret") if one.inputs.get("type") == "kubernetes.io/service-account-token"}
    assert names == {"oauth-token-2", "oauth-token-3"}, "the backend uses the one before until it is replaced"
    assert secret_of(run) == f"{harness.FILLED}-oauth-token-3"


def test_with_a_service_account_no_right_on_oauth_clients_is_needed():
    double = harness.FakeCluster(denied={(verb, "oauthclients") for verb in ("get", "create", "patch", "delete")})
    assert harness.run_program(AS_ACCOUNT, cluster=double).manifests
    assert "oauthclients" not in str(double.requests)


def test_who_lacks_rights_at_cluster_scope_is_told_how_to_do_without():
    text = refusal(harness.FakeCluster(denied={("create", "oauthclients"), ("create", "groups")}))
    assert "or write access.mode: serviceAccount, which needs no right at cluster scope" in text
    assert "or write access.manageGroups: false" in text


def test_a_service_account_of_somebody_else_is_refused():
    text = refusal(harness.FakeCluster({ACCOUNT: {"metadata": {"name": "litemaas-portal"}}}), AS_ACCOUNT)
    assert "ServiceAccount litemaas-portal" in text
    assert "oc label --overwrite serviceaccount litemaas-portal -n litemaas" in text


@pytest.mark.parametrize("kind", ["oauth-redirecturi.more", "oauth-redirectreference.portal"])
def test_a_redirect_uri_that_somebody_else_has_written_on_it_is_refused_with_its_removal(kind):
    annotation = f"serviceaccounts.openshift.io/{kind}"
    annotations = {annotation: "https://evil.example.com", REDIRECT: "https://x", "other": "y"}
    live = {"metadata": {"name": "litemaas-portal", "labels": OURS, "annotations": annotations}}
    text = refusal(harness.FakeCluster({ACCOUNT: live}), AS_ACCOUNT)
    assert f"oc annotate serviceaccount litemaas-portal -n litemaas {annotation}-" in text
    assert "(1 problem)" in text


@pytest.mark.parametrize(
    "source",
    [
        {"value": GIVEN},
        {"existing": {"namespace": "platform", "name": "login", "key": "secret"}},
        {"externalSecret": {"store": "vault", "key": "login"}},
    ],
    ids=lambda source: next(iter(source)),
)
def test_a_secret_of_ones_own_is_refused_for_a_service_account(source):
    text = refused({**AS_ACCOUNT, "secrets": {"oauthClientSecret": source}})
    assert f"litemaas:secrets.oauthClientSecret.{next(iter(source))}" in text
    assert "takes no other; remove it, and raise generation" in text


# --- Another provider ---


def test_the_backend_is_told_of_the_provider_and_no_api_of_openshift(as_oidc):
    env = environment(as_oidc)
    assert env["AUTH_PROVIDER"] == "oidc"
    assert env["OAUTH_ISSUER"] == ISSUER
    assert env["OAUTH_CLIENT_ID"] == "portal"
    assert env["OIDC_GROUPS_CLAIM"] == "groups"
    assert env["OIDC_SCOPES"] == "openid profile email"
    assert "OPENSHIFT_API_URL" not in env
    assert secret_of(as_oidc) == GIVEN
    for kind in ("OAuthClient", "Group"):
        assert not as_oidc.find(kind)
    assert not as_oidc.find("ServiceAccount", "litemaas-portal")


def test_claim_and_scopes_can_be_chosen():
    run = harness.run_program(oidc(groupsClaim="https://x/roles", scopes=["openid", "groups"]), ["secrets"])
    assert environment(run)["OIDC_GROUPS_CLAIM"] == "https://x/roles"
    assert environment(run)["OIDC_SCOPES"] == "openid groups"


def test_no_variable_of_a_provider_is_set_where_people_log_in_at_openshift(demo, as_account):
    for run in (demo, as_account):
        assert environment(run)["AUTH_PROVIDER"] == "openshift"
        assert not [name for name in environment(run) if name.startswith("OIDC_")]


def test_a_provider_outside_is_let_through_to_and_the_api_server_no_more(as_oidc):
    ports = egress_ports(as_oidc, "backend")
    assert (443, "any") in ports
    assert (6443, "any") not in ports, "the API server is not asked who has logged in"


def egress_ports(run: harness.Run, component: str) -> set[tuple[int, str]]:
    """Ports at any address that the policy of a component lets it out to."""
    rules = run.one("NetworkPolicy", component).inputs["spec"]["egress"]
    return {
        (port["port"], "any")
        for rule in rules
        if any("ipBlock" in peer for peer in rule["to"])
        for port in rule.get("ports", [])
    }


def test_a_secret_from_an_existing_secret_reaches_the_backend():
    path = "/api/v1/namespaces/platform/secrets/login"
    double = harness.FakeCluster({path: {"data": {"secret": base64.b64encode(GIVEN.encode()).decode()}}})
    source = {"existing": {"namespace": "platform", "name": "login", "key": "secret"}}
    run = harness.run_program({**AS_OIDC, "secrets": {"oauthClientSecret": source}}, cluster=double)
    assert secret_of(run) == GIVEN


def test_a_provider_needs_neither_the_apis_nor_the_rights_of_openshifts_login():
    denied = {("create", "oauthclients"), ("create", "groups")}
    double = harness.FakeCluster(missing_apis={"oauth.openshift.io", "user.openshift.io"}, denied=denied)
    assert harness.run_program(AS_OIDC, ["secrets"], cluster=double).log == []


def test_groups_of_the_cluster_are_not_spoken_of_where_they_give_nothing():
    path = "/apis/user.openshift.io/v1/groups/administrators"
    double = harness.FakeCluster({path: {"metadata": {"name": "administrators"}, "users": ["eve"]}})
    assert harness.run_program(AS_OIDC, ["secrets"], cluster=double).log == []


# --- Which OAuth server ---


def test_people_are_sent_where_the_api_server_says_its_oauth_server_is(demo):
    """Hosted control planes have it elsewhere."""
    run = harness.run_program(DEMO, cluster=harness.FakeCluster({METADATA: {"issuer": f"{HOSTED}/"}}))
    assert environment(run)["OAUTH_ISSUER"] == HOSTED
    assert harness.env(run.one("Job", "verification-checks"))["OAUTH_ISSUER"] == HOSTED
    assert run.exports["login_issuer"] == HOSTED
    assert run.log == [f"Log-in: people are sent to {HOSTED}, which the API server says is its OAuth server"]
    assert (8443, "any") in egress_ports(run, "backend"), "a policy would keep the backend from it"
    assert (8443, "any") in egress_ports(run, "verification")
    assert (8443, "any") not in egress_ports(demo, "backend")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {}),
        Answer(403, {}),
        {"issuer": None},
        {"issuer": "http://plain.example.com"},
        {"issuer": "nonsense"},
    ],
    ids=["not served", "forbidden", "null", "http", "no URL"],
)
def test_where_the_api_server_says_nothing_usable_the_host_is_made_from_the_domain_and_that_is_said(answer):
    run = harness.run_program(DEMO, cluster=harness.FakeCluster({METADATA: answer}))
    derived = f"https://oauth-openshift.{harness.DOMAIN}"
    assert environment(run)["OAUTH_ISSUER"] == derived
    assert [line for line in run.log if "the API server does not say where its OAuth server is" in line]
    assert derived in run.log[0]


def test_the_stack_file_wins_and_a_difference_is_said():
    config = {**DEMO, "access": {"admins": ["alice"], "issuer": HOSTED, "apiUrl": "https://api.example.net:7443"}}
    run = harness.run_program(config)
    assert environment(run)["OAUTH_ISSUER"] == HOSTED
    assert environment(run)["OPENSHIFT_API_URL"] == "https://api.example.net:7443"
    assert f"access.issuer is {HOSTED}, and the API server says" in run.log[0]
    assert {(8443, "any"), (7443, "any")} <= egress_ports(run, "backend")
    same = harness.run_program(config, cluster=harness.FakeCluster({METADATA: {"issuer": HOSTED}}))
    assert same.log == []


# --- Clusters that leave log-ins to others ---


def external(*issuers: str) -> dict:
    providers = [{"name": "x", "issuer": {"issuerURL": each}} for each in issuers]
    return {AUTHENTICATION: {"spec": {"type": "OIDC", "oidcProviders": providers}}}


@pytest.mark.parametrize("mode", ["oauthClient", "serviceAccount"])
def test_a_cluster_without_an_oauth_server_of_its_own_is_recognised_and_told_what_to_write(mode):
    double = harness.FakeCluster(external(ISSUER), missing_apis={"oauth.openshift.io", "user.openshift.io"})
    text = refusal(double, {**DEMO, "access": {"mode": mode}})
    assert f"litemaas:access.mode = {mode}" in text
    assert f"write access.mode: oidc with access.oidc.issuer: {ISSUER} and access.oidc.clientId" in text
    assert "(1 problem)" in text, "that the APIs are missing follows from it"


def test_a_provider_without_a_name_is_asked_for_in_general():
    assert "access.oidc.issuer: <its issuer>" in refusal(harness.FakeCluster(external()), DEMO)


def test_such_a_cluster_is_fine_with_mode_oidc():
    double = harness.FakeCluster(external(ISSUER), missing_apis={"oauth.openshift.io", "user.openshift.io"})
    assert harness.run_program(AS_OIDC, ["secrets"], cluster=double).manifests


@pytest.mark.parametrize("kind", ["IntegratedOAuth", "", None])
def test_a_cluster_with_its_own_oauth_server_is_none_of_these(kind):
    double = harness.FakeCluster({AUTHENTICATION: {"spec": {"type": kind}}})
    assert harness.run_program(DEMO, cluster=double).manifests


# --- Moving ---


def backend_of(provider: str, name: str = "backend") -> dict:
    path = f"/apis/apps/v1/namespaces/litemaas/deployments/{name}"
    container = {"name": "backend", "env": [{"name": "X"}, {"name": "AUTH_PROVIDER", "value": provider}]}
    metadata = {"name": name, "labels": OURS}
    return {path: {"metadata": metadata, "spec": {"template": {"spec": {"containers": [container]}}}}}


def test_a_move_from_openshift_to_a_provider_is_announced_with_what_it_does_to_people():
    (line,) = harness.run_program(AS_OIDC, ["secrets"], cluster=harness.FakeCluster(backend_of("openshift"))).log
    assert line.startswith("Log-in moves from openshift to oidc.")
    assert "cannot log in, since user names are unique" in line


def test_several_backends_move_with_the_same_notice():
    storage = {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "shared"}}
    config = {**AS_OIDC, "replicas": {"backend": 2}, "storage": storage}
    double = harness.FakeCluster(backend_of("openshift", "backend-2"))
    (line,) = harness.run_program(config, ["secrets"], cluster=double).log
    assert line.startswith("Log-in moves from openshift to oidc.")


@pytest.mark.parametrize(("config", "provider"), [(AS_OIDC, "oidc"), (AS_ACCOUNT, "openshift")])
def test_where_people_come_from_the_same_as_before_nothing_is_said(config, provider):
    double = harness.FakeCluster(backend_of(provider))
    assert harness.run_program(config, ["secrets"], cluster=double).log == []


# --- What is refused at once ---

WRONG_ADDRESSES = {
    "http": ("http://login.example.com", "is plain http"),
    "slash": ("https://login.example.com/", "ends in a slash; the backend would ask for //"),
    "no URL": ("login.example.com", "is no https:// address"),
    "query": ("https://login.example.com?x=1", "is no https:// address"),
    "fragment": ("https://login.example.com#x", "is no https:// address"),
    "user": ("https://me:pw@login.example.com", "is no https:// address"),
    "port": ("https://login.example.com:99999", "is no https:// address"),
    "space": ("https://login.example.com ", "is no https:// address"),
    "line break": ("https://login.example.com\n", "is no https:// address"),
}


@pytest.mark.parametrize(("url", "expected"), WRONG_ADDRESSES.values(), ids=WRONG_ADDRESSES)
@pytest.mark.parametrize("key", ["issuer", "apiUrl", "oidc.issuer"])
def test_an_address_that_the_backend_cannot_append_to_is_refused(key, url, expected):
    config = oidc(issuer=url) if key == "oidc.issuer" else {**DEMO, "access": {key: url}}
    text = refused(config)
    assert f"litemaas:access.{key} = " in text
    assert expected in text


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**DEMO, "access": {"issuer": "https://x.example.com/oauth"}}, "write https://x.example.com\n"),
        (oidc(issuer=f"{ISSUER}/.well-known/openid-configuration"), f"write {ISSUER}\n"),
        (oidc(issuer="https://oauth-openshift.apps.example.com"), "speaks no OpenID Connect"),
        (oidc(usernameClaim="email"), "LiteMaaS 0.4 takes the user name from preferred_username"),
        (oidc(scopes=["profile"]), "lacks openid"),
        (oidc(scopes=["openid profile"]), "access.oidc.scopes[0]"),
        (oidc(scopes=["openid", "openid"]), "names openid twice"),
        (oidc(groupsClaim="my groups"), "no provider knows it"),
        (oidc(clientId=""), "no provider knows it"),
        (oidc(clientId=None), "access.oidc.clientId"),
        (oidc(issuer=None), "access.oidc.issuer"),
        (oidc(access={"oidc": None}), "litemaas:access.oidc\n      is missing with access.mode: oidc"),
        (oidc(access={"mode": "serviceAccount"}), "names a provider while access.mode is serviceAccount"),
        (oidc(access={"mode": None}), "names a provider while access.mode is oauthClient"),
        (oidc(access={"issuer": HOSTED}), "litemaas:access.issuer"),
        (oidc(access={"apiUrl": HOSTED}), "litemaas:access.apiUrl"),
        (oidc(access={"manageGroups": True}), "litemaas:access.manageGroups"),
        (oidc(access={"admins": ["alice"]}), "litemaas:access.admins, readonly, users"),
        (oidc(access={"enforceGroups": True}), "the check would find nobody entitled"),
        ({**AS_OIDC, "secrets": {}}, "the provider knows nothing of a generated one"),
        ({**DEMO, "access": {"mode": "ldap"}}, "'oauthClient', 'serviceAccount' or 'oidc'"),
    ],
)
def test_what_cannot_work_or_contradicts_itself_is_refused_with_its_reason(config, expected):
    assert expected in f"{refused(config)}\n"


def test_everything_wrong_with_a_login_is_told_at_once():
    config = oidc(access={"issuer": HOSTED, "apiUrl": HOSTED, "enforceGroups": True, "admins": ["alice"]})
    text = refused({**config, "secrets": {}})
    assert "(5 problems)" in text


def test_no_refusal_shows_the_secret():
    assert GIVEN not in refused(oidc(access={"enforceGroups": True}))


def test_what_preflight_looks_for_follows_the_mode():
    kinds = {
        mode: {(one.kind, one.name) for one in planned_for(harness.read_config(config, ["secrets"]))}
        for mode, config in {"oauthClient": DEMO, "serviceAccount": AS_ACCOUNT, "oidc": AS_OIDC}.items()
    }
    client, account = ("OAuthClient", "litemaas-oauth-client"), ("ServiceAccount", "litemaas-portal")
    assert {mode: (client in each, account in each) for mode, each in kinds.items()} == {
        "oauthClient": (True, False),
        "serviceAccount": (False, True),
        "oidc": (False, False),
    }


def test_the_verification_is_told_the_mode_and_where_the_issuer_is(demo, as_account, as_oidc):
    told = [harness.env(run.one("Job", "verification-checks")) for run in (demo, as_account, as_oidc)]
    assert [each["AUTH_PROVIDER"] for each in told] == ["openshift", "openshift", "oidc"]
    assert [each["ELSEWHERE"] for each in told] == ["", "", ISSUER]
    assert told[1]["OAUTH_CLIENT_ID"] == "system:serviceaccount:litemaas:litemaas-portal"
