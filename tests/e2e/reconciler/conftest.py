"""LiteLLM and its database once for all; every test begins without a model."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reconciler.proxies import MASTER_KEY, MODEL_KEYS, Gateway, Installation, installation
from tests.harness import ROOT
from tests.unit import declared, postgres

SCRIPT = ROOT / "components/files/register_models.py"
MODEL_SERVER = ROOT / "tests/e2e/images/model_server/server.py"
SERVED = "ibm/granite"
TOTAL = re.compile(r"(\d+) declared models: .*; (\d+) calls, ([\d.]+) s")


@dataclass(frozen=True)
class Run:
    """What a finished run printed, and what it asked of LiteLLM as counted outside of it."""

    lines: list[str]
    calls: list[tuple[str, str]]

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [each for each in self.calls if each[0] != "GET"]

    @property
    def seconds(self) -> float:
        match = TOTAL.fullmatch(self.lines[-1])
        assert match, self.lines
        assert int(match[2]) == len(self.calls), "the sum tells the truth"
        return float(match[3])


class Reconciler:
    """The script as a process, on declarations in a folder."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.folder, self.gateway = folder, gateway

    def declare(self, *models: dict[str, Any]) -> None:
        for file in self.folder.iterdir():
            file.unlink()
        for one in models:
            (self.folder / f"{one['model']}.json").write_text(json.dumps(one))

    def start(self, *, retired: str = "", gateway: Gateway | None = None) -> subprocess.Popen[str]:
        url = (gateway or self.gateway).url
        env = {"LITELLM_URL": url, "DECLARED": str(self.folder), "RETIRED": retired, "LITELLM_MASTER_KEY": MASTER_KEY}
        command = [sys.executable, "-B", str(SCRIPT)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env={"PATH": os.environ["PATH"], **env}, stdout=pipe, stderr=pipe, text=True)

    def run(self, *models: dict[str, Any], retired: str = "", gateway: Gateway | None = None) -> Run:
        """A run that succeeds."""
        code, out, err, calls = self.attempt(*models, retired=retired, gateway=gateway)
        assert (code, err) == (0, "")
        return Run(out.splitlines(), calls)

    def attempt(
        self, *models: dict[str, Any], retired: str = "", gateway: Gateway | None = None
    ) -> tuple[int, str, str, list[tuple[str, str]]]:
        """Exit code, output, error and calls of a run."""
        self.declare(*models)
        counted = (gateway or self.gateway).calls
        counted.clear()
        process = self.start(retired=retired, gateway=gateway)
        out, err = process.communicate(timeout=300)
        for secret in (MASTER_KEY, *MODEL_KEYS.values()):
            assert secret not in out + err
        return process.returncode, out, err, [*counted]


@pytest.fixture(scope="session")
def litellm() -> Iterator[Installation]:
    if postgres.BIN is None or os.geteuid() != 0:
        pytest.skip("needs root and a PostgreSQL server (apt-get install postgresql)")
    with installation() as made:
        yield made


@pytest.fixture(scope="session")
def replica(litellm: Installation) -> Gateway:
    return litellm.start()


@pytest.fixture(scope="session")
def second_replica(litellm: Installation, replica: Gateway) -> Gateway:
    return litellm.start()


@pytest.fixture
def gateway(litellm: Installation, replica: Gateway) -> Iterator[Gateway]:
    yield replica
    for identity in litellm.stored():
        assert replica.ask("POST", "/model/delete", {"id": identity})[0] == 200


@pytest.fixture
def reconciler(tmp_path: Path, gateway: Gateway) -> Reconciler:
    (folder := tmp_path / "declared").mkdir()
    return Reconciler(folder, gateway)


@contextmanager
def model_server(*options: str) -> Iterator[str]:
    """The double of a model server, serving ``SERVED``; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-B", str(MODEL_SERVER), "--served-model-name", SERVED, "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 20
            while not _listens(port):
                assert time.monotonic() < until
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def model(name: str, *endpoints: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A declaration; an endpoint needs no more than what is special about it."""
    base = declared.GRANITE["endpoints"][0]
    return {**declared.GRANITE, "model": name, "endpoints": [{**base, **each} for each in endpoints or ({},)], **more}
