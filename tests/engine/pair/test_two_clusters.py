"""One checkout, two clusters: two stacks in one project folder that share nothing.

That a destroyed one leaves the other, test_destroy has.
"""

from pathlib import Path

from tests.engine.driver import NAMESPACE, SECOND_DOMAIN, SETTINGS, Cluster, Project, generated


def test_each_stack_has_addresses_of_its_own_cluster(drifter: Project, protected: Project) -> None:
    assert drifter.folder == protected.folder
    one, two = drifter.outputs(), protected.outputs()
    assert two["portal_url"] == f"https://litemaas-litemaas.{SECOND_DOMAIN}"
    assert not {one[key] for key in one if key.endswith("_url")} & {two[key] for key in two if key.endswith("_url")}


def test_each_cluster_has_the_hosts_and_models_of_its_own_stack(
    drifter: Project, protected: Project, drifting: Cluster, doomed: Cluster
) -> None:
    found = []
    for each in (drifting, doomed):
        hosts = {route["spec"]["host"].partition(".")[2] for route in each.items("routes")}
        (declared,) = each.items("configmaps", NAMESPACE, labelSelector="app.kubernetes.io/component=model")
        found.append((hosts, {file.removesuffix(".json") for file in declared["data"]}))
    assert found == [
        ({SETTINGS["clusterDomain"]}, {"granite-8b-agent", "mistral-3-int4"}),
        ({SECOND_DOMAIN}, {"gpt-oss-20b"}),
    ]


def test_no_secret_is_shared(drifter: Project, protected: Project) -> None:
    assert not set(generated(drifter).values()) & set(generated(protected).values())


def test_the_stack_file_chooses_the_cluster_whatever_the_kubeconfigs_current_context(
    drifter: Project, protected: Project, kubeconfig: Path
) -> None:
    drifter.env["KUBECONFIG"], ambient = str(kubeconfig), drifter.env["KUBECONFIG"]
    try:
        said = drifter.refused()
        assert f"is not this cluster's domain, which is {SECOND_DOMAIN}" in said
        drifter.change(context="litemaas-sandbox-drift")
        drifter.preview("--expect-no-changes")
    finally:
        drifter.env["KUBECONFIG"] = ambient
        drifter.change(context=None)
