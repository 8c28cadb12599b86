"""The stack file: what is wrong is refused with path, value and cure, all of it at once."""

from pathlib import Path

import pytest
import yaml
from pulumi import RunError
from pulumi.runtime.config import set_all_config

from config.database import postgres_major
from config.models import catalogue
from config.profiles import PROFILES
from config.secrets import SECRETS
from config.types import quantity
from tests import harness

GOOD = {"clusterDomain": harness.DOMAIN}
ENTRY = {"name": "m", "endpoint": "http://m.ns.svc.cluster.local:8080/v1", "contextLength": 4096}


def refusal(config, secrets=()) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config(config, secrets)
    return str(refused.value)


def model(**changes) -> dict:
    return {"models": [{**ENTRY, **changes}]}


# What is written -> path of the key, the value as shown, and the cure.
BAD = {
    "domain as URL": ({"clusterDomain": "https://apps.x.com"}, "clusterDomain", '"https://apps.x.com"', "bare domain"),
    "domain of one label": ({"clusterDomain": "apps"}, "clusterDomain", '"apps"', "oc get ingresses.config cluster"),
    "domain in capitals": ({"clusterDomain": "Apps.x.com"}, "clusterDomain", '"Apps.x.com"', "lower case"),
    "domain with trailing dot": ({"clusterDomain": "apps.x.com."}, "clusterDomain", '"apps.x.com."', "write it as"),
    "unknown key": ({"clusterDomian": "apps.x.com"}, "clusterDomian", '"apps.x.com"', "did you mean clusterDomain?"),
    "snake case key": ({"cluster_domain": "apps.x.com"}, "cluster_domain", '"apps.x.com"', "clusterDomain"),
    "snake case key below": ({"access": {"manage_groups": False}}, "access.manage_groups", "false", "manageGroups"),
    "namespace in capitals": ({"namespace": "LiteMaaS"}, "namespace", '"LiteMaaS"', "write for example litemaas"),
    "namespace too long": ({"namespace": "n" * 51}, "namespace", "nnn", "at most 50"),
    "reserved namespace": ({"namespace": "openshift-x"}, "namespace", '"openshift-x"', "a name of your own"),
    "default namespace": ({"namespace": "default"}, "namespace", '"default"', "a name of your own"),
    "unknown profile": ({"profile": "prod"}, "profile", '"prod"', "'demo' or 'production'"),
    "model not in the catalogue": ({"models": ["granite-8b"]}, "models[0]", '"granite-8b"', "granite-8b-agent"),
    "models as text": ({"models": "granite-8b-agent"}, "models", '"granite-8b-agent"', "a list"),
    "model without endpoint": (
        {"models": [{"name": "m", "contextLength": 1}]},
        "models[0].endpoint",
        "is missing",
        "ending in /v1",
    ),
    "endpoint without /v1": (
        model(endpoint="http://m:8080"),
        "models[0].endpoint",
        '"http://m:8080"',
        "http://m:8080/v1",
    ),
    "endpoint on an impossible port": (
        model(endpoint="http://m:70000/v1"),
        "models[0].endpoint",
        '"http://m:70000/v1"',
        "between 1 and 65535",
    ),
    "endpoint of another scheme": (
        model(endpoint="ftp://m/v1"),
        "models[0].endpoint",
        '"ftp://m/v1"',
        "http://<service>",
    ),
    "more models than an object holds": (
        {"models": [{**ENTRY, "name": f"m{number}"} for number in range(501)]},
        "models",
        "has 501 models",
        "write 500 at most",
    ),
    "model name in capitals": (model(name="My Model"), "models[0].name", '"My Model"', "granite-8b-agent"),
    "context of nothing": (model(contextLength=0), "models[0].contextLength", "0", "at least 1"),
    "context in quotes": (model(contextLength="4096"), "models[0].contextLength", '"4096"', "without quotes"),
    "output longer than the context": (model(maxOutput=5000), "models[0]", "maxOutput 5000", "within the context"),
    "negative price": (model(inputPrice=-1), "models[0].inputPrice", "-1", "at least 0"),
    "embedding with tools": (model(embedding=True, tools=True), "models[0]", "embedding excludes tools", "remove the"),
    "no requests a minute": (model(rpm=0), "models[0].rpm", "0", "at least 1"),
    "model twice": ({"models": ["devstral-2", "devstral-2"]}, "models", "devstral-2", "write each once"),
    "model declared and retired": (
        {"models": ["devstral-2"], "retiredModels": ["devstral-2"]},
        "litemaas:",
        "devstral-2",
        "one of the two",
    ),
    "member twice": ({"access": {"admins": ["a", "a"]}}, "access.admins", "a", "write each once"),
    "kube:admin as member": (
        {"access": {"admins": ["kube:admin"]}},
        "access.admins[0]",
        '"kube:admin"',
        "oc get users",
    ),
    "member with a slash": ({"access": {"users": ["a/b"]}}, "access.users[0]", '"a/b"', "oc get users"),
    "members in one text": ({"access": {"initialAdmins": ["a,b"]}}, "access.initialAdmins[0]", '"a,b"', "one name per"),
    "members without groups": (
        {"access": {"manageGroups": False, "admins": ["a"]}},
        "access",
        "manageGroups is false",
        "manageGroups: true",
    ),
    "admin and read-only": (
        {"access": {"admins": ["a"], "readonly": ["a"]}},
        "access",
        "a in admins",
        "one of the two",
    ),
    "short image name": ({"images": {"redis": "redis:7"}}, "images.redis", '"redis:7"', "registry/repository:tag"),
    "image without tag": ({"images": {"redis": "quay.io/a/b"}}, "images.redis", '"quay.io/a/b"', ":tag or @sha256"),
    "two backends": (
        {"replicas": {"backend": 2}},
        "replicas.backend",
        "2",
        "write storage.backups.accessMode: ReadWriteMany",
    ),
    "no replicas": ({"replicas": {"litellm": 0}}, "replicas.litellm", "0", "at least 1"),
    "replicas of redis": ({"replicas": {"redis": 2}}, "replicas.redis", "2", "write one of"),
    "no quantity": (
        {"resources": {"backend": {"limits": {"memory": "1 GB"}}}},
        "resources.backend.limits.memory",
        '"1 GB"',
        "4Gi",
    ),
    "nothing of something": (
        {"resources": {"backend": {"limits": {"cpu": "0"}}}},
        "resources.backend.limits.cpu",
        '"0"',
        "500m",
    ),
    "request above limit": (
        {"resources": {"redis": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}},
        "resources.redis",
        "2Gi",
        "within the limit",
    ),
    "volume without size": (
        {"database": {"storage": {"storageClass": "fast"}}},
        "database.storage.size",
        "missing",
        "10Gi",
    ),
    "flag in quotes": ({"protectData": "yes"}, "protectData", '"yes"', "true or false"),
    "time-out out of range": ({"rolloutTimeoutSeconds": 5}, "rolloutTimeoutSeconds", "5", "at least 10"),
    "time-out too long": ({"rolloutTimeoutSeconds": 9999}, "rolloutTimeoutSeconds", "9999", "at most 3600"),
    "mapping as list": ({"access": ["alice"]}, "access", '["alice"]', "a mapping of keys"),
}


