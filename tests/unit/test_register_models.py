"""The script that makes LiteLLM's models equal to the declared ones, against a double of LiteLLM's API."""

import importlib.util
import json
import sys
import time
import types
import urllib.error
import urllib.parse
from collections.abc import Iterator

import pytest

from tests import harness
from tests.unit import declared
from tests.unit.http_double import Reply, Request, serving

FILE = harness.ROOT / "components" / "files" / "register_models.py"
KEY = "sk-master"
SERVER = declared.GRANITE["endpoints"][0]
GRANITE = declared.GRANITE | {"tpm": 1000}
IDENTITY = "litemaas-pulumi-granite"


class LiteLLMDouble:
    """A test double of LiteLLM 1.108.7's model API, as it was observed (demo-workflow.md section 3).

    The same id again is a 500, PATCH merges, prices in model_info are dropped without a word,
    /model/update stores no model_info, an unknown id is a 404 on PATCH and a 400 on delete.
    """

    def __init__(self):
        self.models: dict[str, dict] = {}
        self.calls: list[tuple[str, str]] = []
        self.not_ready = 0
        self.fails: dict[str, int] = {}

    def __call__(self, request: Request) -> Reply:
        path = urllib.parse.urlsplit(request.path).path
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return self._say(401, "invalid key")
        if self.not_ready:
            self.not_ready -= 1
            return self._say(503, "No connected db.")
        if request.method != "GET":
            self.calls.append((request.method, path))
        return self._say(self.fails[path], "Failed") if path in self.fails else self._answer(request, path)

    def _answer(self, request: Request, path: str) -> Reply:
        if (request.method, path) == ("GET", "/model/info"):
            return 200, json.dumps({"data": list(self.models.values())}).encode()
        if (request.method, path) == ("POST", "/model/new"):
            return self._new(request.json())
        if (request.method, path) == ("POST", "/model/delete"):
            gone = self.models.pop(request.json()["id"], None)
            return self._say(200, "deleted") if gone else self._say(400, "not found in db")
        if request.method == "PATCH" and path.endswith("/update"):
            return self._patch(path.split("/")[2], request.json())
        return self._say(404, "no such path")

    @staticmethod
    def _say(status: int, text: str) -> Reply:
        return status, json.dumps({"message": text}).encode()

    def add(self, name: str, identity: str, **info) -> dict:
        """A model that is there already."""
        self.models[identity] = {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}"},
            "model_info": {"id": identity, "db_model": True, **info},
        }
        return self.models[identity]

    def _new(self, body: dict) -> Reply:
        identity = body["model_info"]["id"]
        if identity in self.models:
            return self._say(500, "Failed to add model to db")
        self.models[identity] = self._kept(body)
        return self._say(200, "added")

    def _patch(self, identity: str, body: dict) -> Reply:
        if identity not in self.models:
            return self._say(404, "not found")
        body, old = self._kept(body), self.models[identity]
        old["model_name"] = body["model_name"]
        for part in ("litellm_params", "model_info"):
            old[part] |= {key: value for key, value in body[part].items() if value is not None}
        return self._say(200, "updated")

    @staticmethod
    def _kept(body: dict) -> dict:
        info = {key: value for key, value in body["model_info"].items() if "cost_per_token" not in key}
        return {**body, "model_info": {**info, "db_model": True}}


