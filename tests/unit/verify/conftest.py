"""Runs the scripts that verify an installation, as their Job does, against a double of all they talk to."""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import harness
from tests.unit.http_double import serving
from tests.unit.verify.installation_double import ADMIN, E5, GRANITE, MASTER, STATE, InstallationDouble

FILES = harness.ROOT / "components" / "files"
SCRIPT = str(FILES / "verify.py")


@dataclass(frozen=True)
class Result:
    """What a run of the script said, and its exit code."""

    code: int
    said: str

    @property
    def table(self) -> list[str]:
        """The lines from the first row on."""
        lines = self.said.splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith("  "))
        return lines[first:]

    def state(self, name: str) -> str:
        """``ok``, ``FAILED`` or ``not tried``, and what was seen."""
        found = [line for line in self.table if f"  {name}  " in line]
        assert len(found) == 1, f"{name} has {len(found)} rows:\n{self.said}"
        return " ".join(found[0].split()).replace(f" {name} ", ": ")

    def advice(self, name: str) -> str:
        """The two lines below a row that failed."""
        at = next(number for number, line in enumerate(self.table) if f"FAILED     {name}  " in line)
        cause, todo = (line.strip() for line in self.table[at + 1 : at + 3])
        assert cause.startswith("cause: ")
        assert todo.startswith("do:    ")
        return f"{cause}\n{todo}"

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [line.split("  ")[3].strip() for line in self.table if line.startswith("  FAILED")]


@pytest.fixture
def double() -> Iterator[InstallationDouble]:
    served = InstallationDouble(GRANITE, E5)
    with serving(served) as served.url:
        yield served


@pytest.fixture
def environment(tmp_path) -> Callable[..., dict[str, str]]:
    """What the Job would tell the script."""

    def of(double: InstallationDouble, patience: float = 0, **changed: str) -> dict[str, str]:
        declared = tmp_path / "declared"
        declared.mkdir(exist_ok=True)
        for model in double.models:
            (declared / f"{model['model']}.json").write_text(json.dumps(model))
        places = {"DECLARED": str(declared), "PATIENCE_SECONDS": str(patience), "LIMIT_SECONDS": "120"}
        return {**double.environment(), **places, **changed}

    return of


@pytest.fixture
def start(environment) -> Callable[..., subprocess.Popen[str]]:
    """Starts the script against a double, as its Job does."""

    def run(double: InstallationDouble) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-B", SCRIPT],
            env=environment(double),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def started() -> Iterator[subprocess.Popen[str]]:
    """Runs the script as often as it is told to."""
    command = [sys.executable, "-B", str(Path(__file__).with_name("forked.py")), SCRIPT]
    with subprocess.Popen(command, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def verify(started, environment, tmp_path) -> Callable[..., Result]:
    """Runs the script to its end; nothing secret may ever be in what it says."""

    def run(double: InstallationDouble, patience: float = 0, **changed: str) -> Result:
        file = tmp_path / "said"
        print(json.dumps([environment(double, patience, **changed), str(file)]), file=started.stdin, flush=True)
        assert select.select([started.stdout], [], [], 60)[0], "it does not end"
        code, said = int(started.stdout.readline()), file.read_text()
        assert "Traceback" not in said, said
        for secret in (MASTER, ADMIN, STATE, "sentinel"):
            assert secret not in said
        return Result(code, said)

    return run
