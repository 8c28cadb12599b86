"""A pod that cannot start makes `up` fail in time and say why; afterwards the stack is as good as before."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.driver import DOMAIN, Cluster, Project

SPACE = "broken"
SECONDS = 15
SETTINGS = {
    "clusterDomain": DOMAIN,
    "namespace": SPACE,
    "protectData": False,
    "rolloutTimeoutSeconds": SECONDS,
    "models": ["granite-8b-agent"],
    "access": {"manageGroups": False},
}
BAD = {
    "images": {"frontend": "quay.io/example/does-not-exist:1", "redis": "quay.io/example/crash-loop:1"},
    "resources": {"backend": {"requests": {"cpu": "64"}, "limits": {"cpu": "64"}}},
}
FINALIZER = "example.com/keep"


@dataclass(frozen=True)
class Failed:
    """A stack after an `up` that failed, what it printed and how long it took."""

    project: Project
    said: str
    seconds: float

    def explained(self, workload: str) -> str:
        """What was printed about one workload."""
        # Said once while it runs, between other lines, and once at the end.
        end = self.said.rpartition("Diagnostics:")[2]
        text = end.partition(f"{workload} did not become ready.")[2].partition("Look further:")[0]
        assert text, self.said
        return text


@pytest.fixture(scope="module")
def failed(cluster: Cluster, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """Three workloads that cannot start, each for its own reason."""
    project = Project(tmp_path_factory.mktemp("broken") / "project", program, cluster.env, SPACE)
    project.write_config(SETTINGS | BAD)
    started = time.monotonic()
    said = project.up(expect=1)
    return Failed(project, said, time.monotonic() - started)


def test_up_fails_within_the_time_limit(failed: Failed) -> None:
    # What comes before the workloads that fail takes its own time.
    assert SECONDS <= failed.seconds < SECONDS + 45


def test_a_pod_that_fits_no_node_is_explained(failed: Failed) -> None:
    text = failed.explained("backend-server")
    assert "PodScheduled is False: Unschedulable 0/3 nodes are available: 3 Insufficient cpu" in text
    assert "event: FailedScheduling" in text


def test_a_missing_image_is_explained(failed: Failed) -> None:
    text = failed.explained("frontend-nginx")
    assert "container frontend waiting: ImagePullBackOff" in text
    assert "quay.io/example/does-not-exist:1" in text
    assert "event: Failed Failed to pull image" in text


def test_a_crash_is_explained_with_the_last_lines_of_the_log(failed: Failed) -> None:
    text = failed.explained("cache-redis")
    assert "container redis waiting: CrashLoopBackOff" in text
    assert "terminated with exit code 1" in text
    assert "event: BackOff" in text
    assert "log: Error: simulated crash at start" in text


def test_no_traceback_and_a_command_to_look_further(failed: Failed) -> None:
    assert "Traceback" not in failed.said
    assert f"oc get pods,events -n {SPACE}" in failed.said


@pytest.fixture(scope="module")
def mended(failed: Failed) -> Project:
    """The same stack with the config put right."""
    failed.project.write_config(SETTINGS)
    failed.project.up()
    return failed.project


def test_up_succeeds_once_the_cause_is_gone(mended: Project, cluster: Cluster) -> None:
    mended.preview("--expect-no-changes", "--refresh")
    ready = {each["metadata"]["name"]: each["status"]["readyReplicas"] for each in cluster.items("deployments", SPACE)}
    assert ready == {"backend": 1, "frontend": 1, "litellm": 1, "redis": 1}


@pytest.fixture(scope="module")
def job_failed(mended: Project) -> Failed:
    """The migration's Job fails at the upgrade of an image."""
    mended.change(images={"litellm": "quay.io/example/crash-loop:1"})
    started = time.monotonic()
    said = mended.up(expect=1)
    return Failed(mended, said, time.monotonic() - started)


def test_a_failed_job_is_explained_with_the_last_lines_of_the_log(job_failed: Failed) -> None:
    text = job_failed.explained("gateway-migration")
    assert "container migration terminated with exit code 1" in text
    assert "log: Error: simulated crash at start" in text
    assert job_failed.seconds < SECONDS + 45


def test_what_ran_before_goes_on_when_the_job_before_it_fails(job_failed: Failed, cluster: Cluster) -> None:
    proxy = cluster.get("deployment", "litellm", SPACE)
    assert "crash-loop" not in proxy["spec"]["template"]["spec"]["containers"][0]["image"]
    assert proxy["status"]["readyReplicas"] == 1


@pytest.fixture(scope="module")
def held(job_failed: Failed, cluster: Cluster) -> Iterator[Project]:
    """A Deployment that somebody's finalizer keeps from being deleted."""
    cluster.patch("deployment", "frontend", {"metadata": {"finalizers": [FINALIZER]}}, SPACE)
    yield job_failed.project
    if SPACE in cluster.namespaces():
        cluster.patch("deployment", "frontend", {"metadata": {"finalizers": None}}, SPACE)


def test_a_destroy_that_is_stopped_half_way_can_be_run_again(held: Project, cluster: Cluster) -> None:
    said = held.destroy(expect=1)
    assert FINALIZER in said
    assert "Traceback" not in said
    cluster.patch("deployment", "frontend", {"metadata": {"finalizers": None}}, SPACE)
    held.destroy()
    assert cluster.labelled(SPACE) == []
    assert held.resources() == []
