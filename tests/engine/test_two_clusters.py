"""One checkout, two clusters: two stacks in one project folder that share nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from tests.engine.conftest import Deployed
from tests.engine.driver import NAMESPACE, SETTINGS, Cluster, Project, generated

DOMAIN = "apps.second.example.com"
CONTEXT = "litemaas-sandbox-second"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Another cluster."""
    with Sandbox(tmp_path_factory.mktemp("second") / "state", name="second", domain=DOMAIN) as running:
        yield running


@pytest.fixture(scope="module")
def kubeconfig(sandbox: Sandbox, second: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One kubeconfig for both clusters; the second one is current."""
    ours, theirs = (json.loads(each.kubeconfig.read_text()) for each in (sandbox, second))
    both = theirs | {key: ours[key] + theirs[key] for key in ("clusters", "users", "contexts")}
    file = tmp_path_factory.mktemp("kubeconfig") / "config"
    file.write_text(json.dumps(both))
    return file


@pytest.fixture(scope="module")
def other(deployed: Deployed, kubeconfig: Path, program: Path) -> Project:
    """A second stack, beside the first in the same folder, deployed to the second cluster."""
    env = deployed.project.env | {"KUBECONFIG": str(kubeconfig)}
    project = Project(deployed.project.folder, program, env, "other")
    settings = {"clusterDomain": DOMAIN, "models": ["gpt-oss-20b"], "context": CONTEXT}
    project.write_config(SETTINGS | settings)
    project.up()
    return project


def test_each_stack_has_addresses_of_its_own_cluster(other: Project, deployed: Deployed) -> None:
    one, two = deployed.project.outputs(), other.outputs()
    assert two["portal_url"] == f"https://litemaas-litemaas.{DOMAIN}"
    assert not {one[key] for key in one if key.endswith("_url")} & {two[key] for key in two if key.endswith("_url")}


def test_each_cluster_has_the_hosts_and_models_of_its_own_stack(
    other: Project, deployed: Deployed, cluster: Cluster, second: Sandbox
) -> None:
    found = []
    for each in (cluster, Cluster(second)):
        hosts = {route["spec"]["host"].partition(".")[2] for route in each.items("routes")}
        (declared,) = each.items("configmaps", NAMESPACE, labelSelector="app.kubernetes.io/component=model")
        found.append((hosts, {file.removesuffix(".json") for file in declared["data"]}))
    assert found == [
        ({SETTINGS["clusterDomain"]}, {"granite-8b-agent", "mistral-3-int4"}),
        ({DOMAIN}, {"gpt-oss-20b"}),
    ]


def test_no_secret_is_shared(other: Project, deployed: Deployed) -> None:
    assert not set(generated(other).values()) & set(deployed.secrets.values())


def test_the_stack_file_chooses_the_cluster_whatever_the_kubeconfigs_current_context(
    other: Project, main: Project, kubeconfig: Path
) -> None:
    main.env["KUBECONFIG"], ambient = str(kubeconfig), main.env["KUBECONFIG"]
    try:
        said = main.refused()
        assert f"is not this cluster's domain, which is {DOMAIN}" in said
        main.change(context="litemaas-sandbox-engine")
        main.preview("--expect-no-changes", "--refresh")
    finally:
        main.env["KUBECONFIG"] = ambient


def test_destroying_one_leaves_the_other(other: Project, main: Project, cluster: Cluster, second: Sandbox) -> None:
    def ours() -> list[str]:
        # A run of the check of keys comes by the clock.
        return [each for each in cluster.labelled("main") if "/key-check-" not in each]

    before = ours()
    other.destroy()
    assert Cluster(second).labelled("other") == []
    assert ours() == before
    main.preview("--expect-no-changes", "--refresh")
