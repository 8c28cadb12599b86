"""Every model is called with a key that exists for that alone."""

import json
import threading

import pytest

from tests.unit.http_double import Reply, Request, serving
from tests.unit.verify.installation_double import E5, GRANITE, InstallationDouble, refuse, say

GATEWAY = "/gateway"
CHAT, EMBEDDINGS = f"{GATEWAY}/v1/chat/completions", f"{GATEWAY}/v1/embeddings"


def only(what: str, reply: Reply):
    """``reply`` to one kind of call: chat, stream or tools."""

    def answer(request: Request) -> Reply | None:
        body = request.json()
        kind = "stream" if body.get("stream") else "tools" if body.get("tools") else "chat"
        return reply if kind == what else None

    return answer


def test_a_model_is_asked_for_an_answer_a_stream_and_a_tool_call(double, verify):
    result = verify(double)
    assert result.state("model granite") == "ok: answers, streams, calls tools"
    bodies = [one.json() for one in double.called(CHAT)]
    assert [bool(body.get("stream")) for body in bodies] == [False, True, False]
    assert [bool(body.get("tools")) for body in bodies] == [False, False, True]
    assert all(body["model"] == "granite" for body in bodies)
    assert [body["max_tokens"] for body in bodies] == [16, 16, 256]


def test_an_embedding_model_is_asked_for_a_vector_only(double, verify):
    result = verify(double)
    assert result.state("model e5") == "ok: embeds (3 dimensions)"
    assert [one.json()["model"] for one in double.called(EMBEDDINGS)] == ["e5"]


def test_a_model_without_tools_is_not_asked_for_them(verify):
    served = InstallationDouble(GRANITE | {"tools": False, "max_output": 5})
    with serving(served) as served.url:
        result = verify(served)
    assert result.state("model granite") == "ok: answers, streams"
    assert [one.json()["max_tokens"] for one in served.called(CHAT)] == [5, 5], "never more than the model gives"


def test_the_key_is_for_these_models_few_minutes_and_little_money_and_says_what_it_is_for(double, verify):
    double.models.append(GRANITE | {"model": "away", "verify": False})
    verify(double)
    (made,) = double.made
    assert made["models"] == ["e5", "granite"]
    assert made["duration"] == "10m"
    assert 0.05 <= made["max_budget"] < 0.1
    assert made["key_alias"].startswith("litemaas-verification-")
    assert "verification" in made["metadata"]["purpose"]


def test_the_budget_covers_what_an_expensive_model_could_cost(verify):
    """LiteLLM reserves the price of the longest answer, and refuses a call that exceeds the budget."""
    served = InstallationDouble(GRANITE | {"input_price": 0.001, "output_price": 0.002})
    with serving(served) as served.url:
        verify(served)
    assert served.made[0]["max_budget"] > 0.002 * (16 + 16 + 256)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"verify": False}, "verify: false"), ({"serving": False}, "its server is scaled to zero")],
)
def test_a_model_that_is_away_on_purpose_is_named_with_the_reason_and_not_called(double, verify, changed, reason):
    double.models.append(GRANITE | {"model": "away", **changed})
    result = verify(double)
    assert result.code == 0, result.said
    assert result.state("models in the portal") == "ok: 3 of 3 as declared"
    assert result.state("model away") == f"left out: {reason}"
    assert result.table[-1] == "all 17 checks passed; 1 left out"
    assert "away" not in {one.json()["model"] for one in double.called(CHAT)}
    assert "away" not in double.made[0]["models"]


def test_where_no_model_is_to_be_called_no_key_is_made(verify):
    served = InstallationDouble(GRANITE | {"serving": False})
    with serving(served) as served.url:
        result = verify(served)
    assert result.code == 0, result.said
    assert served.made == []


def several(*hosts: str) -> dict:
    endpoint = GRANITE["endpoints"][0]
    return GRANITE | {"endpoints": [endpoint | {"url": f"http://{host}/v1"} for host in hosts]}


@pytest.mark.parametrize("dead", [("b",), ("a", "b")])
def test_of_several_endpoints_a_dead_one_is_named_though_the_name_answers(verify, dead):
    served = InstallationDouble(several("a", "b"))
    served.dead = {f"http://{host}/v1": "litellm.InternalServerError: Cannot connect to host" for host in dead}
    with serving(served) as served.url:
        result = verify(served)
    assert result.failed == ["model granite"]
    assert f"{len(dead)} of 2 endpoints do not answer: http://{dead[0]}/v1: Cannot connect" in result.state(
        "model granite"
    )
    assert f"nothing answers at http://{dead[0]}/v1" in result.advice("model granite")


