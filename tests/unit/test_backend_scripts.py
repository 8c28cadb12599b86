"""What runs in the backend's pod beside the server: wait, liveness check, start. Run by a real Node."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests import harness
from tests.unit.http_double import serving

NODE = shutil.which("node")
FILES = harness.ROOT / "components" / "files"
needs_node = pytest.mark.skipif(NODE is None, reason="no Node on this machine")

# A double of the `pg` package: the first connections fail as often as the file FAILURES says.
PG_DOUBLE = """
const fs = require("node:fs");
exports.Client = class {
  constructor(options) { this.options = options; }
  on() {}
  async connect() {
    const left = Number(fs.readFileSync(process.env.FAILURES, "utf8"));
    console.log(`connect ${this.options.connectionString}`);
    if (left > 0) {
      fs.writeFileSync(process.env.FAILURES, String(left - 1));
      throw new Error("ECONNREFUSED");
    }
  }
  async query(text) {
    if (process.env.QUERY_FAILS) {
      delete process.env.QUERY_FAILS;
      throw new Error("the database system is starting up");
    }
    console.log(text);
  }
  async end() { throw new Error("never connected"); }
};
"""


def alive(port: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(NODE), str(FILES / "alive.cjs")],
        env={"PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@needs_node
def test_liveness_fails_on_mock_data():
    with serving(lambda _: (200, b'[{"id":"mock-banner-1","content":"welcome"}]')) as url:
        result = alive(int(url.rsplit(":", 1)[1]))
    assert result.returncode == 1
    assert "mock data" in result.stderr


@needs_node
@pytest.mark.parametrize("body", [b"[]", b'[{"id":"5f0c","content":"maintenance on Friday"}]'])
def test_liveness_holds_on_the_databases_data(body):
    asked = []

    def answer(request):
        asked.append(request.path)
        return 200, body

    with serving(answer) as url:
        assert alive(int(url.rsplit(":", 1)[1])).returncode == 0
    assert asked == ["/api/v1/banners"]


@needs_node
def test_liveness_holds_while_the_database_is_away():
    """Readiness takes the pod out of service then; a restart would not bring the database back."""
    with serving(lambda _: (500, b'{"error":"no database"}')) as url:
        assert alive(int(url.rsplit(":", 1)[1])).returncode == 0


@needs_node
def test_liveness_fails_where_nothing_listens():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        result = alive(closed.getsockname()[1])
    assert result.returncode == 1
    assert "does not answer" in result.stderr


@pytest.fixture
def waiting_room(tmp_path) -> Path:
    """The waiting script with /app moved to ``tmp_path``, a double of the driver, and short pauses."""
    modules = tmp_path / "app" / "backend" / "node_modules" / "pg"
    modules.mkdir(parents=True)
    (modules / "index.js").write_text(PG_DOUBLE)
    text = (FILES / "wait-for-database.cjs").read_text()
    for old, new in (
        ("/app/backend/package.json", f"{tmp_path}/app/backend/package.json"),
        ("pause(2000)", "pause(5)"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "wait.cjs").write_text(text)
    return tmp_path


def wait(room: Path, failures: int, **more: str) -> subprocess.CompletedProcess:
    (room / "failures").write_text(str(failures))
    variables = {"DATABASE_URL": "postgresql://litemaas:secret@postgres/db", "FAILURES": str(room / "failures"), **more}
    return subprocess.run(
        [str(NODE), str(room / "wait.cjs")], env=variables, capture_output=True, text=True, timeout=20, check=False
    )


@needs_node
def test_the_wait_ends_well_once_the_database_takes_the_login(waiting_room):
    result = wait(waiting_room, 3)
    assert result.returncode == 0
    assert result.stdout.count("waiting for the database: ECONNREFUSED") == 3
    assert result.stdout.count("connect postgresql://litemaas:secret@postgres/db") == 4, "the backend's own login"
    assert "select 1" in result.stdout
    assert (waiting_room / "failures").read_text() == "0"


@needs_node
def test_the_wait_goes_on_while_a_query_fails(waiting_room):
    result = wait(waiting_room, 0, QUERY_FAILS="once")
    assert result.returncode == 0
    assert "waiting for the database: the database system is starting up" in result.stdout


@needs_node
def test_the_wait_does_not_give_up(waiting_room):
    assert wait(waiting_room, 200).returncode == 0


@needs_node
def test_the_wait_prints_no_password(waiting_room):
    lines = [line for line in wait(waiting_room, 1).stdout.splitlines() if not line.startswith("connect ")]
    assert "secret" not in "\n".join(lines)


@needs_node
def test_a_missing_driver_ends_the_wait_with_an_error(waiting_room):
    """The start must not go on without having seen the database."""
    shutil.rmtree(waiting_room / "app" / "backend" / "node_modules")
    assert wait(waiting_room, 0).returncode != 0


def start(tmp_path: Path, wait_exit: int) -> subprocess.CompletedProcess:
    """The start script with its directories moved, and a double of node that reports what it is given."""
    (tmp_path / "app").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").write_text(
        f'#!/bin/sh\necho "node $* in $(pwd)"\ncase "$1" in *wait*) exit {wait_exit};; esac\n'
    )
    (tmp_path / "bin" / "node").chmod(0o755)
    text = (FILES / "start-backend.sh").read_text()
    assert text.count("cd /app") == 1
    (tmp_path / "start.sh").write_text(text.replace("cd /app", f"cd {tmp_path}/app"))
    return subprocess.run(
        ["sh", str(tmp_path / "start.sh")],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_server_is_started_after_the_wait(tmp_path):
    result = start(tmp_path, 0)
    assert result.returncode == 0
    commands = [line for line in result.stdout.splitlines() if line.startswith("node")]
    assert commands == [
        f"node /opt/litemaas/wait-for-database.cjs in {tmp_path}/app",
        f"node backend/dist/index.js in {tmp_path}/app",
    ]


def test_the_server_is_not_started_when_the_wait_failed(tmp_path):
    result = start(tmp_path, 3)
    assert result.returncode == 3
    assert "index.js" not in result.stdout


@pytest.mark.parametrize("name", ["start-backend.sh", "start-frontend.sh", "trust.sh"])
def test_start_scripts_are_valid_for_a_plain_shell(name):
    subprocess.run(["sh", "-n", str(FILES / name)], check=True)
