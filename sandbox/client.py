"""A small Kubernetes client: JSON over HTTPS, without discovery.

Forty objects by server-side apply take less time than one `kubectl` needs to start and
to ask the server what it knows.
"""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Self

FIELD_MANAGER = "litemaas-sandbox"


class ApiError(Exception):
    """The API server refused a request; ``status`` is the HTTP code, 0 if it did not answer."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the code apart from the text, for callers that expect some codes."""
        super().__init__(message)
        self.status = status


class Client:
    """Requests to one API server as the holder of a token.

    In a `with` block they share one connection: many requests are faster that way.
    """

    def __init__(self, port: int, ca: Path, token: str, host: str = "127.0.0.1") -> None:
        """Prepare; nothing is sent yet."""
        self._host, self._port, self._token = host, port, token
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._kept: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        """Keep the connection from now on."""
        self._kept = self._connect()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        if self._kept:
            self._kept.close()
        self._kept = None

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=30, context=self._tls)

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:  # noqa: ANN401  JSON of any shape
        """Send one request.

        Returns:
            The decoded JSON answer, or the text when it is not JSON.

        Raises:
            ApiError: refused (its HTTP status) or not answered (status 0).
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        data = None if body is None else json.dumps(body).encode()
        connection = self._kept or self._connect()
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as problem:
            connection.close()  # a kept one opens again at its next request
            raise ApiError(0, f"no answer from {self._host}:{self._port}: {problem}") from problem
        if connection is not self._kept:
            connection.close()
        try:
            content = json.loads(text)
        except ValueError:
            content = text
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            reason = content.get("message", text) if isinstance(content, dict) else text
            raise ApiError(answer.status, f"{method} {path}: {reason}")
        return content

    def apply(self, manifest: dict[str, Any], subresource: str = "") -> dict[str, Any]:
        """Create or update an object by server-side apply, taking over its fields.

        Raises:
            ApiError: the object was refused; the message names it.
        """
        query = f"?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict"
        path = object_path(manifest) + (f"/{subresource}" if subresource else "") + query
        return self.request("PATCH", path, manifest, "application/apply-patch+yaml")


def object_path(manifest: dict[str, Any]) -> str:
    """The URL path of an object, from its apiVersion, kind and name alone."""
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}es" if kind.endswith("s") else f"{kind}s"
    parts = ["api" if version == "v1" else "apis", version]
    if "namespace" in meta:
        parts += ["namespaces", meta["namespace"]]
    return "/" + "/".join([*parts, plural.lower(), meta["name"]])
