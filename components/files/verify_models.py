"""Calls every model as a user would: with a key that is made for it and taken back in any case."""

import json
import secrets
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from verify_advice import advice, away, is_pause, says
from verify_report import LEFT_OUT, SKIPPED, Problem, Row

MODEL_SECONDS = 30
# Each is another server's work. With 200 models that take a second for an answer, 8 at once would need 75 s.
AT_ONCE = 32
PROGRESS = 25
# LiteLLM reserves what a call could cost, and refuses it where that exceeds the budget.
LEAST_BUDGET = 0.05
TOKENS = 16
# Room for a model that thinks before it calls.
TOOL_TOKENS = 256
QUESTION = "Answer with one word: are you there?"
TOOL = {
    "type": "function",
    "function": {
        "name": "report_status",
        "description": "Reports the status of a machine.",
        "parameters": {
            "type": "object",
            "properties": {"status": {"type": "string", "enum": ["up", "down"]}},
            "required": ["status"],
        },
    },
}
KEY, WITHDRAWN = "temporary key", "key withdrawn"


def check_models(report, site):
    """Adds a row for each model that is to be called, and those of the key."""
    called = [model for model in site.models if model["verify"] and model["serving"]]
    for model in site.models:
        if model not in called:
            reason = "its server is scaled to zero" if model["verify"] else "verify: false"
            report.rows.append(Row(_name(model), LEFT_OUT, reason))
    if not called:
        return
    temporary = TemporaryKey(site, called)
    try:
        if report.check(KEY, temporary.make, "master key"):
            report.hide(temporary.key)
            report.rows += _rows(report, site, temporary.key, called)
        else:
            report.rows += [Row(_name(model), SKIPPED, f"needs: {KEY}") for model in called]
    finally:
        if temporary.key:
            report.check(WITHDRAWN, temporary.withdraw)


def _name(model):
    return f"model {model['model']}"


def _rows(report, site, key, called):
    """The rows of all models, called side by side, so that slow ones do not add up."""

    def row(model):
        if not report.left:
            return Row(_name(model), SKIPPED, "no time is left: models before it took all of it, see their rows")
        return report.attempt(_name(model), Calls(report, site, key, model).all)

    pool, rows = ThreadPoolExecutor(AT_ONCE), []
    try:
        for done in pool.map(row, called):
            rows.append(done)
            if not len(rows) % PROGRESS:
                report.tell(f"models: {len(rows)} of {len(called)} done")
        return rows
    finally:
        # Whoever stops this does not wait for answers; the key has to go first.
        pool.shutdown(wait=False, cancel_futures=True)


class TemporaryKey:
    """A key of LiteLLM for some models; it expires by itself should nobody withdraw it."""

    def __init__(self, site, models):
        self._site, self._models = site, models
        self._alias, self.key, self._deleted = "", "", False

    def make(self):
        self._alias = f"litemaas-verification-{secrets.token_hex(4)}"
        budget = LEAST_BUDGET + sum(1000 * (model["input_price"] + model["output_price"]) for model in self._models)
        body = {
            "key_alias": self._alias,
            "models": [model["model"] for model in self._models],
            "max_budget": budget,
            "duration": "10m",
            "metadata": {"purpose": "verification of the installation", "managed_by": "litemaas-pulumi"},
        }
        try:
            answer = self._post("/key/generate", body)
        except Problem:
            # It may have been made although the answer was lost.
            with suppress(Problem):
                self._post("/key/delete", {"key_aliases": [self._alias]})
            raise
        if answer.status != 200:
            raise Problem(answer.said(), "LiteLLM cannot write to its database", "look at the logs of deployment/litellm")
        self.key = answer.json()["key"]
        return f"{self._alias}, for 10 minutes"

    def withdraw(self):
        if not self._deleted:
            # LiteLLM tells its other replicas of a block, not of a deletion (docs/decisions/0014).
            self._post("/key/block", {"key": self.key})
            answer = self._post("/key/delete", {"key_aliases": [self._alias]})
            self._deleted = answer.status == 200
        bearer = {"Authorization": f"Bearer {self.key}"}
        refused = self._site.client.ask("GET", f"{self._site.gateway}/v1/models", headers=bearer)
        todo = f"it ends by itself in 10 minutes ({self._alias}); look at redis and at the logs of deployment/litellm"
        # What counts: an earlier deletion may have worked although its answer was lost.
        if refused.status == 401:
            return "deleted, and refused since"
        if not self._deleted:
            raise Problem(answer.said(), "LiteLLM cannot write to its database", todo)
        cause = "replicas of LiteLLM do not share their cache: deleted keys of users go on working too"
        raise Problem(f"{refused.status} with the deleted key", cause, todo)

    def _post(self, path, body):
        return self._site.client.ask("POST", f"{self._site.gateway}{path}", body, self._site.master)


