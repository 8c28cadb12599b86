"""`python -m sandbox images`: build what is missing and serve it under its names."""

import os
from collections.abc import Callable, Mapping, Sequence

from sandbox.images import catalogue
from sandbox.images.builder import Builder
from sandbox.images.registry import Registry, temporary
from sandbox.node import packages, tools

# `real`: LiteMaaS' own images are pulled from their registry, for machines that reach it.
PORTAL = "LITEMAAS_SANDBOX_PORTAL"


def make(names: Sequence[str] = (), progress: Callable[[str], None] = print, registry: Registry | None = None) -> int:
    """Build and push images; what is there already is left alone.

    Args:
        names: recipes; all when empty.
        progress: takes one line of text per step.
        registry: where to push; one that runs as long as this takes when None.

    Returns:
        How many names were written.

    Raises:
        ImageError: an image could not be built.
        RecipeError: an `image.toml` cannot be used.
        PackagesMissingError: a Debian package or a right is missing; the message has the cure.
    """
    packages.require(packages.BUILDER, progress)
    known = catalogue.recipes(tools.ensure(progress, ("coredns", "registry")))
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"no such image: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    left = set(catalogue.portal(known)) if is_real(os.environ) else set[str]()
    wanted = [name for name in names or known if known[name].references and name not in left]
    builder = Builder(known, progress)
    builder.build(wanted)

    def push(target: Registry) -> int:
        for reference in (each for name in left for each in known[name].references):
            if target.remove(reference):
                progress(f"images: the double of {reference} is served no more")
        return builder.push(target, wanted)

    if registry:
        written = push(registry)
    else:
        with temporary() as own:
            written = push(own)
    progress(f"images: {len(wanted)} images, {written} names written to the registry")
    return written


def is_real(environment: Mapping[str, str]) -> bool:
    """Whether LiteMaaS' own images are to be used, and not their doubles.

    Raises:
        ValueError: the variable has another value than `real` or `double`.
    """
    chosen = environment.get(PORTAL, "double")
    if chosen not in {"real", "double"}:
        raise ValueError(f"{PORTAL}={chosen} is neither `real` nor `double`")
    return chosen == "real"
