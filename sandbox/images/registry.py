"""The loopback registry: its process, and pushing to it."""

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from sandbox import paths
from sandbox.components import free_ports
from sandbox.node import tools
from sandbox.processes import Component, stop

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def storage() -> Path:
    """Where the images are kept: in the cache, for all sandboxes."""
    return paths.cache() / "registry"


def settings(port: int) -> str:
    """The configuration file of the registry, which is JSON and so YAML too."""
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(storage())}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
    )


def start(component: Component, port: int) -> None:
    """Start the registry as a background process of a sandbox."""
    file = component.folder / "registry.json"
    file.write_text(settings(port))
    component.start([str(tools.ensure(_silent, ("registry",)).binary("registry")), "serve", str(file)])


@contextmanager
def temporary() -> Iterator["Registry"]:
    """A registry for as long as the block runs; it shares the storage with those of sandboxes."""
    with TemporaryDirectory(prefix="litemaas-registry-") as folder:
        component, port = Component("registry", Path(folder)), free_ports()["api"]
        start(component, port)
        try:
            registry = Registry(port)
            registry.wait(component)
            yield registry
        finally:
            stop([pid for pid in [component.pid()] if pid])


class Registry:
    """Requests to the registry on a loopback port."""

    def __init__(self, port: int) -> None:
        """Prepare; nothing is sent yet."""
        self._root = f"http://127.0.0.1:{port}/v2/"

    def wait(self, component: Component, seconds: float = 15) -> None:
        """Wait until it answers.

        Raises:
            ComponentError: it stopped; with the end of its log.
            TimeoutError: it did not answer.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            component.check()
            try:
                self._request("GET", "")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"the registry did not answer within {seconds:.0f} s; see {component.log}")

    def digest(self, reference: str) -> str | None:
        """The digest of the image under a name; None if there is none."""
        repository, tag = split(reference)
        try:
            answer = self._request("HEAD", f"{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        except urllib.error.HTTPError:
            return None
        return answer.headers["Docker-Content-Digest"]

    def has_blob(self, reference: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        try:
            self._request("HEAD", f"{split(reference)[0]}/blobs/{digest}")
        except urllib.error.HTTPError:
            return False
        return True

    def put_blob(self, reference: str, digest: str, size: int, content: IO[bytes] | bytes) -> None:
        """Upload a blob."""
        begun = self._request("POST", f"{split(reference)[0]}/blobs/uploads/", b"")
        place = begun.headers["Location"]
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._request("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content, headers)

    def put_manifest(self, reference: str, manifest: bytes) -> None:
        """Give an image its name; its blobs must be there."""
        repository, tag = split(reference)
        self._request("PUT", f"{repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST})

    def remove(self, reference: str) -> bool:
        """Take an image away from a repository; whether there was one."""
        digest = self.digest(reference)
        if digest:
            self._request("DELETE", f"{split(reference)[0]}/manifests/{digest}")
        return digest is not None

    def _request(
        self, method: str, path: str, body: IO[bytes] | bytes | None = None, headers: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        address = path if path.startswith("http://") else self._root + path
        request = urllib.request.Request(address, body, headers or {}, method=method)  # noqa: S310  loopback
        # A proxy of the machine must not see requests to loopback.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=120) as answer:
            answer.read()
            return answer


def split(reference: str) -> tuple[str, str]:
    """Repository and tag of a name; the registry keeps the host as the first part of the path."""
    repository, _, tag = reference.rpartition(":")
    return repository, tag


def manifest(config: dict[str, Any], layers: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    """The configuration and the manifest of an image, as they are stored."""
    system = {"architecture": "amd64", "os": "linux"}
    differences = {"type": "layers", "diff_ids": [each["digest"] for each in layers]}
    settings = json.dumps({**system, "config": config, "rootfs": differences}, sort_keys=True).encode()
    described = {"mediaType": CONFIG, "digest": digest_of(settings), "size": len(settings)}
    whole = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}
    return settings, json.dumps(whole, sort_keys=True).encode()


def digest_of(content: bytes) -> str:
    """The name of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _silent(_: str) -> None:
    """Progress of what is there already is no news."""
