"""Turns the upper folder of an overlay mount into a layer of an image."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"


def write(folder: Path, sink: IO[bytes]) -> dict[str, Any]:
    """Write a folder as an uncompressed layer.

    Args:
        folder: as overlayfs leaves it: a deleted file is a character device 0:0, a folder
            that hides the one below has an extended attribute.
        sink: takes the bytes.

    Returns:
        The layer's descriptor: media type, digest, size.
    """
    counted = _Counting(sink)
    with tarfile.open(fileobj=cast("IO[bytes]", counted), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, name in _entries(folder):
            status = path.lstat()
            if stat.S_ISSOCK(status.st_mode):
                continue
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                tar.addfile(tarfile.TarInfo(str(Path(name).with_name(f".wh.{path.name}"))))
                continue
            tar.add(path, name, recursive=False, filter=_anonymous)
            if path.is_dir() and not path.is_symlink() and _hides(path):
                tar.addfile(tarfile.TarInfo(f"{name}/.wh..wh..opq"))
    return {"mediaType": MEDIA_TYPE, "digest": f"sha256:{counted.digest.hexdigest()}", "size": counted.size}


def _entries(folder: Path) -> Iterator[tuple[Path, str]]:
    for current, folders, files in os.walk(folder):
        folders.sort()
        # A link to a folder counts as one; os.walk does not follow it.
        for name in sorted([*folders, *files]):
            path = Path(current, name)
            yield path, str(path.relative_to(folder))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Numbers alone name an owner: the builder's names mean nothing in the image."""
    entry.uname = entry.gname = ""
    entry.mtime = int(entry.mtime)
    return entry


def _hides(folder: Path) -> bool:
    try:
        return os.getxattr(folder, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


class _Counting:
    """Passes bytes on and keeps their number and digest."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self.digest.update(data)
        return self._sink.write(data)
