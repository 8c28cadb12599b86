"""Credentials: every secret of the installation, generated once for each generation and kept in the state."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, ResourceOptions, Stash


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A secret to have: ``prefix`` is what its consumer insists on.

    ``overlap`` keeps the value of the generation before as well; ``irreplaceable`` ones are those
    that have encrypted something.
    """

    name: str
    prefix: str
    entropy_bytes: int
    generation: int
    overlap: bool
    irreplaceable: bool


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """``wanted`` decides what exists; ``protect`` refuses to delete what is irreplaceable."""

    wanted: Sequence[Credential]
    protect: bool


class Credentials(ComponentResource):
    """Values by name, each a secret Output that changes with its generation only; ``former`` are still accepted."""

    values: Mapping[str, Output[str]]
    former: Mapping[str, Output[str]]

    def __init__(self, name: str, args: CredentialsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Credentials", name, None, opts)

        def kept(one: Credential, generation: int) -> Output[str]:
            # A resource of its own for each generation. A protected one could not go with its
            # generation: the namespace depends on all of them, which keeps them as long as it is
            # protected, and what is irreplaceable is protected by itself too (docs/decisions/0018).
            suffix = "" if generation == 1 else f"-{generation}"
            # A new random value is made at each run and ignored after the first: the state keeps
            # the one that is in use (engine.md section 2).
            options = ResourceOptions(parent=self, protect=args.protect and one.irreplaceable, ignore_changes=["input"])
            value = Output.secret(one.prefix + secrets.token_urlsafe(one.entropy_bytes))
            return Stash(f"{name}-{one.name}{suffix}", input=value, opts=options).output

        # Kept even where another source is chosen, so that leaving that again makes no third value.
        self.values = {one.name: kept(one, one.generation) for one in args.wanted}
        self.former = {
            one.name: kept(one, one.generation - 1) for one in args.wanted if one.overlap and one.generation > 1
        }
        told = {"values": self.values, "former": self.former}
        self.register_outputs({key: Output.secret(dict(value)) for key, value in told.items()})