def test_several_endpoints_that_all_answer_are_said(verify):
    served = InstallationDouble(several("a", "b"))
    with serving(served) as served.url:
        result = verify(served)
    assert result.state("model granite") == "ok: answers, streams, calls tools, on each of 2 endpoints"


def test_one_endpoint_is_not_called_once_more(double, verify):
    verify(double)
    assert double.called(f"{GATEWAY}/health") == []


def test_no_other_model_may_answer_in_the_stead_of_a_dead_one(double, verify):
    """Measured: a key for both gets the fallback's answer with 200, and the first one's error with this."""
    verify(double)
    bodies = [one.json() for one in [*double.called(CHAT), *double.called(EMBEDDINGS)]]
    assert {body["model"] for body in bodies} == {"granite", "e5"}
    assert all(body["disable_fallbacks"] is True for body in bodies)


def test_the_key_is_deleted_and_tried_once_more(double, verify):
    result = verify(double)
    assert result.state("key withdrawn") == "ok: deleted, and refused since"
    assert double.keys == {}
    assert double.requests[-1].path == f"{GATEWAY}/v1/models"


@pytest.mark.parametrize("what", ["chat", "stream", "tools"])
def test_the_key_is_deleted_when_a_model_fails_too(double, verify, what):
    double.faults[CHAT] = only(what, refuse(500, "Connection error."))
    result = verify(double)
    assert result.code == 1
    assert result.failed == ["model granite"]
    assert double.keys == {}
    assert result.state("key withdrawn").startswith("ok")
    assert result.state("model e5").startswith("ok"), "one model does not hide another"


@pytest.mark.parametrize(
    ("status", "text", "advice"),
    [
        (500, "Connection error.", "scaled to zero"),
        (500, "Cannot connect to host granite:8080 [Name or service not known]", "does not resolve"),
        (500, "Cannot connect to host: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "does not trust"),
        (503, "no healthy upstream", "nothing answers at http://granite.models"),
        (503, "<html><h1>Application is not available</h1>", "no ready LiteLLM pod"),
        (504, "<html><body><h1>504 Gateway Time-out</h1>", "the router gave up"),
        (404, "Hosted_vllmException - The model `x` does not exist.", "knows no model ibm/granite"),
        (404, "Hosted_vllmException - Not Found", "no OpenAI API is at http://granite.models"),
        (401, "litellm.AuthenticationError: Hosted_vllmException - Unauthorized", "refuses the API key"),
        (401, "Authentication Error, Invalid proxy server token passed", "refuses the temporary key"),
        (403, "key_model_access_denied", "does not know the model under this name"),
        (429, "Rate limit reached for requests per minute", "rate limits"),
        (429, "No deployments available for selected model, Try again in 5 seconds", "pauses it"),
        (422, "budget_exceeded", "temporary key's budget"),
        (400, "This model's maximum context length is 8 tokens.", "a smaller context than declared"),
        (400, "The model does not support Embeddings API", "another kind of model than declared"),
        (400, "Invalid model name passed in", "LiteLLM does not know it yet"),
    ],
)
def test_the_status_of_a_refused_call_tells_the_likely_cause(double, verify, status, text, advice):
    double.faults[CHAT] = (status, text.encode()) if text.startswith("<") else refuse(status, text)
    result = verify(double)
    assert result.state("model granite").startswith(f"FAILED: chat: {status} ")
    assert advice in result.advice("model granite")


LITELLM = "litellm.NotFoundError: NotFoundError: Hosted_vllmException - "
NO_FALLBACK = "\nLiteLLM: model group 'granite' failed with the error above. No fallback was attempted."
UNKNOWN = "The model `x` does not exist."
BODY = f'{{"error": {{"message": "{UNKNOWN}", "type": "NotFoundError", "param": null, "code": 404}}}}'
REFUSED = "[Connect call failed ('REDACTED', 4599)]"
TLS = "ssl:<ssl.SSLContext object at 0x7fbc2fe7ca70>"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (f"{LITELLM}{UNKNOWN}. Received Model Group=granite\nAvailable Model Group Fallbacks=None", UNKNOWN),
        (f"{LITELLM}{BODY}{NO_FALLBACK}", UNKNOWN),
        (f"{LITELLM}Cannot connect to host x:4599 {TLS} {REFUSED}", f"Cannot connect to host x:4599 {REFUSED}"),
        ("litellm.Timeout", "litellm.Timeout"),
    ],
)
def test_the_words_of_the_models_server_are_seen_without_litellms_around_them(double, verify, text, seen):
    """As LiteLLM 1.108.7 puts them."""
    double.faults[CHAT] = refuse(500, text)
    assert verify(double).state("model granite") == f"FAILED: chat: 500 {seen}"


