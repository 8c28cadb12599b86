"""Prints every image of a stack with what runs it, to be copied to a mirror: ``make images-list``.

``python -m config.image_list [--stack NAME] [--format table|copy|idms|itms] [--mirror REGISTRY/PATH]`` reads
``Pulumi.NAME.yaml`` alone: it asks neither cluster nor engine, and needs no passphrase.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from config.images import at_mirror, repository, used
from config.report import NAMESPACE, explain
from config.settings import Settings
from config.types import Mirror

_CHECKOUT = Path(__file__).resolve().parent.parent
# What decides on images, and on what runs them (`when` in config/images.py). None of it holds a secret.
_KEYS = ("images", "database", "redis", "access")
_KINDS = {
    "idms": ("ImageDigestMirrorSet", "imageDigestMirrors"),
    "itms": ("ImageTagMirrorSet", "imageTagMirrors"),
}
_OPERATOR = (
    "database.mode is operator: the images of CloudNativePG and of its PostgreSQL are chosen by the operator, and are "
    "not in this list"
)


class ListError(Exception):
    """Nothing can be listed; the text says why and what to do."""


def read(stack: str | None, folder: Path = _CHECKOUT) -> Settings:
    """Of a stack file what decides on images; the defaults without one.

    Raises ListError.
    """
    if stack is None:
        return Settings()
    file = folder / f"Pulumi.{stack}.yaml"
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(each.name[len("Pulumi.") : -len(".yaml")] for each in folder.glob("Pulumi.*.yaml")))
        msg = f"there is no {file.name}; nothing tells its images; write the name of one of these stacks: {known}"
        raise ListError(msg) from None
    except yaml.YAMLError as error:
        msg = f"{file.name} is no YAML, so nothing of it can be used; mend it: {error}"
        raise ListError(msg) from None
    config = _mapping(_mapping(written).get("config"))
    values = {key: value for key in _KEYS if (value := config.get(f"{NAMESPACE}:{key}")) not in (None, "")}
    encrypted = [key for key, value in values.items() if isinstance(value, dict) and "secure" in value]
    if encrypted:
        names = ", ".join(f"{NAMESPACE}:{key}" for key in encrypted)
        msg = (
            f"{names} is encrypted in {file.name}, and needs its passphrase; nothing in it is secret; write it in clear"
        )
        raise ListError(msg)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "\n".join(map(str, explain(error, Settings)))
        raise ListError(f"{file.name} cannot be used:\n{faults}") from None


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value if isinstance(value, dict) else {})


def table(settings: Settings) -> str:
    """Each image with its copy, if there is a mirror, and what runs it."""
    images = settings.images
    rows = [("image", *(["at the mirror"] if images.mirror else []), "used by")]
    for name, uses in used(settings).items():
        image: str = getattr(images, name)
        copies = [at_mirror(image, images.mirror)] if images.mirror else []
        rows.append((image, *copies, ", ".join(f"{use.kind} {use.component}" for use in uses)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows) + "\n"


def copies(settings: Settings) -> str:
    """Source and goal of each copy, a line each, as `skopeo copy` and `oc image mirror` take them.

    Both refuse a name with tag and digest: the digest says what to copy, and the tag keeps the copy from being
    taken for rubbish by the mirror.
    """
    images, lines = settings.images, list[str]()
    for name in used(settings):
        image: str = getattr(images, name)
        copy = at_mirror(image, images.mirror)
        if copy != image:
            source = f"{repository(image)}@{image.partition('@')[2]}" if "@" in image else image
            goal = copy.partition("@")[0] if ":" in copy.partition("@")[0].rpartition("/")[2] else copy
            lines.append(f"{source} {goal}\n")
    return "".join(dict.fromkeys(lines))


def mirror_set(settings: Settings, form: str) -> str:
    """An ImageDigestMirrorSet or ImageTagMirrorSet for the images as they are named without a mirror."""
    kind, field = _KINDS[form]
    images = settings.images
    found = {
        repository(image): repository(copy)
        for name in used(settings)
        for image in [getattr(images, name)]
        for copy in [at_mirror(image, images.mirror)]
        if copy != image
    }
    entries = [{"source": source, "mirrors": [copy]} for source, copy in found.items()]
    made = {
        "apiVersion": "config.openshift.io/v1",
        "kind": kind,
        "metadata": {"name": "litemaas"},
        "spec": {field: entries},
    }
    return yaml.safe_dump(made, sort_keys=False)


def unserved(settings: Settings, form: str) -> list[str]:
    """The images that a mirror set of this form does not hold for."""
    by_digest = form == "idms"
    names: list[str] = [getattr(settings.images, name) for name in used(settings)]
    return [image for image in names if ("@" in image) != by_digest]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 2 if nothing can be listed."""
    parser = argparse.ArgumentParser(prog="python -m config.image_list", description=__doc__)
    parser.add_argument("--stack", help="name of a stack file (default: the defaults of all settings)")
    parser.add_argument("--format", choices=("table", "copy", *_KINDS), default="table")
    parser.add_argument("--mirror", help="registry and path (default: images.mirror of the stack)")
    options = parser.parse_args(arguments)
    try:
        settings = _with_mirror(read(options.stack), options.mirror, needed=options.format != "table")
    except ListError as error:
        print(f"images: {error}", file=sys.stderr)
        return 2
    match options.format:
        case "table":
            sys.stdout.write(table(settings))
        case "copy":
            sys.stdout.write(copies(settings))
        case form:
            sys.stdout.write(mirror_set(settings, form))
            _say_unserved(settings, form)
    if settings.database.mode == "operator":
        print(f"images: {_OPERATOR}", file=sys.stderr)
    return 0


def _with_mirror(settings: Settings, mirror: str | None, *, needed: bool) -> Settings:
    if mirror is None:
        if needed and settings.images.mirror is None:
            raise ListError("there is no mirror; write MIRROR=registry/path, or images.mirror in the stack file")
        return settings
    try:
        checked = TypeAdapter[str](Mirror).validate_python(mirror)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ListError(f"MIRROR = {mirror} {what}") from None
    images = settings.images.model_copy(update={"mirror": checked})
    return settings.model_copy(update={"images": images})


def _say_unserved(settings: Settings, form: str) -> None:
    left = unserved(settings, form)
    if not left:
        return
    other = "itms" if form == "idms" else "idms"
    why = "with a digest" if form == "idms" else "without a digest"
    cure = "write digests, or make" if form == "idms" else "make"
    print(
        f"images: an {_KINDS[form][0]} holds for images {why} only; these would still come from their own registry; "
        f"{cure} an {_KINDS[other][0]} too (FORMAT={other}): {', '.join(left)}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
