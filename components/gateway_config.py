"""What the LiteLLM proxy is told about how to run: its configuration file, and times that hang together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

# What a setting of LiteLLM may be; deeper down there is more of the same.
Value = str | int | float | bool | Mapping[str, object] | Sequence[object] | None

# SIGTERM closes the socket at once; so long the pod still answers while routers and proxies learn that it leaves.
DRAIN_SECONDS = 10
_MARGIN_SECONDS = 10
# uvicorn starts a worker anew that does not answer it within 5 s, and importing LiteLLM takes longer on a busy node:
# it never came up (docs/decisions/0027).
_WORKER_START_SECONDS = 120
_HEADER = """\
# Configuration of the LiteLLM proxy, made by components/gateway_config.py, where the reasons stand.
# Models are not here but in LiteLLM's database.
"""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How the proxy runs. ``request_seconds`` is how long one answer may take; all other times follow from it.

    ``spend_logs_days`` and ``in_flight`` None: without limit. ``more`` are settings of LiteLLM's own, checked already.
    """

    workers: int = 1
    request_seconds: int = 600
    batch_write_seconds: int = 10
    spend_logs_days: int | None = None
    in_flight: int | None = None
    admin_ui: bool = False
    more: Mapping[str, Value] = field(default_factory=dict[str, Value])

    @property
    def route_seconds(self) -> int:
        """How long the router waits: longer, so that it is the proxy that tells of a time-out."""
        return self.request_seconds + _MARGIN_SECONDS

    @property
    def grace_seconds(self) -> int:
        """How long a pod that stops may take: to be forgotten by those who call it, and for the longest answer."""
        return DRAIN_SECONDS + self.request_seconds + _MARGIN_SECONDS

    def environment(self) -> dict[str, str]:
        """Variables of the proxy."""
        return {
            # Without it the proxy cuts answers 30 s after SIGTERM; 1.81 does not know it and waits for all.
            "GRACEFUL_SHUTDOWN_TIMEOUT": str(self.request_seconds),
            **({"TIMEOUT_WORKER_HEALTHCHECK": str(_WORKER_START_SECONDS)} if self.workers > 1 else {}),
            **({} if self.admin_ui else {"DISABLE_ADMIN_UI": "True"}),
        }

    def file(self, router_settings: Mapping[str, Value]) -> str:
        """The configuration file; the same text for the same settings."""
        content: dict[str, Mapping[str, Value]] = {
            "general_settings": _general(self),
            "litellm_settings": _litellm(self),
        }
        if router_settings:
            content["router_settings"] = dict(router_settings)
        return _HEADER + yaml.safe_dump(content, sort_keys=False)


def _general(tuning: Tuning) -> dict[str, Value]:
    limits: dict[str, Value] = {}
    if tuning.spend_logs_days is not None:
        # This alone starts the clean-up, once a day. As text: LiteLLM 1.81 takes a number for seconds.
        limits["maximum_spend_logs_retention_period"] = f"{tuning.spend_logs_days}d"
    if tuning.in_flight is not None:
        limits["max_in_flight_requests_per_worker"] = tuning.in_flight
    return {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "database_url": "os.environ/DATABASE_URL",
        # With a direct connection to this database the portal takes models of this file for stale and cuts
        # their subscriptions.
        "store_model_in_db": True,
        # For each worker.
        "database_connection_pool_limit": 10,
        "proxy_batch_write_at": tuning.batch_write_seconds,
        **limits,
    }


def _litellm(tuning: Tuning) -> dict[str, Value]:
    return {
        **tuning.more,
        # Shares rate limits and key states between replicas; no answer is cached.
        "cache": True,
        "cache_params": {
            "type": "redis",
            "host": "os.environ/REDIS_HOST",
            "port": "os.environ/REDIS_PORT",
            "password": "os.environ/REDIS_PASSWORD",
            "supported_call_types": [],
        },
        "json_logs": True,
        "request_timeout": tuning.request_seconds,
        # A caller could otherwise switch the metering of its own request off.
        "global_disable_no_log_param": True,
    }
