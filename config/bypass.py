"""Ways to models around the gateway: who finds them, and what lockdown does about them."""

from collections.abc import Mapping, Sequence

from components.naming import LOCKDOWN, Guarded
from config.cluster import Json
from config.discovery import Discovery
from config.inference import AUTH, InferenceService
from config.names import COMPONENT_LABEL
from config.objects import listed, mapping, name_of
from config.settings import Settings

_HEAD = "Models answer without a key to others than the gateway; such calls need no subscription and are not counted:"


def guarded(settings: Settings, found: Discovery) -> tuple[Guarded, ...]:
    """The InferenceServices that get a policy. In the installation's own namespace it denies all anyway."""
    if not settings.model_serving.lockdown:
        return ()
    unique = sorted({(one.namespace, one.name) for each in found.services.values() for one in each})
    home = settings.namespace
    return tuple(Guarded(home=home, namespace=space, name=name) for space, name in unique if space != home)


def warnings(settings: Settings, found: Discovery) -> list[str]:
    """What to tell of ways around the gateway, one text for each model."""
    told: list[str] = []
    each = [(model, one) for model, services in sorted(found.services.items()) for one in services]
    for model, service in each:
        if service.namespace == settings.namespace:
            continue
        policies = [one for one in found.namespaces[service.namespace].policies if _selects(one, service.labels)]
        if settings.model_serving.lockdown:
            told += _locked(settings, model, service, policies)
        elif not service.auth and (ways := _ways(service, policies)):
            annotate = f"oc annotate --overwrite inferenceservice {service.name} -n {service.namespace} {AUTH}=true"
            told.append(
                f"{model} ({service}): {' and '.join(ways)}; write modelServing.lockdown: true, or have its owner "
                f"switch auth on ({annotate}) and give LiteLLM a token as apiKey"
            )
    if settings.model_serving.lockdown:
        told += [
            f"{one.declared.name}: {', '.join(one.endpoints)} is no InferenceService that could be found, so lockdown "
            "does not guard it; see to it that only the gateway can reach it"
            for one in found.models
            if one.declared.name not in found.services
        ]
    return [_HEAD, *told] if told else []


def _ways(service: InferenceService, policies: Sequence[Json]) -> list[str]:
    ways: list[str] = []
    if service.routes:
        ways.append("from outside at " + ", ".join(f"https://{host}" for host in service.routes))
    elif service.exposed:
        ways.append("from outside, once KServe has made the Route that its visibility label asks for")
    if not policies:
        ways.append("from every pod of the cluster, since no NetworkPolicy selects its pods")
    elif whole := [name_of(one) for one in policies if any(_is_open(rule) for rule in _rules(one))]:
        ways.append(f"from every pod of the cluster, which NetworkPolicy {', '.join(whole)} lets in")
    return ways


def _locked(settings: Settings, model: str, service: InferenceService, policies: Sequence[Json]) -> list[str]:
    ours = Guarded(home=settings.namespace, namespace=service.namespace, name=service.name).policy
    told: list[str] = []
    if service.routes and ours not in map(name_of, policies):
        hosts = ", ".join(f"https://{host}" for host in service.routes)
        told.append(f"{model} ({service}): lockdown closes {hosts}; whoever calls it there gets 503 from now on")
    others = [name_of(one) for one in policies if _rules(one) and not _is_lockdown(one)]
    if others:
        told.append(
            f"{model} ({service}): lockdown does not hold, since policies add up: NetworkPolicy {', '.join(others)} "
            f"lets others in as well; narrow or delete it (oc describe networkpolicy -n {service.namespace})"
        )
    return told


def _is_lockdown(policy: Json) -> bool:
    """Also another installation's: its gateway counts as well."""
    return mapping(policy, "metadata", "labels").get(COMPONENT_LABEL) == LOCKDOWN


def _rules(policy: Json) -> list[Json]:
    return listed(policy, "spec", "ingress")


def _is_open(rule: Json) -> bool:
    """Whether a rule names nobody, or all namespaces with all their pods."""
    peers: list[Json] = listed(rule, "from")
    return not peers or any(one.get("namespaceSelector") == {} and not one.get("podSelector") for one in peers)


def _selects(policy: Json, labels: Mapping[str, str]) -> bool:
    """Whether a policy decides who may call pods with ``labels``."""
    if "Ingress" not in (listed(policy, "spec", "policyTypes") or ["Ingress"]):
        return False
    selector = mapping(policy, "spec", "podSelector")
    equal = all(labels.get(key) == value for key, value in mapping(selector, "matchLabels").items())
    return equal and all(_matches(one, labels) for one in listed(selector, "matchExpressions"))


def _matches(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], listed(expression, "values")
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
