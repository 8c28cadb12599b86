"""The ways in from outside: Routes or Ingresses, hosts of one's own, paths, who may come in and how often."""

import re

import pytest
from pulumi import RunError

from components.entrance import NGINX, OPENSHIFT
from components.wiring import Place
from config import addresses
from tests import harness
from tests.unit import certificates
from tests.unit.conftest import DEMO, PRODUCTION
from tests.unit.ways import policies

HAPROXY, OF_NGINX = "haproxy.router.openshift.io", "nginx.ingress.kubernetes.io"
CLASS = "/apis/networking.k8s.io/v1/ingressclasses/web"
PORTAL_HOST = f"litemaas-litemaas.{harness.DOMAIN}"
INGRESS = {"kind": "ingress", "ingress": {"className": "web", "controllerNamespace": "ingress-nginx"}}
HOSTS = {"portal": "models.example.com", "gateway": "llm.example.com", "api": "models-api.example.com"}
NEEDED = {"/health", "/key", "/model", "/team", "/user"}
USERS = {"/v1", "/chat/completions", "/completions", "/embeddings", "/models"}


def cluster(controller: str = NGINX, *, routes: bool = False, **more) -> harness.FakeCluster:
    """A test double of a cluster with an Ingress controller, by default without OpenShift's Routes."""
    answers = {CLASS: {"spec": {"controller": controller}}}
    missing = [] if routes else ["route.openshift.io"]
    return harness.FakeCluster(answers | more.pop("answers", {}), missing_apis=missing, **more)


def exposed(base: dict = DEMO, controller: str | None = None, **exposure) -> harness.Run:
    where = harness.FakeCluster() if controller is None else cluster(controller)
    return harness.run_program({**base, "exposure": exposure}, cluster=where)


def refusal(base: dict = DEMO, where: harness.FakeCluster | None = None, **exposure) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program({**base, "exposure": exposure}, cluster=where or harness.FakeCluster())
    assert "nothing was touched" in str(refused.value)
    return str(refused.value)


def settings(base: dict = DEMO, **exposure):
    return harness.read_config({**base, "exposure": exposure})


def paths(run: harness.Run, host: str) -> set[str]:
    """What is open at a host, by Routes or Ingresses."""
    found = {one.inputs["spec"].get("path", "/") for one in run.find("Route") if one.inputs["spec"]["host"] == host}
    for one in run.find("Ingress"):
        for rule in one.inputs["spec"]["rules"]:
            found |= {each["path"] for each in rule["http"]["paths"] if rule["host"] == host}
    return found


def told(run: harness.Run, prefix: str) -> set[tuple[str, str]]:
    """The annotations of all entrances that begin so, the time-out apart, which differs."""
    made = [*run.find("Route"), *run.find("Ingress")]
    each = [
        {(key.removeprefix(f"{prefix}/"), value) for key, value in one.annotations.items() if key.startswith(prefix)}
        for one in made
    ]
    assert made
    shown = [{pair for pair in one if "timeout" not in pair[0]} for one in each]
    assert all(one == shown[0] for one in shown)
    return shown[0]


@pytest.fixture(scope="module")
def ingresses() -> harness.Run:
    return exposed(PRODUCTION, NGINX, **INGRESS)


# --- What of the gateway is open ---


def test_in_demo_the_whole_gateway_is_open(demo):
    assert paths(demo, f"litellm-litemaas.{harness.DOMAIN}") == {"/"}


def test_in_production_the_admin_page_is_closed_and_what_users_portal_and_verification_call_is_open(production):
    assert paths(production, f"litellm-portal.{harness.DOMAIN}") == NEEDED | USERS
    for host in ("litemaas", "litemaas-api"):
        assert paths(production, f"{host}-portal.{harness.DOMAIN}") == {"/"}


def test_every_path_that_the_checks_call_at_the_public_gateway_is_open(production):
    """Read from the scripts themselves: a new check must not be one that production cannot pass."""
    opened = tuple(paths(production, f"litellm-portal.{harness.DOMAIN}"))
    called: set[str] = set()
    for script in (harness.ROOT / "components" / "files").glob("verify*.py"):
        text = script.read_text(encoding="utf-8")
        called |= set(re.findall(r"\{self\.(?:_site\.)?gateway\}(/[a-z0-9/]+)", text))
        called |= set(re.findall(r'_post\((?:what, |"[a-z ]+", )?"(/[a-z0-9/]+)"', text))
        called |= set(re.findall(r'path = f"(/[a-z/]+)\?', text))
    assert {"/v1/chat/completions", "/key/generate", "/health", "/model/info"} <= called
    for path in called:
        assert any(path == one or path.startswith(f"{one}/") for one in opened), path


