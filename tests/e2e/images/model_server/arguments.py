"""Command line of the model server double: the options of vLLM that an InferenceService passes."""

import argparse
import sys
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """``seconds_per_word`` is the double's own: it makes an answer take as long as a test needs."""

    names: tuple[str, ...]
    max_model_len: int
    host: str
    port: int
    api_key: str | None
    auto_tools: bool
    embedding: bool
    seconds_per_word: float


def parse(words: list[str], environment: dict[str, str]) -> Options:
    """Reads the command line; exits as vLLM does when options contradict each other."""
    parser = argparse.ArgumentParser(prog="model-server-double")
    parser.add_argument("model_tag", nargs="?")
    parser.add_argument("--model")
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--max-model-len", type=int, default=4096)
    # vLLM's own default; uvicorn listens on all addresses when no host is given.
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 (inside the pod)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--api-key", default=environment.get("VLLM_API_KEY"))
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    parser.add_argument("--tool-call-parser")
    parser.add_argument("--task", default="auto")
    parser.add_argument("--runner", default="auto")
    options, ignored = parser.parse_known_args(words)
    if options.enable_auto_tool_choice and not options.tool_call_parser:
        sys.exit("TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser")
    if ignored:
        # Options about GPUs, number formats and the like have nothing to act on here.
        print(f"model server DOUBLE: without effect here: {' '.join(ignored)}", flush=True)
    return Options(
        names=tuple(options.served_model_name or [options.model or options.model_tag or "model"]),
        max_model_len=options.max_model_len,
        host=options.host,
        port=options.port,
        api_key=options.api_key or None,
        auto_tools=options.enable_auto_tool_choice,
        embedding=options.task in ("embed", "embedding") or options.runner == "pooling",
        seconds_per_word=float(environment.get("DOUBLE_SECONDS_PER_WORD", "0")),
    )