@pytest.fixture
def script(monkeypatch) -> types.ModuleType:
    """The script, loaded by its path as it is nobody's module; no second is really waited."""
    spec = importlib.util.spec_from_file_location("register_models_under_test", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec.loader.exec_module(module)
    clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(module, "time", clock)
    return module


@pytest.fixture
def litellm(monkeypatch) -> Iterator[LiteLLMDouble]:
    double = LiteLLMDouble()
    with serving(double) as url:
        monkeypatch.setenv("LITELLM_URL", url)
        monkeypatch.setenv("LITELLM_MASTER_KEY", KEY)
        yield double


@pytest.fixture
def declare(tmp_path, monkeypatch, script, capsys):
    """Declares models and runs the script; returns what it printed."""

    def run(*declared: dict, retired: str = "") -> list[str]:
        folder = tmp_path / "declared"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        for one in declared:
            (folder / f"{one['model']}.json").write_text(json.dumps(one))
        monkeypatch.setenv("DECLARED", str(folder))
        monkeypatch.setenv("RETIRED", retired)
        capsys.readouterr()
        script.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_a_declared_model_is_created_with_prices_where_the_api_keeps_them(litellm, declare):
    assert declare(GRANITE) == ["granite: created"]
    made = litellm.models[IDENTITY]
    assert made["model_name"] == "granite"
    assert made["litellm_params"] == {
        "model": "hosted_vllm/ibm/granite",
        "api_base": SERVER["url"],
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "tpm": 1000,
    }
    info = made["model_info"]
    assert info["max_tokens"] == 16384, "the portal reads the context length there"
    assert (info["max_input_tokens"], info["max_output_tokens"]) == (16384, 4096)
    assert (info["mode"], info["supports_function_calling"], info["supports_embeddings"]) == ("chat", True, False)
    assert info["managed_by"] == "litemaas-pulumi"


def test_an_embedding_model_carries_the_flag_by_which_the_portal_tells_it(litellm, declare):
    declare({**GRANITE, "embedding": True, "tools": False})
    info = litellm.models[IDENTITY]["model_info"]
    assert (info["mode"], info["supports_embeddings"]) == ("embedding", True)


def test_a_second_run_changes_nothing(litellm, declare):
    declare(GRANITE)
    litellm.calls.clear()
    assert declare(GRANITE) == ["granite: unchanged"]
    assert litellm.calls == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("endpoints", [{**SERVER, "url": "http://new/v1"}]),
        ("endpoints", [{**SERVER, "served_name": "other"}]),
        ("context_length", 8192),
        ("max_output", 100),
        ("input_price", 5e-06),
        ("output_price", 0.0),
        ("tools", False),
        ("vision", True),
        ("tpm", 2000),
        ("rpm", 10),
    ],
)
def test_a_changed_field_is_updated_in_place_by_patch(litellm, declare, key, value):
    """Delete and create would cut subscriptions and keys; /model/update ignores model_info."""
    declare(GRANITE)
    litellm.calls.clear()
    assert declare({**GRANITE, key: value}) == ["granite: updated"]
    assert litellm.calls == [("PATCH", f"/model/{IDENTITY}/update")]
    assert declare({**GRANITE, key: value}) == ["granite: unchanged"], "the new value was really stored"


def test_an_edit_made_in_the_portal_is_set_back(litellm, declare):
    declare(GRANITE)
    litellm.models[IDENTITY]["litellm_params"]["model"] = "openai/granite"  # what the portal's form does
    assert declare(GRANITE) == ["granite: updated"]
    assert litellm.models[IDENTITY]["litellm_params"]["model"] == "hosted_vllm/ibm/granite"


def test_the_id_is_always_sent_with_a_patch(litellm, declare):
    """Without it the stored JSON gets a random one."""
    declare(GRANITE)
    declare({**GRANITE, "vision": True})
    assert litellm.models[IDENTITY]["model_info"]["id"] == IDENTITY


def test_a_model_made_by_hand_under_a_declared_name_is_a_conflict_before_any_change(litellm, declare):
    litellm.add("granite", "uuid-1")
    with pytest.raises(SystemExit) as conflict:
        declare({**GRANITE, "model": "another"}, GRANITE)
    assert "granite: made by hand under a declared name" in str(conflict.value)
    assert litellm.calls == []


def test_models_made_by_hand_are_left_alone(litellm, declare):
    litellm.add("by-hand", "uuid-1")
    declare(GRANITE)
    assert declare(GRANITE) == ["granite: unchanged"]
    assert "uuid-1" in litellm.models


def test_a_retired_model_is_deleted_and_may_stay_in_the_list_of_retired_ones(litellm, declare):
    declare(GRANITE, {**GRANITE, "model": "old"})
    assert declare(GRANITE, retired="old") == ["granite: unchanged", "old: deleted"]
    assert list(litellm.models) == [IDENTITY]
    assert declare(GRANITE, retired="old") == ["granite: unchanged"]


def test_a_model_of_a_retired_name_that_somebody_else_made_is_not_deleted(litellm, declare):
    litellm.add("old", "uuid-1")
    declare(GRANITE, retired="old")
    assert "uuid-1" in litellm.models


