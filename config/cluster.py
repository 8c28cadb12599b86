"""Read-only questions to the cluster's API server.

Pulumi's preview passes with a warning when the API server is unreachable, and hides
conflicts on create (engine.md sections 4 and 5); the program therefore asks by
itself before it registers anything. lightkube reads the kubeconfig and
authenticates; only its connection is used, since its typed client would cost start-up time.
"""

import os
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

Json = dict[str, Any]
_TIMEOUT_SECONDS = 10.0

# What an `up` and a `destroy` do.
VERBS = ("get", "create", "patch", "delete")


@dataclass(frozen=True)
class Right:
    """To do ``verb`` on ``resource``; without a namespace, in the whole cluster."""

    verb: str
    group: str
    resource: str
    namespace: str = ""


class UnreachableError(Exception):
    """The API server cannot be asked; the text says which, why and what to do."""


class Answer(NamedTuple):
    """Status code and decoded body of one request."""

    status: int
    body: Json


class Cluster:
    """A connection to the API server of one kubeconfig context."""

    def __init__(self, context: str | None = None, chosen_with: str = "`pulumi config set litemaas:context`") -> None:
        """Connects lazily.

        ``context`` is a name in the kubeconfig (None: its current context), ``chosen_with`` how an operator
        chooses another. Raises UnreachableError if there is no usable kubeconfig.
        """
        self._chosen_with = chosen_with
        path = os.environ.get("KUBECONFIG") or "~/.kube/config"
        try:
            single = KubeConfig.from_file(Path(path).expanduser()).get(context)
        except (ConfigError, KeyError, OSError) as error:
            msg = f"no usable kubeconfig ({error}); log in with `oc login`, or set KUBECONFIG to one file"
            raise UnreachableError(msg) from None
        if single is None:  # only with an empty kubeconfig
            msg = f"{path} has no context; log in with `oc login`"
            raise UnreachableError(msg)
        self.context = single.context_name
        self.server = single.cluster.server
        self._client = Client(single, ConnectionParams(timeout=httpx2.Timeout(_TIMEOUT_SECONDS)))

    def get(self, path: str) -> Answer:
        """GET ``path`` (starting with a slash). Raises UnreachableError."""
        return self._request("GET", path, None)

    def allowed(self, right: Right) -> bool:
        """Whether the current user has ``right``. Raises UnreachableError."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asdict(right)},
        }
        answer = self._request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer.body.get("status", {}).get("allowed"))

    def read(self, path: str) -> Json:
        """The body of a GET that succeeded, else an empty mapping. Raises UnreachableError."""
        status, body = self.get(path)
        return body if status == HTTPStatus.OK else {}

    def text(self, path: str) -> str:
        """GET ``path`` as plain text (pod logs); an error's message in place of it."""
        try:
            return self._client.get(path).text
        except httpx2.HTTPError as error:
            return f"(not available: {error})"

    def _asked(self, method: str, path: str, body: Json | None) -> httpx2.Response:
        """The answer, at the second try where the connection broke: nothing asked here changes anything.

        Seen once: one of many handshakes ended with the alert decode_error. What is down is down at the second try too.
        """
        try:
            return self._client.request(method, path, json=body)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            return self._client.request(method, path, json=body)

    def _request(self, method: str, path: str, body: Json | None) -> Answer:
        try:
            response = self._asked(method, path, body)
        except (httpx2.HTTPError, OSError, ConfigError) as error:
            host = urlsplit(self.server).netloc
            msg = (
                f"the API server {host} (context {self.context}) does not answer: {error}; check the "
                f"network and `oc whoami`, or choose another context with {self._chosen_with}"
            )
            raise UnreachableError(msg) from None
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            msg = f"the API server of context {self.context} does not accept your login; log in again with `oc login`"
            raise UnreachableError(msg)
        # A group that is not served is answered in plain text.
        is_json = response.headers.get("content-type", "").startswith("application/json")
        decoded: Json = response.json() if is_json else {}
        return Answer(response.status_code, decoded)
