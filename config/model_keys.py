"""The API keys of models: where they come from, and what is wrong with those of existing Secrets."""

from collections.abc import Mapping

from pydantic import SecretStr

from config import existing
from config.cluster import Answer
from config.existing import Existing
from config.models import unsendable
from config.report import NAMESPACE, Problem
from config.settings import Settings


def wanted(settings: Settings) -> dict[str, Existing]:
    """The keys of existing Secrets that are to be read, by name of the model."""
    return {model.name: model.api_key.existing for model in settings.models if model.api_key and model.api_key.existing}


def examine(settings: Settings, found: Mapping[str, Answer]) -> tuple[dict[str, SecretStr], list[Problem]]:
    """The keys by name of the model, and what is wrong; ``found`` are the answers for what is ``wanted``."""
    keys, problems = dict[str, SecretStr](), list[Problem]()
    for index, model in enumerate(settings.models):
        if model.api_key is None:
            continue
        key, problem = model.api_key.value, None
        if model.api_key.existing:
            where = f"{NAMESPACE}:models[{index}].apiKey.existing"
            key, problem = existing.value(where, model.api_key.existing, found[model.name], unsendable)
        problems += [problem] if problem else []
        if key:
            keys[model.name] = key
    return keys, problems
