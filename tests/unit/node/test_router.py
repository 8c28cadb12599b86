"""The router: which Routes are served, how, and what their status says."""

import base64
import email.message
import urllib.error
from pathlib import Path
from typing import Any

from sandbox.images.files import router

NOW = "2026-01-01T00:00:00Z"
EDGE = {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"}


def route(name: str = "a", space: str = "one", made: str = NOW, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": space, "creationTimestamp": made}
    return {"metadata": meta, "spec": {"host": "a.example.com", "to": {"name": "web"}, "tls": EDGE, **spec}}


def services(address: str = "10.0.0.1") -> dict[tuple[str, str], Any]:
    ports = [{"name": "metrics", "port": 9000}, {"name": "main", "port": 80, "targetPort": 8080}]
    return {("one", "web"): {"spec": {"clusterIP": address, "ports": ports}}}


def test_an_edge_route_is_served_on_https_and_redirected_on_http():
    text = router.render([route(port={"targetPort": "main"})], services())
    plain, _, secure = text.partition("frontend https")
    assert "redirect scheme https code 302 if { req.hdr(host),field(1,:) -i a.example.com }" in plain
    assert "use_backend one_a if { req.hdr(host),field(1,:) -i a.example.com }" in secure
    assert "server service 10.0.0.1:80\n" in secure


def test_a_plain_route_is_served_on_http_only():
    one = route()
    del one["spec"]["tls"]
    text = router.render([one], services())
    plain, _, secure = text.partition("frontend https")
    assert "use_backend one_a" in plain
    assert "use_backend" not in secure


def test_a_port_is_found_by_name_target_or_number_and_else_is_the_first():
    service = services()["one", "web"]
    assert [router.service_port(route(port={"targetPort": each}), service) for each in ("main", 8080, 80)] == [80] * 3
    assert router.service_port(route(), service) == 9000


def test_the_timeout_annotation_reaches_the_backend():
    one = route()
    one["metadata"]["annotations"] = {router.TIMEOUT: "310s"}
    assert "  timeout server 310s\n" in router.backend(one, services()["one", "web"])


def test_reencrypt_speaks_tls_to_the_pod_and_verifies_it_for_the_name_of_its_service():
    text = router.backend(route(tls={"termination": "reencrypt"}), services()["one", "web"])
    assert (
        "ssl verify required ca-file /etc/service-ca/service-ca.crt verifyhost web.one.svc sni str(web.one.svc)" in text
    )


class SecretsDouble(router.Cluster):
    """A test double of the API server: knows one Secret, and refuses another."""

    def __init__(self) -> None:
        pass

    def request(self, path: str, patch: Any = None) -> dict[str, Any]:
        if not path.endswith("/good"):
            raise urllib.error.HTTPError(path, 403, "Forbidden", email.message.Message(), None)
        data = {"tls.crt": base64.b64encode(b"cert\n").decode(), "tls.key": base64.b64encode(b"key\n").decode()}
        return {"metadata": {"resourceVersion": "7"}, "data": data}


def own(name: str) -> dict[str, Any]:
    return route(name, tls={**EDGE, "externalCertificate": {"name": name}})


def test_a_certificate_in_a_secret_is_served_beside_the_routers_own_and_a_new_one_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(router, "CERTIFICATES", tmp_path / "certificates")
    pairs, refused = router.own_certificates([own("good"), route()], SecretsDouble())
    file = str(tmp_path / "certificates" / "one_good.pem")
    assert (pairs, refused) == ({file: "7"}, {})
    assert Path(file).read_text() == "cert\nkey\n"
    text = router.render([own("good")], services(), pairs)
    assert f"crt /etc/router/tls.pem crt {file} alpn" in text
    assert text != router.render([own("good")], services(), {file: "8"})


def test_a_secret_that_may_not_be_read_is_said_in_the_status():
    pairs, refused = router.own_certificates([own("secret")], SecretsDouble())
    assert pairs == {}
    assert refused["one_secret"][0] == "ExternalCertificateValidationFailed"


def test_longer_paths_come_first_and_match_whole_steps():
    text = router.render([route("short", path="/v"), route("long", path="/v/deep")], services())
    assert text.index("use_backend one_long") < text.index("use_backend one_short")
    assert "{ path /v } ||" in text
    assert "{ path_beg /v/ }" in text


def test_a_route_to_a_service_that_is_not_there_or_has_no_address_is_left_out():
    assert "use_backend" not in router.render([route()], {})
    assert "use_backend" not in router.render([route()], services("None"))


def test_the_older_route_of_another_namespace_keeps_the_host():
    refused = router.refusals([route("late", "two", "2026-02-01T00:00:00Z"), route()])
    assert refused == {"two_late": ("HostAlreadyClaimed", "route one_a already exposes a.example.com")}


def test_passthrough_is_refused_with_a_reason():
    assert router.refusals([route(tls={"termination": "passthrough"})])["one_a"][0] == "ExtendedValidationFailed"


def test_a_served_route_is_admitted_once():
    one = route()
    written = router.status(one, None, "apps.example.com", NOW)
    assert written is not None
    assert written["status"]["ingress"][0]["conditions"] == [
        {"type": "Admitted", "status": "True", "lastTransitionTime": NOW}
    ]
    assert router.status(one | written, None, "apps.example.com", NOW) is None


def test_a_route_that_is_refused_later_is_told():
    one = route()
    admitted = router.status(one, None, "d", NOW) or {}
    refused = router.status(one | admitted, ("HostAlreadyClaimed", "why"), "d", NOW) or {}
    assert refused["status"]["ingress"][0]["conditions"][0]["reason"] == "HostAlreadyClaimed"
    assert router.status(one | refused, ("HostAlreadyClaimed", "why"), "d", NOW) is None