@pytest.mark.parametrize(("config", "path", "value", "cure"), BAD.values(), ids=BAD.keys())
def test_a_bad_value_is_refused_with_path_value_and_cure(config, path, value, cure):
    text = refusal(config)
    assert text.startswith("The stack's configuration cannot be used (1 problem); nothing was touched\n")
    problem = text.split("\n", 1)[1]
    assert problem.startswith(f"  - litemaas:{path.removeprefix('litemaas:')}"), problem
    assert value in problem, problem
    assert cure in problem, problem
    assert len(problem.splitlines()) == 2, "one line says where, one says what"


def test_many_problems_are_told_at_once():
    text = refusal({"clusterDomain": "https://x", "profile": "prod", "models": ["no"], "replicas": {"backend": 6}})
    assert "4 problems" in text
    for path in ("clusterDomain", "profile", "models[0]", "replicas.backend"):
        assert f"litemaas:{path} = " in text


def test_a_refusal_shows_neither_traceback_nor_python_names():
    text = refusal({"models": [{"name": "m"}], "profile": "x"})
    for word in ("Traceback", "pydantic", "ValidationError", "context_length", "input_value", "type="):
        assert word not in text


BAD_SECRETS = {
    "well known": ("postgresAdminPassword", "changeme", "leave it out"),
    "well known after its prefix": ("adminApiKey", "ltm_admin_changeme-changeme", "leave it out"),
    "well known twice": ("redisPassword", "password-password-admin", "leave it out"),
    "of few characters": ("jwtSecret", "abcabcabcabcabcabcabcabc", "leave it out"),
    "LiteLLM's own example": ("litellmMasterKey", "sk-1234", "leave it out"),
    "a list with spaces": ("adminApiKey", "ltm_admin_one0123456789 ltm_admin_two", "write others"),
    "short": ("jwtSecret", "fifteen-letters", "16 characters"),
    "without its prefix": ("litellmMasterKey", "no-prefix-0123456789", "write sk-..."),
    "admin key without its prefix": ("adminApiKey", "sk-0123456789abcdef", "write ltm_admin_..."),
    "reserved characters": ("portalDatabasePassword", "p@ss/w:rd%0123456789", "write others"),
    "a comma": ("adminApiKey", "ltm_admin_one0123456789,ltm_admin_two", "write others"),
    "a line break": ("redisPassword", "0123456789abcdef\n", "write others"),
}