class Calls:
    """What one model is asked."""

    def __init__(self, report, site, key, model):
        self._report, self._site, self._model = report, site, model
        self._headers = {"Authorization": f"Bearer {key}"}

    def all(self):
        """What the model did. Raises Problem at the first thing it does not."""
        # First, because LiteLLM may send the calls below to one endpoint, or to all but the dead one.
        several = len(self._model["endpoints"])
        done = [self._endpoints()] if several > 1 else []
        if self._model["embedding"]:
            return ", ".join([self._embeds(), *done])
        done = [self._answers(), self._streams(), *([self._calls_tool()] if self._model["tools"] else []), *done]
        return ", ".join(done)

    def _ask(self, what, method, path, body=None, headers=None):
        # Half a second is for the answer that nobody gave.
        seconds = max(0.5, min(MODEL_SECONDS, self._report.left))
        try:
            return self._site.client.ask(method, f"{self._site.gateway}{path}", body, headers or self._headers, seconds)
        except Problem as problem:
            raise Problem(f"{what}: {problem.seen}", *_lost(self._model, problem)) from None

    def _endpoints(self):
        """LiteLLM itself calls each of the endpoints: of a name, it would else choose one."""
        path = f"/health?{urllib.parse.urlencode({'model': self._model['model']})}"
        answer = self._ask("endpoints", "GET", path, headers=self._site.master)
        # 503 where none of them is well.
        if answer.status not in (200, 503) or "unhealthy_endpoints" not in answer.text:
            raise Problem(f"endpoints: {answer.said()}", *advice(self._model, "endpoints", answer.status, answer.said()))
        dead, total = answer.json()["unhealthy_endpoints"], len(self._model["endpoints"])
        if dead:
            errors = [f"{one.get('api_base')}: {says(str(one.get('error')))}" for one in dead]
            seen = f"{len(dead)} of {total} endpoints do not answer: {'; '.join(errors)}"
            raise Problem(seen, *away({**self._model, "endpoints": [{"url": one.get("api_base")} for one in dead]}))
        return f"on each of {total} endpoints"

    def _post(self, what, path, body):
        # The key opens all models: with fallbacks, another one would answer in the stead of a dead one.
        answer = self._ask(what, "POST", path, {"model": self._model["model"], "disable_fallbacks": True, **body})
        if answer.status != 200:
            # The failure before the pause says more.
            told = advice(self._model, what, answer.status, answer.said())
            raise Problem(f"{what}: {says(answer.said())}", *told, echo=is_pause(answer.status, answer.text))
        return answer

    def _chat(self, what, tokens=TOKENS, **more):
        tokens = min(tokens, self._model["max_output"], max(1, self._model["context_length"] // 2))
        messages = [{"role": "user", "content": more.pop("question", QUESTION)}]
        return self._post(what, "/v1/chat/completions", {"messages": messages, "max_tokens": tokens, **more})

    def _answers(self):
        if not self._chat("chat").json()["choices"][0]["message"]:
            raise Problem("chat: an empty answer", *away(self._model))
        return "answers"

    def _streams(self):
        text = self._chat("stream", stream=True).text
        events = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
        chunks = [json.loads(event) for event in events if event != "[DONE]"]
        errors = [chunk["error"] for chunk in chunks if "error" in chunk]
        if errors or not any(chunk.get("choices") for chunk in chunks) or events[-1] != "[DONE]":
            seen = str(errors[0]) if errors else f"ended after {len(chunks)} pieces"
            todo = "look at the logs of deployment/litellm and of the model's server"
            raise Problem(f"stream: {seen}", "the model's server or LiteLLM broke the stream off", todo)
        return "streams"

    def _calls_tool(self):
        question = "The machine is up. Report its status with the tool; do not answer in words."
        answer = self._chat("tool call", TOOL_TOKENS, question=question, tools=[TOOL], tool_choice="auto", temperature=0)
        if not answer.json()["choices"][0]["message"].get("tool_calls"):
            cause = "the server's --tool-call-parser is not the one of this model, or the model is too weak for tools"
            raise Problem("tool call: answered in words", cause, f"mend the parser, or write tools: false for {self._model['model']}")
        return "calls tools"

    def _embeds(self):
        answer = self._post("embedding", "/v1/embeddings", {"input": QUESTION, "encoding_format": "float"})
        size = len(answer.json()["data"][0]["embedding"])
        if not size:
            raise Problem("embedding: an empty vector", *away(self._model))
        return f"embeds ({size} dimensions)"



def _lost(model, problem):
    """Why a call got no answer at all: mostly the gateway's fault, which has no other row by now."""
    if "within" in problem.seen:
        return away(model)
    return problem.cause, problem.todo
