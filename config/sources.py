"""Where the value of each secret comes from: generated, given, an existing Secret, or an ExternalSecret."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Self

from pydantic import AfterValidator, Field, SecretStr, create_model, model_validator

from config.entry import Entry
from config.existing import Existing
from config.secrets import SECRETS, SecretSpec
from config.types import Count, ObjectName, strong_secret


class ExternalSecret(Entry):
    """What External Secrets Operator is asked for."""

    store: ObjectName = Field(description="Name of the store.", examples=["vault"])
    store_kind: Literal["ClusterSecretStore", "SecretStore"] = Field(
        default="ClusterSecretStore",
        description="Kind of the store. Default ClusterSecretStore: a SecretStore has to lie in the installation's namespace, which the first up makes.",
    )
    key: str = Field(min_length=1, description="The entry in the store.", examples=["litemaas/cluster1"])
    # Not `property`, which would hide Python's own.
    part: str | None = Field(
        default=None,
        min_length=1,
        alias="property",
        description="The property of that entry. Default: the entry as a whole.",
    )


class Source(Entry):
    """Where one secret comes from, and how often it has been rotated."""

    value: Annotated[SecretStr, strong_secret("")] | None = Field(
        default=None,
        description="A value of your own: `pulumi config set --secret --path litemaas:secrets.<name>.value`. Default: generated once.",
    )
    generation: Count = Field(
        default=1,
        description="Raise it to have a new value generated and handed to all that use it. Default 1. Never lower it: the values before are gone.",
        examples=[2],
    )
    existing: Existing | None = Field(
        default=None,
        description="Take it from a key of this Secret, at each up. Default: generated once.",
    )
    external_secret: ExternalSecret | None = Field(
        default=None,
        description="Have External Secrets Operator fetch it, at each up. Default: generated once.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        chosen = [
            info.alias or name
            for name, info in Source.model_fields.items()
            if name != "generation" and getattr(self, name) is not None
        ]
        if len(chosen) > 1:
            msg = f"has {' and '.join(chosen)}; nobody would know which of them counts; write one"
            raise ValueError(msg)
        if chosen and self.generation > 1:
            msg = (
                f"has {chosen[0]} and generation {self.generation}; a generation makes a new generated value, and this "
                "one is not; rotate it at its source and run up, and leave generation out"
            )
            raise ValueError(msg)
        return self

    @property
    def kind(self) -> str:
        """Which of the sources it is."""
        if self.external_secret:
            return "externalSecret"
        return "existing" if self.existing else "value" if self.value else "generated"


class Sources(Entry):
    """The sources by name of the secret; each is one of ``SECRETS``."""

    def items(self) -> Iterator[tuple[SecretSpec, Source]]:
        """Each row of the table with its source."""
        for spec in SECRETS:
            yield spec, getattr(self, spec.name)


def _not_rotated(spec: SecretSpec) -> AfterValidator:
    def check(value: int) -> int:
        if value > 1:
            msg = f"is above 1, and {spec.name} cannot be rotated: {spec.fixed}; leave generation out"
            raise ValueError(msg)
        return value

    return AfterValidator(check)


def _field(spec: SecretSpec) -> tuple[Any, Any]:
    purpose = f"{spec.purpose[0].upper()}{spec.purpose[1:]}. Default: generated once."
    base, more = Source.model_fields, dict[str, Any]()
    if spec.prefix:
        kind: Any = Annotated[SecretStr, strong_secret(spec.prefix)]
        more["value"] = Optional[kind], Field(default=None, description=base["value"].description)  # noqa: UP045 (a value, not an annotation)
    if spec.fixed:
        only: Any = Annotated[Count, _not_rotated(spec)]
        more["generation"] = only, Field(default=1, description="Only 1: it cannot be rotated.")
    model: Any = create_model(f"Source_{spec.name}", __base__=Source, **more) if more else Source
    examples = None if spec.fixed else [{"generation": 2}]
    return model, Field(default=model(), alias=spec.name, description=purpose, examples=examples)


if TYPE_CHECKING:
    SecretSources = Sources
else:
    # One field per row of the table, so that a secret can be neither forgotten nor misspelt.
    SecretSources = create_model("SecretSources", __base__=Sources, **{spec.name: _field(spec) for spec in SECRETS})
