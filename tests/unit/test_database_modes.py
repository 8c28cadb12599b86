"""Who runs PostgreSQL: what each mode makes, tells its clients, and refuses."""

from urllib.parse import urlsplit

import pytest
from pulumi import RunError

from components import trust
from tests import harness
from tests.unit import certificates
from tests.unit.conftest import DEMO, planned_for
from tests.unit.test_preflight import NOT_ASKED, OURS
from tests.unit.ways import allowed, policies, used

PASSWORD = "0123456789-0123456789"  # noqa: S105 (of no server)
HOST = "postgres.example.com"
GIVEN = {"secrets": {"postgresAdminPassword": {"value": PASSWORD}}}


CLIENTS = (
    ("Job", "database-bootstrap"),
    ("Job", "gateway-migration"),
    ("Deployment", "litellm"),
    ("Deployment", "backend"),
)


@pytest.fixture(scope="module")
def authority() -> str:
    return certificates.authority().certificate


def external(**changed) -> dict:
    return {
        **DEMO,
        **GIVEN,
        "database": {"mode": "external", "maxConnections": 100, "external": {"host": HOST, **changed}},
    }


def operator(**changed) -> dict:
    return {**DEMO, "database": {"mode": "operator", **changed}}


def run(config: dict, **more) -> harness.Run:
    secrets = ["secrets"] if "secrets" in config else []
    return harness.run_program(config, secrets, **more) if more else harness.shared_run(config, secrets)


def refusal(config: dict, **more) -> str:
    with pytest.raises(RunError) as refused:
        run(config, **more)
    text = str(refused.value)
    assert PASSWORD not in text
    return text


def secret(one: harness.Run, name: str) -> dict:
    return one.one("Secret", name).inputs["stringData"]


def urls(one: harness.Run) -> dict[str, str]:
    """The queries of the three URLs, by who is told them."""
    backend, gateway = secret(one, "backend-env"), secret(one, "gateway-env")
    assert {urlsplit(url).netloc.partition("@")[2] for url in (backend["DATABASE_URL"], gateway["DATABASE_URL"])} == {
        urlsplit(backend["LITELLM_DATABASE_URL"]).netloc.partition("@")[2]
    }
    return {
        "backend": urlsplit(backend["DATABASE_URL"]).query,
        "backend's models": urlsplit(backend["LITELLM_DATABASE_URL"]).query,
        "gateway": urlsplit(gateway["DATABASE_URL"]).query,
    }


# --- external ---


def test_an_external_server_is_only_told_of(authority):
    one = run(external(ca=authority))
    assert not one.find("StatefulSet")
    assert {claim.metadata["name"] for claim in one.find("PersistentVolumeClaim")} == {"backend-backups"}
    assert "postgres" not in {service.metadata["name"] for service in one.find("Service")}
    job = harness.env(one.one("Job", "database-bootstrap"))
    assert (job["PGHOST"], job["PGPORT"], job["PGUSER"]) == (HOST, "5432", "postgres")


def test_each_client_verifies_the_server_in_its_own_words(authority):
    """LiteLLM's engine takes libpq's verify-full for prefer, and connects to whoever answers."""
    one = run(external(ca=authority))
    assert urls(one) == {
        "backend": "sslmode=verify-full",
        "backend's models": "sslmode=verify-full",
        "gateway": "sslmode=require&sslaccept=strict",
    }
    job = harness.env(one.one("Job", "database-bootstrap"))
    assert (job["PGSSLMODE"], job["PGSSLROOTCERT"]) == ("verify-full", trust.FILE)


def test_the_private_authority_is_a_file_of_every_client(authority):
    one = run(external(ca=authority))
    assert one.one("ConfigMap", "database-authority").inputs["data"] == {"ca.crt": authority}
    found = {"name": "database-authority-auto", "items": [{"key": "ca.crt", "path": "database.crt"}]}
    for kind, name in CLIENTS:
        client = one.one(kind, name)
        # All *.crt of this folder become one file.
        wanted = harness.mounts(client)["/etc/litemaas-trust"]
        volume = next(each for each in (client.pod or {})["volumes"] if each["name"] == wanted)
        assert found in [source.get("configMap") for source in volume["projected"]["sources"]], name


def test_without_a_private_authority_the_well_known_ones_verify():
    one = run(external())
    assert urls(one)["gateway"] == "sslmode=require&sslaccept=strict"
    assert harness.env(one.one("Job", "database-bootstrap"))["PGSSLROOTCERT"] == trust.FILE
    assert not one.find("ConfigMap", "database-authority")


