"""What a vLLM server was started with, read from its arguments."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# vLLM's own readings: k, m, g are powers of a thousand, K, M, G of 1024.
_LENGTH = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>[kmgKMG]?)")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
_OPTION = re.compile(r"--([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
# Variables that start scripts of common images append to the command line.
EXTRA = ("VLLM_ARGS", "VLLM_EXTRA_ARGS", "VLLM_ADDITIONAL_ARGS")
_EMBEDS = {"embed", "embedding"}


@dataclass(frozen=True, kw_only=True)
class Served:
    """``names`` as requests may give them, ``context`` in tokens (None: the model's own, not written here).

    ``tools`` is None where no argument of vLLM's was found: another server, or a script of its own.
    """

    names: tuple[str, ...] = ()
    context: int | None = None
    tools: bool | None = None
    embedding: bool = False
    encrypted: bool = False
    prefix: str = "/v1"


def served(arguments: Sequence[str], environment: Mapping[str, str]) -> Served:
    """What ``arguments`` (command included) and ``environment`` of the server's container say.

    The last of several equal options counts, as for vLLM itself.
    """
    extra = [environment[name] for name in EXTRA if name in environment]
    options = _options([word for each in [*arguments, *extra] for word in _words(each, split=each in extra)])
    if not options:
        return Served()
    names = options.get("served-model-name") or []
    # KServe's own server for Hugging Face models wraps vLLM, under a path and an option of its own.
    wrapped = not names and "model-name" in options
    return Served(
        names=tuple(names or options.get("model-name") or options.get("model") or ()),
        context=_length(options.get("max-model-len")),
        tools="enable-auto-tool-choice" in options,
        embedding=bool(_EMBEDS & {*options.get("task", ()), *options.get("convert", ())}),
        encrypted="ssl-certfile" in options,
        prefix="/openai/v1" if wrapped else "/v1",
    )


def _words(text: str, *, split: bool) -> list[str]:
    """One argument, or the words of one that is a whole command line (``sh -c``)."""
    if not split and (text.startswith("--") or "--" not in text):
        return [text]
    try:
        return shlex.split(text.replace("\\\n", " "))
    except ValueError:
        return text.split()


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for word in words:
        if match := _OPTION.fullmatch(word):
            name, value = match[1].replace("_", "-"), match[2]
            current = found[name] = [] if value is None else [value]
        else:
            current.append(word)
    return found


def _length(values: Sequence[str] | None) -> int | None:
    match = _LENGTH.fullmatch(values[0]) if values else None
    # "auto" and -1 leave it to the server.
    return int(float(match["number"]) * _UNITS[match["unit"]]) if match else None
