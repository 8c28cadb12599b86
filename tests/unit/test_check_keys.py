"""The script that blocks the portal's keys without models, against a double of LiteLLM's key API."""

import importlib.util
import json
import types
import urllib.parse
from collections.abc import Iterator

import pytest

from tests import harness
from tests.unit.http_double import Reply, Request, serving

FILE = harness.ROOT / "components" / "files" / "check_keys.py"
MASTER = "sk-master"
PORTAL = {"created_by": "litemaas", "model_count": 1}


class KeysDouble:
    """A test double of LiteLLM 1.108.7's /key/list and /key/block, as they were observed.

    Pages of at most 100, full objects only when asked for, newest first, /key/block takes the hash.
    """

    def __init__(self):
        self.keys: dict[str, dict] = {}
        self.blocked: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.gone: set[str] = set()

    def add(
        self, token: str, models: list[str], *, blocked: bool | None = None, metadata: dict | None = PORTAL
    ) -> None:
        self.keys[token] = {
            "token": token,
            "key_alias": f"alias-{token}",
            "user_id": "u1",
            "models": models,
            "blocked": blocked,
            "metadata": metadata,
        }

    def __call__(self, request: Request) -> Reply:
        url = urllib.parse.urlsplit(request.path)
        if request.headers.get("authorization") != f"Bearer {MASTER}":
            return 401, b"invalid key"
        if self.answers and (status := self.answers.pop(0)) != 200:
            return status, b"not now"
        if (request.method, url.path) == ("GET", "/key/list"):
            return self._page(dict(urllib.parse.parse_qsl(url.query)))
        if (request.method, url.path) == ("POST", "/key/block"):
            token = request.json()["key"]
            if token in self.gone:
                return 404, b"not found"
            self.blocked.append(token)
            self.keys[token]["blocked"] = True
            return 200, json.dumps(self.keys[token]).encode()
        return 404, b"no such path"

    def _page(self, query: dict[str, str]) -> Reply:
        self.asked.append(query)
        page, size = int(query["page"]), int(query["size"])
        if size > 100:
            return 422, b"less than or equal to 100"
        newest_first = list(reversed(self.keys.values()))
        shown = newest_first[(page - 1) * size : page * size]
        full = query.get("return_full_object") == "true"
        body = {
            "keys": shown if full else [key["token"] for key in shown],
            "total_count": len(self.keys),
            "current_page": page,
            "total_pages": -(-len(self.keys) // size),
        }
        return 200, json.dumps(body).encode()


@pytest.fixture
def script(monkeypatch) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("check_keys", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0)
    return module


@pytest.fixture
def double(monkeypatch) -> Iterator[KeysDouble]:
    made = KeysDouble()
    with serving(made) as url:
        monkeypatch.setenv("LITELLM_URL", url)
        monkeypatch.setenv("LITELLM_MASTER_KEY", MASTER)
        yield made


def test_a_key_of_the_portal_that_lost_its_last_model_is_blocked_and_reported(script, double, capsys):
    double.add("hash-1", [])
    script.main()
    assert double.blocked == ["hash-1"]
    said = capsys.readouterr().out
    assert "blocked: alias-hash-1 of user u1" in said
    assert "1 keys looked at, 1 of the portal without a model, 0 of them not blocked" in said


@pytest.mark.parametrize("metadata", [{}, None, {"created_by": "somebody"}])
def test_an_empty_list_of_somebody_elses_key_is_meant(script, double, metadata):
    double.add("admins-own", [], metadata=metadata)
    script.main()
    assert double.blocked == []


def test_a_key_with_a_model_is_left(script, double):
    double.add("usual", ["granite"])
    double.add("one that opens all by name", ["all-proxy-models"])
    script.main()
    assert double.blocked == []


def test_a_blocked_key_is_not_touched_again(script, double):
    double.add("hash-1", [])
    double.add("hash-2", [], blocked=True)
    script.main()
    script.main()
    assert double.blocked == ["hash-1"]


def test_every_page_is_looked_at(script, double, capsys):
    for number in range(250):
        double.add(f"hash-{number}", ["granite"] if number % 50 else [])
    script.main()
    assert sorted(double.blocked) == sorted(f"hash-{number}" for number in range(0, 250, 50))
    assert [query["page"] for query in double.asked] == ["1", "2", "3"]
    assert "250 keys looked at, 5 of the portal" in capsys.readouterr().out


def test_without_any_key_all_is_well(script, double):
    script.main()
    assert double.blocked == []


def test_a_passing_failure_is_tried_again(script, double):
    double.add("hash-1", [])
    double.answers = [503, 200, 500]
    script.main()
    assert double.blocked == ["hash-1"]


def test_a_list_that_cannot_be_read_fails_with_what_litellm_said(script, double):
    double.answers = [503, 503, 503]
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert "cannot be listed: answer 503: not now" in str(ended.value)


def test_a_wrong_master_key_fails_at_once(script, double, monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-other")
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert "answer 401" in str(ended.value)
    assert double.asked == []


def test_one_key_that_cannot_be_blocked_keeps_no_other_from_it_and_fails_the_check(script, double, capsys):
    double.add("hash-1", [])
    double.add("hash-2", [])
    double.answers = [200, 403, 200]  # the list, one key, the other one
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 1
    assert double.blocked == ["hash-1"]
    assert "NOT blocked: alias-hash-2 of user u1" in capsys.readouterr().err


def test_a_key_that_was_deleted_meanwhile_opens_nothing(script, double):
    double.add("hash-1", [])
    double.gone = {"hash-1"}
    script.main()
    assert double.blocked == []


def test_nobody_at_the_address_fails_with_the_address(script, double, monkeypatch):
    monkeypatch.setenv("LITELLM_URL", "http://127.0.0.1:1")
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert "LiteLLM at http://127.0.0.1:1 cannot be listed" in str(ended.value)


def test_no_key_is_printed(script, double, capsys):
    """What LiteLLM lists are hashes; of those a part is enough to find the key by."""
    double.add("0123456789abcdef0123456789abcdef", [])
    double.keys["0123456789abcdef0123456789abcdef"]["key_alias"] = None
    script.main()
    said = capsys.readouterr().out
    assert "blocked: without a name of user u1 (hash 0123456789ab...)" in said
    assert "0123456789abc" not in said


# --- The CronJob ---


def test_the_check_runs_every_five_minutes_one_at_a_time(run):
    spec = run.one("CronJob", "key-check").inputs["spec"]
    assert spec["schedule"] == "*/5 * * * *"
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["suspend"] is False
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 300, (
        "else one run that hangs would take the next ones"
    )


def test_only_the_gateway_is_reached_and_only_its_master_key_is_known(run):
    job = run.one("CronJob", "key-check")
    container = harness.container(job)
    assert {one["name"] for one in container["env"]} >= {"LITELLM_URL", "LITELLM_MASTER_KEY"}
    assert not container.get("envFrom")
    assert job.template["spec"]["automountServiceAccountToken"] is False
    assert job.template["spec"]["serviceAccountName"] == "key-check"


def test_the_script_is_the_one_that_is_tested_here(run):
    assert run.one("ConfigMap", "key-check-script").inputs["data"]["check_keys.py"] == FILE.read_text()