def test_disable_is_said_to_every_client():
    one = run(external(sslMode="disable"))
    assert set(urls(one).values()) == {"sslmode=disable"}
    assert harness.env(one.one("Job", "database-bootstrap"))["PGSSLMODE"] == "disable"


def test_ready_made_names_and_passwords_are_used_and_no_administrator():
    ready = {
        "roles": "ready",
        "portalDatabase": "p_db",
        "portalRole": "p",
        "gatewayDatabase": "g_db",
        "gatewayRole": "g",
    }
    passwords = {
        "portalDatabasePassword": {"value": PASSWORD},
        "gatewayDatabasePassword": {"value": PASSWORD + "-other"},
    }
    one = run(external(**ready) | {"secrets": passwords})
    job = one.one("Job", "database-bootstrap")
    assert harness.env(job)["ROLES"] == "ready"
    assert not {"PGUSER", "PGPASSWORD", "ADMIN_DATABASE"} & set(harness.env(job))
    portal = urlsplit(secret(one, "backend-env")["DATABASE_URL"])
    assert (portal.username, portal.password, portal.path) == ("p", PASSWORD, "/p_db")
    assert urlsplit(secret(one, "gateway-env")["DATABASE_URL"]).path == "/g_db"


@pytest.mark.parametrize(
    ("host", "config"),
    [
        (HOST, {}),
        ("postgres.data.svc", {}),
        ("postgres", {}),
        ("postgres.litemaas.svc.cluster.local", {}),
    ],
    ids=["outside", "another namespace", "a name in this one", "this one in full"],
)
def test_the_ways_to_an_external_server_are_open_and_preflight_knows_their_policies(host, config):
    settings = external(host=host, port=5433) | config
    one = run(settings)
    assert allowed(one) == used(one)
    registered = {
        (each.kind, each.metadata["name"], each.metadata.get("namespace", ""))
        for each in one.manifests
        if "name" in each.metadata and each.kind not in NOT_ASKED
    }
    planned = planned_for(harness.read_config(settings, ["secrets"]))
    assert {(each.kind, each.name, each.namespace) for each in planned} == registered


