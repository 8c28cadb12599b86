"""A model as the Jobs' scripts find it declared."""

from typing import Any

GRANITE: dict[str, Any] = {
    "model": "granite",
    "endpoints": [
        {
            "url": "http://granite.models.svc.cluster.local:8080/v1",
            "served_name": "ibm/granite",
            "key_env": None,
            "key_revision": None,
        }
    ],
    "context_length": 16384,
    "max_output": 4096,
    "input_price": 1e-06,
    "output_price": 2e-06,
    "tools": True,
    "vision": False,
    "embedding": False,
    "tpm": None,
    "rpm": None,
    "verify": True,
    "serving": True,
}
