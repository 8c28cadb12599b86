"""kube-score on the objects of both profiles, as a cluster has them: nothing critical, and nothing told to look away.

The tool is built from its pinned module if it is not there yet; without Go the tests fail, they are never skipped.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.images import NAMES, Images
from sandbox.toolchain import kube_score
from sandbox.toolchain.toolsets import K8S
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION

Findings = dict[tuple[str, str], set[tuple[str, str]]]
CRITICAL = 1
# What SCC restricted-v2 writes into every pod at its admission, from the annotations of its namespace.
ADMITTED = {
    "runAsUser": 1000650000,
    "fsGroup": 1000650000,
    "seLinuxOptions": {"level": "s0:c26,c5"},
}
USER_AND_GROUP = "container-security-context-user-group-id"
POLICY = ("container-image-pull-policy", "ImagePullPolicy is not set to Always")
LATEST = ("container-image-tag", "Image with latest tag")
DIGEST = "0123456789abcdef" * 4
# What the README tells for production. Always is asked for only so that no finding has to be left out.
PINNED = {
    **{name: f"{Images.model_fields[name].default}@sha256:{DIGEST}" for name in NAMES},
    "requireDigests": True,
    "pullPolicy": "Always",
}
PROFILES = {"demo": DEMO, "production": PRODUCTION}
OPTIONAL = ("container-seccomp-profile", "container-ports-check")


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[dict]], Findings]:
    """What kube-score finds critical, by kind and name of the object."""
    program, folder = kube_score(lambda _: None), tmp_path_factory.mktemp("kube-score")

    def run(objects: list[dict]) -> Findings:
        file = folder / "objects.yaml"
        # JSON is YAML, and written in a moment.
        file.write_text("\n---\n".join(map(json.dumps, objects)), encoding="utf-8")
        options = [
            f"--kubernetes-version={K8S.rpartition('.')[0]}",
            *(f"--enable-optional-test={one}" for one in OPTIONAL),
        ]
        command = [program, "score", "--output-format=json", "--disable-ignore-checks-annotations", *options, file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return dict(critical(json.loads(done.stdout)))

    return run


def critical(scored: list[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], set[tuple[str, str]]]]:
    for one in scored:
        found = {
            (check["check"]["id"], comment["summary"])
            for check in one["checks"]
            if check["grade"] == CRITICAL and not check["skipped"]
            for comment in check["comments"] or [{"summary": ""}]
        }
        yield (one["type_meta"]["kind"], one["object_meta"]["name"]), found


def admitted(run: harness.Run) -> list[dict[str, Any]]:
    """The objects of a run as a cluster would have them; what is secret is a placeholder."""
    objects: list[dict[str, Any]] = []
    for one in run.manifests:
        body = placeheld(one.marked)
        body["metadata"] = {"name": f"{one.name}-auto", **body["metadata"]}
        for pod in pods(body):
            given = pod.setdefault("securityContext", {})
            pod["securityContext"] = {**ADMITTED, **given}
        objects.append(body)
    return objects


def placeheld(value: Any) -> Any:
    if isinstance(value, harness.Secret) or value is harness.UNKNOWN:
        return "placeholder"
    if isinstance(value, Mapping):
        return {key: placeheld(inner) for key, inner in value.items()}
    return [placeheld(inner) for inner in value] if isinstance(value, list) else value


def pods(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    spec = body.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    if "template" in spec:
        yield spec["template"]["spec"]


def workloads(run: harness.Run) -> set[tuple[str, str]]:
    return {(one.kind, one.metadata.get("name", f"{one.name}-auto")) for one in run.workloads}


def all_of(findings: Findings) -> set[tuple[str, str]]:
    return set().union(*findings.values())


@pytest.fixture(scope="module", params=sorted(PROFILES))
def pinned(request: pytest.FixtureRequest) -> harness.Run:
    """Either profile with every image by its digest."""
    config = PROFILES[request.param]
    return harness.run_program({**config, "images": {**config.get("images", {}), **PINNED}})


def test_nothing_is_critical_in_either_profile(pinned, score):
    found = score(admitted(pinned))
    assert workloads(pinned) <= set(found), "kube-score did not look at every workload"
    assert all_of(found) == set()


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_default_images_add_two_findings_that_are_choices(profile, score):
    """Tags instead of digests, and a registry that is not asked at each start."""
    run = harness.run_program({**PROFILES[profile], "images": {}})
    found = score(admitted(run))
    assert all_of(found) == {POLICY, LATEST}
    latest = {name for name, findings in found.items() if LATEST in findings}
    assert latest == {("StatefulSet", "postgres"), ("Job", "database-bootstrap-auto"), ("Deployment", "redis")}


@pytest.mark.parametrize(
    ("key", "finding"),
    [
        ("runAsUser", "The container is running with a low user ID"),
        ("runAsGroup", "The container running with a low group ID"),
    ],
)
def test_a_pod_without_user_or_group_is_found(pinned, score, key, finding):
    bodies = admitted(pinned)
    for pod in (pod for body in bodies for pod in pods(body)):
        del pod["securityContext"][key]
    assert (USER_AND_GROUP, finding) in all_of(score(bodies))


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (
            lambda one: one["securityContext"].pop("readOnlyRootFilesystem"),
            "container-security-context-readonlyrootfilesystem",
        ),
        (lambda one: one["resources"].pop("limits"), "container-resources"),
        (
            lambda one: one["resources"]["limits"].pop("ephemeral-storage"),
            "container-ephemeral-storage-request-and-limit",
        ),
        (lambda one: one.update(readinessProbe=one["livenessProbe"]), "pod-probes-identical"),
    ],
    ids=["writable root", "no limits", "no scratch space", "one probe for two questions"],
)
def test_a_spoilt_container_is_found(pinned, score, spoil, check):
    bodies = admitted(pinned)
    backend = next(one for one in bodies if (one["kind"], one["metadata"]["name"]) == ("Deployment", "backend"))
    spoil(next(pods(backend))["containers"][0])
    assert check in {each for each, _ in score(bodies)["Deployment", "backend"]}


def test_no_policy_is_missing_and_none_is_idle(pinned, score):
    bodies = [one for one in admitted(pinned) if one["kind"] != "NetworkPolicy"]
    assert "pod-networkpolicy" in {check for check, _ in all_of(score(bodies))}


def test_no_object_tells_kube_score_to_look_away(run):
    for one in run.manifests:
        assert not [key for key in harness.keys(one.marked) if key.startswith("kube-score")], one.urn


def test_no_source_mentions_a_way_to_look_away():
    for folder in ("components", "config"):
        for file in (harness.ROOT / folder).rglob("*.py"):
            assert "kube-score/" not in Path(file).read_text(encoding="utf-8"), file
