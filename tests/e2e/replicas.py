"""Each replica of the gateway spoken to by itself, past the Service in front of them."""

import http.client
import json

from tests.e2e.stack import Deployed
from tests.e2e.web import Key, until


def addresses(stack: Deployed) -> list[str]:
    """Of the two replicas; the node they run on is this machine."""
    until("two replicas", lambda: stack.is_ready("litellm", 2))
    return [each["status"]["podIP"] for each in stack.pods("litellm")]


def ask(address: str, key: Key, model: str = "granite-8b-agent") -> int:
    """The status of a completion by one replica."""
    connection = http.client.HTTPConnection(address, 4000, timeout=30)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})
    headers = {"Authorization": f"Bearer {key.secret}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
