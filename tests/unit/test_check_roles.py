"""The script that takes away roles, by a real Node with the backend's driver, on a real PostgreSQL."""

import json
import os
import re
import select
import shutil
import socket
import socketserver
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.names import ELEVATED
from tests import harness
from tests.unit import postgres
from tests.unit.http_double import Reply, Request, serving
from tests.unit.postgres import NAMES, PASSWORDS, Server, needs_server, needs_user

FILE = harness.ROOT / "components" / "files" / "check_roles.cjs"
BACKEND = harness.ROOT / "tests" / "e2e" / "images" / "portal_double" / "backend"
TOKEN, MASTER = "token-of-the-check", "sk-master"
# What the double of the portal makes of its tables at its start.
TABLES = (
    f"import('{BACKEND}/server/migrations.js').then(({{ migrate }}) => "
    "migrate({ mock: false, script: async (text) => console.log(text) }, { info() {}, error() {} }))"
)
needs_node = pytest.mark.skipif(not shutil.which("npm"), reason="no Node on this machine")
pytestmark = [needs_server, needs_user, needs_node]


@dataclass
class ApiDouble:
    """A test double of the API server: Groups, and the answers that say something else."""

    groups: dict[str, list[str] | None] = field(default_factory=dict)
    instead: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        name = request.path.removeprefix("/apis/user.openshift.io/v1/groups/")
        self.asked.append(name)
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return 401, b"{}"
        if self.instead.get(name):
            return self.instead[name].pop(0)
        if name in self.groups:
            body = {"kind": "Group", "apiVersion": "user.openshift.io/v1", "metadata": {"name": name}}
            return 200, json.dumps(body | {"users": self.groups[name]}).encode()
        details = {"name": name, "group": "user.openshift.io", "kind": "groups"}
        return 404, json.dumps({"kind": "Status", "reason": "NotFound", "details": details}).encode()


