"""Runs the scripts that verify an installation, as their Job does, against a double of all they talk to."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests import harness
from tests.unit.http_double import serving
from tests.unit.verify.installation_double import ADMIN, E5, GRANITE, MASTER, STATE, InstallationDouble

FILES = harness.ROOT / "components" / "files"


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
def start(tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the script against a double."""

    def run(double: InstallationDouble, patience: float = 0, **changed: str) -> subprocess.Popen[str]:
        declared = tmp_path / "declared"
        declared.mkdir(exist_ok=True)
        for model in double.models:
            (declared / f"{model['model']}.json").write_text(json.dumps(model))
        places = {"DECLARED": str(declared), "PATIENCE_SECONDS": str(patience), "LIMIT_SECONDS": "120"}
        return subprocess.Popen(
            [sys.executable, "-B", str(FILES / "verify.py")],
            env={**double.environment(), **places, **changed},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


@pytest.fixture
def verify(start) -> Callable[..., Result]:
    """Runs the script to its end; nothing secret may ever be in what it says."""

    def run(double: InstallationDouble, patience: float = 0, **changed: str) -> Result:
        with start(double, patience, **changed) as process:
            said = process.communicate(timeout=60)[0]
        assert "Traceback" not in said, said
        for secret in (MASTER, ADMIN, STATE, "sentinel"):
            assert secret not in said
        return Result(process.returncode, said)

    return run