@pytest.mark.parametrize(("name", "value", "cure"), BAD_SECRETS.values(), ids=BAD_SECRETS.keys())
def test_a_weak_secret_is_refused_without_being_quoted(name, value, cure):
    text = refusal({**GOOD, "secrets": {name: {"value": value}}}, {"secrets"})
    assert f"litemaas:secrets.{name}.value = [secret]" in text
    assert cure in text
    assert value.strip() not in text


def test_a_secret_of_the_wrong_type_is_not_quoted():
    text = refusal({**GOOD, "secrets": {"jwtSecret": {"value": 1234567890123456}}}, {"secrets"})
    assert "litemaas:secrets.jwtSecret.value = [secret]" in text
    assert "1234567890123456" not in text


def test_a_secret_written_as_one_text_is_not_quoted():
    text = refusal({**GOOD, "secrets": "0123456789abcdef-as-text"}, {"secrets"})
    assert "litemaas:secrets = [secret]" in text
    assert "0123456789abcdef" not in text


def test_any_key_that_is_stored_encrypted_is_not_quoted():
    text = refusal({"clusterDomain": "Hidden.example.com"}, {"clusterDomain"})
    assert "litemaas:clusterDomain = [secret]" in text
    assert "Hidden" not in text


def test_secrets_in_clear_are_refused_with_the_command_that_stores_them():
    text = refusal({**GOOD, "secrets": {"jwtSecret": {"value": "0123456789abcdef-long"}}})
    assert "(1 problem)" in text
    assert "litemaas:secrets.jwtSecret.value\n" in text
    assert "pulumi config set --secret --path litemaas:secrets.jwtSecret.value" in text
    assert "0123456789abcdef" not in text


def test_a_secret_is_no_part_of_what_settings_print():
    settings = harness.read_config({**GOOD, "secrets": {"jwtSecret": {"value": "0123456789abcdef-long"}}}, {"secrets"})
    assert "0123456789abcdef" not in f"{settings} {settings!r}"


def test_every_secret_of_the_table_has_a_key_in_the_stack_file():
    names = {spec.name for spec in SECRETS}
    values = {spec.name: {"value": f"{spec.prefix}0123456789abcdef"} for spec in SECRETS}
    settings = harness.read_config({**GOOD, "secrets": values}, {"secrets"})
    assert {spec.name for spec, source in settings.secrets.items() if source.kind == "value"} == names
    assert len(names) == len(SECRETS) == 11


def test_an_empty_stack_file_is_a_demo():
    settings = harness.read_config({})
    assert (settings.namespace, settings.profile, settings.cluster_domain) == ("litemaas", "demo", None)
    assert settings.models == []
    assert settings.protect_data is True, "the safe value is the one that nobody has to write"
    assert settings.access.manage_groups is True


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_value_stands_for_a_key_left_out(empty):
    assert harness.read_config({"clusterDomain": empty or "", "models": empty}).models == []


def test_a_null_value_takes_the_default():
    settings = harness.read_config({"clusterDomain": "", "namespace": "", "models": None, "protectData": None})
    assert (settings.namespace, settings.protect_data, settings.models) == ("litemaas", True, [])


