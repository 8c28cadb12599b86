"""Builds images by content: what is there already is neither built nor pushed again."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.images import chamber, layers, rootfs
from sandbox.images.recipe import Recipe
from sandbox.images.registry import Registry, digest_of, manifest
from sandbox.node import NodeError

Progress = Callable[[str], None]
LISTS = "lists"
# Ends with the chamber, however that ends: nothing stays mounted, nothing stays running.
NAMESPACES = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]


class ImageError(NodeError):
    """An image could not be built; the message says which and how its log ends."""


class Builder:
    """Builds into ``<cache>/images/<recipe>-<key>``, a folder that is complete once it exists."""

    def __init__(self, recipes: Mapping[str, Recipe], progress: Progress, root: Path | None = None) -> None:
        """Take every recipe by name, the sink for progress lines and, for tests, another folder."""
        self._recipes, self._progress = recipes, progress
        self._root = root or paths.cache() / "images"

    def build(self, names: Sequence[str]) -> None:
        """Build the layers of some recipes and of all that they need.

        Raises:
            ImageError: the first that failed. What was finished before is kept.
        """
        wanted = [each for name in names for each in self._order(name)]
        missing = [each for each in dict.fromkeys(wanted) if not self._folder(each).exists()]
        if not missing:
            self._progress("images: all built already")
            return
        with self._lock():
            for number, name in enumerate(missing, 1):
                self._build_one(self._recipes[name], f"{number} of {len(missing)}")

    def push(self, registry: Registry, names: Sequence[str]) -> int:
        """Give every built image its names in the registry.

        Returns:
            How many names had to be written.
        """
        return sum(self._push_one(registry, self._recipes[name]) for name in names)

    def missing(self, registry: Registry, names: Sequence[str]) -> list[str]:
        """Which of these are not in the registry as their recipes say now."""
        return [
            name
            for name in names
            if not self._folder(name).exists()
            or any(registry.digest(each) != self._digest(name) for each in self._recipes[name].references)
        ]

    def key(self, name: str) -> str:
        """The fingerprint of a recipe with all that it is built on."""
        recipe = self._recipes[name]
        below = {each: self.key(each) for each in (*recipe.layers, *recipe.stage)}
        return rootfs.fingerprint() if name == rootfs.BASE else recipe.fingerprint(below)

    def layers(self, name: str) -> list[Path]:
        """The folders that an overlay mount makes a built image's filesystem of, uppermost first."""
        return [self._folder(each) / "layer" for each in (name, *reversed(self._recipes[name].layers))]

    def _folder(self, name: str) -> Path:
        return self._root / f"{name}-{self.key(name)}"

    def _order(self, name: str) -> Iterator[str]:
        recipe = self._recipes[name]
        for below in (*recipe.layers, *recipe.stage):
            yield from self._order(below)
        yield name

    def _build_one(self, recipe: Recipe, place: str) -> None:
        target = self._folder(recipe.name)
        if target.exists():
            return
        self._progress(f"images: {recipe.name} ({place}): building {recipe.title}")
        started = time.monotonic()
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        (layer := partial / "layer").mkdir(parents=True)
        if recipe.name == rootfs.BASE:
            self._run(recipe.name, rootfs.command(layer), "")
            rootfs.finish(layer, partial / LISTS)
        else:
            self._fill(recipe, layer, partial)
        with Path("/dev/null").open("wb") as sink:
            description = layers.write(layer, sink)
        (partial / "layer.json").write_text(json.dumps(description))
        outdated = re.compile(rf"{recipe.name}-[0-9a-f]{{12}}(\.partial)?")
        for old in self._root.iterdir():
            if outdated.fullmatch(old.name) and old != partial:
                shutil.rmtree(old, ignore_errors=True)
        partial.rename(target)
        size, seconds = description["size"] >> 20, time.monotonic() - started
        self._progress(f"images: {recipe.name} ({place}): done in {seconds:.0f} s, {size} MiB of its own")

    def _fill(self, recipe: Recipe, layer: Path, partial: Path) -> None:
        if recipe.stage_script:
            (scratch := partial / "scratch").mkdir()
            self._chamber(recipe, recipe.stage, scratch, layer, "", recipe.stage_script)
            shutil.rmtree(scratch)
        if recipe.layers and (recipe.packages or recipe.script):
            install = f"apt-get install -qq -y --no-install-recommends {' '.join(recipe.packages)}"
            self._chamber(recipe, recipe.layers, layer, None, install if recipe.packages else "", recipe.script)
        else:
            entries = [{"source": str(each.source), "target": each.target, "mode": each.mode} for each in recipe.files]
            chamber.place(layer, entries)
        for name in ("root", "work"):
            shutil.rmtree(partial / name, ignore_errors=True)

    def _chamber(self, recipe: Recipe, below: Sequence[str], upper: Path, out: Path | None, *scripts: str) -> None:
        partial = upper.parent
        for name in ("root", "work"):
            (partial / name).mkdir(exist_ok=True)
        # The staged files lie in the upper folder already where it is the result's own.
        files = recipe.files if out is None else ()
        job: dict[str, Any] = {
            "root": str(partial / "root"),
            "work": str(partial / "work"),
            "lower": [str(self._folder(each) / "layer") for each in reversed(below)],
            "upper": str(upper),
            # As old as the base, so that all images are of one state of Debian.
            "lists": str(self._folder(rootfs.BASE) / LISTS),
            "out": str(out or ""),
            "files": [{"source": str(each.source), "target": each.target, "mode": each.mode} for each in files],
            "install": scripts[0],
            "script": scripts[1],
        }
        command = [*NAMESPACES, sys.executable, str(Path(chamber.__file__).resolve())]
        self._run(recipe.name, command, json.dumps(job))

    def _run(self, name: str, command: list[str], job: str) -> None:
        log = self._root / f"{name}.log"
        with log.open("w") as sink:
            done = subprocess.run(command, input=job, text=True, stdout=sink, stderr=sink, check=False)
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise ImageError(
                f"the image {name} could not be built (exit code {done.returncode}). The log ends with:\n{tail}\n"
                f"Whole log: {log}\nIf a download failed, run the same command again: it goes on from here."
            )

    def _digest(self, name: str) -> str:
        return digest_of(self._manifest(name)[1])

    def _manifest(self, name: str) -> tuple[bytes, bytes]:
        recipe = self._recipes[name]
        described = [self._described(each) for each in (*recipe.layers, name)]
        return manifest(recipe.config(), described)

    def _described(self, name: str) -> dict[str, Any]:
        return json.loads((self._folder(name) / "layer.json").read_text())

    def _push_one(self, registry: Registry, recipe: Recipe) -> int:
        settings, whole = self._manifest(recipe.name)
        pending = [each for each in recipe.references if registry.digest(each) != digest_of(whole)]
        for reference in pending:
            for name in (*recipe.layers, recipe.name):
                self._push_layer(registry, reference, name)
            registry.put_blob(reference, digest_of(settings), len(settings), settings)
            registry.put_manifest(reference, whole)
            size = sum(self._described(each)["size"] for each in (*recipe.layers, recipe.name)) >> 20
            self._progress(f"images: {reference} is served ({recipe.title}, {size} MiB)")
        return len(pending)

    def _push_layer(self, registry: Registry, reference: str, name: str) -> None:
        described = self._described(name)
        if registry.has_blob(reference, described["digest"]):
            return
        with tempfile.TemporaryFile(dir=self._root) as file:
            again = layers.write(self._folder(name) / "layer", file)
            if again != described:
                raise ImageError(f"{self._folder(name)} was changed since it was built; remove it and build again")
            file.seek(0)
            registry.put_blob(reference, described["digest"], described["size"], file)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress("images: another process builds images, waiting")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