FAULTS = {
    "a URL for a host": ({"host": "postgres://db:5432"}, "external.host", "write the bare name"),
    "the pod itself": ({"host": "localhost"}, "external.host", "each pod itself"),
    "no port": ({"port": 70000}, "external.port", "write at most 65535"),
    "require": ({"sslMode": "require"}, "external.sslMode", "serves mock data when it cannot verify"),
    "verify-ca": ({"sslMode": "verify-ca"}, "external.sslMode", "write verify-full"),
    "prefer": ({"sslMode": "prefer"}, "external.sslMode", "write verify-full"),
    "no-verify": ({"sslMode": "no-verify"}, "external.sslMode", "whoever answers would be given the passwords"),
    "no such mode": ({"sslMode": "maybe"}, "external.sslMode", "'disable' or 'verify-full'"),
    "no certificate": ({"ca": "hello"}, "external.ca", "write text that begins with -----BEGIN CERTIFICATE"),
    "a broken certificate": (
        {"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        "external.ca",
        "the whole file",
    ),
    "a strange name": ({"adminUser": "post gres"}, "external.adminUser", "is no name of letters"),
    "names with managed roles": ({"portalRole": "p"}, "database.external", "portalRole is not used with roles managed"),
    "an administrator of ready roles": (
        {"roles": "ready", "adminUser": "boss"},
        "database.external",
        "adminUser is not used with roles ready",
    ),
    "one database": (
        {"roles": "ready", "portalDatabase": "one", "gatewayDatabase": "one"},
        "database.external",
        "portalDatabase and gatewayDatabase are both one",
    ),
    "one role": (
        {"roles": "ready", "portalRole": "one", "gatewayRole": "one"},
        "database.external",
        "portalRole and gatewayRole are both one",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_external_server_that_cannot_work_is_refused_with_the_reason(name):
    changed, where, reason = FAULTS[name]
    said = refusal(external(**changed))
    assert f"litemaas:database.{where.removeprefix('database.')}" in said
    assert reason in said


def test_the_authority_of_a_server_is_looked_at_like_every_other(authority):
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    assert "database.external.ca" in refusal(external(ca=authority + key))
    leaf = certificates.make("x", signer=certificates.authority(), hosts=["x"])
    assert "is no certificate authority but a server's" in refusal(external(ca=leaf.certificate))
    assert "ca is not used with sslMode disable" in refusal(external(ca=authority, sslMode="disable"))


@pytest.mark.parametrize(
    ("roles", "missing"),
    [("managed", ["postgresAdminPassword"]), ("ready", ["portalDatabasePassword", "gatewayDatabasePassword"])],
)
def test_passwords_that_a_server_has_already_must_be_given(roles, missing):
    config = {key: value for key, value in external(roles=roles).items() if key != "secrets"}
    said = refusal(config)
    for name in missing:
        assert f"litemaas:secrets.{name}" in said
        assert f"pulumi config set --secret --path litemaas:secrets.{name}" in said
    assert f"({len(missing)} problem" in said


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ({"mode": "external", "maxConnections": 100}, "no server is named"),
        ({"mode": "external", "external": {"host": HOST}}, "maxConnections is missing"),
        (
            {"mode": "external", "maxConnections": 100, "external": {"host": HOST}, "parameters": {"jit": False}},
            "parameters is not used in mode external",
        ),
        ({"external": {"host": HOST}}, "external is not used in mode bundled"),
        ({"instances": 3}, "instances is not used in mode bundled"),
        ({"mode": "operator", "external": {"host": HOST}}, "external is not used in mode operator"),
    ],
)
def test_keys_of_another_mode_are_refused(database, reason):
    assert reason in refusal({**DEMO, **GIVEN, "database": database})


def test_the_connections_of_an_external_server_are_counted_too():
    config = external()
    config["database"]["maxConnections"] = 60
    assert "PostgreSQL accepts 60" in refusal(config)


# --- operator ---


def test_the_operator_is_asked_for_a_cluster_that_up_waits_for():
    settings = {**operator(parameters={"work_mem": "16MB"}, storage={"size": "20Gi", "storageClass": "fast"})}
    one = run(settings | {"profile": "production", "images": {"pullSecret": "registry-login"}})
    cluster = one.one("Cluster")
    spec = cluster.inputs["spec"]
    assert cluster.metadata["name"] == "postgres"
    assert cluster.annotations["pulumi.com/waitFor"] == "condition=Ready"
    assert spec["instances"] == 3
    assert spec["storage"] == {"size": "20Gi", "storageClass": "fast"}
    assert spec["postgresql"]["parameters"] == {"work_mem": "16MB", "max_connections": "200"}
    assert spec["imagePullSecrets"] == [{"name": "registry-login"}]
    assert cluster.error_hooks == ("explain-failure",)
    assert cluster.urn in one.one("Job", "database-bootstrap").dependencies
    assert not one.find("StatefulSet")


def test_the_cluster_has_the_administrators_password_of_the_stack():
    one = run(operator())
    spec = one.one("Cluster").inputs["spec"]
    assert spec["enableSuperuserAccess"] is True
    assert spec["superuserSecret"] == {"name": "database-superuser-auto"}
    superuser = one.one("Secret", "database-superuser")
    assert superuser.inputs["type"] == "kubernetes.io/basic-auth"
    assert superuser.inputs["stringData"]["password"] == secret(one, "database-bootstrap-passwords")["admin"]
    assert isinstance(superuser.marked["stringData"], harness.Secret)


def test_the_operators_certificate_is_verified_by_every_client():
    one = run(operator())
    assert urls(one)["backend"] == "sslmode=verify-full"
    assert urls(one)["gateway"] == "sslmode=require&sslaccept=strict"
    found = {"name": "postgres-ca", "items": [{"key": "ca.crt", "path": "database.crt"}]}
    for kind, name in CLIENTS:
        volumes = {each["name"]: each for each in (one.one(kind, name).pod or {})["volumes"]}
        # One key of it: the authority's own key lies beside it.
        assert {"secret": found} in volumes["trust"]["projected"]["sources"], name
    hosts = harness.env(one.one("Job", "database-bootstrap"))
    assert hosts["PGHOST"] == "postgres-rw"


def test_the_clusters_pods_are_reached_by_its_clients_each_other_and_the_operator():
    spec = policies(run(operator()))["postgres"]
    pods = {"matchLabels": {"cnpg.io/cluster": "postgres"}}
    assert spec["podSelector"] == pods
    operators = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}}}

    def rule(side: str, peer: dict, *ports: int) -> dict:
        return {side: [peer], "ports": [{"port": port, "protocol": "TCP"} for port in ports]}

    for port in (5432, 8000):
        assert rule("from", operators, port) in spec["ingress"]
        assert rule("from", {"podSelector": pods}, port) in spec["ingress"]
        assert rule("to", {"podSelector": pods}, port) in spec["egress"]
    components = {
        each["from"][0]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
        for each in spec["ingress"]
        if each["ports"][0]["port"] == 5432
    }
    assert components >= {"postgres-bootstrap", "litellm-migration", "litellm", "backend"}
    server = [each for each in spec["egress"] if {port["port"] for port in each.get("ports", [])} == {443, 6443}]
    assert len(server) == 1, "an instance learns from the API server what it is to be"


