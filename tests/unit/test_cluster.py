"""Questions to the API server over a real connection: one that breaks is asked again, and given up the second time."""

import socket
import threading
from collections.abc import Iterator

import pytest
import yaml

from config.cluster import Cluster, Right, UnreachableError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class BreakingServer:
    """Closes its first ``broken`` connections without a word, and answers an empty object on all others."""

    def __init__(self, broken: int) -> None:
        self.asked: list[str] = []
        self._left = broken
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536).decode().partition(" HTTP")[0])
                self._left -= 1
                if self._left < 0:
                    connection.sendall(ANSWER)

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def asking(tmp_path, monkeypatch) -> Iterator:
    """A connection to a server that breaks so many connections, and that server."""
    servers = []

    def connect(broken: int) -> tuple[Cluster, BreakingServer]:
        server = BreakingServer(broken)
        servers.append(server)
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "breaking",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "breaking", "context": {"cluster": "c", "user": "u"}}],
        }
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(file))
        return Cluster(), server

    yield connect
    for server in servers:
        server.close()


def test_a_connection_that_breaks_once_is_made_again(asking):
    cluster, server = asking(broken=1)
    assert cluster.get("/apis").status == 200
    assert server.asked == ["GET /apis", "GET /apis"]


def test_so_is_a_question_about_rights(asking):
    cluster, server = asking(broken=1)
    assert not cluster.allowed(Right("get", "", "namespaces"))
    assert len(server.asked) == 2


def test_one_that_breaks_twice_is_told_and_not_tried_for_ever(asking):
    cluster, server = asking(broken=9)
    with pytest.raises(UnreachableError, match="does not answer"):
        cluster.get("/apis")
    assert len(server.asked) == 2
