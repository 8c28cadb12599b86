"""One file of authorities for every program, from whichever sources there are; and no way not to verify."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pulumi import RunError

from components import kube
from components.trust import FILE, Trust, trusting
from config.cluster import Answer
from tests import harness
from tests.unit import certificates
from tests.unit.conftest import DEMO

CALLERS = {"postgres-bootstrap", "backend", "litellm", "litellm-migration", "key-check", "models", "verification"}
CA = certificates.authority().certificate
CONFIG_MAP = "/api/v1/namespaces/openshift-config/configmaps/user-ca-bundle"
FROM_CONFIG_MAP = {**DEMO, "trust": {"configMap": {"name": "user-ca-bundle"}}}
# What turns verification off, in the words of each program that runs in our pods.
OFF = re.compile(
    r"NODE_TLS_REJECT_UNAUTHORIZED|SSL_VERIFY|PYTHONHTTPSVERIFY|SKIP_TLS|rejectUnauthorized|CERT_NONE|"
    r"check_hostname\s*=\s*False|ssl_verify|_create_unverified_context|insecureSkip|--insecure|--no-check-certificate|"
    r"\bcurl\b.* -k\b|sslmode=no-verify|sslaccept=accept_invalid|proxy_ssl_verify off|ssl_cert_reqs",
    re.IGNORECASE,
)


def chosen(run: harness.Run) -> dict[str, str]:
    return run.one("ConfigMap", "foundation-chosen-ca").inputs["data"]


def component(workload: harness.Registration) -> str:
    return workload.template["metadata"]["labels"]["app.kubernetes.io/component"]


def trusting_pods(run: harness.Run) -> dict[str, harness.Registration]:
    return {component(one): one for one in run.workloads if "trust" in harness.mounts(one).values()}


def refusal(config: dict, answers: dict | None = None) -> str:
    with pytest.raises(RunError) as refused:
        harness.run_program(config, cluster=harness.FakeCluster(answers))
    return str(refused.value)


# --- The file ---


def test_every_pod_that_speaks_tls_to_others_reads_the_one_file(run):
    assert set(trusting_pods(run)) >= CALLERS
    for one in trusting_pods(run).values():
        for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PGSSLROOTCERT"):
            assert harness.env(one)[name] == FILE, one.urn


def test_the_file_is_written_to_a_directory_that_can_be_written_to(run):
    for one in trusting_pods(run).values():
        volume = harness.mounts(one)[str(Path(FILE).parent)]
        assert "emptyDir" in next(each for each in (one.pod or {})["volumes"] if each["name"] == volume), one.urn


def test_the_file_is_made_by_what_becomes_the_program(run):
    for one in trusting_pods(run).values():
        assert harness.container(one)["command"][:2] == ["sh", "/etc/litemaas-trust/trust.sh"], one.urn
        assert len(harness.container(one)["command"]) > 2, one.urn


def test_its_sources_are_the_clusters_authorities_the_injected_and_the_chosen_ones(run):
    for one in trusting_pods(run).values():
        volume = next(each for each in (one.pod or {})["volumes"] if each["name"] == "trust")
        sources = [each["configMap"] for each in volume["projected"]["sources"]]
        assert [each["name"] for each in sources] == [
            "kube-root-ca.crt",
            "openshift-service-ca.crt",
            "trusted-ca",
            "foundation-chosen-ca-auto",
        ]
        assert [each.get("optional", False) for each in sources] == [True, True, True, False], "filled later, or never"
        files = [each["items"][0]["path"] for each in sources[:-1]]
        assert len(set(files)) == 3
        assert all(file.endswith(".crt") for file in files)


def test_a_pod_without_a_command_cannot_be_made_to_trust():
    size = kube.Size(requests={}, limits={})
    with pytest.raises(ValueError, match="pod p needs a command"):
        trusting(kube.Pod(name="p", image="i", size=size), Trust(injected="a", chosen="b"))


@pytest.fixture
def collected(tmp_path):
    """Runs the script beside these files; a double of python3 knows no certifi unless given one."""

    def run(certifi: str = "", **files: str) -> tuple[str, subprocess.CompletedProcess]:
        folder = tmp_path / "trust"
        folder.mkdir()
        (folder / "trust.sh").write_text(kube.file("trust.sh"))
        for name, text in files.items():
            (folder / f"{name}.crt").write_text(text)
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python3").write_text(f"#!/bin/sh\n{f'echo {certifi}' if certifi else 'exit 1'}\n")
        (tmp_path / "bin" / "python3").chmod(0o755)
        done = subprocess.run(
            ["sh", str(folder / "trust.sh"), "sh", "-c", 'echo "ran $*"; exit 7', "sh", "one", "two words"],
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "SSL_CERT_FILE": str(tmp_path / "all.pem")},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return (tmp_path / "all.pem").read_text(), done

    return run


def test_the_script_becomes_the_program_with_its_arguments_and_exit_code(collected):
    _, done = collected()
    assert done.stdout == "ran one two words\n"
    assert done.returncode == 7


def test_everything_that_is_there_ends_in_one_file_behind_the_public_authorities(collected, tmp_path):
    (tmp_path / "certifi.pem").write_text("-- public\n")
    text, _ = collected(certifi=str(tmp_path / "certifi.pem"), chosen="-- chosen\n", cluster="-- cluster\n", empty="")
    assert text.split() == ["--", "public", "--", "chosen", "--", "cluster"]


def test_a_file_without_a_line_break_at_its_end_does_not_spoil_the_next_one(collected, tmp_path):
    other = certificates.make("Other CA", authority=True).certificate
    (tmp_path / "certifi.pem").write_text(certificates.make("Public CA", authority=True).certificate.rstrip())
    text, _ = collected(certifi=str(tmp_path / "certifi.pem"), a=CA.rstrip(), b=other.rstrip())
    (tmp_path / "read.pem").write_text(text)
    count = "import ssl, sys; c = ssl.create_default_context(cafile=sys.argv[1]); print(len(c.get_ca_certs()))"
    done = subprocess.run([sys.executable, "-c", count, str(tmp_path / "read.pem")], capture_output=True, check=True)
    assert done.stdout == b"3\n"


# --- The stack file ---


def test_nothing_is_added_by_default(run):
    assert set(chosen(run)) == {"trust.sh"}


def test_authorities_of_the_stack_file_reach_the_pods():
    run = harness.run_program({**DEMO, "trust": {"caBundle": f"# our own\n{CA.rstrip()}"}})
    assert chosen(run)["chosen.crt"] == CA


def test_authorities_of_a_config_map_reach_the_pods_as_a_copy():
    answers = {CONFIG_MAP: {"data": {"ca-bundle.crt": CA}}}
    run = harness.run_program(FROM_CONFIG_MAP, cluster=harness.FakeCluster(answers))
    assert chosen(run)["chosen.crt"] == CA


def test_both_sources_add_up_and_what_stands_in_both_is_there_once():
    other = certificates.make("Other CA", authority=True).certificate
    answers = {CONFIG_MAP: {"data": {"ca-bundle.crt": CA + other}}}
    config = {**DEMO, "trust": {"caBundle": CA, "configMap": {"name": "user-ca-bundle"}}}
    assert chosen(harness.run_program(config, cluster=harness.FakeCluster(answers)))["chosen.crt"] == CA + other


def test_another_authority_rolls_what_trusts_it_and_nothing_else(demo):
    """All of them name the ConfigMap, which is another object then; nobody else does."""
    changed = harness.run_program({**DEMO, "trust": {"caBundle": CA}})
    generated = {"Secret", "OAuthClient"}
    before = {one.urn: one.marked for one in demo.manifests if one.kind not in generated}
    assert {one.name for one in changed.manifests if before.get(one.urn, one.marked) != one.marked} == {
        "foundation-chosen-ca"
    }
    naming = {component(one) for one in demo.workloads if "foundation-chosen-ca-auto" in str(one.pod)}
    assert naming == CALLERS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "holds no certificate in PEM"),
        ("", "holds no certificate in PEM"),
        (CA + certificates.authority().key, "holds a private key"),
        ("-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n", "certificate 1 cannot be read"),
        (certificates.make("Old CA", authority=True, days=-0.5).certificate, "(Old CA) expired on "),
        (certificates.make("www", hosts=["www.example.com"]).certificate, "is no certificate authority"),
        ("-----BEGIN X509 CRL-----\nbm90aGluZw==\n-----END X509 CRL-----\n", "holds a X509 CRL"),
    ],
    ids=["no PEM", "nothing", "a private key", "a broken one", "an expired one", "a server's", "a revocation list"],
)
@pytest.mark.parametrize("source", ["caBundle", "configMap"])
def test_what_cannot_be_trusted_is_refused_and_not_quoted(source, text, said):
    if source == "caBundle":
        told = refusal({**DEMO, "trust": {"caBundle": text or " "}})
    else:
        told = refusal(FROM_CONFIG_MAP, {CONFIG_MAP: {"data": {"ca-bundle.crt": text}}})
    assert f"litemaas:trust.{source}" in told
    assert said in told
    assert re.search("write|take it out", told), "the cure"
    assert "-----BEGIN PRIVATE" not in told
    assert certificates.authority().key.splitlines()[1] not in told


def test_all_faults_of_a_bundle_are_told_at_once():
    old = certificates.make("Old CA", authority=True, days=-1).certificate
    told = refusal({**DEMO, "trust": {"caBundle": CA + old + certificates.make("www").certificate}})
    assert "certificate 2 (Old CA) expired" in told
    assert "certificate 3 (www) is no certificate authority" in told


def test_an_authority_that_does_not_say_that_it_is_one_is_taken():
    early = certificates.make("Early CA", authority=None).certificate
    assert chosen(harness.run_program({**DEMO, "trust": {"caBundle": early}}))["chosen.crt"] == early


def test_an_authority_that_expires_soon_is_warned_about():
    soon = certificates.make("Ageing CA", authority=True, days=20).certificate
    log = "\n".join(harness.run_program({**DEMO, "trust": {"caBundle": soon}}).log)
    assert "litemaas:trust: the certificate of Ageing CA expires on " in log
    assert "add its successor now" in log
    assert not harness.run_program({**DEMO, "trust": {"caBundle": CA}}).log


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, {}), "litemaas:trust.configMap = openshift-config/user-ca-bundle\n      does not exist"),
        (Answer(403, {}), "may not be read by you"),
        ({"data": {"other.crt": CA}}, "write one of: other.crt"),
        ({}, "litemaas:trust.configMap.key = ca-bundle.crt"),
    ],
    ids=["absent", "forbidden", "another key", "empty"],
)
def test_a_config_map_that_cannot_be_used_is_refused(answer, said):
    assert said in refusal(FROM_CONFIG_MAP, {CONFIG_MAP: answer})


def test_a_stack_file_without_certificates_does_not_load_the_library_that_reads_them():
    """A tenth of a second at every preview."""
    text = (
        "import sys; from config import preflight, settings; settings.Settings(); print('cryptography' in sys.modules)"
    )
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- No way out ---


def test_nothing_that_is_given_to_a_pod_turns_verification_off(run):
    for one in run.manifests:
        for path, text in harness.leaves(one.inputs):
            assert not OFF.search(str(text)), f"{one.urn}{path}"
            assert not OFF.search(path), f"{one.urn}{path}"


def test_no_file_of_the_program_and_no_setting_turns_verification_off():
    for file in [*(harness.ROOT / "components").rglob("*.*"), *(harness.ROOT / "config").rglob("*.*")]:
        if file.suffix != ".pyc":
            assert not OFF.search(file.read_text()), file
    schema = (harness.ROOT / "docs" / "stack.schema.json").read_text()
    assert not re.search(r'"[a-z]*(verifyTls|tlsVerify|insecure|skip)[a-z]*"', schema, re.IGNORECASE)
