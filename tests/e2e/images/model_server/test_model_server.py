"""The double of the model server, as a process of its own, in the words of vLLM."""

import base64
import json
import math
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = pathlib.Path(__file__).with_name("server.py")
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
            "required": ["city", "unit"],
        },
    },
}


class Client:
    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.url, self.process = f"http://127.0.0.1:{port}", process

    def raw(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **headers})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def json(self, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        status, content = self.raw(path, body, **headers)
        return status, json.loads(content)

    def chat(self, text: str = "one two three", **more: object) -> tuple[int, dict]:
        body = {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}
        return self.json("/v1/chat/completions", body)


@contextmanager
def serving(*options: str, **env: str) -> Iterator[Client]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(PROGRAM), "--served-model-name=tiny", "--host=127.0.0.1", f"--port={port}", *options]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, text=True)
    client = Client(port, process)
    try:
        for _ in range(100):
            try:
                assert client.raw("/health") == (200, b"")
                break
            except OSError:
                time.sleep(0.05)
        yield client
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def plain() -> Iterator[Client]:
    with serving("--max-model-len=20", "--dtype=bfloat16", "--trust-remote-code") as client:
        yield client


@pytest.fixture(scope="module")
def tools() -> Iterator[Client]:
    with serving("--max-model-len=20", "--enable-auto-tool-choice", "--tool-call-parser=granite") as client:
        yield client


def test_models_tell_the_context_length(plain):
    status, body = plain.json("/v1/models")
    assert status == 200
    assert [(one["id"], one["max_model_len"]) for one in body["data"]] == [("tiny", 20)]


def test_usage_counts_words(plain):
    status, body = plain.chat()
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "double answers: one two three"
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (3, 5)
    assert body["choices"][0]["finish_reason"] == "stop"


def test_max_tokens_cuts_the_answer(plain):
    _, body = plain.chat(max_tokens=2)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 2


def test_more_than_the_context_is_refused_in_vllm_s_words(plain):
    status, body = plain.chat(max_tokens=18)
    assert status == 400
    assert body["error"]["message"].endswith("your request has 3 input tokens (18 > 20 - 3).")
    status, body = plain.chat("word " * 20)
    assert status == 400
    assert "maximum context length is 20 tokens" in body["error"]["message"]


def test_unknown_model_and_paths_outside_v1_are_404(plain):
    assert plain.json("/v1/chat/completions", {"model": "other", "messages": []})[0] == 404
    assert plain.json("/chat/completions", {}) == (404, {"detail": "Not Found"})
    assert plain.json("/models") == (404, {"detail": "Not Found"})


def test_a_request_that_is_no_chat_is_400(plain):
    assert plain.json("/v1/chat/completions", {"model": "tiny"})[0] == 400
    assert plain.json("/v1/chat/completions", [])[0] == 400
    assert plain.json("/v1/embeddings", {"input": "a"})[0] == 400


def test_automatic_tool_choice_needs_its_options(plain):
    status, body = plain.chat(tools=[TOOL])
    assert status == 400
    assert body["error"]["message"].startswith('"auto" tool choice requires --enable-auto-tool-choice')
    assert plain.chat(tools=[TOOL], tool_choice="none")[0] == 200


def test_a_tool_is_called_with_its_required_arguments(tools):
    status, body = tools.chat(tools=[TOOL])
    choice = body["choices"][0]
    assert (status, choice["finish_reason"], choice["message"]["content"]) == (200, "tool_calls", None)
    function = choice["message"]["tool_calls"][0]["function"]
    assert function["name"] == "weather"
    assert json.loads(function["arguments"]) == {"city": "double", "unit": "C"}


def test_a_tool_result_is_answered_with_a_text(tools):
    messages = [{"role": "user", "content": "hot?"}, {"role": "tool", "content": "20 degrees"}]
    _, body = tools.json("/v1/chat/completions", {"model": "tiny", "messages": messages, "tools": [TOOL]})
    assert body["choices"][0]["message"]["content"] == "double answers: 20 degrees"


def test_a_stream_carries_the_same_text_and_its_usage(tools):
    body = {"model": "tiny", "stream": True, "stream_options": {"include_usage": True}}
    status, content = tools.raw("/v1/chat/completions", body | {"messages": [{"role": "user", "content": "a b"}]})
    lines = [line.removeprefix("data: ") for line in content.decode().split("\n\n") if line]
    assert (status, lines[-1]) == (200, "[DONE]")
    events = [json.loads(line) for line in lines[:-1]]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
    assert text == "double answers: a b"
    assert events[-1]["usage"]["total_tokens"] == 6
    assert events[-2]["choices"][0]["finish_reason"] == "stop"


def test_completions_have_a_short_default(plain):
    status, body = plain.json("/v1/completions", {"model": "tiny", "prompt": "a b c"})
    assert (status, body["choices"][0]["text"]) == (200, "double answers: a b c")


def test_embeddings_are_vectors_of_length_one():
    with serving("--task=embed", "--max-model-len=4") as client:
        _, body = client.json("/v1/embeddings", {"model": "tiny", "input": ["a b", "c"]})
        first = body["data"][0]["embedding"]
        assert math.isclose(sum(value * value for value in first), 1)
        assert body["usage"]["prompt_tokens"] == 3
        packed = {"model": "tiny", "input": "a b", "encoding_format": "base64"}
        _, body = client.json("/v1/embeddings", packed)
        same = struct.unpack("<64f", base64.b64decode(body["data"][0]["embedding"]))
        assert same == pytest.approx(first)
        assert client.json("/v1/embeddings", {"model": "tiny", "input": "a b c d e"})[0] == 400
        assert client.chat()[0] == 400


def test_a_key_is_asked_for_below_v1_only():
    with serving("--api-key=secret") as client:
        assert client.json("/v1/models") == (401, {"error": "Unauthorized"})
        assert client.json("/v1/models", Authorization="Bearer secret")[0] == 200
        assert client.raw("/health")[0] == 200


def test_a_parser_is_required_for_automatic_tools():
    command = [sys.executable, str(PROGRAM), "--enable-auto-tool-choice"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--tool-call-parser" in done.stderr


def test_sigterm_finishes_what_runs():
    with serving("--max-model-len=20", DOUBLE_SECONDS_PER_WORD="0.2") as client:
        answers: list[tuple[int, dict]] = []
        thread = threading.Thread(target=lambda: answers.append(client.chat()))
        thread.start()
        time.sleep(0.4)
        client.process.send_signal(signal.SIGTERM)
        assert client.process.wait(5) == 0
        thread.join()
        assert answers[0][0] == 200
        with pytest.raises(OSError, match="refused"):
            client.raw("/health")
