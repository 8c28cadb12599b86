"""Runs of the whole program that many tests look at; each is made once."""

import pytest

from config import Settings, findings
from config.resolved import resolved
from tests import harness
from tests.unit import inference

DEMO = {
    "clusterDomain": harness.DOMAIN,
    "models": ["granite-8b-agent", "mistral-3-int4"],
    "access": {"admins": ["alice"]},
    "protectData": False,
}
PRODUCTION = {
    "clusterDomain": harness.DOMAIN,
    "namespace": "portal",
    "profile": "production",
    "models": [
        {
            "name": "embedder",
            "endpoint": "https://embedder.example.com/v1",
            "servedName": "intfloat/e5",
            "contextLength": 512,
            "inputPrice": 1e-07,
            "embedding": True,
            "rpm": 600,
        }
    ],
    "access": {
        "admins": ["alice", "bob"],
        "readonly": ["carol"],
        "users": [],
        "initialAdmins": ["dave"],
        "enforceGroups": True,
    },
    "images": {
        "pullSecret": "registry-login",
        "postgres": f"quay.io/sclorg/postgresql-16-c9s:latest@sha256:{'0a' * 32}",
        "redis": f"quay.io/sclorg/redis-7-c9s:latest@sha256:{'0b' * 32}",
    },
    "database": {"storage": {"size": "50Gi", "storageClass": "fast"}},
    "resources": {"litellm": {"limits": {"memory": "8Gi"}}},
    "isolation": {"quota": {}, "limitRange": {}},
}


def planned_for(settings: Settings) -> list[findings.Owned]:
    """What preflight looks at for settings that say everything of their models."""
    return findings.planned(settings, [resolved(model) for model in settings.models], (), console=True)


@pytest.fixture(scope="session")
def demo() -> harness.Run:
    return harness.shared_run(DEMO)


@pytest.fixture(scope="session")
def production() -> harness.Run:
    return harness.shared_run(PRODUCTION)


@pytest.fixture(scope="session")
def locked() -> harness.Run:
    """A model in another namespace, to which only the gateway is let."""
    served = [inference.service("granite-8b-agent", inference.arguments("granite-8b-agent", 16384, tools=True))]
    config = {**DEMO, "models": ["granite-8b-agent"], "modelServing": {"lockdown": True}}
    return harness.run_program(config, cluster=inference.cluster(inference.lists(served=served)))


@pytest.fixture(params=["demo", "production"])
def run(request: pytest.FixtureRequest) -> harness.Run:
    """Either profile."""
    return request.getfixturevalue(request.param)
