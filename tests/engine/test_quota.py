"""A quota against the real API server: it is kept as written, and an installation fits into it."""

from tests.engine.driver import Cluster, Project


def test_an_installation_fits_into_its_own_quota_and_a_second_look_finds_nothing(
    empty: Project, cluster: Cluster
) -> None:
    empty.change(isolation={"quota": {}, "limitRange": {}, "monitoring": True})
    empty.up()
    namespace = empty.outputs()["namespace"]
    quota = cluster.get("resourcequota", "litemaas", namespace)
    assert quota["status"]["hard"] == quota["spec"]["hard"]
    assert int(quota["status"]["used"]["pods"]) <= int(quota["spec"]["hard"]["pods"])
    # In other words than the server's own, amounts would differ for ever.
    assert empty.preview_json("--refresh") == []
    # Another size of every proxy: a rolling update within the quota, which grows with it.
    empty.change(replicas={"frontend": 2})
    empty.up()
    assert cluster.get("resourcequota", "litemaas", namespace)["spec"]["hard"]["pods"] == "14"
    empty.change(isolation=None)
    empty.up()
    assert cluster.items("resourcequotas", namespace) == []
    empty.destroy()
