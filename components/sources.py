"""Sources: which value of each secret is handed out, and the record of what was."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, ResourceOptions

from components.kube import Scope
from components.openshift import READY, Manifest

# The component's label, by which preflight finds the record.
RECORD = "secret-record"
RECORD_KEY = "record.json"
_VALUE = "value"


def digest(value: str) -> str:
    """Tells whether two secrets are the same; it stands in a Secret only."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What External Secrets Operator is to fetch; ``check`` raises RunError for a value that must not be used."""

    store: str
    store_kind: str
    key: str
    part: str | None
    check: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Source and generation of one secret, as the record has them."""

    source: str
    generation: int


@dataclass(frozen=True, kw_only=True)
class SourcesArgs:
    """All values are secret; those ``given`` or ``external`` win over the ``generated`` ones."""

    scope: Scope
    origins: Mapping[str, Origin]
    generated: Mapping[str, Output[str]]
    given: Mapping[str, Output[str]]
    external: Mapping[str, Fetched]


class Sources(ComponentResource):
    """The values in use, by name of the secret."""

    values: Mapping[str, Output[str]]

    def __init__(self, name: str, args: SourcesArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Sources", name, None, opts)
        fetched = {
            secret: self._fetched(f"{name}-{secret.lower()}", args.scope, one) for secret, one in args.external.items()
        }
        self.values = {**args.generated, **args.given, **fetched}
        k8s.core.v1.Secret(
            f"{name}-record",
            metadata=args.scope.meta(RECORD),
            immutable=True,
            string_data={RECORD_KEY: _record(args.origins, self.values)},
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({"values": Output.secret(dict(self.values))})

    def __getitem__(self, name: str) -> Output[str]:
        return self.values[name]

    def _fetched(self, name: str, scope: Scope, wanted: Fetched) -> Output[str]:
        remote = {"key": wanted.key} | ({"property": wanted.part} if wanted.part else {})
        request = Manifest(
            f"{name}-request",
            api_version="external-secrets.io/v1",
            kind="ExternalSecret",
            # Ready is said once the Secret is written. Without a name: another request is another
            # object, else the Ready of the one before would be taken for its own.
            metadata=scope.meta("external-secret", annotations=scope.awaited() | READY),
            fields={
                "spec": {
                    "refreshInterval": "1h",
                    "secretStoreRef": {"name": wanted.store, "kind": wanted.store_kind},
                    "data": [{"secretKey": _VALUE, "remoteRef": remote}],
                }
            },
            opts=ResourceOptions(parent=self, replace_on_changes=["spec"]),
        )
        # The operator names the Secret as the request, and only the request's id makes a preview
        # wait for it instead of looking for a Secret that is not there yet.
        made = k8s.core.v1.Secret.get(f"{name}-fetched", request.id, opts=ResourceOptions(parent=self))

        def value(data: Mapping[str, str]) -> str:
            return wanted.check(base64.b64decode(data[_VALUE]).decode())

        return Output.secret(made.data.apply(value))


def _record(origins: Mapping[str, Origin], values: Mapping[str, Output[str]]) -> Output[str]:
    entries = {
        secret: {"source": one.source, "generation": one.generation, "digest": values[secret].apply(digest)}
        for secret, one in origins.items()
    }
    return Output.json_dumps(entries, sort_keys=True)
