"""How long the program takes before it registers its first resource, part by part."""

import ast
import itertools
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from sandbox.paths import CHECKOUT, VENV
from tests.bench.projects import STACK, CommandError, Cost, cost

_PREFLIGHT = """
import time
from config import load
from config.preflight import prepare
settings = load()
started = time.perf_counter()
prepare(settings, "{stack}")
print(time.perf_counter() - started)
"""


def imports(program: Path) -> str:
    """What ``program`` does before its first assignment: its imports, and how it handles garbage meanwhile."""
    tree = ast.parse(program.read_text(encoding="utf-8"))
    start = itertools.takewhile(lambda node: not isinstance(node, ast.Assign), tree.body)
    return "\n".join(map(ast.unparse, start))


def flat_imports(program: str) -> str:
    """What a flat program imports, and the classes that it uses: their modules are loaded when first used."""
    classes = sorted(set(re.findall(r"^r\d+ = (k8s[.\w]+)", program, re.MULTILINE)))
    return "\n".join(["import pulumi", "import pulumi_kubernetes as k8s", *classes])


def programs(folder: Path, flat: str) -> dict[str, str]:
    """Source of what is timed, by label; each contains the one before, the flat program apart."""
    ours = imports(folder / "__main__.py")
    return {
        "interpreter alone": "pass",
        "flat: imports": flat_imports(flat),
        "ours: imports": ours,
        "ours: imports + load()": f"{ours}\nload()",
    }


def configured(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` with the stack's settings where the language host would put them."""
    stack_file = yaml.safe_load((CHECKOUT / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))
    settings = {key: _as_text(value) for key, value in stack_file["config"].items()}
    return {**env, "PULUMI_CONFIG": json.dumps(settings), "PYTHONPATH": str(CHECKOUT)}


def run(source: str, env: Mapping[str, str]) -> Cost:
    """Time a fresh interpreter that runs ``source``. Raises CommandError."""
    return cost(lambda: _python(source, env))


def preflight(env: Mapping[str, str]) -> float:
    """Seconds of preflight's questions to the cluster. Raises CommandError."""
    return float(_python(_PREFLIGHT.format(stack=STACK), env))


def _python(source: str, env: Mapping[str, str]) -> str:
    command = [str(VENV / "bin" / "python"), "-c", source]
    done = subprocess.run(command, env=dict(env), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"a timed start ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
