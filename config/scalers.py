"""HorizontalPodAutoscalers that are there: whose they are, and what they would undo."""

from components.naming import backends
from config.capacity import too_many_connections
from config.cluster import Json
from config.findings import ours
from config.report import Problem
from config.settings import Settings
from config.sizes import MOST_BACKENDS

# The tiers that an autoscaler may size.
_CALLED = {"litellm": "the gateway", "frontend": "the frontend"}
_KEYS = {"litellm": "gateway.autoscaling", "frontend": "frontend.autoscaling"}
_PODS = {"litellm": "LiteLLM's", "frontend": "the frontend's"}
_BACKENDS = {"backend", *backends(MOST_BACKENDS)}


def autoscaled(scalers: Json) -> frozenset[str]:
    """The Deployments whose replicas a HorizontalPodAutoscaler sets, from a list of those."""
    targets = [item["spec"]["scaleTargetRef"] for item in scalers.get("items", [])]
    return frozenset(target["name"] for target in targets if target["kind"] == "Deployment")


def foreign(settings: Settings, scalers: Json, stack: str) -> list[Problem]:
    """Autoscalers of others: one beside ours, for more pods than there are connections, or of what cannot be scaled."""
    problems: list[Problem] = []
    for tier, item in _scalers(scalers):
        name = item["metadata"]["name"]
        if ours(item["metadata"].get("labels") or {}, stack):
            continue  # What it is to be, the settings say, and they are checked.
        where, away = f"HorizontalPodAutoscaler {name}", f"run: oc delete hpa {name} -n {settings.namespace}"
        if tier in settings.scaled:
            key, _ = settings.scaled[tier]
            what = (
                f"sizes {_CALLED[tier]} already, and {key} would make a second one; they would undo each "
                f"other's work; leave {key} out, or {away}"
            )
            problems.append(Problem(where=where, what=what))
        elif tier == "litellm":
            problems += too_many_connections(settings, f"{where} maxReplicas", item["spec"]["maxReplicas"])
        elif tier not in _CALLED:
            what = (
                f"sizes Deployment {tier}, whose pods keep logins in their memory and are told from each other by "
                f"frontends; people could not log in; write replicas.backend, and {away}"
            )
            problems.append(Problem(where=where, what=what))
    return problems


def ending(settings: Settings, scalers: Json, stack: str) -> list[str]:
    """That pods keep the number which an autoscaler of ours gave them, at the up that removes it."""
    return [
        f"{_KEYS[tier]} is gone: this up removes the autoscaler and leaves the number of {_PODS[tier]} pods as it is, "
        f"since both at once would fight over it; the next up sets replicas.{tier}"
        for tier, item in _scalers(scalers)
        if tier in _KEYS and tier not in settings.scaled and ours(item["metadata"].get("labels") or {}, stack)
    ]


def _scalers(scalers: Json) -> list[tuple[str, Json]]:
    """Autoscalers of the tiers, each with the Deployment that it sizes."""
    return [
        (target["name"], item)
        for item in scalers.get("items", [])
        for target in [item["spec"]["scaleTargetRef"]]
        if target["kind"] == "Deployment" and (target["name"] in _CALLED or target["name"] in _BACKENDS)
    ]
