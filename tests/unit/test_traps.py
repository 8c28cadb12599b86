"""Each trap of the deployment contract has a test named after it (litemaas-contract.md, litellm.md)."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from pulumi import Output

from components import kube
from components.backend import BackendArgs
from components.database import Database, DatabaseArgs
from components.naming import Addresses
from components.postgres import Bundled
from components.server import Dimensions, Names
from components.trust import Trust
from config.capacity import POOLS
from config.types import quantity
from tests import harness
from tests.unit.conftest import DEMO

SIZE = kube.Size(requests={"cpu": "1"}, limits={"cpu": "1"})


@pytest.fixture
def backend(run):
    return run.one("Deployment", "backend")


@pytest.fixture
def gateway(run):
    return run.one("Deployment", "litellm")


def secret(run: harness.Run, name: str) -> dict[str, str]:
    """The values of the Secret with the logical name ``name``."""
    return run.one("Secret", name).inputs["stringData"]


def server_block(run: harness.Run) -> str:
    return run.one("ConfigMap", "frontend-server").inputs["data"]["default.conf"]


def seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s", text), f"{text} is no number of seconds"
    return int(text[:-1])


# --- Backend ---


def test_the_oauth_issuer_is_never_empty_and_has_no_trailing_slash(backend):
    issuer = harness.env(backend)["OAUTH_ISSUER"]
    assert issuer, "empty ends the process with exit code 1"
    assert issuer == f"https://oauth-openshift.{harness.DOMAIN}"


def test_no_address_has_a_trailing_slash():
    urls = Addresses(namespace="litemaas", domain=harness.DOMAIN)
    for url in (urls.portal, urls.gateway, urls.api, urls.oauth_issuer, urls.oauth_callback):
        assert not url.endswith("/"), "the backend would make //oauth/... of it"


def test_no_variable_of_the_backend_is_empty(backend):
    assert "" not in harness.env(backend).values()


def test_the_openshift_api_url_is_always_set(backend):
    assert harness.env(backend)["OPENSHIFT_API_URL"] == "https://kubernetes.default.svc"


def routes_to(run, service):
    """The Routes that lead to a Service: with closed paths there are several to the gateway."""
    return [one for one in run.find("Route") if one.inputs["spec"]["to"]["name"] == service]


def test_the_gateway_url_of_the_backend_is_the_public_one_of_the_gateways_route(run, backend):
    url = harness.env(backend)["LITELLM_API_URL"]
    hosts = {route.inputs["spec"]["host"] for route in routes_to(run, "litellm")}
    assert {url} == {f"https://{host}" for host in hosts}, "browsers call it"


def test_the_callback_is_the_redirect_uri_of_the_client(run, backend):
    assert [harness.env(backend)["OAUTH_CALLBACK_URL"]] == run.one("OAuthClient").inputs["redirectURIs"]


def test_the_backend_logs_in_as_the_client_that_is_registered(run, backend):
    client = run.one("OAuthClient")
    # The double gives the object's name as its id; the real provider does the same for cluster-scoped ones.
    assert harness.env(backend)["OAUTH_CLIENT_ID"] == client.metadata["name"]
    assert secret(run, "backend-env")["OAUTH_CLIENT_SECRET"] == client.inputs["secret"]


def test_the_cors_origin_is_the_portal(run, backend):
    assert harness.env(backend)["CORS_ORIGIN"] == f"https://{run.one('Route', 'litemaas').inputs['spec']['host']}"


def test_the_log_level_is_warn_because_info_prints_bearer_tokens(backend):
    assert harness.env(backend)["LOG_LEVEL"] == "warn"


def test_the_backend_is_in_production_mode(backend):
    assert harness.env(backend)["NODE_ENV"] == "production"


def test_no_origin_skips_authentication(backend):
    origins = harness.env(backend)["ALLOWED_FRONTEND_ORIGINS"]
    assert origins, "empty or unset means localhost"
    assert origins.endswith(".invalid"), "a name that can never resolve (RFC 2606)"


def test_models_are_synchronised_by_the_clock(backend):
    variables = harness.env(backend)
    assert variables["LITELLM_AUTO_SYNC"] == "true", "else a missed start-up sync is never made up for"
    assert 1 <= int(variables["LITELLM_SYNC_INTERVAL"] or 0) <= 5


def test_the_wait_for_the_database_is_in_the_main_container_and_node_is_executed(run, backend):
    """A restarted container does not run init containers again; a shell would swallow the signal to stop."""
    assert "initContainers" not in (backend.pod or {})
    assert harness.container(backend)["command"][2:] == ["sh", "/opt/litemaas/start-backend.sh"]
    lines = run.one("ConfigMap", "backend-scripts").inputs["data"]["start-backend.sh"].splitlines()
    commands = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    assert commands[0] == "set -eu", "a failing wait must not start the server"
    assert commands[-2:] == ["node /opt/litemaas/wait-for-database.cjs", "exec node backend/dist/index.js"]


def test_liveness_asks_for_mock_data_and_not_for_the_health_of_others(backend):
    assert harness.container(backend)["livenessProbe"]["exec"]["command"] == ["node", "/opt/litemaas/alive.cjs"]
    paths = [harness.container(backend)[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe")]
    assert paths == ["/api/v1/health/live", "/api/v1/health/ready"]
    assert "/api/v1/health" not in paths, "that one is 503 whenever LiteLLM is down"


def test_the_backend_is_given_ten_minutes_to_wait_for_its_database(backend):
    probe = harness.container(backend)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


def test_redis_is_not_named_to_the_backend(run, backend):
    """It knows no password, would log NOAUTH, and otherwise flush the limits of all users."""
    assert not {"REDIS_HOST", "REDIS_PORT"} & (set(harness.env(backend)) | set(secret(run, "backend-env")))


def test_the_encryption_key_of_the_backend_is_not_the_master_key(run):
    values = secret(run, "backend-env")
    assert values["LITELLM_MASTER_KEY"] != values["LITELLM_API_KEY"], "rotating the one would lose the other's data"
    assert values["LITELLM_API_KEY"] == secret(run, "gateway-env")["LITELLM_MASTER_KEY"]


def test_the_admin_key_has_the_prefix_without_which_it_is_taken_for_a_token(run):
    key = secret(run, "backend-env")["ADMIN_API_KEYS"]
    assert key.startswith("ltm_admin_")
    assert "," not in key
    assert " " not in key


def test_backups_go_to_the_claim(backend):
    claims = {one["name"] for one in (backend.pod or {})["volumes"] if "persistentVolumeClaim" in one}
    path = harness.env(backend)["BACKUP_STORAGE_PATH"]
    assert path
    assert harness.mounts(backend)[path] in claims


def test_initial_admins_are_one_list_without_spaces(demo, production):
    assert harness.env(production.one("Deployment", "backend"))["INITIAL_ADMIN_USERS"] == "dave"
    assert "INITIAL_ADMIN_USERS" not in harness.env(demo.one("Deployment", "backend"))


def test_backend_replicas_are_no_argument_of_the_component():
    assert "replicas" not in BackendArgs.__dataclass_fields__


# --- Database ---


def test_sslmode_is_said_in_every_database_url(run):
    """Without it the backend tries TLS, fails, and serves mock data for the rest of its life."""
    urls = [secret(run, "backend-env")[key] for key in ("DATABASE_URL", "LITELLM_DATABASE_URL")]
    urls.append(secret(run, "gateway-env")["DATABASE_URL"])
    for url in urls:
        assert urlsplit(url).query == "sslmode=disable"


def test_the_applications_share_neither_role_nor_password_nor_database(run):
    portal = urlsplit(secret(run, "backend-env")["DATABASE_URL"])
    proxy = urlsplit(secret(run, "gateway-env")["DATABASE_URL"])
    assert (portal.username, portal.path) == ("litemaas", "/litemaas_db")
    assert (proxy.username, proxy.path) == ("litellm", "/litellm_db")
    assert portal.password != proxy.password
    assert secret(run, "database-bootstrap-passwords")["admin"] not in {portal.password, proxy.password}


def test_the_backend_checks_models_in_the_database_of_the_gateway(run):
    assert secret(run, "backend-env")["LITELLM_DATABASE_URL"] == secret(run, "gateway-env")["DATABASE_URL"]


@pytest.mark.parametrize("password", ["p@ss/w:rd%", "a b#c?d&e=f+g", "[::1]\\", "äöü€"])
def test_reserved_characters_of_a_password_are_percent_encoded_in_the_url(password):
    def program():
        scope = kube.Scope(namespace="litemaas", labels={"app.kubernetes.io/instance": "dev"}, timeout_seconds=60)
        args = DatabaseArgs(
            scope=scope,
            server=Bundled(
                image="registry.example.com/postgres:16",
                dimensions=Dimensions(size=SIZE, storage="1Gi", storage_class=None, max_connections=200, parameters={}),
            ),
            names=Names(),
            tools_image="registry.example.com/postgres:16",
            job_size=SIZE,
            trust=Trust(injected="injected", chosen="chosen"),
            admin_password=Output.secret("admin"),
            portal_password=Output.secret(password),
            gateway_password=Output.secret("other"),
            protect=False,
        )
        Database("database", args)

    run = harness.build(program)
    outputs = next(values for urn, values in run.outputs.items() if urn.endswith("::database"))
    assert isinstance(outputs["portal_url"], harness.Secret)
    url = urlsplit(outputs["portal_url"].value)
    assert (url.username, unquote(url.password or "")) == ("litemaas", password)
    assert (url.hostname, url.port, url.path) == ("postgres", 5432, "/litemaas_db")
    assert secret(run, "database-bootstrap-passwords")["portal"] == password, "the role itself gets it as it is"


def test_passwords_reach_the_bootstrap_through_its_environment_only(run):
    job = run.one("Job", "database-bootstrap")
    assert harness.container(job)["command"][-2:] == ["bash", "/opt/litemaas/bootstrap.sh"]
    for name in ("PGPASSWORD", "PORTAL_PASSWORD", "GATEWAY_PASSWORD"):
        assert harness.env(job)[name] is None, "None stands for a Secret's key"


def test_the_bootstrap_knows_the_roles_and_databases_of_the_urls(run):
    names = harness.env(run.one("Job", "database-bootstrap"))
    portal = urlsplit(secret(run, "backend-env")["DATABASE_URL"])
    proxy = urlsplit(secret(run, "gateway-env")["DATABASE_URL"])
    assert (names["PORTAL_ROLE"], f"/{names['PORTAL_DATABASE']}") == (portal.username, portal.path)
    assert (names["GATEWAY_ROLE"], f"/{names['GATEWAY_DATABASE']}") == (proxy.username, proxy.path)
    assert names["PGHOST"] == portal.hostname


def test_postgres_keeps_its_data_on_the_claim_and_writes_elsewhere_to_scratch(run):
    server = run.one("StatefulSet")
    mounts = harness.mounts(server)
    data = next(one for one in (server.pod or {})["volumes"] if one["name"] == mounts["/var/lib/pgsql/data"])
    claim = run.one("PersistentVolumeClaim", data["persistentVolumeClaim"]["claimName"])
    assert claim.protect == server.protect
    assert "volumeClaimTemplates" not in server.inputs["spec"], "what is made of one can never grow"
    assert {"/var/lib/pgsql", "/var/run/postgresql", "/tmp"} <= set(mounts), "the image writes there"


def test_postgres_has_connections_for_all_pods_during_a_rollout(run):
    allowed = int(harness.env(run.one("StatefulSet"))["POSTGRESQL_MAX_CONNECTIONS"] or 0)
    pool = harness.litellm_yaml(run)["general_settings"]["database_connection_pool_limit"]
    # The backend opens a second pool of 20 to LiteLLM's database.
    assert {"backend": 2 * 20, "litellm": pool} == POOLS, "what config counts with"
    backend = run.one("Deployment", "backend").inputs["spec"]["replicas"]
    surge = run.one("Deployment", "litellm").inputs["spec"]["replicas"] + 1
    assert allowed >= POOLS["backend"] * backend + surge * pool + 10


def test_parameters_reach_the_server_as_its_own_arguments(demo):
    """The command line wins over every file, and is what the sclorg images hand on."""
    config = {**DEMO, "database": {"parameters": {"work_mem": "16MB", "jit": False}}}
    one = harness.container(harness.run_program(config).one("StatefulSet"))
    assert one["command"] == ["run-postgresql"]
    assert one["args"] == ["-c", "jit=off", "-c", "work_mem=16MB"]
    assert "command" not in harness.container(demo.one("StatefulSet")), "the image's own"


# --- Gateway ---


def test_the_salt_key_is_set_and_not_the_master_key(run):
    values = secret(run, "gateway-env")
    assert values["LITELLM_SALT_KEY"].startswith("sk-")
    assert values["LITELLM_SALT_KEY"] != values["LITELLM_MASTER_KEY"], "rotating the one would lose stored models"
    assert values["LITELLM_MASTER_KEY"].startswith("sk-"), "LiteLLM insists on the prefix"


def test_limits_are_shared_through_redis_and_no_answer_is_cached(run, gateway):
    settings = harness.litellm_yaml(run)["litellm_settings"]
    assert settings["cache"] is True, "REDIS_HOST alone is not consulted"
    assert settings["cache_params"]["type"] == "redis"
    assert settings["cache_params"]["supported_call_types"] == []
    assert "router_settings" not in harness.litellm_yaml(run), "that alone does not share the limits of keys"
    source = harness.container(gateway)["envFrom"][0]["secretRef"]["name"]
    assert source == "gateway-env-auto"
    values = secret(run, "gateway-env")
    for key in ("host", "port", "password"):
        variable = settings["cache_params"][key].removeprefix("os.environ/")
        assert values[variable], f"cache_params.{key} names {variable}, which is not set"
    assert (values["REDIS_HOST"], values["REDIS_PORT"]) == ("redis", "6379")


def test_redis_wants_the_password_that_the_gateway_has(run):
    config = secret(run, "cache-config")
    password = secret(run, "gateway-env")["REDIS_PASSWORD"]
    assert f"requirepass {password}" in config["redis.conf"].splitlines()
    assert config["password"] == password


def test_redis_stays_below_its_memory_limit(run):
    config = dict(line.split(" ", 1) for line in secret(run, "cache-config")["redis.conf"].splitlines())
    limit = harness.container(run.one("Deployment", "redis"))["resources"]["limits"]["memory"]
    assert 0 < int(config["maxmemory"]) < quantity(limit), "else the kernel kills it instead of evicting keys"
    assert config["save"] == '""', "nothing is written: the root is read-only and all may be lost"


def test_metering_cannot_be_switched_off_by_a_caller(run):
    assert harness.litellm_yaml(run)["litellm_settings"]["global_disable_no_log_param"] is True


def test_nobody_gets_in_while_the_database_is_away(run):
    assert "allow_requests_on_db_unavailable" not in set(harness.keys(harness.litellm_yaml(run)))


def test_models_are_kept_in_the_database_and_never_in_the_file(run, gateway):
    """With LITELLM_DATABASE_URL the portal takes models of the file for stale, and cuts subscriptions."""
    assert "model_list" not in harness.litellm_yaml(run)
    assert harness.litellm_yaml(run)["general_settings"]["store_model_in_db"] is True
    assert harness.env(gateway)["STORE_MODEL_IN_DB"] == "True"


def test_pods_never_migrate_and_the_job_does(run, gateway):
    job = run.one("Job", "gateway-migration")
    assert harness.env(gateway)["DISABLE_SCHEMA_UPDATE"] == "true"
    assert harness.env(job)["DISABLE_SCHEMA_UPDATE"] == "false"
    folder = harness.env(job)["LITELLM_MIGRATION_DIR"]
    assert folder
    assert any(folder.startswith(f"{path}/") for path in harness.mounts(job)), "migrations are copied there"
    assert harness.container(job)["image"] == harness.container(gateway)["image"], "the schema is the image's"


def test_running_requests_are_finished_before_a_gateway_pod_ends(run, gateway):
    """SIGTERM closes the socket at once, and the default wait is 30 s whatever the pod is granted."""
    graceful = int(harness.env(gateway)["GRACEFUL_SHUTDOWN_TIMEOUT"] or 0)
    drain = int(harness.container(gateway)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert graceful >= harness.litellm_yaml(run)["litellm_settings"]["request_timeout"]
    assert 5 <= drain <= 30
    assert graceful + drain < (gateway.pod or {})["terminationGracePeriodSeconds"]


def test_the_route_of_the_gateway_waits_longer_than_a_request_may_take(run):
    routes = routes_to(run, "litellm")
    assert routes
    for route in routes:
        timeout = seconds(route.annotations["haproxy.router.openshift.io/timeout"])
        assert timeout >= 600
        assert timeout > harness.litellm_yaml(run)["litellm_settings"]["request_timeout"]


@pytest.mark.parametrize("route", ["litemaas", "litemaas-api"])
def test_the_routes_of_the_portal_wait_as_long_as_nginx_does(route, run):
    found = re.search(r"proxy_read_timeout (\d+)s", server_block(run))
    assert found
    assert seconds(run.one("Route", route).annotations["haproxy.router.openshift.io/timeout"]) > int(found[1])


def test_probes_of_the_gateway_ask_readiness_and_liveliness_and_never_health(gateway):
    one = harness.container(gateway)
    paths = {probe: one[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {
        "startupProbe": "/health/readiness",
        "readinessProbe": "/health/readiness",
        "livenessProbe": "/health/liveliness",
    }
    assert one["readinessProbe"]["timeoutSeconds"] > 4, "it takes 4 s while the database is away"


def test_the_gateway_needs_nothing_from_the_internet(gateway):
    assert harness.env(gateway)["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_the_master_key_is_set_so_that_the_proxy_starts(run):
    assert harness.litellm_yaml(run)["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert secret(run, "gateway-env")["LITELLM_MASTER_KEY"] not in {"sk-1234", "changeme"}


# --- Frontend ---


def test_no_volume_is_mounted_at_tmp_in_the_frontend(run):
    """The image keeps files of its own there."""
    paths = harness.mounts(run.one("Deployment", "frontend"))
    assert not [path for path in paths if path == "/tmp" or path.startswith("/tmp/")]


def test_the_frontend_can_write_where_nginx_writes(run):
    mounts = set(harness.mounts(run.one("Deployment", "frontend")))
    assert mounts >= {"/run", "/var/log/nginx"}
    assert any(path.startswith("/var/lib/nginx") for path in mounts)


def test_the_backend_url_is_filled_into_the_server_block_without_path_or_trailing_slash(run):
    text = server_block(run)
    assert "${" not in text, "nobody substitutes variables when the pod starts"
    assert set(re.findall(r"proxy_pass (.*);", text)) == {"http://backend:8080"}, "a path would replace the request's"


def test_nginx_is_the_process_that_gets_the_signal_to_stop(run):
    assert harness.container(run.one("Deployment", "frontend"))["command"][-1].endswith("/start.sh")
    lines = run.one("ConfigMap", "frontend-server").inputs["data"]["start.sh"].strip().splitlines()
    assert lines[-1] == 'exec nginx -g "daemon off;"'


def test_the_api_route_passes_the_guard_of_the_frontend(run):
    assert {one.metadata["name"] for one in routes_to(run, "frontend")} == {"litemaas", "litemaas-api"}
    others = [one for one in run.find("Route") if one not in routes_to(run, "frontend")]
    assert others == routes_to(run, "litellm")


def test_no_route_gives_up_the_cookie_that_login_needs(run):
    for route in run.find("Route"):
        assert "haproxy.router.openshift.io/disable_cookies" not in route.annotations


# --- Models ---


def test_the_job_reads_every_declared_model_as_a_file(run):
    job = run.one("Job", "models-registration")
    volume = next(one for one in (job.pod or {})["volumes"] if one["name"] == "declared")
    assert volume["configMap"] == {"name": "models-declarations-auto"}
    files = run.one("ConfigMap", "models-declarations").inputs["data"]
    assert set(files) == {f"{name}.json" for name in run.exports["models"]}
    assert harness.env(job)["DECLARED"] == next(
        path for path, name in harness.mounts(job).items() if name == "declared"
    )


def test_the_job_calls_the_gateway_inside_the_cluster(run):
    assert harness.env(run.one("Job", "models-registration"))["LITELLM_URL"] == "http://litellm:4000"


def test_retired_models_are_named_to_the_job():
    run = harness.run_program({**DEMO, "retiredModels": ["old-one", "older-one"]})
    assert harness.env(run.one("Job", "models-registration"))["RETIRED"] == "old-one,older-one"
