"""Runs the program, or one component, without engine and cluster, and records what it registers.

Doubles, named as such: ``RecordingMonitor`` and ``RecordingEngine`` stand for Pulumi's engine,
``FakeCluster`` for an API server. Resources are built only inside ``run_program`` and ``build``,
which drain all queued work: a check left in an ``apply`` would otherwise never run, and work
of one test would run in the next.
"""

import asyncio
import base64
import contextvars
import functools
import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

import yaml
from google.protobuf import empty_pb2, json_format
from pulumi import ErrorHook, _types, log
from pulumi.runtime import mocks, resource, rpc, rpc_manager, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import engine_pb2, resource_pb2, source_pb2
from pulumi.runtime.stack import run_in_stack

from config import Settings, load, preflight
from config.cluster import Answer, Cluster, Json, UnreachableError

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "__main__.py"
PROJECT, STACK = "litemaas", "dev"
DOMAIN = "apps.lab.example.com"
# How Pulumi's text begins when an Output was put into an f-string.
F_STRING = "Calling __str__ on an Output"
STASH = "pulumi:index:Stash"
# In every Secret that the program reads.
READ_VALUE = "sk-read-by-the-program-0123456789"
# In every Secret that the cluster fills with a token, with the name of the resource behind it.
FILLED = "token-made-by-the-cluster-0123456789"
PROVIDER = "pulumi:providers:kubernetes"
COMPONENT_PREFIX = "litemaas:index:"


@dataclass(frozen=True)
class Secret:
    """A value that reached the engine marked as secret."""

    value: Any


class _Unknown:
    """An output that preview does not know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One registration, as the engine would see it; ``marked`` holds Secret and UNKNOWN markers."""

    urn: str
    type: str
    name: str
    parent: str
    marked: dict[str, Any]
    protect: bool
    dependencies: tuple[str, ...]
    provider: str
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    replacement_trigger: Any
    delete_before_replace: bool
    aliases: tuple[str, ...]
    retain_on_delete: bool
    deleted_with: str
    error_hooks: tuple[str, ...]

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The inputs with secrets in clear."""
        return unmarked(self.marked)

    @property
    def kind(self) -> str:
        """``Deployment`` of ``kubernetes:apps/v1:Deployment``; a component's class name."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_manifest(self) -> bool:
        return self.type.startswith("kubernetes:")

    @property
    def is_component(self) -> bool:
        return self.type.startswith(COMPONENT_PREFIX)

    @property
    def metadata(self) -> dict[str, Any]:
        return self.inputs.get("metadata", {})

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.get("labels", {})

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.get("annotations", {})

    @property
    def template(self) -> dict[str, Any]:
        """The pod template inside, empty if this is no workload."""
        spec = self.inputs.get("spec", {})
        return spec.get("jobTemplate", {}).get("spec", spec).get("template", {})

    @property
    def pod(self) -> dict[str, Any] | None:
        """The pod spec inside, if this is a workload."""
        return self.template.get("spec")


@dataclass
class Run:
    """What one run registered, sorted by URN since the order of registration varies."""

    registrations: list[Registration]
    outputs: dict[str, dict[str, Any]]
    log: list[str]

    def find(self, kind: str, name: str | None = None) -> list[Registration]:
        """Registrations of ``kind`` whose logical or explicit object name is ``name``."""
        found = [one for one in self.registrations if one.kind == kind]
        return [one for one in found if name is None or name in {one.name, one.metadata.get("name")}]

    def one(self, kind: str, name: str | None = None) -> Registration:
        """The only registration of ``kind`` (and ``name``)."""
        found = self.find(kind, name)
        assert len(found) == 1, f"{kind} {name}: found {[one.urn for one in found]}"
        return found[0]

    def at(self, urn: str) -> Registration:
        """The registration with ``urn``."""
        return next(one for one in self.registrations if one.urn == urn)

    @property
    def manifests(self) -> list[Registration]:
        """All Kubernetes objects."""
        return [one for one in self.registrations if one.is_manifest]

    @property
    def workloads(self) -> list[Registration]:
        """All objects with a pod template."""
        return [one for one in self.manifests if one.pod]

    @property
    def awaited(self) -> list[Registration]:
        """Workloads that `up` waits for: what runs by the clock has no end, and may not have begun."""
        return [one for one in self.workloads if one.kind != "CronJob"]

    @property
    def servers(self) -> list[Registration]:
        """Workloads that run for ever."""
        return [one for one in self.awaited if one.kind != "Job"]

    @property
    def exports(self) -> dict[str, Any]:
        """The stack's outputs, secrets marked."""
        return next(outputs for urn, outputs in self.outputs.items() if "::pulumi:pulumi:Stack::" in urn)