@dataclass
class GatewayDouble:
    """A test double of LiteLLM's /user/list and /user/update: pages of at most 100, and only who is there."""

    roles: dict[str, str] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if request.headers["authorization"] != f"Bearer {MASTER}":
            return 401, b"no"
        url = urllib.parse.urlsplit(request.path)
        if url.path in self.failing:
            return self.failing[url.path], b"not now"
        if (request.method, url.path) == ("GET", "/user/list"):
            query = dict(urllib.parse.parse_qsl(url.query))
            page, size = int(query["page"]), int(query["page_size"])
            assert size <= 100
            assert query["sort_by"] == "user_id", "the default is no order where users were made together"
            found = [{"user_id": one, "user_role": role} for one, role in self.roles.items() if role == query["role"]]
            shown = found[(page - 1) * size : page * size]
            return 200, json.dumps({"users": shown, "total_pages": -(-len(found) // size)}).encode()
        assert (request.method, url.path) == ("POST", "/user/update")
        body = request.json()
        self.roles[body["user_id"]] = body["user_role"]
        return 200, json.dumps(body).encode()


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> Path:
    """The backend's folder with its driver, as in its image."""
    root = tmp_path_factory.mktemp("app")
    for name, target in (
        ("package.json", "package.json"),
        ("package-lock.json", "package-lock.json"),
        ("backend.package.json", "backend/package.json"),
    ):
        (root / target).parent.mkdir(exist_ok=True)
        shutil.copy(BACKEND / name, root / target)
    command = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    text = FILE.read_text()
    for old, new in (
        ("/app/backend/package.json", f"{root}/backend/package.json"),
        ("PAUSE_MS = 2000", "PAUSE_MS = 5"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (root / "check_roles.cjs").write_text(text)
    (root / "token").write_text(f"{TOKEN}\n")
    return root


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server on which the bootstrap Job and the portal have been."""
    with postgres.running() as one:
        assert one.bootstrap().returncode == 0
        tables = subprocess.run(["node", "-e", TABLES], capture_output=True, text=True, check=True).stdout
        _, problem = one.ask(tables, "litemaas_db", "litemaas", PASSWORDS["PORTAL_PASSWORD"])
        assert not re.search("ERROR", problem), problem
        yield one


@dataclass
class Portal:
    """The portal's database, the API server and LiteLLM around one run of the script."""

    server: Server
    app: Path
    cluster: ApiDouble
    gateway: GatewayDouble
    urls: tuple[str, str]

    def sql(self, statement: str) -> str:
        said, problem = self.server.ask(statement, "litemaas_db")
        assert not problem, problem
        return said

    def person(self, name: str, *roles: str, provider: str = "openshift") -> str:
        """Somebody who has logged in; what the backend has written then. The id is that in LiteLLM, too."""
        return self.sql(
            "INSERT INTO users (username, email, oauth_provider, oauth_id, roles) "  # noqa: S608 (names of this file)
            f"VALUES ('{name}', '{name}', '{provider}', 'uid-{name}', ARRAY[{','.join(map(repr, roles))}]::text[]) "
            "RETURNING id"
        )

    def roles(self, name: str) -> list[str]:
        text = self.sql(f"SELECT array_to_string(roles, ',') FROM users WHERE username = '{name}'")  # noqa: S608
        return text.split(",")

    def check(self, **more: str) -> subprocess.CompletedProcess:
        password = urllib.parse.quote(PASSWORDS["PORTAL_PASSWORD"], safe="")
        where = f"127.0.0.1:{self.server.port}/{NAMES['PORTAL_DATABASE']}?sslmode=disable"
        variables = {
            "PATH": os.environ["PATH"],
            "KUBERNETES_URL": self.urls[0],
            "TOKEN_FILE": str(self.app / "token"),
            "ROLES": json.dumps(ELEVATED),
            "OWN_GROUPS": "litemaas-admins,litemaas-readonly",
            "INITIAL_ADMINS": "",
            "DATABASE_URL": f"postgresql://{NAMES['PORTAL_ROLE']}:{password}@{where}",
            "LITELLM_URL": self.urls[1],
            "LITELLM_API_KEY": MASTER,
        }
        done = subprocess.run(
            ["node", str(self.app / "check_roles.cjs")],
            env=variables | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for secret in (TOKEN, MASTER, PASSWORDS["PORTAL_PASSWORD"], password):
            assert secret not in done.stdout + done.stderr
        return done

    def refused(self, **more: str) -> str:
        """What a run says that must not change anything."""
        before = self.sql("SELECT username, roles FROM users ORDER BY 1"), dict(self.gateway.roles)
        done = self.check(**more)
        assert done.returncode == 1, done.stdout
        assert "nothing was changed" in done.stderr
        assert (self.sql("SELECT username, roles FROM users ORDER BY 1"), self.gateway.roles) == before
        return done.stderr


@pytest.fixture
def portal(server: Server, app: Path) -> Iterator[Portal]:
    """Alice is administrator by her Group, carol reads by hers, bob has no Group."""
    cluster = ApiDouble({"litemaas-admins": ["alice"], "litemaas-readonly": ["carol"]})
    gateway = GatewayDouble()
    with serving(cluster) as api, serving(gateway) as litellm:
        made = Portal(server, app, cluster, gateway, (api, litellm))
        made.sql("DELETE FROM audit_logs; DELETE FROM users")
        made.gateway.roles = {
            made.person("alice", "user", "admin"): "proxy_admin",
            made.person("carol", "user", "admin-readonly"): "internal_user",
            made.person("bob", "user"): "internal_user",
        }
        yield made


def ok(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_whoever_left_the_group_loses_its_role_and_the_others_keep_theirs(portal):
    portal.cluster.groups["litemaas-admins"] = ["erin"]
    assert "alice: lost admin; left: user" in ok(portal.check())
    assert portal.roles("alice") == ["user"]
    assert portal.roles("carol") == ["user", "admin-readonly"]
    assert portal.roles("bob") == ["user"]


def test_nothing_is_changed_where_everybody_has_what_the_groups_give(portal):
    assert ok(portal.check()) == "3 people looked at, 0 changes, 0 failed\n"
    assert portal.sql("SELECT count(*) FROM audit_logs") == "0"


def test_a_second_run_finds_nothing_to_do(portal):
    portal.cluster.groups["litemaas-admins"] = None
    assert "2 changes" in ok(portal.check()), "the portal's role and LiteLLM's"
    assert "0 changes" in ok(portal.check())


def test_each_loss_stands_in_the_portals_audit_log(portal):
    portal.cluster.groups["litemaas-readonly"] = []
    ok(portal.check())
    action, kind, who, told = portal.sql(
        "SELECT action, resource_type, username, metadata FROM audit_logs JOIN users ON resource_id = users.id::text"
    ).split("|")
    assert (action, kind, who) == ("ROLES_ENFORCED", "USER", "carol")
    assert json.loads(told) == {
        "username": "carol",
        "removed": ["admin-readonly"],
        "left": ["user"],
        "by": "role-check",
    }


@pytest.mark.parametrize("group", ["administrators", "litemaas-admins"])
def test_every_group_that_the_backend_knows_gives_its_role(portal, group):
    portal.cluster.groups = {"litemaas-admins": [], "litemaas-readonly": ["carol"]} | {group: ["alice"]}
    ok(portal.check())
    assert portal.roles("alice") == ["user", "admin"]


def test_whoever_went_from_the_administrators_to_the_readers_keeps_the_readers_role(portal):
    portal.person("dave", "user", "admin", "admin-readonly")
    portal.cluster.groups["viewers"] = ["dave"]
    ok(portal.check())
    assert portal.roles("dave") == ["user", "admin-readonly"]


def test_initial_administrators_keep_the_role_without_a_group(portal):
    portal.cluster.groups["litemaas-admins"] = []
    ok(portal.check(INITIAL_ADMINS="dora,alice"))
    assert portal.roles("alice") == ["user", "admin"]
    assert set(portal.gateway.roles.values()) == {"proxy_admin", "internal_user"}


def test_roles_that_no_group_gives_are_left(portal):
    portal.person("frank", "user", "auditor", "admin")
    ok(portal.check())
    assert portal.roles("frank") == ["user", "auditor"]


def test_whoever_does_not_log_in_through_openshift_is_left(portal):
    portal.person("system", "admin", provider="system")
    assert "3 people looked at" in ok(portal.check())
    assert portal.roles("system") == ["admin"]


def test_an_administrator_of_litellm_becomes_a_user_there_since_keys_act_with_that_role(portal):
    alice = next(one for one, role in portal.gateway.roles.items() if role == "proxy_admin")
    portal.gateway.roles["somebody-of-litellm-alone"] = "proxy_admin"
    portal.cluster.groups["litemaas-admins"] = []
    assert "alice: no administrator of LiteLLM any more" in ok(portal.check())
    assert portal.gateway.roles[alice] == "internal_user"
    assert portal.gateway.roles["somebody-of-litellm-alone"] == "proxy_admin"


def test_every_page_of_litellms_administrators_is_looked_at(portal):
    others = {f"other-{number}": "proxy_admin" for number in range(250)}
    portal.gateway.roles = others | portal.gateway.roles
    portal.cluster.groups["litemaas-admins"] = []
    ok(portal.check())
    assert [one for one, role in portal.gateway.roles.items() if role == "proxy_admin"] == list(others)


@pytest.mark.parametrize("path", ["/user/list", "/user/update"])
def test_a_litellm_that_does_not_answer_keeps_nobody_from_losing_the_role_in_the_portal(portal, path):
    portal.cluster.groups["litemaas-admins"] = []
    portal.gateway.failing = {path: 503}
    done = portal.check()
    assert done.returncode == 1
    assert "in LiteLLM" in done.stderr or "administrators of LiteLLM" in done.stderr
    assert "answer 503: not now" in done.stderr
    assert portal.roles("alice") == ["user"]
    portal.gateway.failing = {}
    assert "alice: no administrator of LiteLLM any more" in ok(portal.check()), "the next run catches up"


GONE = (404, b"404 page not found\n")
OTHER = (404, json.dumps({"kind": "Status", "reason": "NotFound", "details": {"name": "v1"}}).encode())


@pytest.mark.parametrize(
    "answers",
    [[(403, b"forbidden")], [(401, b"{}")], [(503, b"down")] * 5, [GONE], [OTHER], [(200, b"<html>")], [(200, b"{}")]],
    ids=["forbidden", "unknown", "down", "no such API", "another 404", "no JSON", "no Group"],
)
@pytest.mark.parametrize("group", ["administrators", "litemaas-admins"])
def test_a_group_that_cannot_be_read_ends_the_run_before_anything_is_changed(portal, answers, group):
    portal.person("mallory", "user", "admin")
    portal.cluster.instead = {group: list(answers)}
    assert f"Group {group} cannot be read" in portal.refused()


def test_a_passing_failure_of_the_api_server_is_tried_again(portal):
    portal.cluster.instead = {"viewers": [(503, b"down"), (500, b"down")]}
    assert "0 changes" in ok(portal.check())


def test_nobody_at_the_api_servers_address_ends_the_run(portal):
    assert "cannot be read" in portal.refused(KUBERNETES_URL="http://127.0.0.1:1")


def test_a_group_of_the_installation_that_is_gone_is_no_reason_to_take_roles_away(portal):
    del portal.cluster.groups["litemaas-admins"]
    assert "it is gone, though this installation has made it: `pulumi up --refresh`" in portal.refused()


def test_a_group_of_others_that_is_gone_gives_nothing(portal):
    del portal.cluster.groups["litemaas-admins"]
    ok(portal.check(OWN_GROUPS=""))
    assert portal.roles("alice") == ["user"]


@contextmanager
def closed_twice(port: int) -> Iterator[int]:
    """A port on which the first two connections end at once; the others reach ``port``."""
    seen: list[object] = []

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            seen.append(self.client_address)
            if len(seen) <= 2:
                return
            with socket.create_connection(("127.0.0.1", port)) as beyond:
                other = {beyond: self.request, self.request: beyond}
                while True:
                    for ready in select.select(list(other), [], [])[0]:
                        if not (data := ready.recv(65536)):
                            return
                        other[ready].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as relay:
        relay.daemon_threads = True
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        yield relay.server_address[1]
        relay.shutdown()
    assert len(seen) > 2


def test_a_database_that_cannot_be_reached_at_first_is_tried_again(portal):
    with closed_twice(portal.server.port) as port:
        url = f"postgresql://{NAMES['PORTAL_ROLE']}:{{}}@127.0.0.1:{port}/{NAMES['PORTAL_DATABASE']}?sslmode=disable"
        done = portal.check(DATABASE_URL=url.format(urllib.parse.quote(PASSWORDS["PORTAL_PASSWORD"], safe="")))
    assert "0 changes" in ok(done)


def test_a_database_that_does_not_answer_ends_the_run(portal):
    said = portal.refused(DATABASE_URL="postgresql://litemaas:secret@127.0.0.1:1/litemaas_db?sslmode=disable")
    assert "ECONNREFUSED" in said
    assert "secret" not in said


def test_only_the_groups_that_give_more_than_everybody_has_are_read(portal):
    ok(portal.check())
    assert sorted(portal.cluster.asked) == ["administrators", "litemaas-admins", "litemaas-readonly", "viewers"]


def test_a_role_and_its_entry_in_the_audit_log_go_together_or_not_at_all(portal):
    portal.cluster.groups |= {"litemaas-admins": [], "litemaas-readonly": []}
    portal.sql("ALTER TABLE audit_logs RENAME TO audit_logs_away")
    try:
        done = portal.check()
    finally:
        portal.sql("ALTER TABLE audit_logs_away RENAME TO audit_logs")
    assert done.returncode == 1
    assert 'NOT changed: carol: relation "audit_logs" does not exist' in done.stderr
    assert portal.roles("alice") == ["user", "admin"]
