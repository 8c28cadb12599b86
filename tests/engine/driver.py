"""A project folder of its own on a sandbox of its own: what the engine tests drive."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.client import ApiError
from sandbox.cluster import Sandbox
from sandbox.paths import CHECKOUT, VENV

Json = dict[str, Any]
PROGRAM = ("Pulumi.yaml", "__main__.py", "components", "config")
NAMESPACE, DOMAIN = "litemaas", "apps.sandbox.example.com"
SECOND_DOMAIN = "apps.second.example.com"
SETTINGS: Json = {
    "clusterDomain": DOMAIN,
    "namespace": NAMESPACE,
    "protectData": False,
    "rolloutTimeoutSeconds": 60,
    "models": ["granite-8b-agent", "mistral-3-int4"],
    "access": {"admins": ["alice"], "readonly": ["carol"]},
}
GRANITE = {
    "name": "granite-8b-agent",
    "endpoint": "http://granite-8b-agent-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 16384,
    "tools": True,
}
INGRESS: Json = {"kind": "ingress", "ingress": {"className": "nginx", "controllerNamespace": "ingress-nginx"}}
# Steps that change nothing.
QUIET = {"same", "read", "refresh"}
# A plan shows one step for these and "replace"; an up tells of all three.
PARTS_OF_A_REPLACEMENT = {"create-replacement", "delete-replaced"}
RENEWED = {"Lease", "Event", "Node"}
# The sandbox' volumes outlive their claims by a moment.
LEFT_TO_THE_CLUSTER = {"PersistentVolume"}
# The state is written once, at a command's end, and not after each of its steps, which took 1.6 of the 4.8 s of
# processor time of an up; collecting less garbage saves 0.3 s more. No test here stops a command in the middle.
QUICK = {"PULUMI_SKIP_CHECKPOINTS": "true", "GOGC": "400"}
# Longer than any single command here: a test that hangs fails with what was said until then.
COMMAND_SECONDS = 240
CHECKS = ("key-check", "role-check")
# Kinds whose purpose is to hold a secret.
HOLDERS = {"Secret", "OAuthClient"}
# Whoever reads the one trust file of an installation, and whatever is made anew because of it.
TRUSTING = {
    ("replace", "ConfigMap", "foundation-chosen-ca"),
    ("update", "Deployment", "backend-server"),
    ("update", "Deployment", "gateway-proxy"),
    ("update", "CronJob", "key-check-schedule"),
    ("replace", "Job", "database-bootstrap"),
    ("replace", "Job", "models-registration"),
    ("replace", "Job", "verification-checks"),
}
ADMINS, READONLY, USERS = GROUPS = ("litemaas-admins", "litemaas-readonly", "litemaas-users")
# Groups that somebody else has made before, as an identity provider would.
OTHERS = {READONLY: ["carol", "dora"], "administrators": ["mallory"]}


def copy_program(folder: Path) -> Path:
    """A copy of the program, so that nothing a test does, bytecode included, ends up in the checkout."""
    folder.mkdir(parents=True)
    for name in PROGRAM:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def execute(
    command: list[str], env: Mapping[str, str], folder: Path, stdin: str | None = None, seconds: int = COMMAND_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, or stop it with all that it started."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout=seconds)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@dataclass(frozen=True)
class Step:
    """One step of a plan. ``diff`` holds the paths that differ, ``old`` and ``new`` the inputs."""

    op: str
    urn: str
    diff: frozenset[str]
    old: Json
    new: Json

    @property
    def kind(self) -> str:
        """The last part of the resource's type: ``Deployment``, ``Route``, ``Model``."""
        return self.urn.split("::")[2].split("$")[-1].split(":")[-1]

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.rsplit("::", 1)[1]


@dataclass(frozen=True)
class Told:
    """What a preview or an up tells: steps that change something, messages, and all of it as it was printed."""

    steps: list[Step]
    said: str
    printed: str

    @property
    def rows(self) -> set[tuple[str, str, str]]:
        """The steps as a person reads them, row by row: what is done, to which kind, of which name."""
        return {(step.op, step.kind, step.name) for step in self.steps}

    @property
    def names(self) -> set[str]:
        """The names of what is changed."""
        return {step.name for step in self.steps}


