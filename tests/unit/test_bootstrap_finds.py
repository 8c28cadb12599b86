"""bootstrap.sh on servers that others have used, set up, or administer, run for real."""

from collections.abc import Iterator

import pytest

from sandbox.node import certificates
from tests.unit import postgres
from tests.unit.postgres import ADMIN_PASSWORD, PASSWORDS, REFUSED, Server, names, needs_server, needs_user, refused


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres.running() as one:
        yield one


@needs_server
@needs_user
class TestWhatItFinds:
    """Servers that are neither empty nor as the script left them."""

    def test_a_wrong_admin_password_is_told_at_once_with_its_cure(self, server):
        text = refused(server.bootstrap(PGPASSWORD="wrong", PATIENCE_SECONDS="50"))
        assert 'password authentication failed for user "postgres"' in text
        assert "give litemaas:secrets.postgresAdminPassword the one that it has there" in text

    def test_a_server_that_does_not_answer_is_told_by_its_address(self, server):
        text = refused(server.bootstrap(PGPORT="1", PATIENCE_SECONDS="0"))
        assert "PostgreSQL at localhost:1 does not answer" in text
        assert "check database.external.host and port" in text

    def test_a_role_without_its_database_is_completed(self, server):
        half = names("half")
        server.ask("create role litemaas_half superuser createdb createrole replication bypassrls")
        assert server.bootstrap(**half).returncode == 0
        rights = (
            "select rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls "
            "from pg_roles where rolname = 'litemaas_half'"
        )
        assert server.ask(rights) == ("t|f|f|f|f|f", "")
        password = PASSWORDS["PORTAL_PASSWORD"]
        assert server.ask("select current_user", "litemaas_db_half", "litemaas_half", password) == ("litemaas_half", "")

    def test_a_database_without_owner_and_extension_is_completed(self, server):
        bare = names("bare")
        server.ask("create database litemaas_db_bare")
        server.ask("create database litellm_db_bare")
        assert server.bootstrap(**bare).returncode == 0
        owners = "select pg_get_userbyid(datdba) from pg_database where datname like '%_db_bare' order by 1"
        assert server.ask(owners)[0].splitlines() == ["litellm_bare", "litemaas_bare"]
        assert server.ask("select extname from pg_extension where extname = 'pgcrypto'", "litemaas_db_bare")[0]
        assert (
            "permission denied"
            in server.ask("select 1", "litellm_db_bare", "litemaas_bare", PASSWORDS["PORTAL_PASSWORD"])[1]
        )

    def test_a_schema_of_somebody_else_is_handed_to_the_role(self, server):
        restored = names("restored")
        server.ask("create database litellm_db_restored")
        server.ask("alter schema public owner to postgres", "litellm_db_restored")
        assert server.bootstrap(**restored).returncode == 0
        role = ("litellm_db_restored", "litellm_restored", PASSWORDS["GATEWAY_PASSWORD"])
        assert server.ask("create table t (a int)", *role) == ("", "")

    def test_tables_of_others_in_the_database_of_litellm_are_refused_and_the_database_left_alone(self, server):
        strange = names("strange")
        server.ask("create database litellm_db_strange")
        for table in ("orders", "_prisma_migrations", '"LiteLLM_UserTable"'):
            server.ask(f"create table {table} (a int)", "litellm_db_strange")
        text = refused(server.bootstrap(**strange))
        assert "database litellm_db_strange is LiteLLM's and has 1 tables that are not LiteLLM's (orders)" in text
        assert "give LiteLLM a database of its own" in text
        owner = "select pg_get_userbyid(datdba), datacl is null from pg_database where datname = 'litellm_db_strange'"
        assert server.ask(owner) == ("postgres|t", "")

    def test_tables_of_litellm_in_the_database_of_the_portal_are_refused(self, server):
        swapped = names("swapped")
        server.ask("create database litemaas_db_swapped")
        server.ask('create table "LiteLLM_UserTable" (a int)', "litemaas_db_swapped")
        text = refused(server.bootstrap(**swapped))
        assert "database litemaas_db_swapped is the portal's and has 1 tables of LiteLLM (LiteLLM_UserTable)" in text

    @pytest.mark.parametrize(
        ("database", "table"),
        [("litemaas_db", "users"), ("litellm_db", '"LiteLLM_UserTable"')],
        ids=["portal", "LiteLLM"],
    )
    def test_tables_that_the_role_does_not_own_are_refused_with_a_cure_that_works(self, server, database, table):
        taken = names(f"taken_{database}")
        there = f"{database}_taken_{database}"
        role = there.replace("_db_", "_", 1)
        server.ask(f"create role somebody_{database}")
        server.ask(f"create database {there}")
        server.ask(f"create table {table} (a int); alter table {table} owner to somebody_{database}", there)
        text = refused(server.bootstrap(**taken))
        assert f"database {there} has 1 tables or views that role {role} does not own" in text
        cure = f'REASSIGN OWNED BY "somebody_{database}" TO "{role}"'
        assert cure in text
        assert server.ask(cure, there) == ("", "")
        assert server.bootstrap(**taken).returncode == 0

    def test_tables_of_an_extension_are_nobodys(self, server):
        extended = names("extended")
        server.ask("create database litellm_db_extended")
        server.ask("create extension lo; create table t (a int); alter extension lo add table t", "litellm_db_extended")
        done = server.bootstrap(**extended)
        assert done.returncode == 0, done.stderr

    def test_a_database_moved_as_the_readme_says_is_taken_over(self, server, tmp_path):
        moved = names("moved")
        assert server.bootstrap(**moved).returncode == 0
        role = ("litemaas_db_moved", "litemaas_moved", PASSWORDS["PORTAL_PASSWORD"])
        server.ask("create table users (id uuid default gen_random_uuid()); insert into users default values", *role)
        dump = server.tool("pg_dump", "-Fc", "litemaas_db_moved")
        server.ask("drop database litemaas_db_moved with (force)")
        server.ask("create database litemaas_db_moved owner litemaas_moved")
        server.ask("revoke all on database litemaas_db_moved from public")
        server.tool("pg_restore", "--no-owner", "--role=litemaas_moved", "-d", "litemaas_db_moved", given=dump)
        assert server.bootstrap(**moved).returncode == 0
        assert server.ask("select count(*) from users", *role) == ("1", "")

    def test_one_database_or_one_role_for_both_is_refused(self, server):
        assert "one database, litemaas_db" in refused(server.bootstrap(GATEWAY_DATABASE="litemaas_db"))
        assert "one role, litemaas" in refused(server.bootstrap(GATEWAY_ROLE="litemaas"))

    @pytest.mark.parametrize("said", ["connection refused", "FATAL:  the database system is starting up"])
    def test_a_server_that_is_not_up_yet_is_waited_for(self, server, tmp_path, said):
        """A double of psql is told so once, and asks the real one from then on."""
        (tmp_path / "psql").write_text(
            f'#!/bin/sh\nif [ -e "$0.asked" ]; then exec {postgres.BIN}/psql "$@"; fi\n'
            f'touch "$0.asked"; echo "psql: error: {said}" >&2; exit 2\n'
        )
        (tmp_path / "psql").chmod(0o755)
        done = server.bootstrap(PATH=f"{tmp_path}:/usr/bin:/bin", **names("late"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("waiting for PostgreSQL at localhost") == 1

    def test_an_old_server_is_refused(self, server, tmp_path):
        """Its answer is a double's: no such server is installed any more."""
        (tmp_path / "psql").write_text("#!/bin/sh\ngrep -q server_version && echo 12 || echo 1\n")
        (tmp_path / "psql").chmod(0o755)
        text = refused(server.bootstrap(PATH=f"{tmp_path}:/usr/bin:/bin"))
        assert "PostgreSQL 12 at localhost" in text
        assert "use version 13 or newer" in text


@needs_server
@needs_user
class TestAnAdministratorWithoutSuperuser:
    """What managed services give: a role that may make databases and roles."""

    @pytest.fixture(scope="class")
    def admin(self, server) -> dict[str, str]:
        server.ask("create role cloud_admin login createdb createrole password 'cloud-0123456789'")
        server.ask("create database cloud_home owner cloud_admin")
        login = {"PGUSER": "cloud_admin", "PGPASSWORD": "cloud-0123456789", "ADMIN_DATABASE": "cloud_home"}
        return {**names("cloud"), **login}

    def test_it_makes_the_same_and_can_be_repeated(self, server, admin):
        for _ in range(2):
            done = server.bootstrap(**admin)
            assert done.returncode == 0, done.stderr
        owners = "select datname, pg_get_userbyid(datdba) from pg_database where datname like '%_db_cloud' order by 1"
        assert server.ask(owners)[0].splitlines() == [
            "litellm_db_cloud|litellm_cloud",
            "litemaas_db_cloud|litemaas_cloud",
        ]

    def test_the_roles_use_their_own_database_and_no_other(self, server, admin):
        assert server.bootstrap(**admin).returncode == 0
        portal = ("litemaas_cloud", PASSWORDS["PORTAL_PASSWORD"])
        answer = server.ask(
            "create table if not exists t (a int); create schema if not exists s", "litemaas_db_cloud", *portal
        )
        assert "ERROR" not in answer[1]
        assert server.ask("select length(gen_random_uuid()::text)", "litemaas_db_cloud", *portal) == ("36", "")
        assert "permission denied for database" in server.ask("select 1", "litellm_db_cloud", *portal)[1]

    def test_its_roles_are_members_of_nothing(self, server, admin):
        assert server.bootstrap(**admin).returncode == 0
        member = "select count(*) from pg_auth_members where pg_get_userbyid(member) like 'lite%_cloud'"
        assert server.ask(member) == ("0", "")

    def test_it_may_not_take_superuser_away_and_says_so(self, server, admin):
        server.ask("create role litemaas_grand superuser")
        done = server.bootstrap(**admin | names("grand"))
        assert done.returncode != 0
        assert "must be superuser" in done.stderr


@needs_server
@needs_user
class TestReadyMadeRoles:
    @pytest.fixture(scope="class")
    def ready(self, server) -> dict[str, str]:
        """Made by somebody else, here by the script itself; the administrator's password is not known then."""
        made = names("ready")
        assert server.bootstrap(**made).returncode == 0
        return {**made, "ROLES": "ready", "PGUSER": "", "PGPASSWORD": "", "ADMIN_DATABASE": ""}

    def test_what_is_as_it_should_be_is_only_looked_at(self, server, ready):
        server.ask("alter role litemaas_ready connection limit 7")
        done = server.bootstrap(**ready)
        assert done.returncode == 0, done.stderr
        assert "role litemaas_ready can use database litemaas_db_ready" in done.stdout

    def test_a_wrong_password_names_the_secret(self, server, ready):
        text = refused(server.bootstrap(**ready | {"GATEWAY_PASSWORD": "wrong", "PATIENCE_SECONDS": "50"}))
        assert 'password authentication failed for user "litellm_ready"' in text
        assert "litemaas:secrets.gatewayDatabasePassword" in text

    def test_a_database_that_is_not_there_is_told(self, server, ready):
        text = refused(server.bootstrap(**ready | {"PORTAL_DATABASE": "nowhere"}))
        assert 'database "nowhere" does not exist' in text
        assert "database.external.roles is ready" in text

    def test_missing_rights_are_told_with_the_statements_that_give_them(self, server, ready):
        server.ask("create role litellm_poor login password 'poor-0123456789'")
        server.ask("create database litellm_db_poor")
        login = {"GATEWAY_ROLE": "litellm_poor", "GATEWAY_PASSWORD": "poor-0123456789"}
        poor = ready | {"GATEWAY_DATABASE": "litellm_db_poor", **login}
        text = refused(server.bootstrap(**poor))
        for cure in (
            "GRANT ALL ON SCHEMA public TO litellm_poor",
            "GRANT CREATE ON DATABASE litellm_db_poor TO litellm_poor",
        ):
            assert cure in text
            server.ask(cure, "litellm_db_poor")
        done = server.bootstrap(**poor)
        assert done.returncode == 0, done.stderr

    def test_a_superuser_is_refused(self, server, ready):
        boss = ready | {"PORTAL_ROLE": "postgres", "PORTAL_PASSWORD": ADMIN_PASSWORD}
        done = server.bootstrap(**boss)
        assert done.returncode == REFUSED
        assert "role postgres in database litemaas_db_ready is a superuser" in done.stderr

    def test_tables_that_the_role_does_not_own_are_refused(self, server, ready):
        server.ask("create table locked (a int)", "litemaas_db_ready")
        text = refused(server.bootstrap(**ready))
        server.ask("drop table locked", "litemaas_db_ready")
        assert "has 1 tables or views that role litemaas_ready does not own (locked; owner postgres)" in text


@needs_server
@needs_user
class TestTls:
    def test_a_private_authority_is_verified(self, server):
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(server.authority)}
        done = server.bootstrap(**tls, **names("tls"))
        assert done.returncode == 0, done.stderr

    def test_a_certificate_of_an_unknown_authority_is_refused_at_once(self, server, tmp_path):
        stranger = certificates.authority(tmp_path)
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(stranger)}
        text = refused(server.bootstrap(**tls, PATIENCE_SECONDS="50"))
        assert "certificate verify failed" in text
        assert "check database.external.ca" in text

    def test_a_certificate_for_another_host_is_refused_at_once(self, server):
        tls = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(server.authority), "PGHOST": "127.0.0.1"}
        text = refused(server.bootstrap(**tls, PATIENCE_SECONDS="50"))
        assert 'does not match host name "127.0.0.1"' in text
        assert "a name that its certificate has" in text
