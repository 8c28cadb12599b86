"""bootstrap.sh, run for real against a throw-away PostgreSQL where this machine has one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import harness

SCRIPT = harness.ROOT / "components" / "files" / "bootstrap.sh"
ADMIN_PASSWORD = "admin-0123456789"  # noqa: S105 (of a server that lives for seconds)
PASSWORDS = {"PORTAL_PASSWORD": "p@ss'w:rd%\"\\$x", "GATEWAY_PASSWORD": "gateway-0123456789"}
NAMES = {
    "PORTAL_DATABASE": "litemaas_db",
    "PORTAL_ROLE": "litemaas",
    "GATEWAY_DATABASE": "litellm_db",
    "GATEWAY_ROLE": "litellm",
}


def programs() -> Path | None:
    """The directory of the newest server's programs."""
    found = [Path(path).resolve().parent for path in [shutil.which("postgres")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return next((path for path in reversed(found) if (path / "initdb").exists()), None)


BIN = programs()
needs_server = pytest.mark.skipif(
    BIN is None, reason="no PostgreSQL server on this machine (apt-get install postgresql)"
)
needs_user = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="PostgreSQL refuses root, and there is no setpriv"
)


def as_somebody_else() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL on loopback."""

    port: int

    def bootstrap(self, **changes: str) -> subprocess.CompletedProcess:
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": ADMIN_PASSWORD}
        variables = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/tmp", **where, **NAMES, **PASSWORDS, **changes}
        return subprocess.run(
            ["bash", str(SCRIPT)], env=variables, capture_output=True, text=True, timeout=60, check=False
        )

    def ask(self, statement: str, database: str = "postgres", user: str = "postgres", password: str = ADMIN_PASSWORD):
        """The answer's text, and the error's."""
        variables = {"PATH": f"{BIN}:/usr/bin:/bin", "PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"}
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", database]
        done = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *place, "-c", statement],
            env=variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout.strip(), done.stderr.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A cluster of its own in a temporary directory, deleted afterwards."""
    prefix = as_somebody_else()
    home = Path(tempfile.mkdtemp(prefix="bootstrap-"))
    try:
        if prefix:
            shutil.chown(home, "nobody")
        (home / "password").write_text(ADMIN_PASSWORD)
        (home / "password").chmod(0o644)
        data = ["-D", str(home / "data")]
        how = ["-U", "postgres", "-A", "scram-sha-256", "-N", "-E", "UTF8", "--locale=C", f"--pwfile={home}/password"]
        run_quietly([*prefix, f"{BIN}/initdb", *data, *how])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={home} -c fsync=off"
        control = [*prefix, f"{BIN}/pg_ctl", *data, "-w", "-l", str(home / "log")]
        run_quietly([*control, "-o", options, "start"])
        try:
            yield Server(port)
        finally:
            run_quietly([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(home)


def run_quietly(command: list[str]):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


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

    def test_a_statement_that_fails_fails_the_job(self, server, made):
        done = server.bootstrap(PORTAL_ROLE="pg_reserved")
        assert done.returncode != 0
        assert "done" not in done.stdout

    def test_a_wrong_admin_password_fails_the_job(self, server, made):
        assert server.bootstrap(PGPASSWORD="wrong").returncode != 0
