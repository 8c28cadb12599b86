"""What an image is made of."""

import hashlib
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Raised when the way of building changes, so that everything is built anew.
FORMAT = 1
KEYS = {"base", "references", "title", "copy", "packages", "install", "directory", "command", "args", "port", "env"}
KEYS |= {"user"}


class RecipeError(ValueError):
    """An `image.toml` cannot be used; the message names the file and the key."""


@dataclass(frozen=True)
class File:
    """A file or folder of this checkout (or a built program) that goes into an image."""

    source: Path
    target: str
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image, as a layer of its own on those of other recipes."""

    name: str
    title: str
    references: tuple[str, ...] = ()
    """Under which names it is served; a base that no pod uses needs none."""
    layers: tuple[str, ...] = ()
    """The recipes below, lowest first; none for an image from scratch."""
    packages: tuple[str, ...] = ()
    """Debian packages."""
    files: tuple[File, ...] = ()
    script: str = ""
    """Shell commands that run inside, as root and with the package registries in reach."""
    stage: tuple[str, ...] = ()
    """Recipes on whose layers ``stage_script`` runs; only what it leaves in /out is kept."""
    stage_script: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    workdir: str = ""
    user: str = "1001"

    def fingerprint(self, keys: Mapping[str, str]) -> str:
        """Names the content: what goes in, and the keys of all recipes it is built on.

        Args:
            keys: fingerprints of ``layers`` and ``stage`` by name.
        """
        wanted = (FORMAT, self.packages, self.script, self.stage_script)
        digest = hashlib.sha256(repr(wanted).encode())
        for name in (*self.layers, *self.stage):
            digest.update(f"{name}={keys[name]}\n".encode())
        for each in self.files:
            digest.update(f"{each.target} {each.mode}\n".encode())
            for file in contents(each.source):
                digest.update(f"{file.relative_to(each.source)}\n".encode() + file.read_bytes())
        return digest.hexdigest()[:12]

    def config(self) -> dict[str, Any]:
        """The image's own settings, as OCI writes them."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = [f"{key}={value}" for key, value in self.env.items()]
        config: dict[str, Any] = {"User": self.user, "Env": env if "PATH" in self.env else [path, *env]}
        for key, value in (("Entrypoint", self.entrypoint), ("Cmd", self.command)):
            if value:
                config[key] = list(value)
        if self.port:
            config["ExposedPorts"] = {f"{self.port}/tcp": {}}
        if self.workdir:
            config["WorkingDir"] = self.workdir
        return config


def contents(source: Path) -> list[Path]:
    """The files of a folder in a fixed order, or the one file itself."""
    if not source.is_dir():
        return [source]
    return sorted(each for each in source.rglob("*") if each.is_file() and "__pycache__" not in each.parts)


def load(file: Path, name: str, bases: Mapping[str, Recipe], references: tuple[str, ...] = ()) -> Recipe:
    """A recipe from an `image.toml`, in the words of Kubernetes.

    ``base`` names a recipe of the catalogue and is required. Others: ``references`` (the image's
    names), ``title``, ``copy`` (pairs of a path relative to the file and one in the image),
    ``packages`` (of Debian), ``install`` (a table of ``command`` and ``directory``, run once after
    copying), ``directory``, ``command``, ``args``, ``port``, ``env``, ``user``. What is left out
    comes from the base.

    Args:
        file: the file.
        name: what the recipe is called.
        bases: the recipes that it may build on.
        references: names for an image whose file gives none; lab.local/NAME:1 when empty.

    Raises:
        RecipeError: a key is unknown, missing, or names something that is not there.
    """
    try:
        data = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as problem:
        raise RecipeError(f"{file}: {problem}") from problem
    if unknown := sorted(set(data) - KEYS):
        raise RecipeError(f"{file}: unknown keys {unknown}; known are {sorted(KEYS)}")
    base = bases.get(data.get("base", ""))
    if base is None:
        raise RecipeError(f"{file}: `base` must be one of {sorted(bases)}")
    install = data.get("install", {})
    return Recipe(
        name=name,
        title=data.get("title", name),
        references=tuple(data.get("references", references or (f"lab.local/{name}:1",))),
        layers=(*base.layers, base.name),
        packages=tuple(data.get("packages", ())),
        files=tuple(_copied(file, each) for each in data.get("copy", ())),
        script=f"cd {shlex.quote(install['directory'])}\n{shlex.join(install['command'])}\n" if install else "",
        # A command of one's own replaces the base's arguments too, as in a pod.
        entrypoint=tuple(data.get("command", base.entrypoint)),
        command=tuple(data.get("args", () if "command" in data else base.command)),
        port=data.get("port", base.port),
        env={**base.env, **data.get("env", {})},
        workdir=data.get("directory", base.workdir),
        user=str(data.get("user", base.user)),
    )


def _copied(file: Path, entry: list[str]) -> File:
    try:
        relative, target = entry
    except (ValueError, TypeError) as problem:
        raise RecipeError(f"{file}: each `copy` is a pair of paths, not {entry}") from problem
    source = file.parent / relative
    if not source.exists():
        raise RecipeError(f"{file}: there is no {source} to copy")
    return File(source, target, 0o755 if source.stat().st_mode & 0o100 else 0o644)
