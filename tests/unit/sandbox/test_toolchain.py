"""The tool chain: what names a build, what is skipped, what a failure says."""

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.node import tools as node
from sandbox.toolchain import official
from sandbox.toolchain.builder import Builder, BuildError, jobs
from sandbox.toolchain.toolsets import CHECKS, CLUSTER, HERE, OPENSHIFT, PULUMI, ToolSet

EVERY = [*PULUMI, *CLUSTER, *CHECKS, OPENSHIFT, *node.SETS]
ETCD = next(each for each in CLUSTER if each.name == "etcd")
GO = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -o ] && output=$2; shift; done
echo "compiling for $output"
%s
"""


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A `go` whose build is the given shell line."""

    def make(line: str) -> None:
        tool = tmp_path / "path" / "go"
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(GO % line)
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")

    return make


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("each", EVERY, ids=lambda each: each.name)
def test_every_tool_set_is_pinned_by_a_module_and_its_checksums(each: ToolSet):
    assert (each.source / "go.mod").is_file()
    assert (each.source / "go.sum").read_text().strip()


def test_every_module_beside_the_code_belongs_to_a_tool_set():
    modules = {file.parent.name for file in HERE.glob("*/go.mod")}
    assert modules == {each.name for each in EVERY}


def test_a_key_stays_while_pins_and_flags_do():
    assert ETCD.key == replace(ETCD).key


def test_another_flag_is_another_build():
    assert replace(ETCD, stamp="-X a=b").key != ETCD.key


def test_two_tool_sets_never_share_a_key():
    assert len({each.key for each in EVERY}) == len(EVERY)


def test_the_provider_has_the_version_that_the_sdk_asks_for():
    provider = next(each for each in PULUMI if each.name == "provider-kubernetes")
    pins = (HERE.parent.parent / "requirements.txt").read_text()
    assert f"Version={official.KUBERNETES_PLUGIN}" in provider.stamp
    assert f"pulumi-kubernetes=={official.KUBERNETES_PLUGIN}" in pins


def test_the_engine_has_the_version_of_the_sdk():
    engine = next(each for each in PULUMI if each.name == "pulumi")
    pins = (HERE.parent.parent / "requirements.txt").read_text()
    assert f"pulumi=={engine.stamp.rpartition('v')[2]}" in pins


def test_a_finished_build_is_not_made_again(tmp_path: Path, fake_go):
    fake_go("echo built-once > $output")
    lines: list[str] = []
    folder = Builder(lines.append, tmp_path / "cache").build([ETCD])["etcd"]
    fake_go("exit 1")
    Builder(lines.append, tmp_path / "cache").build([ETCD])
    assert (folder / "bin" / "etcd").read_text() == "built-once\n"
    assert lines[-1] == "toolchain: already there"


def test_an_interrupted_build_leaves_nothing_that_looks_finished(tmp_path: Path, fake_go):
    builder = Builder(lambda _: None, tmp_path)
    partial = builder.folder(ETCD).with_suffix(".partial")
    (partial / "bin").mkdir(parents=True)
    (partial / "bin" / "half").touch()
    fake_go("echo whole > $output")
    assert not builder.folder(ETCD).exists()
    builder.build([ETCD])
    assert [each.name for each in (builder.folder(ETCD) / "bin").iterdir()] == ["etcd"]


def test_a_failed_build_shows_the_end_of_its_log_and_what_to_do(tmp_path: Path, fake_go):
    fake_go("echo no space left on device; exit 3")
    with pytest.raises(BuildError) as failure:
        Builder(lambda _: None, tmp_path).build([ETCD])
    message = str(failure.value)
    assert "etcd could not be built (exit code 3)" in message
    assert "no space left on device" in message
    assert "run the same command again" in message


def test_a_missing_go_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"Install Go 1\.26 or newer"):
        Builder(lambda _: None, tmp_path).build([ETCD])


def test_at_least_one_build_runs_and_never_more_than_four():
    assert 1 <= jobs() <= 4


def test_an_installed_pulumi_with_its_plugins_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    listing = '[{"name": "kubernetes", "kind": "resource", "version": "4.25.0"}]'
    program(tmp_path, "pulumi", f"case $1 in version) echo v3.300.1;; *) echo '{listing}';; esac")
    program(tmp_path, "pulumi-language-python", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = official.find()
    assert found == official.Official("v3.300.1", [tmp_path])


@pytest.mark.parametrize(
    ("version", "listing"),
    [
        ("v4.0.0", '[{"name": "kubernetes", "kind": "resource", "version": "4.25.0"}]'),
        ("v3.259.0", '[{"name": "kubernetes", "kind": "resource", "version": "4.1.0"}]'),
        ("v3.259.0", "[]"),
        ("", "not json"),
    ],
)
def test_an_installed_pulumi_that_does_not_fit_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, listing: str
):
    program(tmp_path, "pulumi", f"case $1 in version) echo {version};; *) echo '{listing}';; esac")
    program(tmp_path, "pulumi-language-python", "")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert official.find() is None


def test_our_own_builds_on_path_do_not_count_as_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes"):
        program(tmp_path, name, "echo v3.259.0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert official.find() is not None
    monkeypatch.setenv("LITEMAAS_CACHE", str(tmp_path.parent))
    assert official.find() is None
