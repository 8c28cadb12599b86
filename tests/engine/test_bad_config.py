"""A wrong stack file is refused at preview: path, value and cure of every fault, several at once."""

from tests.engine.driver import Cluster, Json, Project

MODEL_URL = "http://m-predictor.private-ai.svc.cluster.local:8080/v1"
# What a stack file has in it, where each fault stands, and what of its cure must be said.
WRONG: Json = {
    "clusterDomain": "https://apps.example.com",
    "namespace": "kube-portal",
    "profile": "huge",
    "storrage": {},
    "models": [
        "granite-8b-agnet",
        {"name": "a", "endpoint": "http://m:8080", "contextLength": 1024},
        {"name": "b", "endpoint": MODEL_URL, "contextLength": 10, "maxOutput": 11},
    ],
    "access": {"admins": ["kube:admin"]},
    "images": {"backend": "quay.io/example/backend", "mirror": "https://mirror.example.com"},
    "resources": {"redis": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
    "database": {"storage": {"size": "10 gigabytes"}},
    "rolloutTimeoutSeconds": 5,
    "trust": {"caBundle": "nothing"},
    "redis": {"mode": "external"},
    "protectData": "maybe",
}
FAULTS = {
    "a URL for a domain": ('litemaas:clusterDomain = "https://apps.example.com"', "write the bare domain"),
    "a reserved namespace": ('litemaas:namespace = "kube-portal"', "a name of your own"),
    "an unknown profile": ('litemaas:profile = "huge"', "'demo' or 'production'"),
    "a misspelt key": ("litemaas:storrage", "did you mean storage?"),
    "a model that is not in the catalogue": (
        'litemaas:models[0] = "granite-8b-agnet"',
        "did you mean granite-8b-agent?",
    ),
    "an endpoint without /v1": ('litemaas:models[1].endpoint = "http://m:8080"', "write http://m:8080/v1"),
    "an answer longer than the context": ("litemaas:models[2]", "write a maxOutput within the context"),
    "a user that no Group takes": ('litemaas:access.admins[0] = "kube:admin"', "the name that `oc get users` shows"),
    "an image without a tag": ('litemaas:images.backend = "quay.io/example/backend"', "add :tag or @sha256:"),
    "a mirror with a scheme": (
        'litemaas:images.mirror = "https://mirror.example.com"',
        "write host, port and path alone",
    ),
    "a request above its limit": ("litemaas:resources.redis", "write a request within the limit"),
    "a size that is none": ('litemaas:database.storage.size = "10 gigabytes"', "write 500m, 2 or 4Gi"),
    "a time out of range": ("litemaas:rolloutTimeoutSeconds = 5", "write at least 10"),
    "trust in nothing": ('litemaas:trust.caBundle = "nothing"', "-----BEGIN CERT"),
    "an external Redis without a host": ("litemaas:redis", "write redis.host"),
    "text for a truth value": ('litemaas:protectData = "maybe"', "write true or false"),
}
# Each setting is well written here; they do not go together.
AT_ODDS: Json = {
    "images": {
        "requireDigests": True,
        "mirror": "mirror.example.com",
        "redis": "docker.io/sclorg/postgresql-16-c9s:7",
    },
    "replicas": {"backend": 2},
}
CONFLICTS = {
    "a tag where digests are asked for": (
        "litemaas:images.postgres = quay.io/sclorg/postgresql-16-c9s:latest",
        "write quay.io/sclorg/postgresql-16-c9s:latest@sha256:",
    ),
    "two images of one name at the mirror": (
        "litemaas:images.redis = docker.io/sclorg/postgresql-16-c9s:7",
        "copy it to a path of its own",
    ),
    "two backends": ("litemaas:replicas.backend = 2", "write storage.backups.accessMode: ReadWriteMany"),
}


def unnamed(faults: dict[str, tuple[str, str]], said: str) -> list[str]:
    """The faults of which place or cure is not said."""
    return [name for name, parts in faults.items() if not all(part in said for part in parts)]


def test_more_than_a_dozen_faults_are_all_named_with_place_and_cure_in_one_run(
    empty: Project, cluster: Cluster
) -> None:
    empty.change(**WRONG)
    before = cluster.fingerprint()
    said = empty.refused()
    assert unnamed(FAULTS, said) == [], said
    assert f"({len(FAULTS)} problems)" in said
    assert empty.resources() == []
    assert cluster.touched_since(before) == []


def test_settings_that_do_not_go_together_are_named_and_up_refuses_what_preview_refuses(
    empty: Project, cluster: Cluster
) -> None:
    empty.change(**AT_ODDS)
    before = cluster.fingerprint()
    assert unnamed(CONFLICTS, said := empty.refused()) == [], said
    assert unnamed(CONFLICTS, said := empty.up(expect=1)) == [], said
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
