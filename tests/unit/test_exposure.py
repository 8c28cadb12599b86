"""The Routes' own certificate: from the stack file, a Secret or cert-manager; what would break is refused before."""

import base64

import pytest
from pulumi import RunError

from config import certificates as reading
from config.cluster import Answer
from tests import harness
from tests.unit import certificates
from tests.unit.conftest import DEMO

HOSTS = [f"{route}-litemaas.{harness.DOMAIN}" for route in ("litemaas", "litellm", "litemaas-api")]
GOOD = certificates.make("portal", signer=certificates.authority(), hosts=HOSTS)
WILDCARD = certificates.make("wildcard", signer=certificates.authority(), hosts=[f"*.{harness.DOMAIN}"])
OTHER = certificates.make("other", hosts=HOSTS)
KEPT_PATH = "/api/v1/namespaces/litemaas/secrets/portal-tls"
ISSUER_PATH = "/apis/cert-manager.io/v1/clusterissuers/letsencrypt"
KEPT = {"secret": "portal-tls"}
ISSUED = {"certManager": {"issuer": "letsencrypt"}}
KEY_LINE = GOOD.key.splitlines()[1]
OPENSHIFT = ("route.openshift.io", "oauth.openshift.io", "user.openshift.io")
GATES = "/apis/config.openshift.io/v1/featuregates/cluster"


def given(made: certificates.Made = GOOD, **more) -> dict:
    return {"crt": made.certificate, "key": made.key, **more}


def tls_secret(made: certificates.Made, kind: str = "kubernetes.io/tls") -> dict:
    pair = {"tls.crt": made.certificate, "tls.key": made.key}
    return {"type": kind, "data": {key: base64.b64encode(text.encode()).decode() for key, text in pair.items()}}


def cluster(answers: dict | None = None, *, cert_manager: bool = True) -> harness.FakeCluster:
    served = [*OPENSHIFT, *(["cert-manager.io"] if cert_manager else [])]
    known = {
        "/apis": {"groups": [{"name": name} for name in served]},
        KEPT_PATH: tls_secret(GOOD),
        ISSUER_PATH: {"kind": "ClusterIssuer"},
    }
    return harness.FakeCluster(known | (answers or {}))


def config(certificate: dict | None, **more) -> dict:
    return {**DEMO, "exposure": {"tls": {"certificate": certificate, **more}}}


def deployed(certificate: dict, **more) -> harness.Run:
    return harness.run_program(config(certificate), ["exposure"], cluster=cluster(), **more)


def refusal(certificate: dict, answers: dict | None = None, secrets=("exposure",), **more) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program(config(certificate), secrets, cluster=cluster(answers, **more))
    text = str(refused.value)
    assert "nothing was touched" in text
    for made in (GOOD, OTHER):
        assert made.key.splitlines()[1] not in text, "a private key is quoted"
    return text


WAYS = {"the stack file": given(), "a Secret": KEPT, "cert-manager": ISSUED}


@pytest.fixture(params=WAYS)
def own(request) -> harness.Run:
    return deployed(WAYS[request.param])


def named(run: harness.Run) -> str:
    """The Secret with the certificate, as the Routes name it."""
    (name,) = {one.inputs["spec"]["tls"]["externalCertificate"]["name"] for one in run.find("Route")}
    return name


# --- What is made ---


def test_by_default_the_router_serves_its_own_certificate(run):
    for route in run.find("Route"):
        assert "externalCertificate" not in route.inputs["spec"]["tls"]
    assert not run.find("Role")


def test_all_routes_serve_the_same_certificate_and_hold_no_key_themselves(own):
    assert len(own.find("Route")) == 3
    assert named(own)
    for route in own.find("Route"):
        assert set(route.inputs["spec"]["tls"]) == {
            "termination",
            "insecureEdgeTerminationPolicy",
            "externalCertificate",
        }


def test_the_router_may_read_that_secret_and_no_other(own):
    (rule,) = own.one("Role").inputs["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [named(own)],
        "verbs": ["get", "list", "watch"],
    }
    binding = own.one("RoleBinding").inputs
    assert binding["roleRef"]["name"] == "exposure-reader-auto"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "router", "namespace": "openshift-ingress"}]


def test_a_route_comes_after_the_certificate_and_the_right_to_read_it(own):
    """OpenShift's API server refuses it otherwise."""
    made = {one.urn for one in own.manifests if one.name.startswith("exposure-")}
    for route in own.find("Route"):
        assert made <= set(route.dependencies), route.urn


