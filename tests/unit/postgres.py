"""A throw-away PostgreSQL with TLS, for tests of what runs against one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.node import certificates
from tests import harness

SCRIPT = harness.ROOT / "components" / "files" / "bootstrap.sh"
REFUSED = 78
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
    """A running PostgreSQL on loopback, with TLS; ``authority`` signed its certificate for ``localhost``."""

    port: int
    authority: Path

    def bootstrap(self, **changes: str) -> subprocess.CompletedProcess:
        where = {"PGHOST": "localhost", "PGPORT": str(self.port), "PGSSLMODE": "disable", "PATIENCE_SECONDS": "2"}
        admin = {"PGUSER": "postgres", "PGPASSWORD": ADMIN_PASSWORD, "ADMIN_DATABASE": "postgres", "ROLES": "managed"}
        variables = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/tmp", **where, **admin, **NAMES, **PASSWORDS, **changes}
        return subprocess.run(
            ["bash", str(SCRIPT)], env=variables, capture_output=True, text=True, timeout=60, check=False
        )

    def tool(self, name: str, *arguments: str, given: bytes = b"") -> bytes:
        """What one of PostgreSQL's programs prints, as the administrator."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": ADMIN_PASSWORD}
        command = [f"{BIN}/{name}", *arguments]
        return subprocess.run(command, env=where, input=given, capture_output=True, timeout=60, check=True).stdout

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


@contextmanager
def running() -> Iterator[Server]:
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
        certificate, key = certificates.signed(home, "server", "/CN=localhost", "subjectAltName=DNS:localhost")
        if prefix:
            shutil.chown(key, "nobody")
            shutil.chown(certificate, "nobody")
        options += f" -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}"
        control = [*prefix, f"{BIN}/pg_ctl", *data, "-w", "-l", str(home / "log")]
        run_quietly([*control, "-o", options, "start"])
        try:
            yield Server(port, certificates.authority(home))
        finally:
            run_quietly([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(home)


def run_quietly(command: list[str]):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def refused(done: subprocess.CompletedProcess) -> str:
    """What a run says that refuses to go on; never a password."""
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert "done" not in done.stdout.splitlines()
    assert "refused: " in done.stderr, done.stderr
    for secret in (ADMIN_PASSWORD, *PASSWORDS.values()):
        assert secret not in done.stdout + done.stderr
    return done.stderr


def names(word: str) -> dict[str, str]:
    """Databases and roles of a test's own."""
    return {key: f"{value}_{word}" for key, value in NAMES.items()}
