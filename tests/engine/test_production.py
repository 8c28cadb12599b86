"""The larger profile; and a Job that failed there."""

import json
from pathlib import Path

import pytest

from tests.engine.driver import SETTINGS, Cluster, Project


@pytest.fixture(scope="module")
def production(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, program: Path) -> Project:
    """A stack of the larger profile."""
    folder = tmp_path_factory.mktemp("production") / "project"
    project = Project(folder, program, cluster.env, "production")
    settings = {"namespace": "production", "profile": "production", "access": {"manageGroups": False}}
    project.write_config(SETTINGS | settings)
    project.up()
    return project


def test_the_production_profile_runs_two_pods_of_what_can_have_two(production: Project, cluster: Cluster) -> None:
    ready = {
        each["metadata"]["name"]: each["status"].get("readyReplicas")
        for each in cluster.items("deployments", "production")
    }
    assert ready == {"litellm": 2, "frontend": 2, "backend": 1, "redis": 1}


def test_the_production_profile_lets_a_drain_take_one_pod_at_a_time(production: Project, cluster: Cluster) -> None:
    budgets = {
        each["metadata"]["name"]: each["status"]["disruptionsAllowed"]
        for each in cluster.items("poddisruptionbudgets", "production")
    }
    assert budgets == {"litellm": 1, "frontend": 1}


def test_the_production_profile_spreads_its_pods_over_nodes(production: Project, cluster: Cluster) -> None:
    component = "app.kubernetes.io/component=litellm"
    nodes = [each["spec"]["nodeName"] for each in cluster.items("pods", "production", labelSelector=component)]
    assert len(set(nodes)) == 2


def test_a_job_that_failed_runs_again_at_the_next_up(production: Project, cluster: Cluster) -> None:
    """Nothing in its inputs has changed then: the cause was elsewhere, here a quota that lets no pod start."""
    # Its patience is a part of the time limit, so another limit makes another bootstrap Job.
    production.change(rolloutTimeoutSeconds=15, models=["granite-8b-agent"], retiredModels=["mistral-3-int4"])
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    cluster.kubectl("create", "-n", "production", "-f", "-", stdin=json.dumps(quota))
    verified = _jobs(cluster, "verification")
    said = production.up(expect=1)
    assert "database-bootstrap did not become ready" in said
    assert "exceeded quota" in said
    assert _jobs(cluster, "verification") == verified, "what comes after a failure is not tried"
    cluster.kubectl("delete", "-n", "production", "resourcequota", "full")
    failed = _jobs(cluster, "postgres-bootstrap")
    production.up()
    assert not failed & _jobs(cluster, "postgres-bootstrap")
    assert not verified & _jobs(cluster, "verification")
    production.preview("--expect-no-changes", "--refresh")


def _jobs(cluster: Cluster, component: str) -> set[str]:
    found = cluster.items("jobs", "production", labelSelector=f"app.kubernetes.io/component={component}")
    return {each["metadata"]["name"] for each in found}