def test_a_server_that_refuses_tools_is_told_from_one_that_is_away(double, verify):
    text = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    double.faults[CHAT] = only("tools", refuse(400, text))
    result = verify(double)
    assert result.state("model granite").startswith("FAILED: tool call: 400 ")
    assert "tools: false" in result.advice("model granite")


def test_a_model_that_answers_in_words_instead_of_calling_the_tool_fails(double, verify):
    words = {"choices": [{"message": {"role": "assistant", "content": "<tool_call>report_status</tool_call>"}}]}
    double.faults[CHAT] = only("tools", say(200, words))
    result = verify(double)
    assert result.state("model granite") == "FAILED: tool call: answered in words"
    assert "--tool-call-parser" in result.advice("model granite")


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (['{"choices": [{"delta": {"content": "I"}}]}'], "ended after 1 pieces"),
        (["[DONE]"], "ended after 0 pieces"),
        (['{"error": {"message": "upstream went away"}}', "[DONE]"], "upstream went away"),
    ],
)
def test_a_stream_that_breaks_off_fails(double, verify, lines, seen):
    double.faults[CHAT] = only("stream", (200, "".join(f"data: {line}\n\n" for line in lines).encode()))
    result = verify(double)
    assert seen in result.state("model granite")
    assert "broke the stream off" in result.advice("model granite")


@pytest.mark.parametrize("body", [b"", b"{}", json.dumps({"choices": []}).encode()])
def test_an_empty_answer_fails(double, verify, body):
    double.faults[CHAT] = (200, body)
    assert verify(double).failed == ["model granite"]


def test_an_empty_vector_fails(double, verify):
    double.faults[EMBEDDINGS] = say(200, {"data": [{"embedding": []}]})
    assert verify(double).state("model e5") == "FAILED: embedding: an empty vector"


def test_a_key_that_goes_on_working_after_its_deletion_fails(double, verify):
    double.faults[f"{GATEWAY}/v1/models"] = say(200, {"data": []})
    result = verify(double)
    assert result.failed == ["key withdrawn"]
    assert "do not share their cache" in result.advice("key withdrawn")


def test_a_key_that_cannot_be_deleted_fails_and_its_alias_is_named(double, verify):
    double.faults[f"{GATEWAY}/key/delete"] = refuse(500, "DB not connected")
    result = verify(double)
    assert result.failed == ["key withdrawn"]
    assert double.made[0]["key_alias"] in result.advice("key withdrawn")


def test_a_refused_master_key_is_said_at_once(double, verify):
    result = verify(double, patience=30, LITELLM_MASTER_KEY="sk-another-sentinel")
    assert result.failed == ["master key"]
    assert "another master key" in result.advice("master key")
    assert result.state("model granite") == "not tried: needs: temporary key"
    assert result.state("keys of the portal") == "not tried: needs: master key"
    assert double.called(f"{GATEWAY}/key/delete") == []


def test_without_the_gateway_no_key_is_made(double, verify):
    double.faults[f"{GATEWAY}/health/readiness"] = refuse(503, "starting")
    assert verify(double).state("model e5") == "not tried: needs: temporary key"
    assert double.made == []


def test_a_second_try_starts_anew_and_the_first_failure_is_forgotten(double, verify):
    calls = iter([refuse(500, "still loading")])
    double.faults[CHAT] = lambda _: next(calls, None)
    result = verify(double, patience=20)
    assert result.code == 0, result.said
    assert "model granite: chat: 500 still loading; waiting" in result.said


def test_the_pause_that_litellm_makes_after_a_failure_does_not_hide_the_failure(double, verify):
    """As LiteLLM 1.108.7 does: after a 404 of the model's server it answers 429 for five seconds."""
    pause = "No deployments available for selected model, Try again in 5 seconds. All deployments are in cooldown."
    answers = iter([refuse(404, "The model `x` does not exist.")])
    double.faults[CHAT] = lambda _: next(answers, refuse(429, pause))
    result = verify(double, patience=1)
    assert len(double.called(CHAT)) > 1
    assert result.state("model granite") == "FAILED: chat: 404 The model `x` does not exist."
    assert "knows no model ibm/granite" in result.advice("model granite")


def test_models_are_called_side_by_side(verify):
    """A barrier of all of them: one after the other would never get past it."""
    served = InstallationDouble(*(E5 | {"model": f"e{number}"} for number in range(32)))
    together = threading.Barrier(32)

    def meet(_: Request) -> None:
        together.wait(20)

    served.faults[EMBEDDINGS] = meet
    with serving(served) as served.url:
        assert verify(served).code == 0
