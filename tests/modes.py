"""Every mode of configuration in which the program draws its edges and pods in another way; each is run once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest import mock

from components import isolation
from components.wiring import Edge
from config import Settings
from tests import harness
from tests.unit import inference
from tests.unit.conftest import DEMO, PRODUCTION

PASSWORD = "0123456789-0123456789"  # noqa: S105 (of no server)
SERVICE_CA = {"/api/v1/namespaces/default/configmaps/openshift-service-ca.crt": {"data": {"service-ca.crt": "-"}}}


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A stack's configuration, and the cluster that it is for; ``secrets`` are the keys that are stored encrypted."""

    config: Mapping[str, Any]
    secrets: tuple[str, ...] = ()
    cluster: Callable[[], harness.FakeCluster] = field(default=harness.FakeCluster)

    @property
    def monitored(self) -> bool:
        return self.config.get("isolation", {}).get("monitoring", False)

    def settings(self) -> Settings:
        return harness.read_config(self.config, self.secrets)

    def run(self) -> harness.Run:
        return harness.run_program(self.config, self.secrets, cluster=self.cluster())


def _model(name: str, endpoint: str) -> dict[str, Any]:
    return {"name": name, "endpoint": endpoint, "contextLength": 4096}


ENDPOINTS = {
    "here": "http://here:8080/v1",
    "here-in-full": "http://here-in-full.litemaas.svc.cluster.local/v1",
    "elsewhere": "http://elsewhere-predictor.serving.svc:8080/v1",
    "a-pod": "http://a-pod-0.a-pod.stateful.svc.cluster.local:8000/v1",
    "outside": "https://models.example.com/v1",
    "outside-in-clear": "http://models.example.com/v1",
    "outside-on-a-port": "https://models.example.com:8443/api/v1",
    "an-address": "http://192.0.2.7:8000/v1",
    "a-route": f"https://model-serving.{harness.DOMAIN}/v1",
}
MIXED = {**DEMO, "models": [_model(name, endpoint) for name, endpoint in ENDPOINTS.items()]}
NO_MODEL = {key: value for key, value in DEMO.items() if key != "models"}


def _locked() -> harness.FakeCluster:
    served = [inference.service("granite-8b-agent", inference.arguments("granite-8b-agent", 16384, tools=True))]
    return inference.cluster(inference.lists(served=served))


def _database(host: str) -> Mode:
    outside = {"mode": "external", "maxConnections": 100, "external": {"host": host, "port": 5433}}
    given = {"postgresAdminPassword": {"value": PASSWORD}}
    everybody = {"enforceGroups": True}  # so that all clients are there
    return Mode(config={**DEMO, "database": outside, "secrets": given, "access": everybody}, secrets=("secrets",))


def _redis(**redis: Any) -> Mode:
    given = {"redisPassword": {"value": PASSWORD}}
    return Mode(config={**DEMO, "redis": {"mode": "external", **redis}, "secrets": given}, secrets=("secrets",))


def _tls(**more: Any) -> Mode:
    return Mode(
        config={**DEMO, "tls": {"internal": True}, **more}, cluster=lambda: harness.FakeCluster(answers=SERVICE_CA)
    )


MODES = {
    "demo": Mode(config=DEMO),
    "production": Mode(config=PRODUCTION),
    "no model": Mode(config=NO_MODEL),
    "models of every kind": Mode(config=MIXED),
    "a model in the namespace": Mode(config={**DEMO, "models": [_model("here", "http://here:8080/v1")]}),
    "models locked": Mode(
        config={**DEMO, "models": ["granite-8b-agent"], "modelServing": {"lockdown": True}}, cluster=_locked
    ),
    "database of the operator": Mode(config={**DEMO, "database": {"mode": "operator"}}),
    "database outside": _database("postgres.example.com"),
    "database in another namespace": _database("postgres.data.svc"),
    "database of a neighbour": _database("postgres"),
    "Redis outside": _redis(host="redis.example.com", port=6380),
    "Redis in another namespace": _redis(host="cache.shared.svc.cluster.local", tls=False),
    "Redis of a neighbour": _redis(host="valkey"),
    "TLS inside": _tls(),
    "groups enforced": Mode(config={**DEMO, "access": {"enforceGroups": True}}),
    "monitoring": Mode(config={**DEMO, "isolation": {"monitoring": True}}),
    "monitoring of all in TLS": _tls(isolation={"monitoring": True}),
    "quota": Mode(config={**DEMO, "isolation": {"quota": {}, "limitRange": {}}}),
    "scaled": Mode(
        config={
            **PRODUCTION,
            "gateway": {"autoscaling": {"maxReplicas": 5}},
            "frontend": {"autoscaling": {"maxReplicas": 6}},
            "isolation": {"quota": {}},
        },
    ),
    "several backends": Mode(
        config={
            **DEMO,
            "replicas": {"backend": 2, "frontend": 3},
            "storage": {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "shared"}},
        },
    ),
    "operator in production": Mode(config={**PRODUCTION, "database": {"mode": "operator"}}),
}


@cache
def _ran(name: str) -> tuple[harness.Run, tuple[Edge, ...]]:
    seen: list[Edge] = []
    real = isolation.IsolationArgs

    def recording(**arguments: Any) -> isolation.IsolationArgs:
        made = real(**arguments)
        seen.extend(made.edges)
        return made

    with mock.patch.object(isolation, "IsolationArgs", recording):
        return MODES[name].run(), tuple(seen)


def run(name: str) -> harness.Run:
    """The run of the mode called ``name``."""
    return _ran(name)[0]


def edges(name: str) -> tuple[Edge, ...]:
    """What the network policies of that mode are made of."""
    return _ran(name)[1]