class RecordingMonitor(mocks.MockMonitor):
    """A double of the engine's resource monitor: records each request, answers like a create.

    Auto-named objects get a name made of their logical one, so that a reference to one shows.
    With ``unknown`` all outputs stay unknown, as in a first preview.
    """

    def __init__(self, *, unknown: bool, stack: str) -> None:
        super().__init__(mock.NonCallableMock(spec=mocks.Mocks))
        self.unknown, self.stack = unknown, stack
        self.registrations: list[Registration] = []
        self.outputs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes one, with all types of the ancestors."""
        ancestors = parent.split("::")[2].removeprefix("pulumi:pulumi:Stack$") + "$" if parent else ""
        ancestors = "" if ancestors == "pulumi:pulumi:Stack$" else ancestors
        return f"urn:pulumi:{self.stack}::{PROJECT}::{ancestors}{type_}::{name}"

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = json_format.MessageToDict(request.object)
        with self._lock:
            self.registrations.append(_record(urn, request, inputs))
        answer = resource_pb2.RegisterResourceResponse(urn=urn)
        if self.unknown:
            return answer
        state = _as_created(request, inputs)
        answer.object.update(state)
        if request.custom:
            answer.id = state.get("metadata", {}).get("name", f"{request.name}-id")
        return answer

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        """Only what an operator has made is read: a Secret with one key."""
        answer = resource_pb2.ReadResourceResponse(urn=self.make_urn(request.parent, request.type, request.name))
        if not self.unknown:
            value = base64.b64encode(READ_VALUE.encode()).decode()
            answer.properties.update(
                {"data": {rpc._special_sig_key: rpc._special_secret_sig, "value": {"value": value}}}
            )
        return answer

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        with self._lock:
            self.outputs[request.urn] = _marked(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()


class RecordingEngine:
    """A double of the engine's own service: keeps what the program logs for people."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any) -> None:  # noqa: N802
        if request.severity != engine_pb2.DEBUG:
            self.lines.append(request.message)


class _HookDouble:
    """A double of the callback server: accepts error hooks, never calls them."""

    def register_error_hook(self, hook: ErrorHook) -> None:
        assert hook.name, "an error hook needs a name"


