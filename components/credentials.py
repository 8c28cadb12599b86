"""Credentials: every secret of the installation, generated once and kept in the state."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Output, ResourceOptions, Stash

# 32 bytes: as long as the keys of AES-256 and HMAC-SHA256 that are made of them.
_ENTROPY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A secret to have: ``prefix`` is what its consumer insists on."""

    name: str
    prefix: str


@dataclass(frozen=True, kw_only=True)
class CredentialsArgs:
    """``wanted`` decides what exists; ``given`` are the operator's own values, as secret Outputs."""

    wanted: Sequence[Credential]
    given: Mapping[str, Output[str]]
    protect: bool


class Credentials(ComponentResource):
    """Values by name; each a secret Output that never changes unless it is given anew."""

    values: Mapping[str, Output[str]]

    def __init__(self, name: str, args: CredentialsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Credentials", name, None, opts)
        # A new random value is made at each run and ignored after the first: the state keeps
        # the one that is in use (engine.md section 2). Kept even where a value is given, so
        # that taking the given one away does not lose the generated one.
        options = ResourceOptions(parent=self, protect=args.protect, ignore_changes=["input"])
        kept = {
            one.name: Stash(
                f"{name}-{one.name}",
                input=Output.secret(one.prefix + secrets.token_urlsafe(_ENTROPY_BYTES)),
                opts=options,
            )
            for one in args.wanted
        }
        self.values = {key: args.given.get(key, stash.output) for key, stash in kept.items()}
        self.register_outputs({"values": Output.secret(dict(self.values))})

    def __getitem__(self, name: str) -> Output[str]:
        return self.values[name]
