"""Puts the backend double together as its image is, and runs its Node tests on a real PostgreSQL."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

HERE = pathlib.Path(__file__).parent
BACKEND = HERE / "backend"


def postgres_programs() -> pathlib.Path | None:
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    known = shutil.which("initdb")
    return found[-1].parent if found else pathlib.Path(known).parent if known else None


PROGRAMS = postgres_programs()
NEEDED = pytest.mark.skipif(not PROGRAMS or not shutil.which("npm"), reason="needs PostgreSQL and Node")


# PostgreSQL refuses to run as root.
SOMEBODY = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def postgres(folder: pathlib.Path, *options: str) -> Iterator[int]:
    """A server on a free port of loopback; yields the port. Superuser ``postgres``, no password."""
    assert PROGRAMS
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    data = folder / f"data-{port}"
    make = [PROGRAMS / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **SOMEBODY)
    serve = [PROGRAMS / "postgres", "-D", data, "-p", port, "-h", "127.0.0.1", "-k", folder, "-F", *options]
    with (folder / f"log-{port}").open("w") as log:
        server = subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **SOMEBODY)
    try:
        ask = [PROGRAMS / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port]
        for _ in range(200):
            if subprocess.run(ask, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield int(port)
    finally:
        # Immediate shutdown: nothing of it is needed again.
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


@pytest.fixture(scope="module")
def folder() -> Iterator[pathlib.Path]:
    """A directory of PostgreSQL's user; outside of pytest's own, which is closed to others."""
    with tempfile.TemporaryDirectory(prefix="portal-double-") as made:
        if SOMEBODY:
            shutil.chown(made, SOMEBODY["user"])
        yield pathlib.Path(made)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """``/app`` of the image, by its recipe."""
    root = tmp_path_factory.mktemp("image")
    recipe = tomllib.loads((BACKEND / "image.toml").read_text())
    for source, target in recipe["copy"]:
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (BACKEND / source).is_dir() else shutil.copy
        copy(BACKEND / source, place)
    subprocess.run(recipe["install"]["command"], cwd=root / "app", check=True, capture_output=True)
    return root / "app"


@pytest.fixture(scope="module")
def servers(folder: pathlib.Path) -> Iterator[dict[str, str]]:
    """Addresses of a server without TLS, and of one with a certificate of its own."""
    certificate, key = folder / "server.crt", folder / "server.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    make = ["openssl", "req", "-x509", *kind, *name, "-keyout", key, "-out", certificate]
    subprocess.run(make, check=True, capture_output=True, **SOMEBODY)
    certificate.chmod(0o644)
    tls = ["-c", "ssl=on", "-c", f"ssl_cert_file={certificate}", "-c", f"ssl_key_file={key}"]
    with postgres(folder) as plain, postgres(folder, *tls) as secure:
        yield {
            "PG_URL": f"postgresql://postgres@127.0.0.1:{plain}/postgres?sslmode=disable",
            "PG_TLS_URL": f"postgresql://postgres@localhost:{secure}/postgres",
            "PG_CA": str(certificate),
        }


@NEEDED
@pytest.mark.parametrize("file", ["test_start.mjs", "test_login.mjs", "test_oidc.mjs", "test_models.mjs"])
def test_the_backend_double_passes_its_own_tests(app: pathlib.Path, servers: dict[str, str], file: str):
    env = {"PATH": os.environ["PATH"], "APP": str(app), **servers}
    done = subprocess.run(["node", "--test", HERE / file], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@NEEDED
def test_the_driver_is_where_the_program_s_own_script_looks_for_it(app: pathlib.Path, servers: dict[str, str]):
    script = (HERE.parents[3] / "components/files/wait-for-database.cjs").read_text()
    assert '"/app/backend/package.json"' in script
    wait = app / "wait.cjs"
    wait.write_text(script.replace("/app/", f"{app}/"))
    subprocess.run(
        ["node", wait], env={"PATH": os.environ["PATH"], "DATABASE_URL": servers["PG_URL"]}, check=True, timeout=30
    )


def test_the_lock_file_names_no_registry():
    lock = (BACKEND / "package-lock.json").read_text()
    assert "http" not in "\n".join(line for line in lock.splitlines() if '"resolved"' in line)