class FakeCluster(Cluster):
    """A test double of the connection to the API server; answers come from a mapping.

    ``answers`` maps paths (without query) to bodies, or to ``Answer`` for another status than 200.
    Everything else is a 404. ``denied`` holds (verb, resource) that the user may not do.
    """

    def __init__(
        self,
        answers: Mapping[str, Json | Answer] | None = None,
        *,
        domain: str | None = DOMAIN,
        missing_apis: Collection[str] = (),
        more_apis: Collection[str] = (),
        denied: Collection[tuple[str, str]] = (),
        unreachable: str | None = None,
        logs: Mapping[str, str] | None = None,
    ) -> None:
        # Not the parent's: it would look for a kubeconfig.
        self.context, self.server = "double@lab", "https://api.lab.example.com:6443"
        self.requests: list[tuple[str, str]] = []
        self.asked_for: list[str | None] = []
        groups = {
            "apps",
            "batch",
            "console.openshift.io",
            "postgresql.cnpg.io",
            "route.openshift.io",
            "oauth.openshift.io",
            "user.openshift.io",
        }
        groups = (groups | set(more_apis)) - set(missing_apis)
        self._answers: dict[str, Json | Answer] = {"/apis": {"groups": [{"name": name} for name in sorted(groups)]}}
        if domain is not None:
            self._answers["/apis/config.openshift.io/v1/ingresses/cluster"] = {"spec": {"domain": domain}}
            server = {"issuer": f"https://oauth-openshift.{domain}"}
            self._answers["/.well-known/oauth-authorization-server"] = server
        self._answers |= answers or {}
        self._denied, self._unreachable, self._logs = set(denied), unreachable, logs or {}

    def connect(self, context: str | None = None) -> "FakeCluster":
        """Stands in for the class itself."""
        self.asked_for.append(context)
        return self

    def text(self, path: str) -> str:
        self.requests.append(("GET", path))
        return self._logs.get(path.split("?", maxsplit=1)[0], "")

    def _request(self, method: str, path: str, body: Json | None) -> Answer:
        self.requests.append((method, path))
        if self._unreachable:
            raise UnreachableError(self._unreachable)
        if body and body.get("kind") == "SelfSubjectAccessReview":
            asked = body["spec"]["resourceAttributes"]
            return Answer(201, {"status": {"allowed": (asked["verb"], asked["resource"]) not in self._denied}})
        found = self._answers.get(path, self._answers.get(path.split("?", maxsplit=1)[0], Answer(404, {})))
        return found if isinstance(found, Answer) else Answer(200, found)


@dataclass(frozen=True)
class Config:
    """A stack's configuration; ``secrets`` names the top-level keys that are stored encrypted."""

    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Collection[str] = ()

    def wire(self) -> dict[str, str]:
        """As the engine hands it over: text as it is, everything else as JSON."""
        return {
            key if ":" in key else f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in self.values.items()
        }

    def set(self) -> None:
        """Sets it for the current context."""
        set_all_config(self.wire(), [f"{PROJECT}:{key}" for key in self.secrets])


def read_config(config: Mapping[str, Any], secrets: Collection[str] = ()) -> Settings:
    """What ``config.load`` makes of a stack's configuration. Raises RunError."""

    def read() -> Settings:
        Config(config, secrets).set()
        return load()

    return contextvars.copy_context().run(read)


def run_program(
    config: Mapping[str, Any],
    secrets: Collection[str] = (),
    *,
    preview: bool = False,
    cluster: FakeCluster | None = None,
    stack: str = STACK,
) -> Run:
    """Runs ``__main__.py`` with ``config`` against the doubles.

    With ``preview`` every output is unknown. Exceptions of the program, RunError included, come out here.
    """
    connection = cluster or FakeCluster()

    def program() -> None:
        Config(config, secrets).set()
        exec(_compiled_program(), {"__name__": "__main__", "__file__": str(PROGRAM)})  # noqa: S102 - as runpy does

    with mock.patch.object(preflight, "Cluster", connection.connect):
        return build(program, preview=preview, stack=stack)


def shared_run(config: Mapping[str, Any], secrets: Collection[str] = ()) -> Run:
    """The one run of ``config`` that several tests look at; not for tests that replace anything in the program."""
    key = json.dumps([config, sorted(secrets)])
    if key not in _shared:
        _shared[key] = run_program(config, secrets)
    return _shared[key]


_shared: dict[str, Run] = {}


def build(program: Callable[[], object], *, preview: bool = False, stack: str = STACK) -> Run:
    """Runs ``program``, drains all it queued, and returns what it registered.

    Fails when the text that Pulumi makes of an Output in an f-string stands in any input.
    """
    monitor, engine, queue = RecordingMonitor(unknown=preview, stack=stack), RecordingEngine(), _Queue()

    async def program_and_queue() -> None:
        program()
        await queue.drain()

    async def drained() -> None:
        asyncio.get_running_loop().set_default_executor(_AtOnce())
        _configure(monitor, engine, queue, preview=preview, stack=stack)
        await run_in_stack(program_and_queue)

    # A context and a loop of its own: nothing of this run is left for the next.
    with _without_what_only_people_see(), asyncio.Runner() as runner:
        runner.run(drained(), context=contextvars.copy_context())
    done = Run(sorted(monitor.registrations, key=lambda one: one.urn), monitor.outputs, engine.lines)
    for one in done.registrations:
        for path, text in leaves(one.inputs):
            assert F_STRING not in str(text), f"{one.urn}: {path} holds an Output that was put into an f-string"
    return done