def test_the_clients_of_a_cluster_are_let_out_to_its_pods():
    found = policies(run(operator()))
    way = {
        "to": [{"podSelector": {"matchLabels": {"cnpg.io/cluster": "postgres"}}}],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }
    for name in ("postgres-bootstrap", "litellm-migration", "litellm", "backend"):
        assert way in found[name]["egress"], name


def test_preflight_looks_at_the_cluster_of_the_same_name():
    settings = operator()
    registered = {
        (each.kind, each.metadata["name"], each.metadata.get("namespace", ""))
        for each in run(settings).manifests
        if "name" in each.metadata and each.kind not in NOT_ASKED
    }
    planned = planned_for(harness.read_config(settings))
    assert {(each.kind, each.name, each.namespace) for each in planned} == registered
    text = refusal(settings, cluster=harness.FakeCluster({CLUSTER: {"metadata": {"name": "postgres"}, "spec": SPEC}}))
    assert "oc label --overwrite cluster.postgresql.cnpg.io postgres -n litemaas" in text


def test_a_missing_operator_is_refused_with_its_cure_and_only_where_it_is_needed():
    missing = harness.FakeCluster(missing_apis={"postgresql.cnpg.io"})
    text = refusal(operator(), cluster=missing)
    assert "cluster API postgresql.cnpg.io" in text
    assert "install the operator CloudNativePG" in text
    assert run(DEMO, cluster=harness.FakeCluster(missing_apis={"postgresql.cnpg.io"})).manifests


CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/litemaas/clusters/postgres"
CLAIM = "/api/v1/namespaces/litemaas/persistentvolumeclaims/postgres-data"
SPEC = {"storage": {"size": "10Gi"}}


def ours(spec: dict) -> dict:
    return {"metadata": {"name": "postgres", "labels": OURS}, "spec": spec}


def test_a_cluster_that_would_shrink_is_refused():
    double = harness.FakeCluster({CLUSTER: ours({"storage": {"size": "20Gi", "storageClass": "fast"}})})
    text = refusal(operator(), cluster=double)
    assert "litemaas:database.storage.size = 10Gi" in text
    assert "is less than the 20Gi" in text


@pytest.mark.parametrize("storage_class", [None, "fast"])
def test_a_cluster_grows_where_nothing_is_known_against_it(storage_class):
    """Which class is the default one, the Cluster does not say."""
    storage = {"size": "5Gi"} | ({"storageClass": storage_class} if storage_class else {})
    assert run(operator(), cluster=harness.FakeCluster({CLUSTER: ours({"storage": storage})})).manifests


# --- from one mode to another ---


@pytest.mark.parametrize(
    ("config", "path", "mode"),
    [
        (operator(), CLAIM, "bundled"),
        (external(), CLAIM, "bundled"),
        (DEMO, CLUSTER, "operator"),
        (external(), CLUSTER, "operator"),
    ],
    ids=["bundled to operator", "bundled to external", "operator to bundled", "operator to external"],
)
def test_a_database_is_not_left_behind_by_another_mode(config, path, mode):
    text = refusal(config, cluster=harness.FakeCluster({path: ours(SPEC)}))
    assert f"this stack has one of mode {mode}, and its data does not move by itself" in text
    assert f"write {mode}, or, to change the mode, dump both databases" in text


def test_somebody_elses_cluster_is_none_of_ours():
    double = harness.FakeCluster({CLUSTER: {"metadata": {"name": "postgres", "labels": {}}, "spec": SPEC}})
    assert run(DEMO, cluster=double).manifests


def test_an_old_bundled_image_is_refused_and_only_there():
    old = {"images": {"postgres": "quay.io/sclorg/postgresql-12-c8s:latest"}}
    assert "is PostgreSQL 12" in refusal(DEMO | old)
    assert run(operator() | old).manifests, "the image is only used for psql"
