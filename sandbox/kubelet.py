"""Answers `kubectl logs` for the simulated nodes, in a kubelet's place.

The API server fetches logs from the address in a node's status; this is that address.
KWOK can serve logs too, but only one fixed file for all pods, and a log line that does
not name its container would help nobody.
"""

import argparse
import json
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox import components
from sandbox.client import ApiError, Client

LOGS = re.compile(r"^/containerLogs/([^/]+)/([^/]+)/([^/?]+)")


def log_lines(pod: dict[str, Any], container: str) -> str:
    """What a container of a simulated pod would be said to have printed.

    Args:
        pod: the Pod object.
        container: the container's name.
    """
    spec = pod["spec"]
    every = [*spec["containers"], *spec.get("initContainers", ())]
    image = next((each["image"] for each in every if each["name"] == container), "?")
    if "crash-loop" in image:
        return f"[simulated log] {image} starts\nError: simulated crash at start\n"
    return f"[simulated log] container {container} of {image} would log here\n"


def handler(client_of: Any) -> type[BaseHTTPRequestHandler]:  # noqa: ANN401  a factory
    """A request handler that reads pods through clients from ``client_of()``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match = LOGS.match(self.path)
            if not match:
                self._answer(404, f"the simulated kubelet serves logs only, not {self.path}\n")
                return
            namespace, name, container = match.groups()
            try:
                pod = client_of().request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
            except ApiError as problem:
                self._answer(problem.status or 502, f"{problem}\n")
            else:
                self._answer(200, log_lines(pod, container))

        def _answer(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-port", type=int, required=True)
    options = parser.parse_args()
    pki, token = options.state / components.PKI, components.token(options.state, "admin")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The API server does not verify a kubelet's name, so its own certificate will do.
    tls.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    # A client per request: connections are not shared between threads.
    requests = handler(lambda: Client(options.api_port, pki / "ca.crt", token))
    server = ThreadingHTTPServer(("127.0.0.1", options.port), requests)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    print(json.dumps({"serving": options.port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
