"""TLS between pods: served with certificates of the cluster's own, spoken by name, and verified."""

import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from pulumi import RunError

from components import kube, serving, trust
from tests import harness
from tests.unit import certificates
from tests.unit.conftest import DEMO
from tests.unit.test_guard import NGINX, free_port, wait_for
from tests.unit.ways import Way, allowed, used

ON = {**DEMO, "tls": {"internal": True}}
SERVICE_CA = {"/api/v1/namespaces/default/configmaps/openshift-service-ca.crt": {"data": {"service-ca.crt": "-"}}}
SERVERS = {"redis": "Deployment", "litellm": "Deployment", "frontend": "Deployment", "postgres": "StatefulSet"}
REQUEST = "service.beta.openshift.io/serving-cert-secret-name"


def deployed(config: dict) -> harness.Run:
    return harness.run_program(config, cluster=harness.FakeCluster(SERVICE_CA))


@pytest.fixture(scope="module")
def on() -> harness.Run:
    return deployed(ON)


def redis_conf(run: harness.Run) -> list[str]:
    return run.one("Secret", "cache-config").inputs["stringData"]["redis.conf"].splitlines()


def test_nothing_speaks_tls_inside_by_default(run):
    assert not [one.urn for one in run.find("Service") if REQUEST in one.annotations]
    assert redis_conf(run)[0] == "port 6379"
    assert harness.env(run.one("Job", "models-registration"))["LITELLM_URL"] == "http://litellm:4000"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_gets_a_certificate_for_its_service_and_mounts_it(on, name):
    asked = on.one("Service", name).annotations[REQUEST]
    workload = on.one(SERVERS[name], name)
    volume = harness.mounts(workload)["/etc/litemaas-serving"]
    source = next(each for each in (workload.pod or {})["volumes"] if each["name"] == volume)
    assert source["secret"]["secretName"] == asked
    assert not source["secret"].get("optional"), "the pod waits for it"
    assert source["secret"]["defaultMode"] == 0o640, "PostgreSQL refuses a key that others can read"


def test_the_others_ask_for_none(on):
    asking = {one.metadata["name"] for one in on.find("Service") if REQUEST in one.annotations}
    assert asking == set(SERVERS)


def test_redis_closes_its_plain_port(on):
    lines = redis_conf(on)
    assert "port 0" in lines
    assert "tls-port 6379" in lines
    assert f"tls-cert-file {serving.CERTIFICATE}" in lines
    assert f"tls-key-file {serving.KEY}" in lines
    assert [line for line in lines if line.startswith("requirepass ")], "a certificate is no password"


def test_the_probes_of_redis_need_neither_port_nor_certificate(on, demo):
    for run in (on, demo):
        probe = harness.container(run.one("Deployment", "redis"))["readinessProbe"]["exec"]["command"][-1]
        socket = next(line.split()[1] for line in redis_conf(run) if line.startswith("unixsocket "))
        assert f"-s {socket} " in probe
        assert any(socket.startswith(f"{path}/") for path in harness.mounts(run.one("Deployment", "redis")))


def test_litellm_calls_redis_by_the_name_of_its_certificate_and_verifies_it(on):
    told = on.one("Secret", "gateway-env").inputs["stringData"]
    assert told["REDIS_HOST"] == "redis.litemaas.svc"
    assert told["REDIS_SSL"] == told["REDIS_SSL_CHECK_HOSTNAME"] == "true"
    assert told["REDIS_SSL_CA_CERTS"] == trust.FILE


def test_postgres_serves_its_certificate_and_reads_a_renewed_one(on):
    one = harness.container(on.one("StatefulSet", "postgres"))
    assert one["command"] == ["run-postgresql"]
    assert dict(each.split("=", 1) for each in one["args"][1::2]) == {
        "ssl": "on",
        "ssl_cert_file": serving.CERTIFICATE,
        "ssl_key_file": serving.KEY,
    }
    alive = one["livenessProbe"]["exec"]["command"][-1]
    assert f"{serving.CERTIFICATE} -nt" in alive
    assert "pg_reload_conf" in alive
    assert alive.endswith("; pg_isready -q -h 127.0.0.1 -U postgres")


def test_every_client_calls_postgres_by_the_name_of_its_certificate_and_verifies_it(on):
    backend, gateway = (on.one("Secret", name).inputs["stringData"] for name in ("backend-env", "gateway-env"))
    for url in (backend["DATABASE_URL"], backend["LITELLM_DATABASE_URL"]):
        assert "@postgres.litemaas.svc:5432/" in url
        assert url.endswith("?sslmode=verify-full")
    assert "@postgres.litemaas.svc:5432/" in gateway["DATABASE_URL"]
    assert gateway["DATABASE_URL"].endswith("?sslmode=require&sslaccept=strict")
    env = harness.env(on.one("Job", "database-bootstrap"))
    assert env["PGHOST"] == "postgres.litemaas.svc"
    assert (env["PGSSLMODE"], env["PGSSLROOTCERT"]) == ("verify-full", trust.FILE)