def test_before_they_exist_preview_does_not_try_the_routes():
    """The API server would refuse them, in a dry run too; an unknown value keeps the provider from asking."""
    for certificate in WAYS.values():
        for route in deployed(certificate, preview=True).find("Route"):
            assert route.inputs["spec"]["tls"]["externalCertificate"]["name"] is harness.UNKNOWN


def test_a_certificate_of_the_stack_file_ends_in_a_secret_of_its_own():
    run = deployed(given())
    secret = run.one("Secret", "exposure-certificate")
    assert secret.inputs["type"] == "kubernetes.io/tls"
    assert secret.inputs["immutable"] is True
    assert secret.inputs["stringData"] == {"tls.crt": GOOD.certificate, "tls.key": GOOD.key}


def test_its_private_key_stands_in_that_secret_alone_and_marked():
    run = deployed(given())
    for one in run.registrations:
        if KEY_LINE in str(one.inputs):
            assert one.name == "exposure-certificate"
        assert KEY_LINE not in str(list(harness.outside_secrets(one.marked))), one.urn
    assert KEY_LINE not in str([list(harness.outside_secrets(outputs)) for outputs in run.outputs.values()])
    assert KEY_LINE not in str(run.log)


def test_a_key_without_the_line_break_that_the_command_line_drops_is_written_with_it():
    run = deployed(given(GOOD, key=GOOD.key.rstrip()))
    assert run.one("Secret", "exposure-certificate").inputs["stringData"]["tls.key"] == GOOD.key


def test_intermediate_certificates_may_stand_behind_the_servers():
    chain = GOOD.certificate + certificates.authority().certificate
    run = deployed({"crt": chain, "key": GOOD.key})
    assert run.one("Secret", "exposure-certificate").inputs["stringData"]["tls.crt"] == chain


def test_a_wildcard_is_good_for_all_hosts():
    assert deployed(given(WILDCARD)).find("Route")


