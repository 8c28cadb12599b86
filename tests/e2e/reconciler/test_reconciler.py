"""The script that registers models, as a process, against the real LiteLLM and a real PostgreSQL."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import report
from tests.e2e.reconciler.conftest import Reconciler, model, model_server
from tests.e2e.reconciler.proxies import MODEL_KEYS, Gateway, Installation

NEW, DELETE = ("POST", "/model/new"), ("POST", "/model/delete")
LIST = ("GET", "/model/info")
# A replica looks into the database every 15 s here; its first look may come later.
HEARD_SECONDS = 60
# Of callers: the machine has to do the rest as well.
PAUSE_SECONDS = 0.02
QUESTION = {"model": "granite", "messages": [{"role": "user", "content": "one two"}], "max_tokens": 5}


def patch(identity: str) -> tuple[str, str]:
    return "PATCH", f"/model/{identity}/update"


def called(gateway: Gateway) -> int:
    """The status of a call; after a failure LiteLLM does not try again for five seconds and says 429."""
    until = time.monotonic() + 10
    while True:
        status, _ = gateway.ask("POST", "/v1/chat/completions", QUESTION)
        if status != 429 or time.monotonic() > until:
            return status
        time.sleep(0.5)


@contextmanager
def callers(gateway: Gateway) -> Iterator[Counter[str]]:
    """Calls granite and looks for it in the list all the time; yields what happened how often."""
    seen, over = Counter[str](), threading.Event()

    def call() -> None:
        while not over.is_set():
            seen[f"call {called(gateway)}"] += 1
            time.sleep(PAUSE_SECONDS)

    def look() -> None:
        while not over.is_set():
            listed = any(each["model_name"] == "granite" for each in gateway.models().values())
            seen["listed" if listed else "missing"] += 1
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=each) for each in (call, look)]
    for each in threads:
        each.start()
    try:
        yield seen
    finally:
        # What comes late counts too.
        time.sleep(1)
        over.set()
        for each in threads:
            each.join()


@pytest.mark.parametrize("count", [0, 4, 200])
def test_calls_grow_with_what_changes_and_nothing_else(reconciler: Reconciler, litellm: Installation, count: int):
    models = [model(f"model-{number:03}") for number in range(count)]
    spent = {}

    first = reconciler.run(*models)
    spent["from empty"] = first
    assert first.calls[0] == LIST
    assert first.writes == [NEW] * count
    assert first.lines[:-1] == [f"{each['model']}: created" for each in models]
    assert len(litellm.stored()) == count

    spent["nothing to do"] = again = reconciler.run(*models)
    assert again.calls == [LIST]

    if models:
        models[1]["input_price"] = 5e-06
        spent["one price"] = priced = reconciler.run(*models)
        assert priced.writes == [patch("litemaas-pulumi-model-001")]
        assert reconciler.run(*models).writes == []

        gone = models.pop(2)["model"]
        spent["one deleted"] = deleted = reconciler.run(*models, retired=gone)
        assert deleted.writes == [DELETE]
        assert len(litellm.stored()) == count - 1
        assert reconciler.run(*models, retired=gone).writes == []
    figures = (f"{name} {run.seconds:.1f} s, {len(run.calls)} calls" for name, run in spent.items())
    report(f"reconciling {count} models: {'; '.join(figures)}")


def test_a_run_that_is_killed_is_finished_by_the_next(reconciler: Reconciler, litellm: Installation):
    models = [model(f"model-{number:02}") for number in range(20)]
    reconciler.declare(*models)
    process = reconciler.start()
    assert process.stdout
    for _ in range(5):
        assert "created" in process.stdout.readline()
    process.kill()
    process.communicate()
    there = len(litellm.stored())
    assert 5 <= there < 20
    run = reconciler.run(*models)
    report(f"killed with {there} of 20 models: the next run made {len(run.writes)} writes in {run.seconds:.1f} s")
    assert len(litellm.stored()) == 20
    assert reconciler.run(*models).writes == []


def test_what_a_patch_cannot_take_away_goes_with_a_replacement_that_nobody_notices(
    reconciler: Reconciler, gateway: Gateway, litellm: Installation
):
    with model_server() as url:
        limited = model("granite", {"url": url}, tpm=100000, rpm=100000)
        reconciler.run(limited)
        assert called(gateway) == 200
        with callers(gateway) as seen:
            run = reconciler.run({**limited, "tpm": None})
    assert run.writes == [NEW, DELETE]
    assert "granite: replaced by litemaas-pulumi-granite_r2: tpm cannot be taken away in place" in run.lines
    assert list(litellm.stored()) == ["litemaas-pulumi-granite_r2"]
    params = gateway.models()["litemaas-pulumi-granite_r2"]["litellm_params"]
    assert (params.get("tpm"), params["rpm"]) == (None, 100000)
    assert set(seen) == {"call 200", "listed"}, seen
    report(f"replaced while in use, never away: {seen['call 200']} calls, {seen['listed']} looks at the list")
    assert reconciler.run({**limited, "tpm": None}).writes == []


def test_a_replacement_that_was_interrupted_is_completed(reconciler: Reconciler, litellm: Installation):
    """Both are there: killed between the two calls."""
    limited, free = model("granite", rpm=9), model("granite")
    reconciler.run(limited)
    created = reconciler.gateway.models()["litemaas-pulumi-granite"]
    names = ("model", "api_base", "input_cost_per_token", "output_cost_per_token")
    copy = {
        "model_name": "granite",
        "litellm_params": {each: created["litellm_params"][each] for each in names},
        "model_info": litellm.stored()["litemaas-pulumi-granite"]["info"] | {"id": "litemaas-pulumi-granite_r2"},
    }
    assert reconciler.gateway.ask("POST", "/model/new", copy)[0] == 200
    assert reconciler.run(free).writes == [DELETE]
    assert list(litellm.stored()) == ["litemaas-pulumi-granite_r2"]


def test_the_models_own_key_is_sent_changed_and_taken_away(reconciler: Reconciler, gateway: Gateway):
    with model_server("--api-key", MODEL_KEYS["OTHER_KEY"]) as url:
        wrong = model("granite", {"url": url, "key_env": "GRANITE_KEY", "key_revision": "1"})
        right = model("granite", {"url": url, "key_env": "OTHER_KEY", "key_revision": "1"})
        reconciler.run(wrong)
        assert called(gateway) == 401
        assert reconciler.run(right).writes == [patch("litemaas-pulumi-granite")]
        assert called(gateway) == 200
        assert reconciler.run(right).writes == []
        newer = model("granite", {"url": url, "key_env": "OTHER_KEY", "key_revision": "2"})
        assert reconciler.run(newer).writes == [patch("litemaas-pulumi-granite")]
        run = reconciler.run(model("granite", {"url": url}))
        assert run.writes == [NEW, DELETE]
        assert called(gateway) == 401, "without a key the server refuses"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("context_length", 8192),
        ("max_output", 100),
        ("output_price", 0.0),
        ("tools", False),
        ("vision", True),
        ("embedding", True),
        ("tpm", 2000),
    ],
)
def test_a_changed_field_is_stored_by_one_patch_and_can_be_set_back(
    reconciler: Reconciler, gateway: Gateway, key: str, value: Any
):
    before = model("granite", tpm=1000)
    reconciler.run(before)
    shown = gateway.models()["litemaas-pulumi-granite"]
    for wanted in ({**before, key: value}, before):
        assert reconciler.run(wanted).writes == [patch("litemaas-pulumi-granite")]
        assert reconciler.run(wanted).writes == [], "it is really stored"
    assert gateway.models()["litemaas-pulumi-granite"] == shown


def test_what_the_portals_form_rewrites_is_set_back(reconciler: Reconciler, gateway: Gateway):
    granite = model("granite", tpm=1000)
    reconciler.run(granite)
    edit = {
        "model_name": "granite",
        "litellm_params": {"model": "openai/granite", "input_cost_per_token": 1.0, "tpm": 5, "rpm": 7},
        "model_info": {"id": "litemaas-pulumi-granite", "max_tokens": 1, "supports_vision": True},
    }
    assert gateway.ask("PATCH", "/model/litemaas-pulumi-granite/update", edit)[0] == 200
    # The form also set a limit that is not declared: that one cannot be taken away in place.
    assert reconciler.run(granite).writes == [NEW, DELETE]
    (live,) = gateway.models().values()
    params, info = live["litellm_params"], live["model_info"]
    assert (params["model"], params["tpm"], params.get("rpm")) == ("hosted_vllm/ibm/granite", 1000, None)
    assert (params["input_cost_per_token"], info["max_tokens"], info["supports_vision"]) == (1e-06, 16384, False)
    edit["litellm_params"] = {"model": "openai/granite"}
    edit["model_info"]["id"] = info["id"]
    assert gateway.ask("PATCH", f"/model/{info['id']}/update", edit)[0] == 200
    assert reconciler.run(granite).writes == [patch(info["id"])]
    assert reconciler.run(granite).writes == []


def by_hand(gateway: Gateway, name: str, **info: Any) -> str:
    """Adds a model as the portal does; returns its id."""
    body = {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "x"}, "model_info": info}
    status, made = gateway.ask("POST", "/model/new", body)
    assert status == 200
    return made["model_id"]


def test_models_of_others_are_left_alone_and_named(reconciler: Reconciler, gateway: Gateway, litellm: Installation):
    theirs = by_hand(gateway, "theirs")
    # A copy of ours, made in LiteLLM's own pages, carries our mark.
    copied = by_hand(gateway, "copied", managed_by="litemaas-pulumi")
    run = reconciler.run(model("granite"), retired="theirs")
    assert run.writes == [NEW]
    assert "made by hand and left alone: copied, theirs" in run.lines
    assert {theirs, copied} < set(litellm.stored())


def test_models_of_others_under_declared_names_are_conflicts_before_any_write(
    reconciler: Reconciler, gateway: Gateway, litellm: Installation
):
    ours, theirs = model("ours"), model("theirs")
    by_hand(gateway, "theirs")
    by_hand(gateway, "also-theirs")
    code, _, err, calls = reconciler.attempt(model("also-theirs"), ours, theirs)
    assert (code, calls) == (78, [LIST, LIST])
    assert [line.split(":")[0] for line in err.splitlines()] == ["theirs", "also-theirs"]
    assert len(litellm.stored()) == 2


def test_several_endpoints_are_deployments_of_one_model(
    reconciler: Reconciler, gateway: Gateway, litellm: Installation
):
    with model_server() as one, model_server() as two:
        both = model("granite", {"url": one}, {"url": two})
        assert reconciler.run(both).writes == [NEW, NEW]
        infos = [each["info"] for each in litellm.stored().values()]
        assert sorted(each.pop("id") for each in infos) == ["litemaas-pulumi-granite", "litemaas-pulumi-granite_2"]
        assert infos[0] == infos[1]
        assert reconciler.run(both).writes == []
        with callers(gateway) as seen:
            only = reconciler.run(model("granite", {"url": two}))
        assert only.writes == [patch("litemaas-pulumi-granite"), DELETE]
        assert set(seen) == {"call 200", "listed"}
        (left,) = gateway.models().values()
        assert left["litellm_params"]["api_base"] == two


def test_a_deleted_model_says_how_many_keys_still_name_it(reconciler: Reconciler, gateway: Gateway):
    reconciler.run(model("granite"), model("old"))
    for models in (["old"], ["old", "granite"], ["granite"]):
        assert gateway.ask("POST", "/key/generate", {"models": models})[0] == 200
    run = reconciler.run(model("granite"), retired="old")
    assert "old: 2 keys of LiteLLM still name it and will work again should the name return" in run.lines
    assert run.writes == [DELETE], "they are other people's"


def wait_until(replica: Gateway, identity: str) -> None:
    """Until a replica lists a model that another one has written."""
    until = time.monotonic() + HEARD_SECONDS
    while identity not in replica.models():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_callers_of_another_replica_do_not_notice_a_replacement_either(
    reconciler: Reconciler, second_replica: Gateway, litellm: Installation
):
    """It hears of the new and of the deleted one in the same moment."""
    with model_server() as url:
        limited = model("granite", {"url": url}, rpm=100000)
        reconciler.run(limited)
        wait_until(second_replica, "litemaas-pulumi-granite")
        with callers(second_replica) as seen:
            reconciler.run({**limited, "rpm": None})
            wait_until(second_replica, "litemaas-pulumi-granite_r2")
    assert list(second_replica.models()) == ["litemaas-pulumi-granite_r2"]
    assert set(seen) == {"call 200", "listed"}, seen
    report(f"the same on another replica: {seen['call 200']} calls, {seen['listed']} looks at the list")


def test_a_replica_that_has_not_heard_of_a_change_leads_to_the_same_end(
    reconciler: Reconciler, second_replica: Gateway, gateway: Gateway, litellm: Installation
):
    granite, old = model("granite"), model("old")
    # Just after it has looked into the database, there is time until it looks again.
    theirs = by_hand(gateway, "theirs")
    wait_until(second_replica, theirs)
    reconciler.run(granite, old)
    assert list(second_replica.models()) == [theirs], "else this proves nothing"
    run = reconciler.run(granite, old, gateway=second_replica)
    assert run.writes == [NEW, patch("litemaas-pulumi-granite"), NEW, patch("litemaas-pulumi-old")]
    assert set(litellm.stored()) == {theirs, "litemaas-pulumi-granite", "litemaas-pulumi-old"}
    reconciler.run(granite, retired="old")
    assert "litemaas-pulumi-old" in second_replica.models(), "else this proves nothing"
    run = reconciler.run(granite, retired="old", gateway=second_replica)
    assert run.writes == [DELETE]
    assert set(litellm.stored()) == {theirs, "litemaas-pulumi-granite"}
