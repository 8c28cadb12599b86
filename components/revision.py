"""Tells whether anything has changed of what pods are made."""

import hashlib
from typing import Any

from pulumi import Output


def of(*made: Any) -> Output[str]:  # noqa: ANN401 (templates, specs, texts: whatever is an input)
    """A text that changes with any of ``made``, and with nothing else.

    ``made`` are inputs: what autoscalers, hands and the API server itself do to the objects has no
    part in it. Secrets stand in a pod template by the names of their objects, so none is hashed here.
    """
    text = Output.json_dumps(made, default=vars, sort_keys=True)
    return text.apply(lambda written: hashlib.sha256(written.encode()).hexdigest()[:16])
