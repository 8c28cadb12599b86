"""The script that makes LiteLLM's models equal to the declared ones, against a double of LiteLLM's API."""

import importlib
import json
import os
import re
import sys
import time
import types
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from tests import harness
from tests.unit import declared
from tests.unit.http_double import Reply, Request, serving

FILES = harness.ROOT / "components" / "files"
SCRIPTS = ("register_api", "register_models")
KEY = "sk-master"
SERVER = declared.GRANITE["endpoints"][0]
GRANITE = declared.GRANITE | {"tpm": 1000}
IDENTITY = "litemaas-pulumi-granite"


class LiteLLMDouble:
    """A test double of LiteLLM 1.108.7's model API, as it was observed (tests/e2e/reconciler has the real one).

    The same id again is a 500, PATCH merges, prices in model_info are dropped without a word,
    an unknown id is a 404 on PATCH and a 400 on delete, api_key is stored and not shown, an alias
    is listed as a copy of its model. ``unheard`` are ids that are stored and not listed yet.
    """

    def __init__(self):
        self.models: dict[str, dict] = {}
        self.calls: list[tuple[str, str]] = []
        self.unheard: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.keys: list[dict] = []
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
            return 200, json.dumps({"data": self._listed()}).encode()
        if (request.method, path) == ("GET", "/key/list"):
            return self._keys(urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query))
        if (request.method, path) == ("POST", "/model/new"):
            return self._new(request.json())
        if (request.method, path) == ("POST", "/model/delete"):
            gone = self.models.pop(request.json()["id"], None)
            return self._say(200, "deleted") if gone else self._say(400, "not found in db")
        if request.method == "PATCH" and path.endswith("/update"):
            return self._patch(path.split("/")[2], request.json())
        return self._say(404, "no such path")

    def _listed(self) -> list[dict]:
        shown = [
            {**one, "litellm_params": {key: each for key, each in one["litellm_params"].items() if key != "api_key"}}
            for identity, one in self.models.items()
            if identity not in self.unheard
        ]
        copies = [
            {**one, "model_name": alias} for alias, of in self.aliases.items() for one in shown if of in one.values()
        ]
        return shown + copies

    def _keys(self, query: dict[str, list[str]]) -> Reply:
        page, size = int(query["page"][0]), int(query["size"][0])
        assert size <= 100, "LiteLLM refuses more"
        keys = self.keys[(page - 1) * size : page * size]
        return 200, json.dumps({"keys": keys, "total_pages": -(-len(self.keys) // size)}).encode()

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
def api(monkeypatch) -> Iterator[types.ModuleType]:
    """The script's way to LiteLLM, found as the script finds it; no second is really waited."""
    monkeypatch.syspath_prepend(str(FILES))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("register_api")
    clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(module, "time", clock)
    yield module
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def script(api, monkeypatch) -> types.ModuleType:
    module = importlib.import_module("register_models")
    monkeypatch.setattr(module, "time", api.time)
    return module


@pytest.fixture
def litellm(monkeypatch) -> Iterator[LiteLLMDouble]:
    double = LiteLLMDouble()
    with serving(double) as url:
        monkeypatch.setenv("LITELLM_URL", url)
        monkeypatch.setenv("LITELLM_MASTER_KEY", KEY)
        yield double


def refusal(run: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines with which a run ends before any change."""
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 78
    return capsys.readouterr().err.splitlines()


def given() -> tuple[str, str]:
    """Where LiteLLM is, as the script is told."""
    return os.environ["LITELLM_URL"], os.environ["LITELLM_MASTER_KEY"]


@pytest.fixture
def declare(tmp_path, monkeypatch, script, capsys):
    """Declares models and runs the script; returns what it printed before the sum."""

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
        *lines, total = capsys.readouterr().out.splitlines()
        assert re.fullmatch(r"\d+ declared models: .*; \d+ calls, \d+\.\d s", total)
        return lines

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
    assert declare(GRANITE) == []
    assert litellm.calls == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("endpoints", [{**SERVER, "url": "http://new/v1"}]),
        ("endpoints", [{**SERVER, "served_name": "other"}]),
        ("endpoints", [{**SERVER, "key_env": "GRANITE_KEY", "key_revision": "1"}]),
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
    assert declare({**GRANITE, key: value}) == [], "the new value was really stored"


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


def test_a_model_made_by_hand_under_a_declared_name_is_a_conflict_before_any_change(litellm, declare, capsys):
    litellm.add("granite", "uuid-1")
    (told,) = refusal(lambda: declare({**GRANITE, "model": "another"}, GRANITE), capsys)
    assert told.startswith("granite: made by hand under a declared name (id uuid-1)")
    assert litellm.calls == []


def test_all_conflicts_are_told_at_once(litellm, declare, capsys):
    litellm.add("granite", "uuid-1")
    litellm.add("zephyr", "uuid-2")
    litellm.add("renamed", "litemaas-pulumi-another")
    models = [{**GRANITE, "model": name} for name in ("another", "granite", "zephyr")]
    told = refusal(lambda: declare(*models), capsys)
    assert [line.split(":")[0] for line in told] == ["granite", "zephyr", "renamed"]
    assert "has the id of the declared another" in told[2], "an update would take it over"


def test_a_conflict_that_was_just_cleared_away_is_none(litellm, declare, script, monkeypatch):
    """A replica still lists what somebody has deleted on another one."""
    litellm.add("granite", "uuid-1")
    clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: litellm.models.clear())
    monkeypatch.setattr(script, "time", clock)
    assert declare(GRANITE) == ["granite: created"]


def test_models_made_by_hand_are_left_alone_and_named(litellm, declare):
    litellm.add("by-hand", "uuid-1")
    declare(GRANITE)
    assert declare(GRANITE) == ["made by hand and left alone: by-hand"]
    assert "uuid-1" in litellm.models


def test_a_copy_of_ours_that_carries_our_mark_is_not_ours(litellm, declare):
    litellm.add("copy", "uuid-1", managed_by="litemaas-pulumi")
    assert declare(retired="copy") == ["made by hand and left alone: copy"]


def test_a_model_of_ours_that_somebody_renamed_gets_its_name_back(litellm, declare):
    declare(GRANITE)
    litellm.models[IDENTITY]["model_name"] = "other"
    assert declare(GRANITE) == ["granite: updated"]


def test_an_alias_of_a_model_is_not_taken_for_the_model(litellm, declare):
    litellm.aliases["short"] = "granite"
    declare(GRANITE)
    assert declare(GRANITE) == []


def test_a_retired_model_is_deleted_and_may_stay_in_the_list_of_retired_ones(litellm, declare):
    declare(GRANITE, {**GRANITE, "model": "old"})
    assert declare(GRANITE, retired="old") == ["old: deleted litemaas-pulumi-old"]
    assert list(litellm.models) == [IDENTITY]
    assert declare(GRANITE, retired="old") == []


def test_a_model_of_a_retired_name_that_somebody_else_made_is_not_deleted(litellm, declare):
    litellm.add("old", "uuid-1")
    declare(GRANITE, retired="old")
    assert "uuid-1" in litellm.models


def test_a_registered_model_neither_declared_nor_retired_is_refused_before_any_change(litellm, declare, capsys):
    declare({**GRANITE, "model": "old"})
    litellm.calls.clear()
    (told,) = refusal(lambda: declare(GRANITE), capsys)
    assert told.startswith("old: registered but neither declared nor retired")
    assert litellm.calls == [], "a refused run must not leave half of the change behind"


KEYED = {**GRANITE, "endpoints": [{**SERVER, "key_env": "GRANITE_KEY", "key_revision": "1"}]}


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (GRANITE, {**GRANITE, "tpm": None}, "tpm"),
        ({**GRANITE, "rpm": 5}, {**GRANITE, "tpm": None}, "tpm, rpm"),
        (KEYED, GRANITE, "api_key"),
    ],
)
def test_what_a_patch_cannot_take_away_goes_with_a_replacement_made_first(litellm, declare, before, after, what):
    declare(before)
    litellm.calls.clear()
    assert declare(after) == [
        f"granite: replaced by {IDENTITY}_r2: {what} cannot be taken away in place",
        f"granite: deleted, since it is replaced, {IDENTITY}",
    ]
    assert [path for _, path in litellm.calls] == ["/model/new", "/model/delete"]
    assert list(litellm.models) == [f"{IDENTITY}_r2"]
    assert declare(after) == []
    assert declare(before) == ["granite: updated"], "adding needs no replacement"
    declare(after)
    assert list(litellm.models) == [f"{IDENTITY}_r3"]


def test_a_replacement_that_was_interrupted_is_completed(litellm, declare):
    declare(GRANITE)
    litellm.fails["/model/delete"] = 500
    with pytest.raises(SystemExit):
        declare({**GRANITE, "tpm": None})
    assert len(litellm.models) == 2
    litellm.fails.clear()
    assert declare({**GRANITE, "tpm": None}) == [f"granite: deleted, since it is replaced, {IDENTITY}"]
    assert list(litellm.models) == [f"{IDENTITY}_r2"]


@pytest.mark.parametrize("change", [{"key_env": "OTHER"}, {"key_revision": "2"}])
def test_a_change_of_the_key_is_known_though_litellm_never_shows_it(litellm, declare, change):
    declare(KEYED)
    other = {**KEYED["endpoints"][0], **change}
    assert declare({**KEYED, "endpoints": [other]}) == ["granite: updated"]
    assert litellm.models[IDENTITY]["litellm_params"]["api_key"] == f"os.environ/{other['key_env']}"
    assert declare({**KEYED, "endpoints": [other]}) == []


def test_each_endpoint_is_a_deployment_and_all_say_the_same_of_the_model(litellm, declare):
    servers = [{**SERVER, "url": f"http://{number}/v1"} for number in range(3)]
    three = {**GRANITE, "endpoints": servers}
    assert declare(three) == ["granite: created", "granite, endpoint 2: created", "granite, endpoint 3: created"]
    assert list(litellm.models) == [IDENTITY, f"{IDENTITY}_2", f"{IDENTITY}_3"]
    infos = [{**one["model_info"], "id": ""} for one in litellm.models.values()]
    assert infos[0] == infos[1] == infos[2]
    assert declare(three) == []
    litellm.calls.clear()
    # In place: the first of them is no reason to shift callers from one deployment to another.
    assert declare({**three, "endpoints": servers[:2]}) == [f"granite: endpoint 3 deleted {IDENTITY}_3"]
    assert declare({**three, "endpoints": servers[:2], "tpm": None})[1].startswith(
        f"granite, endpoint 2: replaced by {IDENTITY}_2_r2"
    )


def test_a_model_whose_name_ends_like_an_endpoint_is_another_model(litellm, declare):
    two = {**GRANITE, "endpoints": [SERVER, SERVER]}
    declare(two, {**GRANITE, "model": "granite-2"})
    assert len(litellm.models) == 3
    assert declare(two, {**GRANITE, "model": "granite-2"}) == []


def test_a_deleted_model_says_how_many_keys_still_name_it(litellm, declare):
    declare(GRANITE, {**GRANITE, "model": "old"})
    litellm.keys = [{"models": ["old"]}, {"models": []}, {"models": ["granite"]}] * 60
    told = "old: 60 keys of LiteLLM still name it and will work again should the name return"
    assert declare(GRANITE, retired="old") == ["old: deleted litemaas-pulumi-old", told]


def test_very_many_keys_are_not_all_looked_at(litellm, declare):
    declare({**GRANITE, "model": "old"})
    litellm.keys = [{"models": ["old"]}] * 2500
    assert "old: at least 2000 keys" in declare(retired="old")[1]


def test_keys_that_cannot_be_counted_are_no_failure(litellm, declare, api, monkeypatch):
    declare({**GRANITE, "model": "old"})
    monkeypatch.setattr(api, "PAGE", "x")
    assert "keys that still name them could not be counted" in declare(retired="old")[1]


def test_a_list_that_is_older_than_the_database_leads_to_the_same_end(litellm, declare):
    """Another replica wrote what this one has not heard of."""
    declare(GRANITE)
    litellm.unheard.add(IDENTITY)
    assert declare({**GRANITE, "vision": True}) == ["granite: created"]
    assert litellm.models[IDENTITY]["model_info"]["supports_vision"] is True


def test_what_somebody_deletes_meanwhile_is_made_again_or_gone_already(litellm, script, api):
    (want,) = script.wanted(GRANITE)
    want["model_info"]["id"] = IDENTITY
    there = api.LiteLLM(*given())
    there.update(want)
    assert IDENTITY in litellm.models
    there.delete(IDENTITY)
    there.delete(IDENTITY)
    assert litellm.models == {}


def test_a_model_registered_before_there_were_keys_and_endpoints_is_taken_over_in_place(litellm, declare):
    declare(GRANITE)
    del litellm.models[IDENTITY]["model_info"]["api_key_reference"]
    assert declare({**GRANITE, "tpm": 7}) == ["granite: updated"]
    assert declare({**GRANITE, "tpm": 7}) == []
    assert list(litellm.models) == [IDENTITY]


def test_no_declared_model_is_a_valid_declaration(litellm, declare):
    assert declare() == []
    assert litellm.calls == []


def test_an_absent_folder_stands_for_no_model(litellm, script, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DECLARED", str(tmp_path / "none"))
    monkeypatch.setenv("RETIRED", "")
    script.main()
    assert capsys.readouterr().out.startswith("0 declared models: ")


def test_it_waits_while_the_gateway_is_not_ready(litellm, declare):
    litellm.not_ready = 3
    assert declare(GRANITE) == ["granite: created"]


def test_it_gives_up_on_a_gateway_that_never_gets_ready(litellm, declare, api, monkeypatch):
    litellm.not_ready = 10**6
    monkeypatch.setattr(api, "PATIENCE_SECONDS", -1)
    with pytest.raises(SystemExit, match="LiteLLM answered 503"):
        declare(GRANITE)


def test_it_waits_while_nothing_listens_and_then_says_so(declare, api, monkeypatch):
    tries = []
    clock = types.SimpleNamespace(monotonic=lambda: len(tries), sleep=tries.append)
    monkeypatch.setattr(api, "time", clock)
    monkeypatch.setattr(api, "PATIENCE_SECONDS", 3)
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


def test_a_refused_deletion_says_what_litellm_answered(litellm, declare):
    declare(GRANITE)
    litellm.fails["/model/delete"] = 400
    with pytest.raises(SystemExit, match=r"LiteLLM answered 400 to .*/model/delete: .*Failed"):
        declare(retired="granite")


def test_a_refused_change_says_what_litellm_answered(litellm, declare):
    litellm.fails["/model/new"] = 500
    with pytest.raises(SystemExit, match=r"LiteLLM answered 500 to .*/model/new: .*Failed"):
        declare(GRANITE)


def test_a_change_that_fails_for_a_moment_is_tried_again(litellm, declare, script, monkeypatch):
    litellm.fails["/model/new"] = 500
    clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: litellm.fails.clear())
    monkeypatch.setattr(script, "time", clock)
    failed, created = declare({**GRANITE, "tpm": None})
    assert "LiteLLM answered 500" in failed
    assert "once more in 2 s" in failed
    assert created == "granite: created"


def test_an_interrupted_run_is_finished_by_the_next(litellm, declare):
    declare(GRANITE)
    litellm.fails["/model/new"] = 500
    with pytest.raises(SystemExit):
        declare(GRANITE, {**GRANITE, "model": "zephyr"})
    litellm.fails.clear()
    assert declare(GRANITE, {**GRANITE, "model": "zephyr"}) == ["zephyr: created"]


def test_the_double_refuses_the_same_id_twice(litellm, script, api):
    (want,) = script.wanted(GRANITE)
    want["model_info"]["id"] = IDENTITY
    there = api.LiteLLM(*given())
    there.call("POST", "/model/new", want)
    with pytest.raises(urllib.error.HTTPError) as refused:
        there.call("POST", "/model/new", want)
    refused.value.close()
    assert refused.value.code == 500


def test_the_declaration_of_the_program_is_what_the_script_reads(script, demo):
    """The two share their words by agreement only."""
    files = demo.one("ConfigMap", "models-declarations").inputs["data"]
    assert set(files) == {f"{name}.json" for name in demo.exports["models"]}
    for model in map(json.loads, files.values()):
        assert set(model) == set(GRANITE)
        assert all(set(one) == set(SERVER) for one in model["endpoints"])
        (want,) = script.wanted(model)
        assert want["model_name"] == model["model"]


def test_the_script_needs_python_only():
    """It runs in LiteLLM's image, whose packages are not ours to rely on."""
    lines = [line for name in SCRIPTS for line in (FILES / f"{name}.py").read_text(encoding="utf-8").splitlines()]
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - {"register_api"} <= sys.stdlib_module_names
