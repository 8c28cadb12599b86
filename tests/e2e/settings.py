"""The one stack as it is first deployed."""

from tests.engine.driver import DOMAIN, Json

GPT_OSS: Json = {
    "name": "gpt-oss-20b",
    "endpoint": "http://gpt-oss-20b-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 8192,
    "maxOutput": 4096,
    "inputPrice": 0.0000005,
    "outputPrice": 0.0000015,
}
MODELS = ("granite-8b-agent", "mistral-3-int4", "devstral-2", "gpt-oss-20b")
SETTINGS: Json = {
    "clusterDomain": DOMAIN,
    "namespace": "litemaas",
    "protectData": False,
    "rolloutTimeoutSeconds": 300,
    "models": [*MODELS[:-1], GPT_OSS],
    # The members are the tests' to change, and the check runs when they say so.
    "access": {"admins": ["alice"], "readonly": ["carol"], "enforceGroups": True, "enforceSchedule": "0 0 1 1 *"},
    "replicas": {"litellm": 2, "frontend": 2},
    # For several backends later: a claim of one node cannot become one of several. The sandbox has one node, and its
    # provisioner makes a directory whatever a claim asks for.
    "storage": {"backups": {"size": "1Gi", "accessMode": "ReadWriteMany", "storageClass": "sandbox"}},
    # Once a year: tests make keys that open every model, and say themselves when they are looked for.
    "gateway": {"keyCheck": {"schedule": "0 0 1 1 *"}},
}
TIERS = {"postgres": 1, "redis": 1, "litellm": 2, "backend": 1, "frontend": 2}
