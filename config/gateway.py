"""How the LiteLLM proxy runs: workers, autoscaling, time-outs, its own settings, and the check of keys."""

import re
from collections.abc import Iterator
from typing import Any, Literal, cast

from pydantic import Field, JsonValue, field_validator

from config.models import Entry
from config.scaling import Autoscaling
from config.schedule import Schedule
from config.types import Count

DEFAULT_REQUEST_SECONDS = 600
_OURS = {
    "cache": "Redis shares the limits of keys between the pods, and no answer is kept; see redis",
    "cache_params": "Redis shares the limits of keys between the pods, and no answer is kept; see redis",
    "json_logs": "logs are lines of JSON already",
    "request_timeout": "Route and shutdown have to wait as long; write gateway.requestTimeoutSeconds",
    "global_disable_no_log_param": "a caller could switch the metering of its own calls off",
    "maximum_spend_logs_retention_period": "it belongs elsewhere; write gateway.spendLogRetentionDays",
    "max_in_flight_requests_per_worker": "it belongs elsewhere; write gateway.maxInFlightRequests",
    "proxy_batch_write_at": "it belongs elsewhere; write gateway.batchWriteSeconds",
    "database_connection_pool_limit": "the connections of all pods are counted against database.maxConnections",
    "store_model_in_db": "models are registered in the database; see models",
    "fallbacks": "it belongs to a model; write fallbacks in its entry under models",
    "default_fallbacks": "they belong to a model; write fallbacks in its entry under models",
    "master_key": "it is a secret; write secrets.litellmMasterKey",
    "database_url": "it holds a password and is made here; see database",
    "allow_requests_on_db_unavailable": "while the database is away any made-up key would be served, unmetered",
}
_UNSAFE = {
    "set_verbose": "prompts and keys would be printed to the log",
    "log_raw_request_response": "prompts, answers and keys would be stored and logged",
    "disable_token_counter": "what is used would be counted as nothing",
    "post_call_rules": "it names Python code that is not in the pod, and LiteLLM would not start",
    "custom_provider_map": "it names Python code that is not in the pod, and LiteLLM would not start",
    "global_prompt_directory": "it names a directory that is not in the pod, and LiteLLM would not start",
}
_CALLBACKS = ("callbacks", "success_callback", "failure_callback", "service_callback", "audit_log_callbacks")
_SECRET_KEY = re.compile(
    r".*(^|_)(key|api_?key|secret|token|password|passwd|credentials?|auth(orization)?)", re.IGNORECASE
)
_SECRET_TEXT = re.compile(r"\s*(sk-|Bearer |Basic |eyJ|-----BEGIN)|.*://[^/\s]*:[^/\s]*@", re.DOTALL)


def _refused(settings: dict[str, JsonValue]) -> Iterator[str]:
    for name, value in settings.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield f"{name} is no name of a LiteLLM setting; it would do nothing; write it in lower case with _"
        elif why := _OURS.get(name) or _UNSAFE.get(name):
            yield f"{name} cannot be set here: {why}; remove it"
        elif name.startswith("ssl_"):
            yield f"{name} cannot be set here: what is trusted is decided under trust, and nothing is left unverified"
        elif name in _CALLBACKS and "." in str(value):
            yield f"{name} names Python code that is not in the pod, and LiteLLM would not start; remove it"
        else:
            yield from _secrets(name, value)


def _secrets(path: str, value: JsonValue) -> Iterator[str]:
    """Whatever looks like a secret below ``path``; its text is never quoted."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(f"{path}[{index}]", inner)
    elif isinstance(value, str) and value.startswith("os.environ/"):
        yield f"{path} reads a variable of the pod, and those hold its secrets; write the value itself, or leave it out"
    elif isinstance(value, str) and (_SECRET_KEY.fullmatch(path.rpartition(".")[2]) or _SECRET_TEXT.match(value)):
        yield (
            f"{path} looks like a secret; it would stand in a ConfigMap and in this file in clear; remove it, and "
            "have it replaced if it was a real one"
        )


class KeyCheck(Entry):
    """The scheduled check that blocks keys of the portal which lost their last model."""

    schedule: Schedule = Field(
        default="*/5 * * * *",
        description="When, as in a crontab, in the cluster's time zone. Default: every five minutes; for that long a key that lost its last model may open all of them, and each check costs one short pod. It cannot be switched off: no key of the portal is meant to open every model.",
    )


class GatewaySettings(Entry):
    """The LiteLLM proxy; its number of pods without autoscaling is replicas.litellm."""

    workers: Count = Field(
        default=1,
        description="Processes in each pod. Default 1, LiteLLM's advice: more pods spread better than more workers. Each takes 750 MiB, and several need one more process over them. Several are refused with LiteLLM before 1.90, the default image too.",
    )
    autoscaling: Autoscaling | None = Field(
        default=None,
        description="Adds and removes pods by their use of CPU, instead of replicas.litellm. Default: none, the number is fixed.",
    )
    request_timeout_seconds: int = Field(
        default=DEFAULT_REQUEST_SECONDS,
        ge=10,
        le=3600,
        description="Seconds that one answer may take. The Route waits 10 more, and a pod that stops 20 more, so that no answer is cut; a drained node waits as long. Default 600: long answers of slow models; LiteLLM's own is 6000.",
    )
    batch_write_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="Seconds between two writes of what was used. Default 10, LiteLLM's own: so much is lost when a pod is killed without a chance to stop. LiteLLM advises 60 for a busy gateway: fewer writes.",
    )
    spend_log_retention_days: Count | None = Field(
        default=None,
        description="Days after which LiteLLM deletes the rows of single calls, once a day. Default: never, nothing is lost by itself; the table grows with each call. Sums by day, which the portal shows, stay.",
        examples=[90],
    )
    max_in_flight_requests: Count | None = Field(
        default=None,
        description="Calls that each worker takes at once; whoever comes then waits a second, and gets 503 with retry-after. Default: unlimited. LiteLLM knows it from 1.101 on; preview refuses it with an older image, the default one too.",
        examples=[200],
    )
    admin_ui: Literal["exposed", "hidden"] | None = Field(
        default=None,
        description="hidden switches the log-in page of LiteLLM's own web page off; its API answers as before, by key. Default: exposed (demo), hidden (production), since models, keys and prices belong in the portal and in this file.",
    )
    litellm_settings: dict[str, JsonValue] = Field(
        default={},
        description="More of LiteLLM's `litellm_settings`, as LiteLLM writes them. Default: none. Refused are those that this program sets, unsafe ones and whatever looks like a secret. LiteLLM ignores a name that it does not know.",
        examples=[{"drop_params": True, "num_retries": 2}],
    )
    key_check: KeyCheck = Field(
        default=KeyCheck(), description="The scheduled check for keys of the portal that have no model left."
    )

    @field_validator("litellm_settings", mode="before")
    @classmethod
    def _free_to_choose(cls, value: Any) -> Any:
        # Before the types are looked at, since a wrong one would be quoted.
        given = cast("dict[str, JsonValue]", value if isinstance(value, dict) else {})
        if problems := list(_refused(given)):
            raise ValueError(" | ".join(problems))
        return cast("Any", value)