def test_a_domain_that_looks_like_json_stays_text():
    assert "litemaas:namespace" in refusal({"namespace": "[1]"})
    assert harness.read_config({"namespace": "true"}).namespace == "true"


def test_keys_of_other_programs_are_none_of_its_business():
    def with_others():
        return harness.read_config({**GOOD, "kubernetes:namespace": "x", "pulumi:tags": "y"})

    assert with_others().cluster_domain == harness.DOMAIN


def test_reading_a_configuration_leaves_no_trace():
    harness.read_config({**GOOD, "namespace": "elsewhere"})
    set_all_config({})
    assert harness.read_config({}).namespace == "litemaas"


def test_settings_cannot_be_changed_after_they_were_checked():
    settings = harness.read_config(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.namespace = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_longest_namespace_makes_a_host_that_dns_allows():
    namespace = "n" * 50
    assert harness.read_config({"namespace": namespace}).namespace == namespace
    assert len(f"litemaas-api-{namespace}") == 63


def test_users_with_an_at_sign_or_in_base64_may_be_members():
    access = {"admins": ["alice@example.com", "b64:YTpi"]}
    assert harness.read_config({"access": access}).access.admins == access["admins"]


def test_an_empty_list_of_members_is_not_the_same_as_none():
    """[] means: nobody, and ours to say; left out means: not ours."""
    access = harness.read_config({"access": {"admins": []}}).access
    assert access.admins == []
    assert access.readonly is None


@pytest.mark.parametrize(
    "image",
    [
        "quay.io/a/b:1",
        "registry.example.com:5000/a/b/c@sha256:" + "0" * 64,
        "quay.io/a/b:1@sha256:" + "f" * 64,
        "image-registry.openshift-image-registry.svc:5000/ns/name:tag",
    ],
)
def test_full_image_references_are_accepted(image):
    assert harness.read_config({"images": {"redis": image}}).images.redis == image


# peers.md section 5.1, the real --max-model-len and --tool-call-parser, not what was once registered.
SERVED = {
    "mistral-3-int4": (8192, True),
    "granite-8b-agent": (16384, True),
    "devstral-2": (32768, True),
    "gpt-oss-20b": (8192, False),
}


def test_the_catalogue_holds_the_values_that_are_really_served():
    assert {name: (one.context_length, one.tools) for name, one in catalogue().items()} == SERVED


def test_the_catalogue_points_at_the_predictors_of_the_demo_environment():
    for name, one in catalogue().items():
        assert one.endpoint == f"http://{name}-predictor.private-ai.svc.cluster.local:8080/v1"
        assert one.backend_model == name, "KServe's --served-model-name"
        assert (one.input_price, one.output_price, one.embedding, one.vision) == (0, 0, False, False)


def test_a_name_of_the_catalogue_and_its_entry_written_out_are_the_same():
    raw = yaml.safe_load(Path(harness.ROOT / "config" / "catalogue.yaml").read_text(encoding="utf-8"))
    entry = next(one for one in raw if one["name"] == "devstral-2")
    assert harness.read_config({"models": ["devstral-2"]}).models == harness.read_config({"models": [entry]}).models


def test_names_and_entries_may_be_mixed():
    names = [one.name for one in harness.read_config({"models": ["devstral-2", ENTRY]}).models]
    assert names == ["devstral-2", "m"]


@pytest.mark.parametrize(
    ("text", "size"), [("500m", 0.5), ("2", 2.0), ("4Gi", 4 * 2**30), ("1.5k", 1500.0), ("1Ti", 2.0**40), ("3P", 3e15)]
)
def test_quantities_are_read_as_kubernetes_reads_them(text, size):
    assert quantity(text) == pytest.approx(size)


@pytest.mark.parametrize("text", ["", "Gi", "-1", "1 Gi", "1gi", "1e3x", "1GiB"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        quantity(text)


@pytest.mark.parametrize("profile", ["demo", "production"])
def test_every_default_request_is_within_its_limit(profile):
    for tier, one in PROFILES[profile].items():
        for name, request in one.requests.items():
            assert quantity(request) <= quantity(one.limits[name]), f"{profile} {tier} {name}"


def test_litellm_is_given_more_than_it_needs_when_idle():
    for profile in PROFILES.values():
        assert quantity(profile["litellm"].limits["memory"]) >= 2 * quantity("800Mi")


@pytest.mark.parametrize(
    "config",
    [
        {"clusterDomain": "apps.x.com\n"},
        {"namespace": "litemaas\n"},
        {"retiredModels": ["m\n"]},
        {"models": [{**ENTRY, "endpoint": "http://m/v1\n"}]},
        {"images": {"redis": "quay.io/a/b:1\n"}},
        {"database": {"storage": {"size": "1Gi\n"}}},
        {"access": {"admins": ["alice\n"]}},
    ],
    ids=["domain", "namespace", "model", "endpoint", "image", "quantity", "user"],
)
def test_a_line_break_at_the_end_is_refused(config):
    """YAML's block style leaves one; Python's $ lets it pass, an API server does not."""
    assert "nothing was touched" in refusal(config)


@pytest.mark.parametrize(("pods", "accepted"), [(14, True), (15, False)])
def test_more_gateway_pods_than_the_database_has_connections_for_are_refused(pods: int, accepted: bool):
    """14 and one more in an update open 150, the backend 40, and 10 are kept: 200 is what PostgreSQL accepts."""
    config = {**GOOD, "replicas": {"litellm": pods}}
    if accepted:
        harness.read_config(config)
    else:
        said = refusal(config)
        assert "litemaas:replicas.litellm" in said
        assert "210" in said
        assert "write 14 at most, or raise database.maxConnections to 210" in said
        harness.read_config(config | {"database": {"maxConnections": 210}})


def test_a_database_with_too_few_connections_for_one_pod_is_to_be_raised():
    said = refusal({**GOOD, "database": {"maxConnections": 60}})
    assert "whoever comes later is refused; raise database.maxConnections to 70" in said


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("max_connections", "write database.maxConnections"),
        ("listen_addresses", "Service, probes and URLs"),
        ("ssl", "no certificate"),
        ("ssl_cert_file", "no certificate"),
        ("hba_file", "puts these files"),
        ("shared_preload_libraries", "keeps the server from starting"),
        ("fsync", "a crash loses the database"),
        ("logging_collector", "the log is read from the pod"),
        ("archive_mode", "the operator's business"),
        ("Work-Mem", "is no name of a PostgreSQL parameter"),
        ("work_mem = 1MB\nfsync", "is no name of a PostgreSQL parameter"),
    ],
)
def test_a_parameter_that_is_not_for_the_stack_file_is_refused_with_the_reason(name: str, reason: str):
    said = refusal({**GOOD, "database": {"parameters": {name: "on"}}})
    assert "litemaas:database.parameters" in said
    assert reason in said


def test_parameters_are_written_as_postgresql_reads_them():
    """YAML's on and off are truth values by the time they arrive."""
    given = {
        "work_mem": "16MB",
        "jit": False,
        "random_page_cost": 1.1,
        "max_wal_senders": 0,
        "auto_explain.log_level": "log",
    }
    settings = harness.read_config({**GOOD, "database": {"parameters": given}}).database.settings()
    assert settings == {
        "auto_explain.log_level": "log",
        "jit": "off",
        "max_wal_senders": "0",
        "random_page_cost": "1.1",
        "work_mem": "16MB",
    }


@pytest.mark.parametrize(
    ("image", "major"),
    [
        ("quay.io/sclorg/postgresql-16-c9s:latest", 16),
        ("registry.redhat.io/rhel9/postgresql-15:1-12", 15),
        ("docker.io/library/postgres:17.2-alpine", 17),
        ("quay.io/a/postgresql-13@sha256:" + "0" * 64, 13),
        ("registry.example.com:5000/team/postgresql:2024.1", None),
        ("registry.example.com/team/database:3", None),
        ("quay.io/a/postgres@sha256:" + "0" * 64, None),
    ],
)
def test_the_major_version_is_read_from_an_images_name(image: str, major: int | None):
    assert postgres_major(image) == major


def test_a_request_above_the_default_limit_is_refused_at_preview():
    """The check inside one entry does not see the profile's limit; the API server would refuse the pod at up."""
    with pytest.raises(RunError) as refused:
        harness.run_program({**GOOD, "resources": {"redis": {"requests": {"memory": "4Gi"}}}})
    assert "litemaas:resources.redis" in str(refused.value)