def test_a_registered_model_neither_declared_nor_retired_is_refused_before_any_change(litellm, declare):
    declare({**GRANITE, "model": "old"})
    litellm.calls.clear()
    with pytest.raises(SystemExit) as refused:
        declare(GRANITE)
    assert "old: registered but neither declared nor retired" in str(refused.value)
    assert litellm.calls == [], "a refused run must not leave half of the change behind"


def test_a_limit_that_is_taken_away_is_refused_before_any_change(litellm, declare):
    """A PATCH cannot remove a field: it would silently stay."""
    declare(GRANITE)
    litellm.calls.clear()
    with pytest.raises(SystemExit) as refused:
        declare({**GRANITE, "model": "another"}, {**GRANITE, "tpm": None})
    assert "granite: tpm cannot be taken away" in str(refused.value)
    assert litellm.calls == [], "a refused run must not leave half of the change behind"


def test_no_declared_model_is_a_valid_declaration(litellm, declare):
    litellm.add("by-hand", "uuid-1")
    assert declare() == []


def test_an_absent_folder_stands_for_no_model(litellm, script, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DECLARED", str(tmp_path / "none"))
    monkeypatch.setenv("RETIRED", "")
    script.main()
    assert capsys.readouterr().out == ""


def test_it_waits_while_the_gateway_is_not_ready(litellm, declare):
    litellm.not_ready = 3
    assert declare(GRANITE) == ["granite: created"]


def test_it_gives_up_on_a_gateway_that_never_gets_ready(litellm, declare, script, monkeypatch):
    litellm.not_ready = 10**6
    monkeypatch.setattr(script, "PATIENCE_SECONDS", -1)
    with pytest.raises(SystemExit, match="LiteLLM answered 503"):
        declare(GRANITE)


def test_it_waits_while_nothing_listens_and_then_says_so(declare, script, monkeypatch):
    tries = []
    clock = types.SimpleNamespace(monotonic=lambda: len(tries), sleep=tries.append)
    monkeypatch.setattr(script, "time", clock)
    monkeypatch.setattr(script, "PATIENCE_SECONDS", 3)
    monkeypatch.setenv("LITELLM_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("LITELLM_MASTER_KEY", KEY)
    with pytest.raises(SystemExit, match=r"LiteLLM at http://127\.0\.0\.1:1 cannot be reached"):
        declare(GRANITE)
    assert len(tries) == 4


def test_a_wrong_key_is_not_waited_for(litellm, declare, monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-other")
    with pytest.raises(SystemExit, match="LiteLLM answered 401") as refused:
        declare(GRANITE)
    assert "sk-other" not in str(refused.value)


def test_a_refused_change_says_what_litellm_answered(litellm, declare):
    litellm.fails["/model/new"] = 500
    with pytest.raises(SystemExit, match=r"LiteLLM answered 500 to .*/model/new: .*Failed"):
        declare(GRANITE)


def test_an_interrupted_run_is_finished_by_the_next(litellm, declare):
    declare(GRANITE)
    litellm.fails["/model/new"] = 500
    with pytest.raises(SystemExit):
        declare(GRANITE, {**GRANITE, "model": "zephyr"})
    litellm.fails.clear()
    assert declare(GRANITE, {**GRANITE, "model": "zephyr"}) == ["granite: unchanged", "zephyr: created"]


def test_the_double_refuses_the_same_id_twice(litellm, script):
    script.call("POST", "/model/new", script.wanted(GRANITE))
    with pytest.raises(urllib.error.HTTPError) as refused:
        script.call("POST", "/model/new", script.wanted(GRANITE))
    refused.value.close()
    assert refused.value.code == 500


def test_the_declaration_of_the_program_is_what_the_script_reads(script, demo):
    """The two share their words by agreement only."""
    for carrier in (one for one in demo.find("ConfigMap") if one.labels["app.kubernetes.io/component"] == "model"):
        declared = json.loads(carrier.inputs["data"]["model.json"])
        assert set(declared) == set(GRANITE)
        assert script.wanted(declared)["model_name"] == declared["model"]


def test_the_script_needs_python_only():
    """It runs in LiteLLM's image, whose packages are not ours to rely on."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names
