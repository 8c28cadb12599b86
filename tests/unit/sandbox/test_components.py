"""Ports, keys, tokens and small helpers of the control plane."""

import base64
import json
import re
import socket
from pathlib import Path

import pytest

from sandbox import commands, components, kubelet, venv
from sandbox.client import object_path
from sandbox.paths import CHECKOUT
from sandbox.record import Record
from sandbox.toolchain import Toolchain

PORTS = {"etcd": 1, "etcd-peer": 2, "api": 3, "kubelet": 4, "registry": 5}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    components.prepare(tmp_path)
    (tmp_path / "pki" / "ca.crt").write_text("the authority")
    return tmp_path


@pytest.fixture
def tools(tmp_path: Path) -> Toolchain:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"):
        (programs / name).touch(mode=0o755)
    return Toolchain([programs], tmp_path, None)


def test_each_listener_gets_a_port_of_its_own_outside_the_range_of_outgoing_connections():
    ports = components.free_ports()
    assert set(ports) == set(PORTS)
    assert len(set(ports.values())) == len(ports)
    assert all(20000 <= port < 32000 for port in ports.values())


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not components.is_free(server.getsockname()[1])


def test_keys_and_tokens_stay_over_restarts_and_only_their_owner_may_read_them(state: Path):
    files = [state / "pki" / "service-account.key", state / "tokens.csv"]
    before = [each.read_text() for each in files]
    components.prepare(state)
    assert [each.read_text() for each in files] == before
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}


def test_two_sandboxes_have_different_tokens(tmp_path: Path):
    for name in "ab":
        components.prepare(tmp_path / name)
    assert components.token(tmp_path / "a", "admin") != components.token(tmp_path / "b", "admin")


def test_a_damaged_file_of_tokens_is_named_with_its_cure(state: Path):
    (state / "tokens.csv").write_text("garbage")
    with pytest.raises(ValueError, match=r"tokens\.csv has no token of admin; delete the sandbox"):
        components.token(state, "admin")


def test_the_service_account_key_is_an_elliptic_curve_key(state: Path):
    text = (state / "pki" / "service-account.key").read_text()
    body = base64.b64decode("".join(text.splitlines()[1:-1]))
    assert body[:7] == bytes.fromhex("30310201010420")
    assert len(body) == 0x31 + 2


def test_the_limited_user_is_in_no_group(state: Path):
    rows = (state / "tokens.csv").read_text().splitlines()
    assert [row.split(",", 3)[3] for row in rows] == ['"system:masters"', '""']


def test_a_kubeconfig_has_everything_inside_and_is_named_after_the_sandbox(state: Path):
    content = json.loads(components.kubeconfig(state, "test", 6443, "limited"))
    assert content["current-context"] == "litemaas-sandbox-test"
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    embedded = content["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(embedded) == b"the authority"
    assert content["users"][0]["user"]["token"] == components.token(state, "limited")


def test_the_authority_is_the_second_certificate_and_only_once_it_is_whole(state: Path):
    file, end = state / "pki" / "apiserver.crt", "-----END CERTIFICATE-----\n"
    begin = "-----BEGIN CERTIFICATE-----\n"
    assert components.authority(state) is None
    file.write_text(f"{begin}server\n{end}{begin}signer")
    assert components.authority(state) is None
    file.write_text(f"{begin}server\n{end}{begin}signer\n{end}")
    assert components.authority(state) == f"{begin}signer\n{end}"


def test_every_listener_stays_on_loopback(state: Path, tools: Toolchain):
    commands_ = [
        *components.etcd(tools, state, PORTS),
        *components.apiserver(tools, state, PORTS),
        *components.kwok(tools, state, routes=True),
    ]
    text = " ".join(commands_)
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+(?!\d*/)", text)) == {"127.0.0.1"}
    assert "--bind-address=127.0.0.1" in commands_


def test_no_secret_is_on_a_command_line(state: Path, tools: Toolchain):
    text = " ".join(
        [
            *components.apiserver(tools, state, PORTS),
            *components.controllers(tools, state),
            *components.scheduler(tools, state),
        ]
    )
    assert components.token(state, "admin") not in text


def test_a_record_that_is_torn_or_of_another_version_counts_as_none(tmp_path: Path):
    (tmp_path / "sandbox.json").write_text('{"colour": "blue"}')
    assert Record.load(tmp_path) == Record()
    (tmp_path / "sandbox.json").write_text("{")
    assert Record.load(tmp_path) == Record()


def test_a_record_comes_back_as_it_was_written(tmp_path: Path):
    record = Record("a", "apps.example.com", ["x"], PORTS)
    record.save(tmp_path, complete=False)
    record.save(tmp_path, complete=True)
    assert Record.load(tmp_path) == record


@pytest.mark.parametrize(
    ("version", "kind", "namespace", "path"),
    [
        ("v1", "Namespace", None, "/api/v1/namespaces/x"),
        ("v1", "Service", "n", "/api/v1/namespaces/n/services/x"),
        ("config.openshift.io/v1", "Ingress", None, "/apis/config.openshift.io/v1/ingresses/x"),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            None,
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/x",
        ),
        ("storage.k8s.io/v1", "StorageClass", None, "/apis/storage.k8s.io/v1/storageclasses/x"),
    ],
)
def test_an_objects_path_follows_from_its_kind(version: str, kind: str, namespace: str | None, path: str):
    meta = {"name": "x"} | ({"namespace": namespace} if namespace else {})
    assert object_path({"apiVersion": version, "kind": kind, "metadata": meta}) == path


def test_a_simulated_log_says_that_it_is_simulated_and_names_the_image():
    pod = {"spec": {"containers": [{"name": "a", "image": "quay.io/x/y:1"}]}}
    assert kubelet.log_lines(pod, "a") == "[simulated log] container a of quay.io/x/y:1 would log here\n"


def test_a_crashing_containers_log_ends_with_its_error():
    pod = {"spec": {"containers": [], "initContainers": [{"name": "i", "image": "crash-loop:1"}]}}
    assert kubelet.log_lines(pod, "i").endswith("Error: simulated crash at start\n")


def test_the_time_of_each_phase_and_of_all_is_on_one_line():
    phases = commands.Phases()
    phases.seconds = {"tools": 1.04, "up": 2.5}
    assert str(phases) == "tools 1.0 s, up 2.5 s; in all 3.5 s"


def test_other_pins_are_another_environment():
    assert venv.fingerprint(b"a==1") != venv.fingerprint(b"a==2")


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "sandbox/uv.txt"])
def test_every_pin_has_hashes_and_no_index_address_is_written_down(name: str):
    text = (CHECKOUT / name).read_text()
    pins = re.findall(r"^[a-z0-9].*(?:\n    --hash.*)+", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
    assert "://" not in text
    assert "index-url" not in text


def test_the_development_pins_contain_the_programs_own():
    program, development = (
        set(re.findall(r"^[a-z0-9-]+==\S+", (CHECKOUT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert program < development


def test_every_make_target_is_explained_by_make_help():
    text = (CHECKOUT / "Makefile").read_text()
    targets = re.findall(r"^([a-z0-9-]+):(?!=)", text, re.MULTILINE)
    explained = re.findall(r"^([a-z0-9-]+):.*## \S", text, re.MULTILINE)
    assert targets == explained
    phony = re.search(r"\.PHONY: (.*)", text)
    assert phony
    assert set(phony[1].split()) == set(targets)