def test_litellm_serves_its_certificate_and_its_probes_know(on):
    one = harness.container(on.one("Deployment", "litellm"))
    args = dict(zip(one["args"][::2], one["args"][1::2], strict=True))
    assert args["--ssl_certfile_path"] == serving.CERTIFICATE
    assert args["--ssl_keyfile_path"] == serving.KEY
    assert {one[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("startup", "readiness", "liveness")} == {"HTTPS"}


def test_the_models_job_calls_litellm_by_the_name_of_its_certificate_and_verifies_it(on):
    env = harness.env(on.one("Job", "models-registration"))
    assert env["LITELLM_URL"] == "https://litellm.litemaas.svc:4000"
    assert env["SSL_CERT_FILE"] == trust.FILE


def test_the_frontend_is_entered_in_tls_alone(on):
    port = on.one("Service", "frontend").inputs["spec"]["ports"][0]
    assert (port["port"], port["targetPort"]) == (8443, 8443)
    assert allowed(on)[0]["frontend"] == {Way("routers", 8443)}
    assert "listen 8443 ssl;" in on.one("ConfigMap", "frontend-server").inputs["data"]["default.conf"].splitlines()


def test_every_way_is_one_that_somebody_is_told_of(on):
    assert allowed(on) == used(on)


@pytest.mark.parametrize("exposure", [{}, {"tls": {"termination": "reencrypt"}}], ids=("derived", "written"))
def test_routes_speak_what_the_pods_speak(exposure):
    run = deployed({**ON, "exposure": exposure})
    for route in run.find("Route"):
        assert route.inputs["spec"]["tls"] == {"termination": "reencrypt", "insecureEdgeTerminationPolicy": "Redirect"}
        assert route.inputs["spec"]["to"]["name"] in SERVERS, "a Route names a Service, not its DNS name"


@pytest.mark.parametrize(("termination", "internal"), [("reencrypt", False), ("edge", True)])
def test_what_the_pods_do_not_speak_is_refused(termination, internal):
    config = {"exposure": {"tls": {"termination": termination}}, "tls": {"internal": internal}}
    with pytest.raises(RunError) as refused:
        harness.read_config({**DEMO, **config})
    assert f"litemaas:exposure.tls.termination = {termination}" in str(refused.value)
    assert f"write tls.internal: {str(not internal).lower()} too" in str(refused.value)


def test_a_cluster_without_the_operator_is_refused():
    with pytest.raises(RunError) as refused:
        harness.run_program(ON)
    assert "litemaas:tls.internal = true" in str(refused.value)
    assert "oc get pods -n openshift-service-ca" in str(refused.value)


# --- A real nginx ---


@pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (Debian: apt-get install nginx-light)")
def test_a_renewed_certificate_is_served_without_a_restart(tmp_path, on):
    """By the start script, with shorter breaks and the paths of this test."""
    port, folder = free_port(), tmp_path / "serving"
    folder.mkdir()
    authority = certificates.authority()

    def renew() -> None:
        made = certificates.make("frontend", signer=authority, hosts=["frontend.litemaas.svc"])
        (folder / "tls.key").write_text(made.key)
        (folder / "tls.crt").write_text(made.certificate)

    renew()
    block = on.one("ConfigMap", "frontend-server").inputs["data"]["default.conf"]
    block = block.replace("http://backend:8080", "http://127.0.0.1:9").replace("8443", f"127.0.0.1:{port}")
    (tmp_path / "default.conf").write_text(block.replace("/etc/litemaas-serving", str(folder)))
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {temporary} uwsgi_temp_path {tmp_path}/u; "
        f"scgi_temp_path {tmp_path}/s; server {{ listen 127.0.0.1:{free_port()}; include {tmp_path}/default.conf; }} }}"
    )
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "nginx"
    shim.write_text(f'#!/bin/sh\nexec {NGINX} -p {tmp_path} -e stderr -c {tmp_path}/nginx.conf "$@"\n')
    shim.chmod(0o755)
    text = kube.file("start-frontend.sh").replace("/etc/litemaas-serving", str(folder)).replace("sleep 20", "sleep 0.2")
    (tmp_path / "start.sh").write_text("\n".join(line for line in text.splitlines() if "/var/log" not in line))
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    trusted = ssl.create_default_context(cadata=authority.certificate)

    def served() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            trusted.wrap_socket(plain, server_hostname="frontend.litemaas.svc") as secure,
        ):
            return secure.getpeercert(binary_form=True) or b""

    command = [shutil.which("sh") or "sh", str(tmp_path / "start.sh")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            wait_for(port, process)
            first = served()
            assert first
            renew()
            deadline = time.monotonic() + 10
            while served() == first:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert process.poll() is None
        finally:
            os.killpg(process.pid, 15)
            process.communicate(timeout=10)
