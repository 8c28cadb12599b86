"""Every container image: where it comes from, how it is named for the cluster, and what runs it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from config.entry import Entry
from config.report import NAMESPACE, Problem
from config.types import Image, Mirror

if TYPE_CHECKING:
    from config.settings import Settings

# Tags that their owners move from build to build. c9s is the base system of sclorg's images.
_MOVING = re.compile(r"latest|main|master|stable|edge|nightly|devel?|c\d+s")


class Images(Entry):
    """Container images. Defaults are what upstream deploys with LiteMaaS 0.4.0."""

    backend: Image = Field(
        default="quay.io/rh-aiservices-bu/litemaas-backend:0.4.0",
        description="Portal backend. Default: upstream's release 0.4.0.",
    )
    frontend: Image = Field(
        default="quay.io/rh-aiservices-bu/litemaas-frontend:0.4.0",
        description="Portal frontend; keep it at the backend's version. Default: upstream's release 0.4.0.",
    )
    litellm: Image = Field(
        default="quay.io/rh-aiservices-bu/litellm-non-root:main-v1.81.0-stable-custom",
        description="LiteLLM proxy, an image that runs under any UID. Default: the build that upstream deploys with 0.4.0.",
    )
    postgres: Image = Field(
        default="quay.io/sclorg/postgresql-16-c9s:latest",
        description="PostgreSQL with the environment contract of the sclorg images. Default: sclorg's PostgreSQL 16, which runs under a random UID (Docker Hub's does not). The major version is in the repository name, so the tag cannot jump it; pin a digest for production.",
    )
    redis: Image = Field(
        default="quay.io/sclorg/redis-7-c9s:latest",
        description="Redis 7. Default: sclorg's image, for the same reason as PostgreSQL's.",
    )
    mirror: Mirror | None = Field(
        default=None,
        description="Registry, and a path in it, that holds copies of all images: it takes the place of each image's own registry, path, tag and digest stay. `make images-list` prints what it must hold. Default: none, images come from where their names say.",
        examples=["mirror.example.com:5000/litemaas"],
    )
    pull_policy: Literal["IfNotPresent", "Always"] = Field(
        default="IfNotPresent",
        description="When a node asks the registry. Default IfNotPresent: a pod starts again where it ran while the registry is away, and a restart alone changes no version. Always asks at each start: for tags that move, and where pods of others on the node may not use a private image.",
    )
    require_digests: bool = Field(
        default=False,
        description="Refuse every image without a sha256 digest, so that what runs changes by an `up` alone. Default false: the defaults are tags, for digests are known once you have chosen what to mirror.",
    )
    pull_secret: str | None = Field(
        default=None,
        min_length=1,
        description="Name of an image pull Secret that exists in the namespace. Default: none, all default images are public.",
    )

    def pulled(self) -> Self:
        """The same, with the names under which the cluster pulls them."""
        return self.model_copy(update={name: at_mirror(getattr(self, name), self.mirror) for name in NAMES})


@dataclass(frozen=True, kw_only=True)
class Use:
    """What runs an image, by its kind and component, and with which settings it is there."""

    image: str
    kind: str
    component: str
    when: "Callable[[Settings], bool]" = lambda _: True


USES = (
    Use(image="backend", kind="Deployment", component="backend"),
    Use(image="backend", kind="CronJob", component="role-check", when=lambda one: one.access.enforce_groups),
    Use(image="frontend", kind="Deployment", component="frontend"),
    Use(image="litellm", kind="Deployment", component="litellm"),
    Use(image="litellm", kind="Job", component="litellm-migration"),
    Use(image="litellm", kind="Job", component="models"),
    Use(image="litellm", kind="Job", component="verification"),
    Use(image="litellm", kind="CronJob", component="key-check"),
    Use(image="postgres", kind="StatefulSet", component="postgres", when=lambda one: one.database.mode == "bundled"),
    # For its psql, whoever runs the server.
    Use(image="postgres", kind="Job", component="postgres-bootstrap"),
    Use(image="redis", kind="Deployment", component="redis", when=lambda one: one.redis.mode == "bundled"),
)
NAMES = tuple(dict.fromkeys(use.image for use in USES))


def used(settings: "Settings") -> dict[str, list[Use]]:
    """What is made with these settings, by image; an image that nothing runs is left out."""
    made = [use for use in USES if use.when(settings)]
    return {name: uses for name in NAMES if (uses := [use for use in made if use.image == name])}


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    name, digest, _ = image.partition("@")
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}" if digest or ":" in last else name


def tag(image: str) -> str:
    """An image's tag; empty if it has none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def at_mirror(image: str, mirror: str | None) -> str:
    """The name of an image's copy; an image that is named there already keeps its name."""
    if mirror is None or image.startswith(f"{mirror}/"):
        return image
    return f"{mirror}/{image.partition('/')[2]}"


def contradictions(settings: "Settings") -> list[Problem]:
    """Images that the settings themselves forbid, or that one mirror cannot hold."""
    images = settings.images
    names: dict[str, str] = {name: getattr(images, name) for name in used(settings)}
    without = {name: image for name, image in names.items() if images.require_digests and "@" not in image}
    return [
        *(
            Problem(
                where=f"{NAMESPACE}:images.{name}",
                value=image,
                what="has no digest, and images.requireDigests asks for one: whoever moves the tag would change what "
                f"runs; write {image}@sha256:..., as "
                f"`skopeo inspect --format '{{{{.Digest}}}}' docker://{image}` prints it",
            )
            for name, image in without.items()
        ),
        *_collisions(names, images.mirror),
    ]


def _collisions(names: dict[str, str], mirror: str | None) -> list[Problem]:
    sources: dict[str, tuple[str, str]] = {}
    problems: list[Problem] = []
    for name, image in names.items() if mirror else ():
        source, copy = repository(image), repository(at_mirror(image, mirror))
        first, other = sources.setdefault(copy, (name, source))
        if other != source:
            what = (
                f"would have the name {copy} at the mirror, as images.{first} ({other}) has, and one of the two would "
                "run in the place of the other; copy it to a path of its own, and write that whole name here"
            )
            problems.append(Problem(where=f"{NAMESPACE}:images.{name}", value=image, what=what))
    return problems


def notices(settings: "Settings") -> Sequence[str]:
    """What an operator should know of tags that move, as one text.

    Of the defaults only in production: for a trial it is right that PostgreSQL and Redis get their fixes.
    """
    fields = Images.model_fields
    moving = [
        f"images.{name}: {image}"
        for name in used(settings)
        for image in [getattr(settings.images, name)]
        if "@" not in image and _MOVING.fullmatch(tag(image))
        if settings.profile == "production" or image != fields[name].default
    ]
    if not moving:
        return []
    how = (
        "each start of a pod may bring another build"
        if settings.images.pull_policy == "Always"
        else "which build runs depends on when its node pulled it"
    )
    return [
        "\n  - ".join(
            [
                f"Tags that move ({how}; write a digest after the tag, images.requireDigests then refuses others):",
                *moving,
            ]
        )
    ]
