"""``python -m verification`` from this machine: passes on what works, and names what does not."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from sandbox.cluster import Sandbox
from sandbox.paths import CHECKOUT, VENV
from tests.e2e.conftest import report
from tests.e2e.settings import MODELS, TIERS
from tests.e2e.stack import Deployed
from tests.e2e.web import until
from tests.engine.driver import Json, execute

MODEL = "granite-8b-agent"
GUARDED = 'if ($http_authorization !~ "^Bearer [-A-Za-z0-9._~+/=]+$") { return 401; }'


@dataclass(frozen=True)
class Told:
    """What the command told a program: its exit code, and the rows by name."""

    code: int
    rows: dict[str, Json]
    said: str

    @property
    def failed(self) -> list[str]:
        """The checks that failed, without those that could not be tried for it."""
        return [name for name, row in self.rows.items() if row["state"] == "FAILED"]


class Command:
    """The command on the stack of these tests; others may stand beside it."""

    def __init__(self, stack: Deployed, sandbox: Sandbox) -> None:
        """Take what is verified and where its router is, since no DNS server knows the sandbox's domain."""
        self._env = sandbox.env()
        self._where = [f"--address={sandbox.host}", f"--namespace={stack.namespace}"]

    def text(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and what a person reads."""
        ask = [str(VENV / "bin" / "python"), "-B", "-m", "verification", *self._where, *arguments]
        done = execute(ask, self._env, CHECKOUT)
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    def __call__(self, *arguments: str) -> Told:
        """What a program is told."""
        ask = [str(VENV / "bin" / "python"), "-B", "-m", "verification", *self._where, "--json", *arguments]
        done = execute(ask, self._env, CHECKOUT)
        rows = {row["check"]: row for row in json.loads(done.stdout)["checks"]}
        return Told(done.returncode, rows, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def verify(stack: Deployed, sandbox: Sandbox) -> Command:
    return Command(stack, sandbox)


@dataclass(frozen=True)
class Asked:
    """What the command says of what works."""

    person: Future[tuple[int, str]]
    program: Future[Told]
    without_calls: Future[Told]
    one_model: Future[Told]


@pytest.fixture(scope="module")
def asked(verify: Command) -> Iterator[Asked]:
    """By several people at once, who do not disturb each other: most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        yield Asked(
            pool.submit(verify.text),
            pool.submit(verify),
            pool.submit(verify, "--no-calls"),
            pool.submit(verify, "--model", MODEL),
        )


@contextmanager
def none_of(stack: Deployed, deployment: str, namespace: str) -> Iterator[Callable[[], float]]:
    """Take all pods of a Deployment away, which come back afterwards; yields a wait until they are gone."""
    scale = ["scale", f"deployment/{deployment}", "-n", namespace]
    stack.cluster.kubectl(*scale, "--replicas=0")
    gone = lambda: not stack.cluster.get("deployment", deployment, namespace)["status"].get("replicas")  # noqa: E731
    try:
        yield lambda: until(f"{deployment} to be gone", gone, 120)
    finally:
        stack.cluster.kubectl(*scale, "--replicas=1")


@contextmanager
def unguarded(stack: Deployed) -> Iterator[None]:
    """With an nginx that lets everybody through, as the image's own does; the right one comes back afterwards."""
    kubectl, namespace = stack.cluster.kubectl, stack.namespace
    volumes = stack.cluster.get("deployment", "frontend", namespace)["spec"]["template"]["spec"]["volumes"]
    place, data = next(
        found for each in enumerate(volumes) if GUARDED in "".join((found := _files(stack, *each))[1].values())
    )
    open_ = {name: text.replace(GUARDED, "") for name, text in data.items()}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unguarded", "namespace": namespace}}
    kubectl("apply", "-f", "-", stdin=json.dumps(made | {"data": open_}))
    patch = [{"op": "replace", "path": f"/spec/template/spec/volumes/{place}/configMap/name", "value": "unguarded"}]
    try:
        kubectl("patch", "deployment", "frontend", "-n", namespace, "--type=json", "-p", json.dumps(patch))
        kubectl("rollout", "status", "deployment/frontend", "-n", namespace, "--timeout=180s")
        until("the old pods to be gone", lambda: stack.is_ready("frontend", 2), 120)
        yield
    finally:
        kubectl("rollout", "undo", "deployment/frontend", "-n", namespace)
        kubectl("delete", "configmap", "unguarded", "-n", namespace)


def _files(stack: Deployed, place: int, volume: Json) -> tuple[int, dict[str, str]]:
    """The place of a volume, and the texts of its ConfigMap if it is one."""
    name = volume.get("configMap", {}).get("name")
    return place, stack.cluster.get("configmap", name, stack.namespace)["data"] if name else {}


def test_what_works_passes_with_a_row_for_everything(asked: Asked) -> None:
    code, said = asked.person.result()
    assert code == 0, said
    for name in ("portal answers", "key withdrawn", *(f"model {each}" for each in MODELS)):
        assert re.search(rf"^  ok +{name}  ", said, re.MULTILINE), said
    report(f"verification from outside:\n{said}")


def test_every_kind_of_answer_is_tried_where_it_is_declared(asked: Asked) -> None:
    told = asked.program.result()
    assert told.code == 0, told.said
    assert told.rows[f"model {MODEL}"]["seen"].startswith("answers, streams, calls tools")
    assert told.rows["model gpt-oss-20b"]["seen"] == "answers, streams"
    assert told.rows["key withdrawn"]["state"] == "ok"


def test_without_calls_no_model_is_asked(asked: Asked) -> None:
    told = asked.without_calls.result()
    assert told.code == 0, told.said
    assert "models in the gateway" in told.rows
    assert not [name for name in told.rows if name.startswith("model ") and name != "model sync"]


def test_one_model_can_be_chosen(asked: Asked) -> None:
    told = asked.one_model.result()
    assert told.code == 0, told.said
    assert [name for name in told.rows if name.startswith("model ")] == ["model sync", f"model {MODEL}"]


def test_a_model_without_a_server_a_portal_without_its_guard_and_then_without_a_backend_fail_and_nothing_else(
    stack: Deployed, verify: Command
) -> None:
    with none_of(stack, f"{MODEL}-predictor", "private-ai") as without_server, unguarded(stack):
        without_server()
        told = verify()
        wrong = ["guard of the portal", "guard of the API", f"model {MODEL}"]
        assert (told.code, told.failed) == (1, wrong), told.said
        assert "nothing answers at" in told.rows[f"model {MODEL}"]["cause"]
        assert told.rows["model devstral-2"]["state"] == "ok"
        report(f"a model without a server: {told.rows[f'model {MODEL}']}")
        report(f"a portal without its guard: {told.rows['guard of the portal']}")
        with none_of(stack, "backend", stack.namespace) as without_backend:
            without_backend()
            told = verify()
            assert told.code == 1, told.said
            assert "portal answers" in told.failed
            assert told.rows["portal data"]["state"] == "not tried"
            assert told.rows["model devstral-2"]["state"] == "ok"
            report(f"a portal without a backend: {told.rows['portal answers']}")
    until("every pod to be ready", lambda: all(stack.is_ready(*each) for each in TIERS.items()), 180)
    until("all to be well", lambda: verify().code == 0, 180)


def test_a_key_that_opens_every_model_is_counted(stack: Deployed, verify: Command) -> None:
    """As it comes of a model that is restricted in the portal; the portal's own keys look so."""
    body = {"models": [], "metadata": {"created_by": "litemaas"}, "key_alias": "verify-command-open", "duration": "10m"}
    key = stack.administer("/key/generate", body).json()["key"]
    try:
        told = verify("--no-calls")
        assert (told.code, told.failed) == (1, ["keys of the portal"]), told.said
        assert "verify-command-open" in told.rows["keys of the portal"]["seen"]
    finally:
        stack.administer("/key/delete", {"keys": [key]})
    assert verify("--no-calls").code == 0


def test_what_cannot_be_asked_is_exit_code_2_with_the_reason(verify: Command) -> None:
    code, said = verify.text("--context", "nowhere")
    assert code == 2
    assert "no usable kubeconfig" in said
    code, said = verify.text("--model", "granit-8b-agent")
    assert code == 2
    assert f"did you mean {MODEL}?" in said