@functools.cache
def _compiled_program() -> CodeType:
    return compile(PROGRAM.read_text(encoding="utf-8"), PROGRAM, "exec")


class _AtOnce(ThreadPoolExecutor):
    """Calls the monitor where it stands: a double has nothing to wait for, and threads would take turns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done


class _Queue:
    """What a program has queued.

    Pulumi itself waits for one output at a time and looks at all others again each time, which is a
    seventh of a run. It still waits after ``drain``, and raises what failed.
    """

    def __init__(self) -> None:
        self.calls = rpc_manager.RPCManager()
        self.outputs: set[asyncio.Future[Any]] = set()

    async def drain(self) -> None:
        calls: list[Any] = self.calls.rpcs
        while waiting := [one for one in (*self.outputs, *calls) if not one.done()]:
            await asyncio.wait(waiting)


def _unheard(*_: object) -> None:
    """What Pulumi writes for its own developers."""


_unwrap_type = functools.cache(_types.unwrap_type)
_unwrap_optional_type = functools.cache(_types.unwrap_optional_type)


def _without_what_only_people_see() -> ExitStack:
    """Leaves out what nobody sees here, and remembers what Pulumi finds out anew for each property.

    The places in the program of each resource, for people who read an error, are a tenth of a run.
    """
    patched = ExitStack()
    patched.enter_context(mock.patch.object(resource, "_get_stack_trace", source_pb2.StackTrace))
    patched.enter_context(mock.patch.object(log, "debug", _unheard))
    patched.enter_context(mock.patch.object(_types, "unwrap_type", _unwrap_type))
    patched.enter_context(mock.patch.object(_types, "unwrap_optional_type", _unwrap_optional_type))
    return patched


def _configure(monitor: RecordingMonitor, engine: RecordingEngine, queue: _Queue, *, preview: bool, stack: str) -> None:
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures),
            engine=engine,
            project=PROJECT,
            stack=stack,
            dry_run=preview,
            organization="organization",
        )
    )
    fresh = {
        "rpc_manager": queue.calls,
        "outputs": queue.outputs,
        "lock": threading.Lock(),
        "package_refs": {},
        "callbacks": _HookDouble(),
    }
    for name, value in fresh.items():
        setattr(settings.SETTINGS, name, value)


def _record(urn: str, request: resource_pb2.RegisterResourceRequest, inputs: dict[str, Any]) -> Registration:
    return Registration(
        urn=urn,
        type=request.type,
        name=request.name,
        parent=request.parent,
        marked=_marked(inputs),
        protect=request.protect,
        dependencies=tuple(request.dependencies),
        provider=request.provider,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        replacement_trigger=_marked(json_format.MessageToDict(request.replacement_trigger)),
        delete_before_replace=request.deleteBeforeReplace,
        aliases=tuple(map(str, [*request.aliases, *request.aliasURNs])),
        retain_on_delete=request.retainOnDelete,
        deleted_with=request.deletedWith,
        error_hooks=tuple(request.hooks.on_error),
    )


def _as_created(request: resource_pb2.RegisterResourceRequest, inputs: dict[str, Any]) -> dict[str, Any]:
    """What a create adds to the inputs or changes in them; for all else, Pulumi takes the inputs."""
    state: dict[str, Any] = {}
    if request.type == STASH:
        state["output"] = inputs["input"]
    if request.type.startswith("kubernetes:"):
        state["metadata"] = {"name": f"{request.name}-auto", **inputs.get("metadata", {})}
    if inputs.get("type") == "kubernetes.io/service-account-token":
        value = {"token": base64.b64encode(f"{FILLED}-{request.name}".encode()).decode()}
        state["data"] = {rpc._special_sig_key: rpc._special_secret_sig, "value": value}
    return state


def _marked(value: Any) -> Any:
    """The wire form with signatures replaced by markers, and whole floats by integers."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return Secret(_marked(value["value"]))
        return {key: _marked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_marked(inner) for inner in value]
    if value == rpc.UNKNOWN:
        return UNKNOWN
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unmarked(value: Any) -> Any:
    """The same value with secrets in clear."""
    if isinstance(value, Secret):
        return unmarked(value.value)
    if isinstance(value, dict):
        return {key: unmarked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unmarked(inner) for inner in value]
    return value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All scalars in ``value`` with their paths; Secret markers are looked into."""
    if isinstance(value, Secret):
        yield from leaves(value.value, path)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def outside_secrets(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars that are not inside a Secret marker, mapping keys included."""
    if isinstance(value, Secret):
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{path}.{key}", key
            yield from outside_secrets(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from outside_secrets(inner, f"{path}[{index}]")
    else:
        yield path, value


def keys(value: Any) -> Iterator[str]:
    """All mapping keys in ``value``, at any depth."""
    if isinstance(value, Secret):
        yield from keys(value.value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def container(workload: Registration) -> dict[str, Any]:
    """The only container of a workload's pods."""
    assert workload.pod, f"{workload.urn} has no pods"
    assert len(workload.pod["containers"]) == 1, f"{workload.urn} should have one container"
    return workload.pod["containers"][0]


def env(workload: Registration) -> dict[str, str | None]:
    """Environment of a workload's container; None for what comes from a Secret's key."""
    return {one["name"]: one.get("value") for one in container(workload).get("env", [])}


def litellm_yaml(run: Run) -> dict[str, Any]:
    """LiteLLM's configuration file."""
    return yaml.safe_load(run.one("ConfigMap", "gateway-config").inputs["data"]["config.yaml"])


def mounts(workload: Registration) -> dict[str, str]:
    """Mount path -> volume name."""
    return {one["mountPath"]: one["name"] for one in container(workload).get("volumeMounts", [])}


class Sentinel:
    """Secrets of the right form that can be found again wherever they end up."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.values = {name: f"{prefix}sentinel-{name.lower()}-0123456789" for name, prefix in names.items()}

    def seen_in(self, text: object) -> list[str]:
        """Names of the secrets whose value stands in ``text``."""
        return [name for name, value in self.values.items() if value in str(text)]


def snapshot(run: Run) -> str:
    """All manifests of a run as YAML, sorted: what a reviewer reads.

    Secrets are masked, and the shipped files, which are reviewed where they stand, are named.
    """
    shipped = {file.read_text(encoding="utf-8"): file.name for file in _shipped()}

    def masked(value: Any) -> Any:
        if isinstance(value, Secret):
            return "[secret]"
        if isinstance(value, str) and value in shipped:
            return f"[components/files/{shipped[value]}]"
        if isinstance(value, dict):
            return {key: masked(inner) for key, inner in sorted(value.items())}
        return [masked(inner) for inner in value] if isinstance(value, list) else value

    documents = [f"# {one.name}\n{_yaml(masked(one.marked))}" for one in sorted(run.manifests, key=_order)]
    return "---\n".join(documents)


def _shipped() -> list[Path]:
    # Python leaves its bytecode beside those that tests import.
    return [file for file in (ROOT / "components" / "files").iterdir() if file.is_file()]


def _order(one: Registration) -> tuple[str, str]:
    return one.kind, one.name


class _Blocks(yaml.SafeDumper):
    """Files stay readable: text of several lines is written as a block."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _block)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Blocks, sort_keys=True, allow_unicode=True, width=120)


def urns(run: Run) -> str:
    """The URNs of a run, one a line: an unaliased rename is a visible change of it."""
    return "\n".join(one.urn.split("::", 2)[2] for one in run.registrations) + "\n"


def children(run: Run, component: str) -> list[Registration]:
    """Registrations directly under the component with the URN ``component``."""
    return [one for one in run.registrations if one.parent == component]
