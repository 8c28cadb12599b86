"""The OAuth double as a process of its own, in front of an API server that is a dictionary."""

import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from oauth_login import ACCOUNT, ACCOUNT_PATH, CALLBACK, CLIENT, OAUTH, OIDC, USER, Double

PROGRAM = pathlib.Path(__file__).with_name("server.py")


@contextmanager
def api_server(objects: dict) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = objects.get(self.path)
            content = json.dumps(found or {"kind": "Status", "code": 404}).encode()
            self.send_response(200 if found else 404)
            self.send_header("x-authorization", self.headers.get("Authorization", ""))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews"
            token = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]["token"]
            name = objects["tokens"].get(token)
            status = {"authenticated": True, "user": {"username": name}} if name else {"error": "unknown"}
            content = json.dumps({"kind": "TokenReview", "status": status}).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def double(tmp_path: pathlib.Path) -> Iterator[Double]:
    objects = {
        f"{OAUTH}portal": dict(CLIENT),
        f"{USER}users/alice": {"metadata": {"name": "alice", "uid": "u-1"}, "fullName": "Alice Example"},
        f"{USER}groups": {"items": [{"metadata": {"name": "admins"}, "users": ["alice"]}]},
    }
    redirect = {"serviceaccounts.openshift.io/oauth-redirecturi.portal": CALLBACK}
    objects[ACCOUNT_PATH] = {"metadata": {"name": "portal", "annotations": redirect}}
    objects["tokens"] = {"token-of-portal": ACCOUNT, "token-of-another": f"{ACCOUNT}-2"}
    objects[f"{USER}groups"]["items"].append({"metadata": {"name": "empty"}, "users": None})
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with api_server(objects) as url:
        config = tmp_path / "kubeconfig.json"
        named = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "sandbox"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        }
        config.write_text(json.dumps({"current-context": "x", **named}))
        env = {"KUBECONFIG": str(config), "OAUTH_DOUBLE_PORT": str(port), "OAUTH_DOUBLE_HOST": "127.0.0.1"}
        env |= {"OAUTH_DOUBLE_USERS": "bob=Bob Builder,carol", "OAUTH_DOUBLE_FRONT": "true"}
        env |= {f"OAUTH_DOUBLE_OIDC_{name}": value for name, value in OIDC.items()}
        process = subprocess.Popen([sys.executable, str(PROGRAM)], env=env, stdout=subprocess.DEVNULL)
        made = Double(port, objects)
        try:
            for _ in range(100):
                try:
                    assert made.send("GET", "/healthz").status == 200
                    break
                except OSError:
                    time.sleep(0.05)
            yield made
        finally:
            process.terminate()
            assert process.wait(10) == 0
