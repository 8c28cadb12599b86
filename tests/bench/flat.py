"""Writes, from a stack's state, the program that somebody would write without ours.

One file, one resource after the other: no components, hooks, checks or settings. Values
that flow between objects (generated names, the namespace) do so there too; what else an
object waited for becomes ``depends_on``, what it goes with ``deleted_with``. So both programs
create the same objects, in the same order. Objects of fixed name get another one, that both
can live in one cluster.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 (the engine's mark of a secret value)
_PROVIDER = "pulumi:providers:kubernetes"
_AUTONAMED = "pulumi.com/autonamed"
# Kinds that pulumi-kubernetes has no class for.
_FOREIGN = ".openshift.io/"
_GLOBAL_SUFFIX = "-flat"


@dataclass(frozen=True)
class Code:
    """Python source in the place of a value; ``needs`` names the resource it refers to."""

    text: str
    needs: str = ""

    def __repr__(self) -> str:
        """The source itself, so that ``repr`` of what holds it is source as well."""
        return self.text


@dataclass
class Writer:
    """Turns resources of one state into source."""

    resources: Sequence[Mapping[str, Any]]
    namespace: str
    variables: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, Code] = field(default_factory=dict[str, Code])

    def program(self) -> str:
        """The whole program."""
        lines = ["import json", "", "import pulumi", "import pulumi_kubernetes as k8s", ""]
        lines += [_provider(one["inputs"]) for one in self.resources if one["type"] == _PROVIDER]
        objects = [one for one in self.resources if is_object(one)]
        # The state lists a resource after all it depends on.
        for number, one in enumerate(objects):
            self.variables[one["urn"]] = f"r{number}"
            lines.append(f"r{number} = {self._resource(one)}")
            self._publish(one, f"r{number}")
        return "\n".join(lines) + "\n"

    def _resource(self, one: Mapping[str, Any]) -> str:
        name, kind, inputs = _name(one), one["type"], dict(one["inputs"])
        metadata = self._metadata(inputs.pop("metadata"))
        used: set[str] = {metadata["namespace"].needs} if "namespace" in metadata else set()
        values = {key: self._value(value, used) for key, value in inputs.items()}
        values["metadata"] = metadata
        waits = [self.variables[urn] for urn in one.get("dependencies", ()) if urn in self.variables]
        needs = f"depends_on=[{', '.join(sorted(set(waits) - used))}]"
        end = f", deleted_with={self.variables[one['deletedWith']]}" if one.get("deletedWith") else ""
        opts = f"pulumi.ResourceOptions(provider=provider, {needs}{end})"
        if _FOREIGN in kind:
            return f"pulumi.CustomResource({kind!r}, {name!r}, {values!r}, {opts})"
        group, version, cls = re.fullmatch(r"kubernetes:([\w.]+)/(\w+):(\w+)", kind).groups()  # type: ignore[union-attr]
        arguments = ", ".join(
            f"{_snake(key)}={value!r}" for key, value in values.items() if key not in {"apiVersion", "kind"}
        )
        return f"k8s.{group.split('.')[0]}.{version}.{cls}({name!r}, {arguments}, opts={opts})"

    def _metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(metadata)
        annotations = dict(made.pop("annotations", None) or {})
        if annotations.pop(_AUTONAMED, None):
            made.pop("name")
        elif "namespace" not in made:
            made["name"] += _GLOBAL_SUFFIX
        if annotations:
            made["annotations"] = annotations
        if "namespace" in made:
            made["namespace"] = self.names[self.namespace]
        return made

    def _value(self, value: Any, used: set[str]) -> Any:
        if isinstance(value, Mapping):
            if _SECRET in value:
                return Code(f"pulumi.Output.secret({self._value(json.loads(value['plaintext']), used)!r})")
            return {key: self._value(inner, used) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, used) for inner in value]
        # The namespace's name is a common word; as a value it never stands alone outside metadata.
        if isinstance(value, str) and value != self.namespace and value in self.names:
            used.add(self.names[value].needs)
            return self.names[value]
        return value

    def _publish(self, one: Mapping[str, Any], variable: str) -> None:
        """Lets objects that come later refer to this one, if its name is generated or the namespace's."""
        metadata = one["inputs"]["metadata"]
        if _AUTONAMED in (metadata.get("annotations") or {}) or one["type"].endswith(":Namespace"):
            self.names[metadata["name"]] = Code(f"{variable}.metadata.name", variable)


def write(resources: Sequence[Mapping[str, Any]]) -> str:
    """The flat program for the Kubernetes objects in ``resources`` (a state's, secrets in clear)."""
    spaces = [one["inputs"]["metadata"]["name"] for one in resources if one["type"].endswith(":Namespace")]
    return Writer(resources, spaces[0]).program()


def is_object(resource: Mapping[str, Any]) -> bool:
    """Whether a resource of a state is an object in the cluster."""
    return resource["type"].startswith("kubernetes:")


def kinds(resources: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The objects of a state: name in the program, and type."""
    return {_name(one): one["type"] for one in resources if is_object(one)}


def _provider(inputs: Mapping[str, Any]) -> str:
    """The same provider with the same settings: its rate limits decide on the time of a destroy."""
    settings = {key: value for key, value in inputs.items() if key not in {"__internal", "version"}}
    arguments = ", ".join(f"{_snake(key)}={_decoded(value)!r}" for key, value in settings.items())
    return f'provider = k8s.Provider("cluster", {arguments})'


def _decoded(value: str) -> Any:
    """A provider's setting, which the state holds as JSON unless it is text."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _name(resource: Mapping[str, Any]) -> str:
    return resource["urn"].rsplit("::", 1)[1]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
