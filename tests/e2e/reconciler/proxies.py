"""The real LiteLLM of the sandbox's image with a real PostgreSQL, as processes on loopback."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.images import catalogue
from sandbox.images.builder import NAMESPACES, Builder
from tests.e2e.reconciler import inside
from tests.harness import ROOT
from tests.unit import postgres
from tests.unit.http_double import Reply, Request, serving

MASTER_KEY = "sk-master-0123456789"
# Read by LiteLLM in place of `os.environ/<name>`.
MODEL_KEYS = {"GRANITE_KEY": "granite-0123456789", "OTHER_KEY": "other-0123456789"}
DATABASE = "litellm"
START_SECONDS = 120
# Replicas look for each other's changes every 15 s instead of 30.
CONFIG = """\
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
  store_model_in_db: true
  proxy_config_reload_interval_seconds: 15
router_settings:
  model_group_alias: {short-name: granite}
"""


@dataclass
class Gateway:
    """LiteLLM behind something that counts; ``writes`` are method and path of all but GET."""

    address: str
    url: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [each for each in self.calls if each[0] != "GET"]

    def pass_on(self, request: Request) -> Reply:
        """What LiteLLM answers to a call that came through ``url``."""
        self.calls.append((request.method, request.path.split("?")[0]))
        return send(self.address + request.path, request.method, request.body or None)

    def ask(self, method: str, path: str, body: Any = None, key: str = MASTER_KEY) -> tuple[int, Any]:
        """A call past the counter, as somebody else makes it."""
        status, content = send(self.address + path, method, body and json.dumps(body).encode(), key)
        return status, json.loads(content)

    def models(self) -> dict[str, dict[str, Any]]:
        """What LiteLLM lists, by id; without aliases."""
        listed = self.ask("GET", "/model/info")[1]["data"]
        return {each["model_info"]["id"]: each for each in listed if each["model_name"] != "short-name"}


def send(url: str, method: str, data: bytes | None, key: str = MASTER_KEY) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Installation:
    """A migrated database, and the proxies that are started on it."""

    def __init__(self, stack: ExitStack, server: postgres.Server) -> None:
        """Build the image if need be, and migrate with the file that pods do it with."""
        self._stack, self.server = stack, server
        self.replicas: list[Gateway] = []
        builder = Builder({each.name: each for each in catalogue.RECIPES}, print)
        builder.build(["litellm"])
        self._layers = [str(each) for each in builder.layers("litellm")]
        server.tool("psql", "-c", f"CREATE DATABASE {DATABASE}")
        files = {"/etc/litellm/migrate.py": (ROOT / "components/files/migrate.py").read_text()}
        variables = {"DISABLE_SCHEMA_UPDATE": "false", "LITELLM_MIGRATION_DIR": "/tmp/migrations"}
        with self._process(["python3", "/etc/litellm/migrate.py"], files, variables) as migration:
            if migration.wait(300):
                raise RuntimeError("LiteLLM's database could not be migrated")

    def start(self) -> Gateway:
        """One more replica, ready; it ends with the installation."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = ["litellm", "--config", "/etc/litellm/config.yaml", "--host", "127.0.0.1", "--port", str(port)]
        variables = {"DISABLE_SCHEMA_UPDATE": "true", "STORE_MODEL_IN_DB": "True"}
        files = {"/etc/litellm/config.yaml": CONFIG}
        process = self._stack.enter_context(self._process(command, files, variables))
        gateway = Gateway(f"http://127.0.0.1:{port}")
        until = time.monotonic() + START_SECONDS
        while not is_ready(gateway):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("LiteLLM did not get ready")
            time.sleep(0.5)
        gateway.url = self._stack.enter_context(serving(gateway.pass_on))
        self.replicas.append(gateway)
        return gateway

    def stored(self) -> dict[str, dict[str, Any]]:
        """The database's models by id: what every replica will list sooner or later."""
        columns = "json_object_agg(model_id, json_build_object('name', model_name, 'info', model_info))"
        text, problem = self.server.ask(f'SELECT {columns} FROM "LiteLLM_ProxyModelTable"', DATABASE)  # noqa: S608
        assert not problem
        return json.loads(text or "{}")

    @contextmanager
    def _process(
        self, command: list[str], files: dict[str, str], variables: dict[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        scratch = Path(tempfile.mkdtemp(prefix="litellm-"))
        scratch.chmod(0o755)
        image = next(each for each in catalogue.RECIPES if each.name == "litellm")
        url = f"postgresql://postgres:{postgres.ADMIN_PASSWORD}@127.0.0.1:{self.server.port}/{DATABASE}"
        keys = {"LITELLM_MASTER_KEY": MASTER_KEY, "LITELLM_SALT_KEY": "sk-salt-0123456789", **MODEL_KEYS}
        modes = {"LITELLM_MODE": "PRODUCTION", "LITELLM_NON_ROOT": "true", "LITELLM_LOG": "ERROR"}
        modes |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        env = {**image.env, **modes, **keys, "DATABASE_URL": url, **variables}
        files = {"/etc/hosts": "127.0.0.1 localhost\n", **files}
        job = {"lower": self._layers, "scratch": str(scratch), "files": files, "env": env, "command": command}
        program = [*NAMESPACES, sys.executable, inside.__file__]
        with (scratch / "log").open("wb") as log:
            process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            assert process.stdin
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            yield process
        except BaseException:
            print((scratch / "log").read_text(errors="replace")[-5000:])
            raise
        finally:
            process.kill()
            process.wait(30)
            shutil.rmtree(scratch)


def is_ready(gateway: Gateway) -> bool:
    try:
        return send(f"{gateway.address}/health/readiness", "GET", None)[0] == 200
    except OSError:
        return False


def is_listening(gateway: Gateway) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(gateway.address.rpartition(":")[2]))) == 0


@contextmanager
def installation() -> Iterator[Installation]:
    """PostgreSQL and a migrated database; nothing is left of it."""
    with ExitStack() as stack:
        made = Installation(stack, stack.enter_context(postgres.running()))
        yield made
    until = time.monotonic() + 5
    while left := [each.address for each in made.replicas if is_listening(each)]:
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.1)
