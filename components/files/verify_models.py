"""Calls every model as a user would: with a key that is made for it and taken back in any case."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from verify_report import SKIPPED, Problem, Row

MODEL_SECONDS = 30
AT_ONCE = 8
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
    if not called:
        return
    temporary = TemporaryKey(site, called)
    try:
        if report.check(KEY, temporary.make, "gateway answers"):
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
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(lambda model: report.attempt(_name(model), Calls(site, key, model).all), called))
    finally:
        # Whoever stops this does not wait for answers; the key has to go first.
        pool.shutdown(wait=False, cancel_futures=True)


class TemporaryKey:
    """A key of LiteLLM for some models; it expires by itself should nobody withdraw it."""

    def __init__(self, site, models):
        self._site, self._models = site, models
        self._master = {"Authorization": f"Bearer {site.env['LITELLM_MASTER_KEY']}"}
        self._alias, self.key, self._deleted = "", "", False

    def make(self):
        self._alias = f"litemaas-verification-{secrets.token_hex(4)}"
        budget = LEAST_BUDGET + sum(1000 * (model["input_price"] + model["output_price"]) for model in self._models)
        body = {
            "key_alias": self._alias,
            "models": [model["model"] for model in self._models],
            "max_budget": budget,
            "duration": "10m",
            "metadata": {"purpose": "verification at the end of pulumi up", "managed_by": "litemaas-pulumi"},
        }
        try:
            answer = self._post("/key/generate", body)
        except Problem:
            # It may have been made although the answer was lost.
            with suppress(Problem):
                self._post("/key/delete", {"key_aliases": [self._alias]})
            raise
        if answer.status != 200:
            cause = "LiteLLM has another master key than this program gave it, or cannot write to its database"
            raise Problem(answer.said(), cause, "look at the logs of deployment/litellm", final=answer.status in (401, 403))
        self.key = answer.json()["key"]
        return f"{self._alias}, for 10 minutes"

    def withdraw(self):
        if not self._deleted:
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
        return self._site.client.ask("POST", f"{self._site.gateway}{path}", body, self._master)


class Calls:
    """What one model is asked."""

    def __init__(self, site, key, model):
        self._site, self._model = site, model
        self._headers = {"Authorization": f"Bearer {key}"}

    def all(self):
        """What the model did. Raises Problem at the first thing it does not."""
        if self._model["embedding"]:
            return self._embeds()
        done = [self._answers(), self._streams()]
        return ", ".join([*done, self._calls_tool()] if self._model["tools"] else done)

    def _post(self, what, path, body):
        body = {"model": self._model["model"], **body}
        try:
            answer = self._site.client.ask("POST", f"{self._site.gateway}{path}", body, self._headers, MODEL_SECONDS)
        except Problem as problem:
            raise Problem(f"{what}: {problem.seen}", *_away(self._model)) from None
        if answer.status != 200:
            # The failure before the pause says more.
            raise Problem(f"{what}: {answer.said()}", *_advice(self._model, what, answer), echo=_is_pause(answer))
        return answer

    def _chat(self, what, tokens=TOKENS, **more):
        tokens = min(tokens, self._model["max_output"], max(1, self._model["context_length"] // 2))
        messages = [{"role": "user", "content": more.pop("question", QUESTION)}]
        return self._post(what, "/v1/chat/completions", {"messages": messages, "max_tokens": tokens, **more})

    def _answers(self):
        if not self._chat("chat").json()["choices"][0]["message"]:
            raise Problem("chat: an empty answer", *_away(self._model))
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
            raise Problem("embedding: an empty vector", *_away(self._model))
        return f"embeds ({size} dimensions)"


def _away(model):
    host = _servers(model)
    cause = f"nothing answers at {host}: a wrong endpoint, or a model that is scaled to zero or still loading"
    return cause, f"oc get inferenceservice,pods -A | grep {model['model']}; write verify: false if it is meant to be away"


def _servers(model):
    """The addresses of a model, in words."""
    return " or ".join(server["url"] for server in model["endpoints"])


def _is_pause(answer):
    """After a failure LiteLLM does not call a model for some seconds."""
    return answer.status == 429 and "No deployments available" in answer.text


def _advice(model, what, answer):
    """Likely cause and cure of an error, by status: LiteLLM passes on that of the model's server."""
    name, endpoint = model["model"], _servers(model)
    if answer.status == 404:
        cause = f"its server knows no model {model['endpoints'][0]['served_name']}, or its API is not at {endpoint}"
        return cause, f"curl {endpoint}/models in the cluster; compare servedName and endpoint of {name}"
    if answer.status in (401, 403):
        cause = "its server asks for a key, and LiteLLM has none for it"
        return cause, "let it take calls from this namespace without a key, or write verify: false"
    if _is_pause(answer):
        return "LiteLLM pauses it, because calls before this one failed", "look at the logs of deployment/litellm"
    if answer.status in (422, 429):
        return "its rate limits (tpm, rpm) are used up or too small for three calls", f"raise tpm and rpm of {name}"
    if answer.status == 400 and what == "tool call":
        cause = "its server takes no tools: vLLM needs --enable-auto-tool-choice and --tool-call-parser"
        return cause, f"start it with both, or write tools: false for {name}"
    if answer.status == 400:
        cause = "its server takes no such request: another kind of model, or LiteLLM does not know it yet"
        return cause, f"compare embedding and contextLength of {name} with what is served"
    return _away(model)
