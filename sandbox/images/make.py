"""`python -m sandbox images`: build what is missing and serve it under its names."""

from collections.abc import Callable, Sequence

from sandbox.images import catalogue
from sandbox.images.builder import Builder
from sandbox.images.registry import Registry, temporary
from sandbox.node import packages, tools


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
    wanted = [name for name in names or known if known[name].references]
    builder = Builder(known, progress)
    builder.build(wanted)
    if registry:
        written = builder.push(registry, wanted)
    else:
        with temporary() as own:
            written = builder.push(own, wanted)
    progress(f"images: {len(wanted)} images, {written} names written to the registry")
    return written
