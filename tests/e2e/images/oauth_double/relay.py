"""Passes a request on to the API server byte by byte, so that the double can stand in front of it."""

import contextlib
import socket
import urllib.parse
from http.server import BaseHTTPRequestHandler

from cluster import Cluster

CONNECT_SECONDS = 10
# Headers of one connection only; the rest, the caller's credentials too, is passed on.
_HOP = {"connection", "keep-alive", "proxy-connection", "expect"}


def relay(handler: BaseHTTPRequestHandler, cluster: Cluster) -> None:
    """Sends the handler's request to the API server and copies the answer until it ends; watches may last.

    Does not carry protocol upgrades (exec, port-forward) or request bodies in chunks.
    """
    handler.close_connection = True
    url = urllib.parse.urlsplit(cluster.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        upstream = socket.create_connection((url.hostname, port), CONNECT_SECONDS)
        if cluster.context:
            upstream = cluster.context.wrap_socket(upstream, server_hostname=url.hostname)
    except OSError as error:
        handler.send_error(502, f"the API server cannot be reached: {error}")
        return
    lines = [f"{handler.command} {handler.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in handler.headers.items() if name.lower() not in _HOP]
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with upstream, contextlib.suppress(OSError):
        upstream.sendall(head)
        remaining = int(handler.headers.get("Content-Length") or 0)
        while remaining and (part := handler.rfile.read(min(remaining, 65536))):
            upstream.sendall(part)
            remaining -= len(part)
        upstream.settimeout(None)
        while part := upstream.recv(65536):
            handler.wfile.write(part)
            handler.wfile.flush()