class Project:
    """A Pulumi project folder with one stack, on one cluster."""

    command_seconds = COMMAND_SECONDS

    def __init__(
        self, folder: Path, program: Path, env: dict[str, str], stack: str, *, with_logs: bool = False
    ) -> None:
        """Make folder and stack; several projects may share a folder, each with its own stack.

        Args:
            folder: the project's folder.
            program: the program, as :func:`copy_program` made it.
            env: the environment of its sandbox.
            stack: the stack's name.
            with_logs: let the engine write the log of each command that it writes by itself, in a home of its own.
        """
        self.folder, self.stack, self.env = folder, stack, env | QUICK
        self.file = folder / f"Pulumi.{stack}.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        if with_logs:
            self.env["PULUMI_HOME"] = str(_second_home(folder.parent / "pulumi-home", Path(env["PULUMI_HOME"])))
        else:
            _keep_no_logs(Path(self.env["PULUMI_HOME"]))
        for source in [*program.iterdir(), VENV]:
            if source.name != "__pycache__" and not (folder / source.name).exists():
                (folder / source.name).symlink_to(source)
        if not self.file.exists():
            self.run("stack", "init", stack, "--no-select")

    def run(self, *args: str, expect: int | None = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``pulumi``. Fails with everything it said if its exit code is not ``expect`` (None: any)."""
        done = execute(
            ["pulumi", *args, "--non-interactive", "--color=never"], self.env, self.folder, stdin, self.command_seconds
        )
        said = f"pulumi {' '.join(args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        if expect == 0:
            assert done.returncode == 0, said
        elif expect is not None:
            assert done.returncode != 0, said
        return done

    def pulumi(self, *args: str, expect: int | None = 0) -> str:
        """Run ``pulumi`` on the stack; everything it printed. ``expect`` 1 stands for any failure."""
        done = self.run(*args, "--stack", self.stack, expect=expect)
        return done.stdout + done.stderr

    def up(self, *args: str, expect: int | None = 0) -> str:
        """``pulumi up`` without its own preview."""
        return self.pulumi("up", "--yes", "--skip-preview", *args, expect=expect)

    def preview(self, *args: str, expect: int | None = 0) -> str:
        """``pulumi preview`` as a person reads it."""
        return self.pulumi("preview", *args, expect=expect)

    def destroy(self, *args: str, expect: int | None = 0) -> str:
        """``pulumi destroy`` without its own preview."""
        return self.pulumi("destroy", "--yes", "--skip-preview", *args, expect=expect)

    def refused(self, *args: str) -> str:
        """The text of a preview that has to be refused by the program, not by a crash of it."""
        said = self.preview(*args, expect=1)
        assert "Traceback" not in said, said
        assert "nothing was touched" in said, said
        return said

    def preview_json(self, *args: str) -> list[Step]:
        """The steps of a plan that change something."""
        return self.plan(*args).steps

    def plan(self, *args: str) -> Told:
        """A preview: its steps that change something, and what it says."""
        done = self.run("preview", "--json", *args, "--stack", self.stack, expect=None)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        plan = json.loads(done.stdout)
        said = "\n".join(each["message"] for each in plan["diagnostics"])
        # The plan itself is thousands of lines; the reason of a failure is a few.
        assert done.returncode == 0, said
        return Told([_step(each) for each in plan["steps"] if each["op"] not in QUIET], said, done.stdout)

    def up_told(self, *args: str) -> Told:
        """``pulumi up`` without its own preview: the steps that it took, and what it said."""
        done = self.run("up", "--yes", "--skip-preview", "--json", *args, "--stack", self.stack, expect=None)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        said = "\n".join(each["diagnosticEvent"]["message"] for each in events if "diagnosticEvent" in each)
        assert done.returncode == 0, said + done.stderr
        taken = [each["resourcePreEvent"]["metadata"] for each in events if "resourcePreEvent" in each]
        steps = [_step(each, "old", "new") for each in taken if each["op"] not in QUIET | PARTS_OF_A_REPLACEMENT]
        return Told(steps, said, done.stdout)

    def export(self, *args: str) -> Json:
        """The stack's state."""
        return json.loads(self.run("stack", "export", *args, "--stack", self.stack).stdout)

    def resources(self) -> list[Json]:
        """What the state lists, besides the stack itself."""
        found = self.export()["deployment"].get("resources") or []
        return [each for each in found if each["type"] != "pulumi:pulumi:Stack"]

    def outputs(self) -> Json:
        """The stack's outputs; secrets as ``[secret]``."""
        return json.loads(self.run("stack", "output", "--json", "--stack", self.stack).stdout)

    def config(self) -> Json:
        """The settings in the stack file, without their prefix."""
        found: Json = yaml.safe_load(self.file.read_text()).get("config") or {}
        return {key.removeprefix("litemaas:"): value for key, value in found.items()}

    def write_config(self, settings: Mapping[str, Any]) -> None:
        """Replace all settings; what Pulumi itself keeps in the file stays."""
        kept = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        kept["config"] = {key if ":" in key else f"litemaas:{key}": value for key, value in settings.items()}
        self.file.write_text(yaml.safe_dump(kept, sort_keys=False))

    def change(self, **settings: Any) -> None:
        """Change some settings; None removes one."""
        merged = self.config() | settings
        self.write_config({key: value for key, value in merged.items() if value is not None})

    def set_secret(self, path: str, value: str) -> None:
        """``pulumi config set --secret``, as a person would; the value through standard input."""
        self.run("config", "set", "--secret", "--path", f"litemaas:{path}", "--stack", self.stack, stdin=value)

    def log_no_more(self) -> None:
        """Keep the logs that there are, and write no others."""
        home = Path(self.env["PULUMI_HOME"])
        (home / "logs").rename(home / "former-logs")
        _keep_no_logs(home)

    def state_files(self) -> list[Path]:
        """Every file in which the engine keeps something: state, history, backups, workspace."""
        backend = Path(urllib.parse.urlparse(self.env["PULUMI_BACKEND_URL"]).path)
        found = [*backend.rglob("*"), *Path(self.env["PULUMI_HOME"]).rglob("*"), *self.folder.glob("Pulumi.*")]
        return [each for each in found if each.is_file() and not each.is_symlink() and each.stat().st_size < 20_000_000]


def _keep_no_logs(home: Path) -> None:
    """A file where the engine wants a folder for its logs: it goes on without, as its StartLogging says.

    It has no setting for that, and the encrypted log of all its calls takes a quarter of a preview's processor time.
    """
    if not (home / "logs").exists():
        (home / "logs").write_text("A file, so that no logs are written here.\n")


def _second_home(home: Path, first: Path) -> Path:
    """A home for Pulumi with the plugins of another one."""
    home.mkdir(exist_ok=True)
    plugins = first / "plugins"
    if plugins.exists() and not (home / "plugins").exists():
        (home / "plugins").symlink_to(plugins.resolve())
    return home


def _step(raw: Json, *states: str) -> Step:
    old, new = (raw.get(each) or {} for each in states or ("oldState", "newState"))
    return Step(
        op=raw["op"],
        urn=raw["urn"],
        diff=frozenset(raw.get("detailedDiff") or ()),
        old=old.get("inputs") or {},
        new=new.get("inputs") or {},
    )


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API server lists it."""

    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool

    @property
    def group(self) -> str:
        """The API group; the core one has no name."""
        return self.version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Where its objects are: all, those of a namespace, or one."""
        space = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{_api(self.version)}{space}/{self.plural}" + (f"/{name}" if name else "")


def _api(version: str) -> str:
    """Where the API server has a version of a group; the core group has no name."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


class Cluster:
    """What tests ask and do behind the program's back."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Look at the sandbox' API server."""
        self.sandbox, self.env = sandbox, sandbox.env()
        self._client = sandbox.client()
        self._resources: dict[str, Resource] = {}

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        """One request as administrator."""
        return self._client.request(method, path, body, kind)

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl; fails with what it said."""
        done = execute(["kubectl", *args], self.env, self.sandbox.state, stdin)
        assert done.returncode == 0, f"kubectl {' '.join(args)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def get(self, resource: str, name: str, namespace: str | None = NAMESPACE) -> Json:
        """One object; the test fails without it."""
        return self._read(self._resource(resource).path(namespace, name))

    def items(self, resource: str, namespace: str | None = NAMESPACE, **selectors: str) -> list[Json]:
        """Objects of a kind in a namespace (None: all of the cluster), by ``labelSelector`` and ``fieldSelector``."""
        found = self._resource(resource)
        query = f"?{urllib.parse.urlencode(selectors)}" if selectors else ""
        listed = self._read(found.path(namespace) + query)["items"]
        return [{"apiVersion": found.version, "kind": found.kind, **each} for each in listed]

    def _read(self, path: str) -> Json:
        """Not by kubectl, which takes longer to start than most tests have to wait."""
        try:
            return self.request("GET", path)
        except ApiError as refused:
            raise AssertionError(str(refused)) from refused

    def _resource(self, name: str) -> "Resource":
        """By its plural or singular name, or the latter and its group; what is not known may be new."""
        if name not in self._resources:
            for each in self._listable():
                for known in (f"{each.singular}.{each.group}", each.singular, each.plural):
                    self._resources.setdefault(known, each)
        return self._resources[name]

    def patch(self, resource: str, name: str, patch: Json, namespace: str | None = NAMESPACE) -> None:
        """``kubectl patch --type merge``."""
        self.kubectl("patch", resource, name, *_in(namespace), "--type=merge", "-p", json.dumps(patch))

    def apply_as(self, manager: str, manifest: Json) -> None:
        """``kubectl apply --server-side --force-conflicts`` under another manager's name."""
        text = json.dumps(manifest)
        self.kubectl("apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-", stdin=text)

    def labelled(self, stack: str) -> list[str]:
        """Everything in the API server that carries the stack's label, over all kinds that can be listed."""
        found: set[str] = set()
        for one in self._listable():
            listed = self.request("GET", f"{one.path()}?labelSelector=app.kubernetes.io/instance%3D{stack}")
            found |= {_named({"kind": one.kind, **each}) for each in listed["items"]}
        return sorted(found)

    def namespaces(self) -> set[str]:
        """Names of all namespaces."""
        return {each["metadata"]["name"] for each in self.request("GET", "/api/v1/namespaces")["items"]}

    def everything(self) -> list[Json]:
        """Every object of every kind, events included."""
        found = []
        for one in self._listable():
            listed = self.request("GET", one.path())
            found += [{"kind": one.kind, **each} for each in listed["items"]]
        return found

    def objects(self) -> set[str]:
        """Names of all objects but those that controllers renew or remove later."""
        return {_named(each) for each in self.everything() if each["kind"] not in RENEWED | LEFT_TO_THE_CLUSTER}

    def fingerprint(self) -> dict[str, str]:
        """Versions of all objects, to see whether a run touched anything; those that controllers renew excepted."""
        return {
            _named(each): each["metadata"]["generation" if each["kind"] == "CronJob" else "resourceVersion"]
            for each in self.everything()
            if each["kind"] not in RENEWED | LEFT_TO_THE_CLUSTER
            and "resourceVersion" in each["metadata"]
            and not comes_by_the_clock(each)
        }

    def touched_since(self, before: Mapping[str, str]) -> list[str]:
        """Objects that came, went or changed since a :meth:`fingerprint`."""
        now = self.fingerprint()
        return sorted(name for name in {*now, *before} if now.get(name) != before.get(name))

    def _listable(self) -> Iterable["Resource"]:
        """All resources that can be listed, in their preferred version."""
        groups = self.request("GET", "/apis")["groups"]
        for version in ("v1", *(each["preferredVersion"]["groupVersion"] for each in groups)):
            for each in self.request("GET", _api(version))["resources"]:
                if "list" in each["verbs"] and "/" not in each["name"]:
                    yield Resource(version, each["kind"], each["name"], each["singularName"], each["namespaced"])


def comes_by_the_clock(one: Json) -> bool:
    """What a CronJob of any stack makes, whenever its time comes."""
    component = (one["metadata"].get("labels") or {}).get("app.kubernetes.io/component")
    return one["kind"] in ("Job", "Pod") and component in CHECKS


def _named(one: Json) -> str:
    """Kind, namespace and name of an object."""
    return f"{one['kind']} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"


def _in(namespace: str | None) -> list[str]:
    return ["-n", namespace] if namespace else []


def generated(project: Project) -> dict[str, str]:
    """Every secret of the stack in clear, by name, as whoever has the passphrase can read it."""
    resources = project.export("--show-secrets")["deployment"]["resources"]
    kept = [each for each in resources if each["type"] == "pulumi:index:Stash"]
    return {
        each["urn"].rsplit("credentials-", 1)[1]: json.loads(each["outputs"]["output"]["plaintext"]) for each in kept
    }


def in_use(project: Project) -> dict[str, str]:
    """The value of every secret that is handed out now, in clear, by name."""
    resources = project.export("--show-secrets")["deployment"]["resources"]
    (sources,) = (each for each in resources if each["type"] == "litemaas:index:Sources")
    return json.loads(sources["outputs"]["values"]["plaintext"])


def stored(cluster: Cluster, namespace: str) -> str:
    """The whole content of a namespace's Secrets, in clear."""
    return "\n".join(
        base64.b64decode(value).decode()
        for each in cluster.items("secrets", namespace)
        for value in (each.get("data") or {}).values()
    )


def spellings(value: str) -> set[str]:
    """The forms in which a secret could show: clear, percent-encoded, and base64 at any offset."""
    raw = value.encode()
    forms = {value, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1]}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode()
        # Characters at both ends also depend on the neighbours of the secret.
        forms.add(coded[(0, 2, 3)[offset] : len(coded) - 4].rstrip("="))
    return {each for each in forms if len(each) > 8}


def leaks(text: str, values: Mapping[str, str]) -> list[str]:
    """Names of the secrets that show in a text."""
    return sorted(name for name, value in values.items() if any(form in text for form in spellings(value)))


def counts(said: str) -> dict[str, int]:
    """What a run says it did: ``{"created": 3, "unchanged": 60}``."""
    tail = said.rpartition("Resources:")[2].partition("Duration")[0]
    return {word: int(number) for number, word in re.findall(r"(\d+) (?:to )?([a-z]+)\n", tail)}