@pytest.mark.parametrize(("admin_ui", "base"), [("exposed", PRODUCTION), ("hidden", DEMO)])
def test_the_page_is_open_where_it_is_exposed_whatever_the_profile(admin_ui, base):
    run = harness.run_program({**base, "gateway": {"adminUi": admin_ui}})
    host = f"litellm-{run.exports['namespace']}.{harness.DOMAIN}"
    assert (paths(run, host) == {"/"}) is (admin_ui == "exposed")


def test_paths_of_ones_own_come_beside_those_that_the_portal_needs():
    run = exposed(PRODUCTION, gatewayPaths=["/v1", "/rerank"])
    assert paths(run, f"litellm-portal.{harness.DOMAIN}") == NEEDED | {"/v1", "/rerank"}


def test_all_routes_of_one_host_are_told_the_same_and_looked_at_before(production):
    made = [one for one in production.find("Route") if one.inputs["spec"]["host"].startswith("litellm-")]
    assert len({one.annotations[f"{HAPROXY}/timeout"] for one in made}) == 1
    read = harness.read_config(PRODUCTION)
    ((key, names),) = addresses.objects(read).items()
    assert key[0] == "Route"
    assert {one.metadata["name"] for one in production.find("Route")} == set(names)


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (["v1"], "is no path"),
        (["/"], "is no path"),
        (["/v1/"], "is no path"),
        (["/v1/../ui"], "is no path"),
        (["/V1"], "is no path"),
        (["/" + "a" * 60], "at most 40 characters"),
        ([], "nobody could call a model"),
        (["/a/b", "/a-b"], "names a-b twice"),
    ],
)
def test_a_path_that_would_match_nothing_or_everything_is_refused(wanted, fault):
    text = refusal(PRODUCTION, gatewayPaths=wanted)
    assert "litemaas:exposure.gatewayPaths" in text
    assert fault in text


def test_paths_that_would_close_a_page_that_is_exposed_are_refused():
    assert "write gateway.adminUi: hidden" in refusal(DEMO, gatewayPaths=["/v1"])


# --- Hosts of one's own ---


def test_every_address_follows_hosts_of_ones_own():
    made = certificates.make("own", signer=certificates.authority(), hosts=list(HOSTS.values()))
    own = {"hosts": HOSTS, "tls": {"certificate": {"crt": made.certificate, "key": made.key}}}
    run = harness.run_program({**DEMO, "exposure": own}, ["exposure"])
    assert {one.inputs["spec"]["host"] for one in run.find("Route")} == set(HOSTS.values())
    portal, gateway, api = (f"https://{HOSTS[one]}" for one in ("portal", "gateway", "api"))
    assert run.one("OAuthClient").inputs["redirectURIs"] == [f"{portal}/api/auth/callback"]
    assert run.one("ConsoleLink").inputs["spec"]["href"] == portal
    told_backend = {
        **harness.env(run.one("Deployment", "backend")),
        **run.one("Secret", "backend-env").inputs["stringData"],
    }
    assert told_backend["CORS_ORIGIN"] == portal
    assert told_backend["LITELLM_API_URL"] == gateway
    checked = harness.env(run.one("Job", "verification-checks"))
    assert (checked["PORTAL_URL"], checked["GATEWAY_URL"], checked["API_URL"]) == (portal, gateway, api)
    assert (run.exports["portal_url"], run.exports["gateway_url"], run.exports["api_url"]) == (portal, gateway, api)
    ours = {name: value for name, value in run.exports.items() if name != "login_issuer"}
    assert harness.DOMAIN not in str(ours)


def test_a_host_of_ones_own_is_answered_by_the_routers_like_any_other():
    urls = addresses.of(settings(hosts=HOSTS), harness.DOMAIN)
    assert urls.target(urls.gateway).peer is Place.ROUTER
    assert urls.target("https://elsewhere.example.com").peer is Place.ANYWHERE


def test_hosts_outside_of_the_domain_without_a_certificate_are_warned_about():
    log = "\n".join(exposed(hosts={"portal": "models.example.com"}).log)
    assert "models.example.com is not below apps.lab.example.com" in log
    below = exposed(hosts={"portal": f"models.{harness.DOMAIN}"}).log
    assert "is not below" not in "\n".join(below)