@pytest.mark.parametrize(
    ("host", "good"),
    [
        (f"a.{harness.DOMAIN}", True),
        (f"a.b.{harness.DOMAIN}", False),
        (harness.DOMAIN, False),
        (f"a.other.{harness.DOMAIN.partition('.')[2]}", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host, good):
    assert reading.uncovered(WILDCARD.certificate, [host]) == ([] if good else [host])


def test_cert_manager_is_asked_for_all_hosts_and_awaited():
    run = deployed(ISSUED)
    certificate = run.one("Certificate")
    assert certificate.type == "kubernetes:cert-manager.io/v1:Certificate"
    assert certificate.annotations["pulumi.com/waitFor"] == "condition=Ready"
    assert certificate.error_hooks == ("explain-failure",)
    spec = certificate.inputs["spec"]
    assert sorted(spec["dnsNames"]) == sorted(one.inputs["spec"]["host"] for one in run.find("Route"))
    assert spec["issuerRef"] == {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"}
    assert spec["secretName"] == named(run)
    assert spec["secretTemplate"]["labels"].items() >= {"app.kubernetes.io/instance": "dev"}.items()


def test_a_certificate_of_that_name_that_is_somebody_elses_is_refused():
    path = "/apis/cert-manager.io/v1/namespaces/litemaas/certificates/litemaas-route-tls"
    text = refusal(ISSUED, {path: {"metadata": {"name": "litemaas-route-tls"}}})
    assert "oc label --overwrite certificate litemaas-route-tls -n litemaas" in text


# --- What is refused ---

OLD = certificates.make("old", hosts=HOSTS, days=-0.5)
EARLY = certificates.make("early", hosts=HOSTS, since=-2)
NARROW = certificates.make("narrow", hosts=HOSTS[:2])
NAMELESS = certificates.make("nameless")
BAD = {
    "expired": (given(OLD), "crt", "(old) expired on ", "the renewed one with its key"),
    "not valid yet": (given(EARLY), "crt", "(early) is not valid before ", "one that is valid now"),
    "an authority": (
        given(certificates.authority()),
        "crt",
        "is a certificate authority",
        "the server's certificate first",
    ),
    "not for the API": (given(NARROW), "crt", f"and not for {HOSTS[2]};", "have one made for all of"),
    "for no host": (given(NAMELESS), "crt", "is good for no host at all", "have one made for all of"),
    "another's key": (
        given(GOOD, key=OTHER.key),
        "key",
        "is not the key of the certificate for portal",
        "write the key",
    ),
    "a locked key": (given(GOOD, key=certificates.locked(GOOD)), "key", "locked with a passphrase", "openssl pkey"),
    "no key at all": (given(GOOD, key="sentinel-no-key"), "key", "is no private key in PEM", "write the text from"),
    "key in the certificate's place": (given(GOOD, crt=GOOD.key), "crt", "holds a private key", "take it out"),
    "nothing": ({}, "", "says nothing", "write one of"),
    "two ways": ({**given(), **KEPT}, "", "says crt and secret", "write one of"),
    "a certificate without its key": (
        {"crt": GOOD.certificate},
        "",
        "has one of crt and key",
        "write the other one too",
    ),
    "a key without its certificate": ({"key": GOOD.key}, "", "says nothing", "write one of"),
    "an unknown kind of issuer": (
        {"certManager": {"issuer": "a", "issuerKind": "Vault"}},
        "certManager.issuerKind",
        "is none of the choices",
        "'ClusterIssuer' or 'Issuer'",
    ),
    "an impossible name": ({"secret": "a/b"}, "secret", "is no name of an object", "write it as oc shows it"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_certificate_that_would_break_is_refused(case):
    certificate, key, fault, cure = BAD[case]
    text = refusal(certificate)
    assert f"litemaas:exposure.tls.certificate{'.' + key if key else ''}" in text
    assert fault in text
    assert cure in text
    assert "sentinel" not in text


def test_a_private_key_in_clear_in_the_stack_file_is_refused_and_not_quoted():
    text = refusal(given(), secrets=())
    assert "litemaas:exposure.tls.certificate.key" in text
    assert "pulumi config set --secret --path litemaas:exposure.tls.certificate.key" in text
    assert KEY_LINE not in refusal(given(GOOD, key=GOOD.key + "x", nonsense=1), secrets=())


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (Answer(404, {}), "is not in namespace litemaas"),
        (tls_secret(GOOD, "Opaque"), "is of another type than kubernetes.io/tls"),
        (tls_secret(OLD), "(old) expired on "),
        (tls_secret(NARROW), f"and not for {HOSTS[2]};"),
        (tls_secret(certificates.Made(GOOD.certificate, OTHER.key)), "is not the key of the certificate"),
        ({"type": "kubernetes.io/tls"}, "holds no certificate in PEM"),
    ],
    ids=["absent", "of another type", "expired", "for other hosts", "with another key", "empty"],
)
def test_a_secret_that_would_break_is_refused(body, fault):
    text = refusal(KEPT, {KEPT_PATH: body})
    assert "litemaas:exposure.tls.certificate.secret" in text
    assert fault in text


def test_cert_manager_has_to_be_there():
    text = refusal(ISSUED, cert_manager=False)
    assert "litemaas:exposure.tls.certificate.certManager" in text
    assert "install the cert-manager Operator" in text


@pytest.mark.parametrize(
    ("kind", "path"),
    [("ClusterIssuer", ISSUER_PATH), ("Issuer", "/apis/cert-manager.io/v1/namespaces/litemaas/issuers/letsencrypt")],
)
def test_the_issuer_has_to_be_there(kind, path):
    asked = {"certManager": {"issuer": "letsencrypt", "issuerKind": kind}}
    text = refusal(asked, {path: Answer(404, {})})
    assert "litemaas:exposure.tls.certificate.certManager.issuer = letsencrypt" in text
    assert f"is no {kind} of this cluster" in text
    assert harness.run_program(config(asked), cluster=cluster({path: {"kind": kind}})).find("Certificate")


@pytest.mark.parametrize("way", WAYS)
def test_a_cluster_that_would_drop_the_certificate_is_refused(way):
    gates = {"status": {"featureGates": [{"disabled": [{"name": "RouteExternalCertificate"}], "enabled": []}]}}
    text = refusal(WAYS[way], {GATES: gates})
    assert "needs the feature gate RouteExternalCertificate, which is off here" in text
    assert "OpenShift 4.19" in text


def test_a_cluster_where_the_gate_is_on_is_not_refused():
    gates = {"status": {"featureGates": [{"enabled": [{"name": "RouteExternalCertificate"}]}]}}
    assert harness.run_program(config(KEPT), cluster=cluster({GATES: gates})).find("Role")


def test_a_certificate_that_ends_soon_is_warned_about():
    soon = certificates.make("soon", hosts=HOSTS, days=10)
    log = "\n".join(deployed(given(soon)).log)
    assert "litemaas:exposure.tls.certificate.crt: the certificate of soon expires on " in log
