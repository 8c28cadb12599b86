"""bootstrap.sh on an empty server, run for real against a throw-away PostgreSQL where this machine has one."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.unit import postgres
from tests.unit.postgres import ADMIN_PASSWORD, BIN, PASSWORDS, SCRIPT, Server, needs_server, needs_user


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres.running() as one:
        yield one


@pytest.fixture(scope="module")
def made(server) -> subprocess.CompletedProcess:
    """The first run on an empty server."""
    done = server.bootstrap()
    assert done.returncode == 0, done.stderr
    return done


def test_the_script_is_valid_bash():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@needs_server
@needs_user
class TestAgainstAServer:
    def test_it_makes_two_databases_that_their_roles_own(self, server, made):
        owners, _ = server.ask(
            "select datname, pg_get_userbyid(datdba) from pg_database where datname like 'lite%' order by 1"
        )
        assert owners.splitlines() == ["litellm_db|litellm", "litemaas_db|litemaas"]
        assert made.stdout.splitlines()[-1] == "done"

    def test_the_roles_may_log_in_and_nothing_else(self, server, made):
        rights, _ = server.ask(
            "select rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole from pg_roles "
            "where rolname like 'lite%' order by 1"
        )
        assert rights.splitlines() == ["litellm|t|f|f|f", "litemaas|t|f|f|f"]

    def test_a_password_with_reserved_characters_lets_the_role_in(self, server, made):
        answer = server.ask("select current_user", "litemaas_db", "litemaas", PASSWORDS["PORTAL_PASSWORD"])
        assert answer == ("litemaas", "")

    def test_each_role_may_make_tables_in_its_own_database(self, server, made):
        for role, database, key in (
            ("litemaas", "litemaas_db", "PORTAL_PASSWORD"),
            ("litellm", "litellm_db", "GATEWAY_PASSWORD"),
        ):
            answer = server.ask("create table if not exists t (a int); drop table t", database, role, PASSWORDS[key])
            assert answer[1].replace("NOTICE", "") == "", answer

    @pytest.mark.parametrize(
        ("role", "database", "key"),
        [("litemaas", "litellm_db", "PORTAL_PASSWORD"), ("litellm", "litemaas_db", "GATEWAY_PASSWORD")],
    )
    def test_no_role_can_connect_to_the_database_of_the_other(self, server, made, role, database, key):
        assert "permission denied for database" in server.ask("select 1", database, role, PASSWORDS[key])[1]

    def test_the_extension_is_there_and_the_backend_may_ask_for_it_again(self, server, made):
        role = ("litemaas_db", "litemaas", PASSWORDS["PORTAL_PASSWORD"])
        assert "ERROR" not in server.ask("create extension if not exists pgcrypto", *role)[1]
        assert server.ask("select length(gen_random_uuid()::text)", *role) == ("36", "")

    def test_a_second_run_is_harmless_and_keeps_the_data(self, server, made):
        server.ask("create table kept as select 1 as a", "litemaas_db", "litemaas", PASSWORDS["PORTAL_PASSWORD"])
        assert server.bootstrap().returncode == 0
        kept = server.ask("select a from kept", "litemaas_db", "litemaas", PASSWORDS["PORTAL_PASSWORD"])
        assert kept == ("1", "")

    def test_a_changed_password_takes_effect_and_the_old_one_is_refused(self, server, made):
        changed = {"GATEWAY_PASSWORD": "another-0123456789"}
        assert server.bootstrap(**changed).returncode == 0
        assert server.ask("select 1", "litellm_db", "litellm", "another-0123456789") == ("1", "")
        assert (
            "password authentication failed"
            in server.ask("select 1", "litellm_db", "litellm", PASSWORDS["GATEWAY_PASSWORD"])[1]
        )
        assert server.bootstrap().returncode == 0

    def test_it_prints_no_password(self, server, made):
        for secret in (ADMIN_PASSWORD, *PASSWORDS.values()):
            assert secret not in made.stdout + made.stderr

    def test_a_connection_that_breaks_midway_is_tried_again(self, server, made, tmp_path):
        broken = tmp_path / "broken"
        (tmp_path / "psql").write_text(
            f'#!/bin/bash\nif [ -z $ROLE ] || [ -e {broken} ]; then exec {BIN}/psql "$@"; fi\ntouch {broken}; exit 2\n'
        )
        (tmp_path / "psql").chmod(0o755)
        done = server.bootstrap(PATH=f"{tmp_path}:{BIN}:/usr/bin:/bin", PATIENCE_SECONDS="50")
        assert done.returncode == 0, done.stderr
        assert "ended with 2; once more in 2 s" in done.stdout

    def test_a_statement_that_fails_fails_the_job(self, server, made):
        done = server.bootstrap(PORTAL_ROLE="pg_reserved")
        assert done.returncode != 0
        assert "done" not in done.stdout