@pytest.mark.parametrize(
    ("hosts", "key", "fault"),
    [
        ({"portal": "https://a.example.com"}, "portal", "is no host name"),
        ({"portal": "Models.example.com"}, "portal", "is no host name"),
        ({"gateway": "gateway"}, "gateway", "is no full host name"),
        ({"portal": "a.example.com", "api": "a.example.com"}, "api", "is the host of the portal"),
        ({"api": f"litellm-litemaas.{harness.DOMAIN}"}, "api", "is the host of the gateway"),
        ({"portal": f"oauth-openshift.{harness.DOMAIN}"}, "portal", "is the host of OpenShift's own log-in page"),
    ],
)
def test_a_host_that_is_none_or_is_taken_is_refused(hosts, key, fault):
    text = refusal(hosts=hosts)
    assert f"litemaas:exposure.hosts.{key}" in text
    assert fault in text


def test_a_redirect_uri_that_somebody_added_is_told_from_the_host_of_ones_own():
    client = "/apis/oauth.openshift.io/v1/oauthclients/litemaas-oauth-client"
    ours = "https://models.example.com/api/auth/callback"
    labels = {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/managed-by": "pulumi"}
    body = {"metadata": {"name": "litemaas-oauth-client", "labels": labels}, "redirectURIs": [ours, "https://evil/cb"]}
    text = refusal(where=harness.FakeCluster({client: body}), hosts={"portal": "models.example.com"})
    assert "redirectURIs[1] = https://evil/cb" in text
    assert "redirectURIs[0]" not in text


# --- Who may come in, and how often ---


def test_by_default_everybody_may_come_in_as_often_as_they_like(demo, production):
    assert told(demo, HAPROXY) == set()
    assert told(production, HAPROXY) == {("hsts_header", "max-age=31536000")}


def test_an_allow_list_stands_under_both_names_at_every_entrance():
    """A router that knows neither lets everybody in."""
    listed = "10.0.0.0/8 192.0.2.7/32 2001:db8::/32"
    run = exposed(PRODUCTION, allowFrom=["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], hstsMaxAgeSeconds=0)
    assert told(run, HAPROXY) == {("ip_allowlist", listed), ("ip_whitelist", listed), ("hsts_header", "max-age=0")}


def test_limits_are_told_in_the_routers_words():
    run = exposed(rateLimit={"connections": 200, "requestsPerSecond": 50})
    prefix = "rate-limit-connections"
    assert told(run, HAPROXY) == {(prefix, "true"), (f"{prefix}.concurrent-tcp", "200"), (f"{prefix}.rate-http", "500")}


@pytest.mark.parametrize(
    ("networks", "fault"),
    [
        (["10.0.0.1/8"], "write 10.0.0.0/8"),
        (["everybody"], "would ignore the whole list and let everybody in"),
        (["10.0.0.0/8 192.0.2.0/24"], "is no network in CIDR notation"),
        (["10.0.0.0/8", "10.0.0.0/8"], "twice"),
        ([f"10.{number}.0.0/16" for number in range(62)], "has 62 networks"),
    ],
)
def test_a_list_that_a_router_would_ignore_is_refused(networks, fault):
    text = refusal(allowFrom=networks)
    assert "litemaas:exposure.allowFrom" in text
    assert fault in text


@pytest.mark.parametrize(
    "changed", [{"allowFrom": ["10.0.0.0/8"]}, {"rateLimit": {"connections": 9}}, {"hosts": HOSTS}]
)
def test_what_may_shut_the_cluster_itself_out_is_verified_again(demo, changed):
    before, after = (harness.env(run.one("Job", "verification-checks")) for run in (demo, exposed(**changed)))
    assert before["REVISION"] != after["REVISION"]


# --- Ingresses ---


def test_ingresses_take_the_place_of_routes(ingresses):
    assert not ingresses.find("Route")
    assert {one.metadata["name"] for one in ingresses.find("Ingress")} == {"litemaas", "litellm", "litemaas-api"}
    assert paths(ingresses, f"litellm-portal.{harness.DOMAIN}") == NEEDED | USERS
    services = {one.metadata["name"] for one in ingresses.find("Service")}
    for one in ingresses.find("Ingress"):
        spec = one.inputs["spec"]
        assert spec["ingressClassName"] == "web"
        assert spec["tls"] == [{"hosts": [spec["rules"][0]["host"]]}], "the controller's own certificate"
        for path in spec["rules"][0]["http"]["paths"]:
            assert path["pathType"] == "Prefix"
            assert path["backend"]["service"]["name"] in services
            assert path["backend"]["service"]["port"] == {"name": "main"}
        assert one.annotations["pulumi.com/skipAwait"] == "true", "many controllers write no address"


def test_preflight_looks_at_ingresses_then_and_asks_for_no_routes(ingresses):
    read = settings(PRODUCTION, **INGRESS)
    ((key, names),) = addresses.objects(read).items()
    assert key[0] == "Ingress"
    assert {one.metadata["name"] for one in ingresses.find("Ingress")} == set(names)
    assert "cluster API route.openshift.io" in refusal(where=cluster(NGINX))


def test_an_ingress_that_is_somebody_elses_is_refused():
    theirs = {"/apis/networking.k8s.io/v1/namespaces/litemaas/ingresses/litellm": {"metadata": {"name": "litellm"}}}
    text = refusal(where=cluster(answers=theirs), **INGRESS)
    assert "oc label --overwrite ingress.networking.k8s.io litellm -n litemaas" in text


def test_without_openshifts_configuration_the_domain_has_to_be_given():
    nowhere = {key: value for key, value in DEMO.items() if key != "clusterDomain"}
    assert "litemaas:clusterDomain" in refusal(nowhere, cluster(domain=None), **INGRESS)


def test_ingress_nginx_is_told_in_its_own_words():
    guarded = {"allowFrom": ["10.0.0.0/8", "192.0.2.0/24"], "rateLimit": {"connections": 9, "requestsPerSecond": 5}}
    run = exposed(DEMO, NGINX, **INGRESS, **guarded)
    assert told(run, OF_NGINX) == {
        ("proxy-body-size", "0"),
        ("force-ssl-redirect", "true"),
        ("whitelist-source-range", "10.0.0.0/8,192.0.2.0/24"),
        ("limit-connections", "9"),
        ("limit-rps", "5"),
    }
    assert told(run, HAPROXY) == set()
    seconds = {one.metadata["name"]: one.annotations[f"{OF_NGINX}/proxy-read-timeout"] for one in run.find("Ingress")}
    assert seconds == {"litemaas": "310", "litellm": "610", "litemaas-api": "310"}


def test_openshifts_own_controller_is_told_what_a_route_would_be():
    own = {"kind": "ingress", "ingress": {"className": "web"}, "allowFrom": ["10.0.0.0/8"], "hstsMaxAgeSeconds": 60}
    run = exposed(DEMO, OPENSHIFT, **own)
    assert {("ip_allowlist", "10.0.0.0/8"), ("hsts_header", "max-age=60")} <= told(run, HAPROXY)
    assert {one.annotations["route.openshift.io/termination"] for one in run.find("Ingress")} == {"edge"}
    from_outside = policies(run)["litellm"]["ingress"]
    assert {"policy-group.network.openshift.io/ingress": ""} in [
        one["namespaceSelector"]["matchLabels"]
        for rule in from_outside
        for one in rule["from"]
        if "namespaceSelector" in one
    ]


def test_another_controller_is_told_nothing_and_the_operator_of_it():
    run = exposed(DEMO, "traefik.io/ingress-controller", **INGRESS)
    assert told(run, HAPROXY) | told(run, OF_NGINX) == set()
    assert "traefik.io/ingress-controller understands, and none is set" in "\n".join(run.log)
    assert "is set" not in "\n".join(exposed(DEMO, NGINX, **INGRESS).log)


def test_annotations_of_ones_own_are_handed_on():
    own = {"kind": "ingress", "ingress": {**INGRESS["ingress"], "annotations": {"example.com/size": "large"}}}
    for one in exposed(DEMO, NGINX, **own).find("Ingress"):
        assert one.annotations["example.com/size"] == "large"


def test_the_controller_alone_is_let_in_from_outside():
    labels = {"app.kubernetes.io/name": "ingress-nginx"}
    own = {"kind": "ingress", "ingress": {**INGRESS["ingress"], "controllerLabels": labels}}
    run = exposed(DEMO, NGINX, **own)
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}},
        "podSelector": {"matchLabels": labels},
    }
    for component, port in (("litellm", 4000), ("frontend", 8080)):
        outside = [rule for rule in policies(run)[component]["ingress"] if "namespaceSelector" in rule["from"][0]]
        assert outside == [{"from": [peer], "ports": [{"port": port, "protocol": "TCP"}]}]
    assert {"to": [peer]} in policies(run)["backend"]["egress"], "it calls the gateway by its public name"


