"""The router: which Routes are served, how, and what their status says."""

import base64
import email.message
import urllib.error
from pathlib import Path
from typing import Any

import pytest

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


def annotated(**told: str) -> dict[str, Any]:
    one = route()
    one["metadata"]["annotations"] = {
        f"{router.HAPROXY}/{name.replace('__', '.')}": text for name, text in told.items()
    }
    return one


def lines(one: dict[str, Any]) -> list[str]:
    return [line.strip() for line in router.backend(one, services()["one", "web"]).splitlines()]


@pytest.mark.parametrize("name", ["ip_allowlist", "ip_whitelist"])
def test_whoever_is_not_on_the_allow_list_is_turned_away_without_an_answer(name):
    assert "tcp-request content reject if !{ src 10.0.0.0/8 192.0.2.7 2001:db8::/32 }" in lines(
        annotated(**{name: "10.0.0.0/8 192.0.2.7 2001:db8::/32"})
    )


@pytest.mark.parametrize("bad", ["10.0.0.0/8, 192.0.2.7", "10.0.0.0/8  192.0.2.7", "everybody", ""])
def test_a_list_with_anything_else_in_it_is_ignored_as_a_real_router_does(bad):
    assert not [line for line in lines(annotated(ip_allowlist=bad)) if "reject" in line]


def test_limits_count_by_source_address_and_only_where_they_are_switched_on():
    limit = {"rate-limit-connections__concurrent-tcp": "20", "rate-limit-connections__rate-http": "500"}
    on = lines(annotated(**limit, **{"rate-limit-connections": "true"}))
    assert "tcp-request content reject if { src_conn_cur ge 20 }" in on
    assert "tcp-request content reject if { src_http_req_rate ge 500 }" in on
    assert any(line.startswith("stick-table type ip") for line in on)
    assert not [line for line in lines(annotated(**limit)) if "reject" in line]


def test_hsts_is_sent_where_there_is_tls():
    header = "http-response set-header Strict-Transport-Security max-age=31536000;includeSubDomains"
    one = annotated(hsts_header="max-age=31536000;includeSubDomains")
    assert header in lines(one)
    del one["spec"]["tls"]
    assert header not in lines(one)


def ingress(cls: str, secret: str | None = None, **told: str) -> dict[str, Any]:
    paths = [{"path": path, "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"name": "main"}}}}
             for path in ("/v1", "/key")]  # fmt: skip
    tls = {"hosts": ["a.example.com"], **({"secretName": secret} if secret else {})}
    return {
        "metadata": {"name": "web", "namespace": "one", "creationTimestamp": NOW, "annotations": told},
        "spec": {"ingressClassName": cls, "tls": [tls], "rules": [{"host": "a.example.com", "http": {"paths": paths}}]},
    }


CONTROLLERS = {"ours": router.OPENSHIFT_CONTROLLER, "nginx": router.NGINX_CONTROLLER, "theirs": "example.com/theirs"}


def test_an_ingress_becomes_a_route_for_each_path():
    made = router.from_ingress(ingress("nginx", "portal-tls"), CONTROLLERS)
    assert [one["spec"]["path"] for one in made] == ["/v1", "/key"]
    assert {one["spec"]["tls"]["externalCertificate"]["name"] for one in made} == {"portal-tls"}
    text = router.render(made, services())
    assert "use_backend one_ingress_web_0 if { req.hdr(host),field(1,:) -i a.example.com } { path /v1 } ||" in text
    assert "server service 10.0.0.1:80\n" in text


def test_an_ingress_of_another_class_is_left_to_others():
    assert router.from_ingress(ingress("theirs"), CONTROLLERS) == []
    assert router.from_ingress(ingress("unknown"), CONTROLLERS) == []


def test_what_ingress_nginx_is_told_is_done_and_not_what_openshift_would_be():
    told = {f"{router.NGINX}/whitelist-source-range": "10.0.0.0/8,192.0.2.7", f"{router.NGINX}/limit-rps": "5",
            f"{router.NGINX}/proxy-read-timeout": "610", f"{router.HAPROXY}/ip_allowlist": "0.0.0.0/0"}  # fmt: skip
    (one, _) = router.from_ingress(ingress("nginx", **told), CONTROLLERS)
    found = lines(one)
    assert "tcp-request content reject if !{ src 10.0.0.0/8 192.0.2.7 }" in found
    assert "tcp-request content reject if { src_http_req_rate ge 50 }" in found
    assert "timeout server 610s" in found


def test_openshift_makes_no_tls_of_an_ingress_without_secret_and_annotation():
    termination = {"route.openshift.io/termination": "edge"}
    assert all("tls" in one["spec"] for one in router.from_ingress(ingress("ours", **termination), CONTROLLERS))
    assert all("tls" not in one["spec"] for one in router.from_ingress(ingress("ours"), CONTROLLERS))


class NoRoutesDouble(router.Cluster):
    """A test double of an API server that does not know Routes, and has one Ingress."""

    def __init__(self) -> None:
        pass

    def request(self, path: str, patch: Any = None) -> dict[str, Any]:
        if path.startswith(router.ROUTES):
            raise urllib.error.HTTPError(path, 404, "Not Found", email.message.Message(), None)
        classes = [{"metadata": {"name": name}, "spec": {"controller": each}} for name, each in CONTROLLERS.items()]
        return {"items": classes if path.endswith("classes") else [ingress("nginx")]}


def test_without_the_route_api_ingresses_are_served_alone():
    assert router.real_routes(NoRoutesDouble()) == []
    assert len(router.ingress_routes(NoRoutesDouble())) == 2


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
