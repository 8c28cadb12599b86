"""A DOUBLE of a model server: speaks the OpenAI API as vLLM does, and has no model.

Run as ``python3 server.py --served-model-name=NAME --max-model-len=N ...``.
"""

import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import answers
import arguments

GRACE_SECONDS = 30


class Server(ThreadingHTTPServer):
    """Counts the requests it is working on, so that stopping can wait for them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: arguments.Options) -> None:
        super().__init__((options.host, options.port), Handler)
        self.options = options
        self.running = 0
        self.idle = threading.Condition()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        self._counted(self._get)

    def do_POST(self) -> None:
        self._counted(self._post)

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002 (the base class names it so)
        print(f"model server DOUBLE: {self.address_string()} {format % words}", flush=True)

    def _counted(self, work: Callable[[], None]) -> None:
        with self.server.idle:
            self.server.running += 1
        try:
            work()
        except answers.Refusal as refusal:
            self._send(refusal.status, refusal.document())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.server.idle:
                self.server.running -= 1
                self.server.idle.notify_all()

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self._send(200, None)
        elif path == "/version":
            self._send(200, {"version": "0.0.0+double"})
        elif path == "/v1/models" and self._authorized():
            self._send(200, {"object": "list", "data": [self._model(name) for name in self.server.options.names]})
        elif path != "/v1/models":
            self._send(404, {"detail": "Not Found"})

    def _post(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        work = {
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._complete,
            "/v1/embeddings": self._embed,
        }.get(self.path.partition("?")[0])
        if work is None:
            self._send(404, {"detail": "Not Found"})
        elif self._authorized():
            work(self._body(raw))

    def _authorized(self) -> bool:
        """Whether the key is right; like vLLM, asks for one below /v1 only."""
        key = self.server.options.api_key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self._send(401, {"error": "Unauthorized"})
        return False

    def _body(self, raw: bytes) -> answers.Json:
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise answers.bad_request(f"[{{'type': 'json_invalid', 'msg': 'JSON decode error: {error}'}}]") from error
        if not isinstance(body, dict):
            raise answers.bad_request("[{'type': 'model_attributes_type', 'loc': ('body',)}]")
        name = body.get("model", self.server.options.names[0])
        if name not in self.server.options.names:
            raise answers.Refusal(404, "NotFoundError", f"The model `{name}` does not exist.")
        return body

    def _chat(self, body: answers.Json) -> None:
        options = self.server.options
        if options.embedding:
            raise answers.bad_request("The model does not support Chat Completions API")
        reply = answers.chat(body, limit=options.max_model_len, auto_tools=options.auto_tools)
        if body.get("stream"):
            self._stream(body, reply, _chat_deltas(reply), "chat.completion.chunk", "chatcmpl")
            return
        self._generate(reply)
        message: answers.Json = {"role": "assistant", "content": None if reply.call else " ".join(reply.words)}
        message["tool_calls"] = [_tool_call(reply.call)] if reply.call else []
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        self._send(200, self._head("chat.completion", "chatcmpl", body) | {"choices": [choice], "usage": reply.usage()})

    def _complete(self, body: answers.Json) -> None:
        if self.server.options.embedding:
            raise answers.bad_request("The model does not support Completions API")
        reply = answers.complete(body, limit=self.server.options.max_model_len)
        if body.get("stream"):
            self._stream(body, reply, ({"text": piece} for piece in reply.pieces()), "text_completion", "cmpl")
            return
        self._generate(reply)
        choice = {"index": 0, "text": " ".join(reply.words), "logprobs": None, "finish_reason": reply.finish_reason}
        self._send(200, self._head("text_completion", "cmpl", body) | {"choices": [choice], "usage": reply.usage()})

    def _embed(self, body: answers.Json) -> None:
        if not self.server.options.embedding:
            raise answers.bad_request("The model does not support Embeddings API")
        vectors, tokens = answers.embed(body, limit=self.server.options.max_model_len)
        data = [{"index": index, "object": "embedding", "embedding": vector} for index, vector in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
        self._send(200, self._head("list", "embd", body) | {"data": data, "usage": usage})

    def _model(self, name: str) -> answers.Json:
        options = self.server.options
        known = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "vllm", "root": name}
        return known | {"parent": None, "max_model_len": options.max_model_len, "permission": []}

    def _head(self, kind: str, prefix: str, body: answers.Json) -> answers.Json:
        model = body.get("model", self.server.options.names[0])
        return {"id": f"{prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}

    def _generate(self, reply: answers.Reply) -> None:
        time.sleep(self.server.options.seconds_per_word * reply.completion_tokens)

    def _stream(
        self, body: answers.Json, reply: answers.Reply, parts: Iterator[answers.Json], kind: str, prefix: str
    ) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = self._head(kind, prefix, body)
        for part in parts:
            time.sleep(self.server.options.seconds_per_word)
            self._event(head | {"choices": [{"index": 0, "logprobs": None, "finish_reason": None} | part]})
        last = {"text": ""} if kind == "text_completion" else {"delta": {}}
        self._event(head | {"choices": [{"index": 0, "logprobs": None, "finish_reason": reply.finish_reason} | last]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event(head | {"choices": [], "usage": reply.usage()})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, document: answers.Json) -> None:
        self._chunk(f"data: {json.dumps(document)}\n\n".encode())

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, document: answers.Json | None) -> None:
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _tool_call(call: answers.Json) -> answers.Json:
    return {"id": f"chatcmpl-tool-{uuid.uuid4().hex}", "type": "function", "function": call}


def _chat_deltas(reply: answers.Reply) -> Iterator[answers.Json]:
    yield {"delta": {"role": "assistant", "content": ""}}
    if reply.call:
        yield {"delta": {"tool_calls": [{"index": 0} | _tool_call(reply.call)]}}
    for piece in reply.pieces():
        yield {"delta": {"content": piece}}


def main() -> None:
    options = arguments.parse(sys.argv[1:], dict(os.environ))
    server = Server(options)
    # shutdown() waits for the loop that this very thread runs.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    names = ", ".join(options.names)
    print(f"model server DOUBLE, no model in it: {names}, {options.max_model_len} tokens", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.socket.close()
    with server.idle:
        finished = server.idle.wait_for(lambda: server.running == 0, timeout=GRACE_SECONDS)
    # Idle connections are kept open by their clients; their threads would never end.
    sys.stdout.flush()
    os._exit(0 if finished else 1)


if __name__ == "__main__":
    main()