def test_a_certificate_of_ones_own_is_named_by_the_ingresses_and_nobody_is_given_rights():
    made = certificates.make(
        "own", hosts=[f"{one}-litemaas.{harness.DOMAIN}" for one in ("litemaas", "litellm", "litemaas-api")]
    )
    own = {**INGRESS, "tls": {"certificate": {"crt": made.certificate, "key": made.key}}}
    gates = {"status": {"featureGates": [{"disabled": [{"name": "RouteExternalCertificate"}]}]}}
    where = cluster(answers={"/apis/config.openshift.io/v1/featuregates/cluster": gates})
    run = harness.run_program({**DEMO, "exposure": own}, ["exposure"], cluster=where)
    assert run.one("Secret", "exposure-certificate").inputs["type"] == "kubernetes.io/tls"
    named = {one["secretName"] for each in run.find("Ingress") for one in each.inputs["spec"]["tls"]}
    assert named == {"exposure-certificate-auto"}
    assert not run.find("Role")


BAD = {
    "no class": ({"kind": "ingress"}, "exposure", "write ingress.className too"),
    "a class for Routes": ({"ingress": {"className": "web"}}, "exposure", "write kind: ingress"),
    "reencrypt": ({**INGRESS, "tls": {"termination": "reencrypt"}}, "exposure", "Kubernetes has no word for it"),
    "an unknown class": (
        {"kind": "ingress", "ingress": {"className": "wep"}},
        "exposure.ingress.className = wep",
        "see oc get ingressclass",
    ),
    "no namespace": (
        {"kind": "ingress", "ingress": {"className": "web"}},
        "exposure.ingress.controllerNamespace",
        "would let nobody in",
    ),
    "HSTS": ({**INGRESS, "hstsMaxAgeSeconds": 60}, "exposure.hstsMaxAgeSeconds", "sends the header by itself"),
    "labels": (
        {"kind": "ingress", "ingress": {**INGRESS["ingress"], "controllerLabels": {"a b": "c"}}},
        "exposure.ingress.controllerLabels",
        "which is no label",
    ),
    "said twice": (
        {
            "kind": "ingress",
            "ingress": {**INGRESS["ingress"], "annotations": {f"{OF_NGINX}/proxy-body-size": "1m"}},
        },
        "exposure.ingress.annotations",
        "is set by the program",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_ingresses_that_would_not_work_are_refused(case):
    exposure, key, fault = BAD[case]
    text = refusal(DEMO, cluster(NGINX), **exposure)
    assert f"litemaas:{key}" in text
    assert fault in text


@pytest.mark.parametrize("guarded", [{"allowFrom": ["10.0.0.0/8"]}, {"rateLimit": {"connections": 5}}])
def test_what_an_unknown_controller_cannot_be_told_is_refused(guarded):
    text = refusal(DEMO, cluster("traefik.io/ingress-controller"), **INGRESS, **guarded)
    assert f"litemaas:exposure.{next(iter(guarded))}" in text
    assert "everybody would be let in" in text


def test_tls_inside_needs_routes():
    assert "litemaas:tls.internal" in refusal({**DEMO, "tls": {"internal": True}}, cluster(NGINX), **INGRESS)


def other_kind(kind: str, host: str, **meta) -> harness.FakeCluster:
    """A cluster on which something of the other kind serves ``host``."""
    metadata = {"name": "litemaas", "namespace": "litemaas", **meta}
    if kind == "Route":
        path = "/apis/route.openshift.io/v1/namespaces/litemaas/routes"
        return cluster(routes=True, answers={path: {"items": [{"metadata": metadata, "spec": {"host": host}}]}})
    path = "/apis/networking.k8s.io/v1/namespaces/litemaas/ingresses"
    return harness.FakeCluster({path: {"items": [{"metadata": metadata, "spec": {"rules": [{"host": host}]}}]}})


@pytest.mark.parametrize(("exposure", "kind"), [({}, "Ingress"), (INGRESS, "Route")])
def test_what_serves_the_hosts_in_the_other_way_has_to_go_first(exposure, kind):
    """The engine deletes last, and a router takes the older of two."""
    text = refusal(where=other_kind(kind, PORTAL_HOST), **exposure)
    assert f"{kind} litemaas" in text
    assert f"oc delete {kind.lower()} -n litemaas litemaas" in text


@pytest.mark.parametrize(("exposure", "kind"), [({}, "Ingress"), (INGRESS, "Route")])
def test_another_host_is_nobodys_business(exposure, kind):
    config = {**DEMO, "exposure": exposure}
    assert harness.run_program(config, cluster=other_kind(kind, "other.example.com")).manifests


def test_the_route_that_openshift_makes_of_an_ingress_goes_with_it():
    owner = [{"kind": "Ingress", "name": "litemaas"}]
    where = other_kind("Route", PORTAL_HOST, ownerReferences=owner)
    assert harness.run_program({**DEMO, "exposure": INGRESS}, cluster=where).manifests
