"""Redis, the bundled one or another: LiteLLM shares its limits there, and nobody else comes near it."""

import pytest
import yaml
from pulumi import RunError

from components import trust
from tests import harness
from tests.unit.conftest import DEMO, planned_for
from tests.unit.ways import Way, allowed, policies, used

VALUE = "external-sentinel-0123456789"
SECRET = {"redisPassword": {"value": VALUE}}
ELSEWHERE = {"mode": "external", "host": "redis.example.com", "port": 6380}
INSIDE = {"mode": "external", "host": "cache.shared.svc.cluster.local", "tls": False}
NEIGHBOUR = {"mode": "external", "host": "valkey"}
PLACES = {"outside the cluster": ELSEWHERE, "another namespace": INSIDE, "our namespace": NEIGHBOUR}


def deployed(redis: dict, **more) -> harness.Run:
    return harness.shared_run({**DEMO, "redis": redis, "secrets": SECRET, **more}, ["secrets"])


def gateway_env(run: harness.Run) -> dict[str, str]:
    return run.one("Secret", "gateway-env").inputs["stringData"]


def refusal(redis: dict, secrets: dict | None = None) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config({**DEMO, "redis": redis, "secrets": secrets or {}}, ["secrets"])
    return str(refused.value)


@pytest.fixture(scope="module", params=PLACES)
def external(request) -> harness.Run:
    return deployed(PLACES[request.param])


def test_an_external_redis_is_told_to_litellm_with_host_port_and_password():
    told = gateway_env(deployed(ELSEWHERE))
    assert (told["REDIS_HOST"], told["REDIS_PORT"]) == ("redis.example.com", "6380")
    assert told["REDIS_PASSWORD"] == VALUE


def test_limits_are_shared_through_it_as_through_the_bundled_one(external, demo):
    files = [run.one("ConfigMap", "gateway-config").inputs["data"]["config.yaml"] for run in (external, demo)]
    assert files[0] == files[1]
    assert yaml.safe_load(files[0])["litellm_settings"]["cache_params"]["host"] == "os.environ/REDIS_HOST"


def test_its_certificate_is_verified_for_its_name_against_the_one_trust_file():
    """redis-py looks at the name only when it is told to."""
    run = deployed(ELSEWHERE)
    tls = {key: value for key, value in gateway_env(run).items() if key.startswith("REDIS_SSL")}
    assert tls == {"REDIS_SSL": "true", "REDIS_SSL_CA_CERTS": trust.FILE, "REDIS_SSL_CHECK_HOSTNAME": "true"}
    assert harness.env(run.one("Deployment", "litellm"))["SSL_CERT_FILE"] == trust.FILE


def test_without_tls_no_word_of_it_is_said(demo):
    """LiteLLM 1.81.0 takes REDIS_SSL=false for a yes."""
    for run in (demo, deployed(INSIDE)):
        assert not [key for key in gateway_env(run) if key.startswith("REDIS_SSL")]


def test_nothing_of_the_bundled_redis_is_made(external):
    assert not [one.urn for one in external.registrations if "cache" in one.name]
    assert not [one.urn for one in external.manifests if one.labels["app.kubernetes.io/component"] == "redis"]


def test_what_is_not_made_is_not_asked_for_either():
    settings = harness.read_config({**DEMO, "redis": ELSEWHERE, "secrets": SECRET}, ["secrets"])
    assert "redis" not in {one.name for one in planned_for(settings)}


@pytest.mark.parametrize("place", PLACES)
def test_preflight_asks_for_exactly_the_policies_that_are_made(place):
    config = {**DEMO, "redis": PLACES[place], "secrets": SECRET}
    settings = harness.read_config(config, ["secrets"])
    asked = {one.name for one in planned_for(settings) if one.kind == "NetworkPolicy"}
    assert asked == set(policies(harness.run_program(config, ["secrets"])))


@pytest.mark.parametrize(
    ("redis", "way"),
    [(ELSEWHERE, Way("any address", 6380)), (INSIDE, Way("namespace shared")), (NEIGHBOUR, Way("neighbours"))],
    ids=PLACES,
)
def test_litellm_is_let_through_to_it_and_nobody_else_is(redis, way):
    run = deployed(redis, models=[])
    out = allowed(run)[1]
    assert out["litellm"] == {Way("postgres", 5432), way}
    assert {name for name, ways in out.items() if way in ways} == {"litellm"}


def test_every_way_is_one_that_somebody_is_told_of(external):
    assert allowed(external) == used(external)


def test_the_backend_is_not_told_where_redis_is(external, demo):
    """It would empty it after every change of a model (litemaas-contract.md 1.1), limits and key states included."""
    for run in (external, demo):
        backend = run.one("Deployment", "backend")
        host = gateway_env(run)["REDIS_HOST"]
        told = {**harness.env(backend), **run.one("Secret", "backend-env").inputs["stringData"]}
        assert not [key for key in told if "REDIS" in key]
        assert not [key for key, value in told.items() if value and f"//{host}" in value]


def test_the_password_of_an_external_redis_has_to_be_given():
    said = refusal(ELSEWHERE)
    assert "litemaas:secrets.redisPassword" in said
    assert "the Redis at redis.example.com knows nothing of a generated one" in said
    assert "pulumi config set --secret --path litemaas:secrets.redisPassword.value" in said


@pytest.mark.parametrize(
    ("redis", "where", "cure"),
    [
        ({"mode": "external"}, "litemaas:redis", "write redis.host"),
        ({"host": "redis.example.com"}, "litemaas:redis", "write mode: external, or leave it out"),
        ({"tls": True, "port": 1}, "litemaas:redis", "has port, tls, which would be ignored"),
        ({"mode": "none"}, 'litemaas:redis.mode = "none"', "'bundled' or 'external'"),
        ({**ELSEWHERE, "host": "rediss://redis.example.com"}, "litemaas:redis.host", "without scheme and port"),
        ({**ELSEWHERE, "host": "redis.example.com:6380"}, "litemaas:redis.host", "without scheme and port"),
        ({**ELSEWHERE, "port": 70000}, "litemaas:redis.port = 70000", "at most 65535"),
        ({**ELSEWHERE, "verify": False}, "litemaas:redis.verify", "no such key"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_meant_is_refused(redis, where, cure):
    said = refusal(redis, SECRET)
    assert where in said
    assert cure in said
