"""A wrong stack file is refused at preview: path, value and cure of every fault, several at once."""

import pytest

from tests.engine.driver import Cluster, Project

MODEL_URL = "http://m-predictor.private-ai.svc.cluster.local:8080/v1"
# Setting, what is found there, where it stands, and what of the cure must be said.
FAULTS = {
    "a URL for a domain": (
        {"clusterDomain": "https://apps.example.com"},
        'litemaas:clusterDomain = "https://apps.example.com"',
        "write the bare domain",
    ),
    "a reserved namespace": ({"namespace": "kube-portal"}, 'litemaas:namespace = "kube-portal"', "a name of your own"),
    "an unknown profile": ({"profile": "huge"}, 'litemaas:profile = "huge"', "'demo' or 'production'"),
    "a misspelt key": ({"storrage": {}}, "litemaas:storrage", "did you mean storage?"),
    "a model that is not in the catalogue": (
        {"models": ["granite-8b-agnet"]},
        'litemaas:models[0] = "granite-8b-agnet"',
        "did you mean granite-8b-agent?",
    ),
    "an endpoint without /v1": (
        {"models": [{"name": "m", "endpoint": "http://m:8080", "contextLength": 1024}]},
        'litemaas:models[0].endpoint = "http://m:8080"',
        "write http://m:8080/v1",
    ),
    "a model without its length": (
        {"models": [{"name": "m", "endpoint": MODEL_URL}]},
        "litemaas:models[0].contextLength",
        "Write for example 16384",
    ),
    "an answer longer than the context": (
        {"models": [{"name": "m", "endpoint": MODEL_URL, "contextLength": 10, "maxOutput": 11}]},
        "litemaas:models[0]",
        "write a maxOutput within the context",
    ),
    "a user that no Group takes": (
        {"access": {"admins": ["kube:admin"]}},
        'litemaas:access.admins[0] = "kube:admin"',
        "the name that `oc get users` shows",
    ),
    "an image without a tag": (
        {"images": {"backend": "quay.io/example/backend"}},
        'litemaas:images.backend = "quay.io/example/backend"',
        "add :tag or @sha256:",
    ),
    "a mirror with a scheme": (
        {"images": {"mirror": "https://mirror.example.com"}},
        'litemaas:images.mirror = "https://mirror.example.com"',
        "write host, port and path alone",
    ),
    "a tag where digests are asked for": (
        {"images": {"requireDigests": True}},
        "litemaas:images.redis = quay.io/sclorg/redis-7-c9s:latest",
        "write quay.io/sclorg/redis-7-c9s:latest@sha256:",
    ),
    "two images of one name at the mirror": (
        {"images": {"mirror": "mirror.example.com", "redis": "docker.io/sclorg/postgresql-16-c9s:7"}},
        "litemaas:images.redis = docker.io/sclorg/postgresql-16-c9s:7",
        "copy it to a path of its own",
    ),
    "two backends": (
        {"replicas": {"backend": 2}},
        "litemaas:replicas.backend = 2",
        "write storage.backups.accessMode: ReadWriteMany",
    ),
    "a request above its limit": (
        {"resources": {"redis": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}},
        "litemaas:resources.redis",
        "write a request within the limit",
    ),
    "a size that is none": (
        {"database": {"storage": {"size": "10 gigabytes"}}},
        'litemaas:database.storage.size = "10 gigabytes"',
        "write 500m, 2 or 4Gi",
    ),
    "a time out of range": (
        {"rolloutTimeoutSeconds": 5},
        "litemaas:rolloutTimeoutSeconds = 5",
        "write at least 10",
    ),
    "trust in nothing": ({"trust": {"caBundle": "nothing"}}, 'litemaas:trust.caBundle = "nothing"', "-----BEGIN CERT"),
    "an external Redis without a host": ({"redis": {"mode": "external"}}, "litemaas:redis", "write redis.host"),
    "text for a truth value": ({"protectData": "maybe"}, 'litemaas:protectData = "maybe"', "write true or false"),
}
# Each setting once, so that all stand in one file.
AT_ONCE = (
    "a URL for a domain",
    "a reserved namespace",
    "an unknown profile",
    "a misspelt key",
    "an endpoint without /v1",
    "a user that no Group takes",
    "an image without a tag",
    "a request above its limit",
    "a size that is none",
    "a time out of range",
    "trust in nothing",
    "an external Redis without a host",
    "text for a truth value",
)
ONE_BY_ONE = sorted(set(FAULTS) - set(AT_ONCE))


def test_a_dozen_faults_are_all_named_in_one_run(empty: Project, cluster: Cluster) -> None:
    for name in AT_ONCE:
        empty.change(**FAULTS[name][0])
    before = cluster.fingerprint()
    said = empty.refused()
    missing = [name for name in AT_ONCE for part in FAULTS[name][1:] if part not in said]
    assert missing == [], said
    assert f"({len(AT_ONCE)} problems)" in said
    assert empty.resources() == []
    assert cluster.touched_since(before) == []


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_fault_is_named_with_its_place_and_cure(empty: Project, name: str) -> None:
    setting, where, cure = FAULTS[name]
    empty.change(**setting)
    said = empty.refused()
    assert where in said, said
    assert cure in said, said


def test_up_refuses_what_preview_refuses_and_touches_nothing(empty: Project, cluster: Cluster) -> None:
    empty.change(**FAULTS["two backends"][0])
    before = cluster.fingerprint()
    said = empty.up(expect=1)
    assert FAULTS["two backends"][1] in said
    assert "Traceback" not in said
    assert empty.resources() == []
    assert cluster.touched_since(before) == []


def test_values_written_by_config_set_are_taken_like_those_written_by_hand(empty: Project) -> None:
    for path, value in (
        ("protectData", "false"),
        ("rolloutTimeoutSeconds", "90"),
        ("replicas.frontend", "2"),
        ("access.initialAdmins[0]", "dave"),
    ):
        empty.run("config", "set", "--path", f"litemaas:{path}", value, "--stack", empty.stack)
    steps = empty.preview_json()
    frontend = next(step for step in steps if step.name == "frontend-nginx")
    assert frontend.new["spec"]["replicas"] == 2
    assert frontend.new["metadata"]["annotations"]["pulumi.com/timeoutSeconds"] == "90"
