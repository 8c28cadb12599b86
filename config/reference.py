"""The configuration reference, the JSON Schema and the project's config block, made from the models.

``python -m config.reference markdown`` prints the table for the README, ``secrets`` the
one of secrets, ``schema`` the schema that lets an editor check stack files, ``project`` the config block
of Pulumi.yaml.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.loading import TEXT
from config.models import catalogue
from config.report import NAMESPACE
from config.secrets import SECRETS
from config.settings import Settings


def rows(model: type[BaseModel], prefix: str, seen: dict[type[BaseModel], str]) -> Iterator[tuple[str, str]]:
    """Path and description of every key below ``prefix``, in the order of the models.

    What several keys have in common is told at the first of them, which ``seen`` collects.
    """
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner, is_list = _nested(field.annotation)
        # A variant of an entry has its keys.
        told = next((seen[one] for one in inner.__mro__ if one in seen), None) if inner else None
        yield path, _cell(field) + (f" Keys as in `{told}`." if told else "")
        if inner is not None and told is None:
            seen[inner] = path
            yield from rows(inner, f"{path}{'[]' if is_list else ''}.", seen)


def markdown() -> str:
    """The reference as a Markdown table."""
    lines = ["| key | meaning and default |", "|---|---|"]
    lines += [f"| `{path}` | {text} |" for path, text in rows(Settings, f"{NAMESPACE}:", {})]
    return "\n".join(lines) + "\n"


def secrets() -> str:
    """The table of secrets as a Markdown table."""
    lines = ["| secret | what it is | a rotation restarts | what people notice |", "|---|---|---|---|"]
    for spec in SECRETS:
        restarts, notice = (
            ("never", f"**Refused:** {spec.fixed}") if spec.fixed else (", ".join(spec.restarts), spec.notice)
        )
        lines.append(f"| `{spec.name}` | {spec.purpose} | {restarts} | {notice} |")
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """A JSON Schema for whole stack files (``Pulumi.<stack>.yaml``)."""
    made = Settings.model_json_schema(by_alias=True)
    definitions = made.pop("$defs")
    properties = made["properties"]
    # A catalogue entry may stand as its bare name; the models only know what it turns into.
    properties["models"]["items"] = {"anyOf": [{"enum": sorted(catalogue())}, properties["models"]["items"]]}
    # Values set with --secret stand as a mapping with one key.
    for source in (one for name, one in definitions.items() if name.startswith("Source")):
        source["properties"]["value"]["anyOf"] = [{"type": "object", "required": ["secure"]}]
    definitions["ApiKey"]["properties"]["value"]["anyOf"] = [{"type": "object", "required": ["secure"]}]
    definitions["Certificate"]["properties"]["key"]["anyOf"] = [{"type": "object", "required": ["secure"]}]
    # `pulumi config set` writes these as text.
    properties["protectData"] = {"anyOf": [properties["protectData"], {"enum": ["true", "false"]}]}
    number = properties["rolloutTimeoutSeconds"]
    properties["rolloutTimeoutSeconds"] = {"anyOf": [number, {"type": "string", "pattern": "^[0-9]+$"}]}
    own = {f"{NAMESPACE}:{key}": value for key, value in properties.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of LiteMaaS on Pulumi",
        "type": "object",
        "properties": {
            "encryptionsalt": {"type": "string"},
            "secretsprovider": {"type": "string"},
            "encryptedkey": {"type": "string"},
            "config": {
                "type": "object",
                "properties": own,
                # Keys of other namespaces are Pulumi's business; an unknown one of ours is a mistake.
                "patternProperties": {f"^(?!{NAMESPACE}:)": {}},
                "additionalProperties": False,
            },
        },
        "$defs": definitions,
    }


def project() -> dict[str, dict[str, Any]]:
    """The config block of Pulumi.yaml, by key.

    Only text is given a type: the engine stops at the first wrong one and names no cure,
    before the program can report all of them (docs/decisions/0004). A key without a
    default would be a required one.
    """
    block: dict[str, dict[str, Any]] = {}
    for name, field in Settings.model_fields.items():
        key = field.alias or name
        default: Any = {} if isinstance(field.default, BaseModel) else field.default
        description = (field.description or "").split(". ")[0].rstrip(".") + "."
        kind = {"type": "string"} if key in TEXT else {}
        block[key] = kind | {"description": description, "default": "" if default is None else default}
    return block


def _nested(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        inner, _ = _nested(argument)
        if inner is not None:
            return inner, get_origin(annotation) is list
    return None, False


def _cell(field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|")
    example = f" Example: `{json.dumps(field.examples[0])}`." if field.examples else ""
    return f"{'**Required.** ' if field.is_required() else ''}{text}{example}"


if __name__ == "__main__":
    if sys.argv[1:] == ["markdown"]:
        sys.stdout.write(markdown())
    elif sys.argv[1:] == ["secrets"]:
        sys.stdout.write(secrets())
    elif sys.argv[1:] == ["schema"]:
        sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    elif sys.argv[1:] == ["project"]:
        yaml.safe_dump({"config": project()}, sys.stdout, sort_keys=False, width=120)
    else:
        sys.exit("usage: python -m config.reference markdown|secrets|schema|project")
