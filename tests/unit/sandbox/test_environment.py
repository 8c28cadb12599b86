"""The environment: a sandbox's own, and nothing that leads to another cluster."""

from pathlib import Path

import pytest

from sandbox import environment, paths
from sandbox.toolchain import Toolchain

AMBIENT = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "KUBECONFIG": "/home/me/.kube/config",
    "KUBE_CONTEXT": "production",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "PULUMI_ACCESS_TOKEN": "secret",
    "PULUMI_BACKEND_URL": "s3://production",
    "PULUMI_STACK": "production",
    "PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/passphrase",
    "PULUMI_K8S_CLIENT_QPS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
}


@pytest.fixture
def tools(tmp_path: Path) -> Toolchain:
    return Toolchain([tmp_path / "bin"], tmp_path / "openshift", tmp_path / "plugins")


@pytest.fixture
def env(tmp_path: Path, tools: Toolchain) -> dict[str, str]:
    return environment.build(tmp_path, tools, AMBIENT)


def test_no_ambient_cluster_stack_or_backend_leaks_in(env: dict[str, str], tmp_path: Path):
    text = repr(env)
    for foreign in ("production", "secret", "/home/me/.kube", "/home/me/passphrase", "10.0.0.1"):
        assert foreign not in text
    assert env["KUBECONFIG"] == str(tmp_path / "kubeconfig")
    assert env["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/pulumi"


def test_what_has_nothing_to_do_with_clusters_stays(env: dict[str, str]):
    assert (env["HOME"], env["LANG"]) == ("/home/me", "C.UTF-8")


def test_our_tools_come_first_on_path(env: dict[str, str], tools: Toolchain):
    assert env["PATH"].split(":") == [str(tools.path_entries[0]), str(paths.VENV / "bin"), "/usr/bin"]


def test_the_program_may_write_its_bytecode(env: dict[str, str]):
    assert "PYTHONDONTWRITEBYTECODE" not in env


def test_our_own_engine_fetches_no_plugins_and_an_installed_one_may(tmp_path: Path, env: dict[str, str]):
    assert env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    installed = Toolchain([], tmp_path, None)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in environment.build(tmp_path, installed, AMBIENT)


def test_two_sandboxes_share_no_folder(tmp_path: Path, tools: Toolchain):
    one, two = (environment.build(tmp_path / name, tools, AMBIENT) for name in "ab")
    for variable in ("KUBECONFIG", "PULUMI_HOME", "PULUMI_BACKEND_URL", "KUBECACHEDIR"):
        assert one[variable] != two[variable]


def test_pulumis_home_gets_the_plugins_anew_at_each_start(tmp_path: Path, tools: Toolchain):
    assert tools.plugins
    tools.plugins.mkdir()
    state = tmp_path / "state"
    for _ in range(2):
        environment.prepare(state, tools, {"HOME": str(tmp_path)})
    assert (state / "pulumi-home" / "plugins").resolve() == tools.plugins.resolve()


def test_the_cache_follows_its_variables(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITEMAAS_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert paths.cache() == Path("/a")
    monkeypatch.delenv("LITEMAAS_CACHE")
    assert paths.cache() == Path("/b/litemaas-pulumi")


def test_the_state_folder_is_the_option_then_the_variable_then_the_checkout(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LITEMAAS_SANDBOX", "/from-variable")
    assert paths.state("/from-option") == Path("/from-option")
    assert paths.state() == Path("/from-variable")
    monkeypatch.delenv("LITEMAAS_SANDBOX")
    assert paths.state() == paths.CHECKOUT / ".sandbox"
