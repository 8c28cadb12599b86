"""What the model server double answers: deterministic, counted in words instead of tokens."""

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DIMENSIONS = 64

Json = dict[str, Any]


@dataclass
class Refusal(Exception):  # noqa: N818 (an answer to the client, not a fault of the server)
    """An error as vLLM words it."""

    status: int
    kind: str
    message: str

    def document(self) -> Json:
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": self.status}}


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequestError", message)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One finished generation; ``call`` is the function call that was made instead of a text."""

    words: tuple[str, ...]
    call: Json | None
    prompt_tokens: int
    cut: bool

    @property
    def completion_tokens(self) -> int:
        return len(self.call["arguments"].split()) if self.call else len(self.words)

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.call else "length" if self.cut else "stop"

    def usage(self) -> Json:
        both = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": both,
            "prompt_tokens_details": None,
        }

    def pieces(self) -> Iterator[str]:
        """The text, word by word; joined it is the text of the answer that is not streamed."""
        for index, word in enumerate(self.words):
            yield word if index == 0 else f" {word}"


def text_of(content: object) -> str:
    """The text of a message, which is a string or a list of typed parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def count(*texts: str) -> int:
    return sum(len(text.split()) for text in texts)


def room(prompt_tokens: int, wanted: int | None, limit: int) -> int:
    """How many tokens may be generated. Raises Refusal where vLLM does."""
    if wanted is not None and wanted < 1:
        raise bad_request(f"max_tokens must be at least 1, got {wanted}.")
    if prompt_tokens >= limit:
        raise bad_request(
            f"This model's maximum context length is {limit} tokens. However, your request has "
            f"{prompt_tokens} input tokens. Please reduce the length of the input messages."
        )
    if wanted is not None and prompt_tokens + wanted > limit:
        raise bad_request(
            f"'max_tokens' or 'max_completion_tokens' is too large: {wanted}. This model's maximum context "
            f"length is {limit} tokens and your request has {prompt_tokens} input tokens "
            f"({wanted} > {limit} - {prompt_tokens})."
        )
    return limit - prompt_tokens if wanted is None else wanted


def chat(body: Json, *, limit: int, auto_tools: bool) -> Reply:
    """Answers a chat: a call of the first fitting tool, else an echo of the last message."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise bad_request("[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required'}]")
    function = _chosen(body, messages, auto_tools=auto_tools)
    prompt = count(*(text_of(message.get("content")) for message in messages))
    wanted = body.get("max_completion_tokens", body.get("max_tokens"))
    allowed = room(prompt, wanted, limit)
    if function is not None:
        call = {"name": function["name"], "arguments": json.dumps(_arguments(function.get("parameters") or {}))}
        return Reply(words=(), call=call, prompt_tokens=prompt, cut=False)
    return _echo(text_of(messages[-1].get("content")), prompt, allowed)


def complete(body: Json, *, limit: int) -> Reply:
    """Answers a completion; of several prompts only the first."""
    prompt = body.get("prompt")
    if isinstance(prompt, list):
        prompt = prompt[0] if prompt else None
    if not isinstance(prompt, str) or not prompt:
        raise bad_request("Either prompt or prompt_embeds must be provided and non-empty.")
    tokens = count(prompt)
    # The OpenAI API's own default, which vLLM keeps for this path.
    return _echo(prompt, tokens, room(tokens, body.get("max_tokens", 16), limit))


def embed(body: Json, *, limit: int) -> tuple[list[list[float] | str], int]:
    """One vector of length 1 per input, made of its hash; and the number of tokens."""
    given = body.get("input")
    inputs = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]
    if not inputs:
        raise bad_request("[{'type': 'missing', 'loc': ('body', 'input'), 'msg': 'Field required'}]")
    for text in inputs:
        if count(text) > limit:
            raise bad_request(
                f"This model's maximum context length is {limit} tokens. However, you requested {count(text)} "
                "tokens in the input for embedding generation. Please reduce the length of the input."
            )
    vectors = [_vector(text) for text in inputs]
    if body.get("encoding_format") == "base64":
        packed = (struct.pack(f"<{DIMENSIONS}f", *vector) for vector in vectors)
        return [base64.b64encode(one).decode() for one in packed], count(*inputs)
    return [*vectors], count(*inputs)


def _chosen(body: Json, messages: list[Json], *, auto_tools: bool) -> Json | None:
    """The function to call, None for a text. A tool's result as the last message ends the calling."""
    tools = body.get("tools") or []
    choice = body.get("tool_choice", "auto" if tools else "none")
    if choice == "auto" and tools and not auto_tools:
        raise bad_request('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    if choice != "none" and not tools:
        raise bad_request("When using `tool_choice`, `tools` must be set.")
    if choice == "none" or messages[-1].get("role") == "tool":
        return None
    functions = [tool.get("function", {}) for tool in tools]
    if isinstance(choice, dict):
        name = choice.get("function", {}).get("name")
        functions = [function for function in functions if function.get("name") == name]
        if not functions:
            raise bad_request("The tool specified in `tool_choice` does not match any of the specified `tools`")
    return functions[0]


def _arguments(schema: Json) -> Json:
    """A value for each required argument of a function."""
    values: Json = {"string": "double", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}
    properties = schema.get("properties") or {}
    made: Json = {}
    for name in schema.get("required") or properties:
        declared = properties.get(name) or {}
        made[name] = declared["enum"][0] if declared.get("enum") else values.get(str(declared.get("type")), "double")
    return made


def _echo(text: str, prompt_tokens: int, allowed: int) -> Reply:
    words = ("double", "answers:", *text.split()[:64])
    return Reply(words=words[:allowed], call=None, prompt_tokens=prompt_tokens, cut=len(words) > allowed)


def _vector(text: str) -> list[float]:
    digest = hashlib.sha512(text.encode()).digest()[:DIMENSIONS]
    raw = [byte - 127.5 for byte in digest]
    length = sum(value * value for value in raw) ** 0.5
    return [value / length for value in raw]
