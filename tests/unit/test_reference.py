"""What is written about the configuration is what the models say."""

import json
from pathlib import Path

import yaml

from config import reference
from config.entry import Entry
from config.secrets import SECRETS
from config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_has_the_reference_made_from_the_models():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("<!-- reference -->\n")[1].split("<!-- end of reference -->")[0]
    assert table == reference.markdown(), "run `python -m config.reference markdown` and paste its output"


def test_the_readme_has_the_table_of_secrets_made_from_the_code():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("<!-- secrets -->\n")[1].split("<!-- end of secrets -->")[0]
    assert table == reference.secrets(), "run `python -m config.reference secrets` and paste its output"


def test_the_project_file_declares_every_key_as_the_models_do():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    assert declared.pop("pulumi:disable-default-providers") == {"value": ["kubernetes"]}
    assert declared == reference.project()


def test_the_schema_for_editors_is_the_one_made_from_the_models():
    stored = json.loads((ROOT / "docs" / "stack.schema.json").read_text(encoding="utf-8"))
    assert stored == reference.schema(), "run `python -m config.reference schema > docs/stack.schema.json`"


def test_the_example_stack_is_valid():
    written = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))["config"]
    values = {key.removeprefix("litemaas:"): value for key, value in written.items()}
    # Pulumi writes booleans of the top level as text, and hands them over as JSON.
    values["protectData"] = json.loads(values["protectData"])
    settings = Settings.model_validate(values)
    assert [model.name for model in settings.models] == [
        "granite-8b-agent",
        "mistral-3-int4",
        "devstral-2",
        "gpt-oss-20b",
    ]


def _entries(entry: type[Entry]) -> list[type[Entry]]:
    return [entry, *(one for sub in entry.__subclasses__() for one in _entries(sub))]


def test_every_field_is_described_with_its_default():
    for entry in _entries(Entry):
        for name, field in entry.model_fields.items():
            where = f"{entry.__name__}.{name}"
            assert field.description, f"{where} has no description"
            nested = isinstance(field.default, Entry)
            optional = not field.is_required() and not nested
            amount = entry.__name__ == "ResourceMap"  # its defaults depend on tier and profile
            if optional and not amount:
                assert "efault" in field.description or "Only 1" in field.description or name == "retired_models", where


def test_every_secret_of_the_table_can_be_given():
    fields = Settings.model_fields["secrets"].default.__class__.model_fields
    assert list(fields) == [spec.name for spec in SECRETS]
