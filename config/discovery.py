"""What the cluster says of models: those that nobody declared, and what declarations leave out.

What is declared wins. Where it contradicts the server, both are told: as a problem when users' calls
would surely fail, else as a warning (docs/decisions/0025).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from config.cluster import Cluster
from config.inference import GROUP, InferenceService, Serving, selected, serving
from config.models import Model
from config.report import NAMESPACE, Problem
from config.resolved import Resolved, missing, predictor, resolved
from config.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """``models`` are all that are offered; ``services`` the InferenceService of each, by the model's name.

    With ``problems``, some models may be lacking: ``unknown`` are the declared ones among them, and with
    ``complete`` false not even the names of all are known.
    """

    models: tuple[Resolved, ...]
    unknown: tuple[Model, ...] = ()
    services: Mapping[str, InferenceService]
    namespaces: Mapping[str, Serving]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = True


def discover(settings: Settings, cluster: Cluster, apis: Collection[str]) -> Discovery:
    """The stack's models, with what the cluster knows of them. Raises UnreachableError."""
    asked, useful = _namespaces(settings)
    if GROUP not in apis:
        # Nobody asked for it, so nothing is amiss: other servers speak OpenAI's API as well.
        problems = [_no_kserve(cluster.server)] if asked else []
        return _without(settings, problems)
    spaces = serving(cluster, sorted(asked | useful))
    problems = [each for one in asked for each in spaces[one].problems]
    warnings = [f"{each.where}: {each.what}" for one in useful - asked for each in spaces[one].problems]
    found = _Finding(settings, spaces)
    for index, model in enumerate(settings.models):
        found.declared(index, model)
    for one in settings.model_serving.discover:
        every = spaces[one.namespace].services
        names = selected(cluster, one.namespace, one.label_selector) if one.label_selector else set(every)
        for name in sorted(names & set(every)):
            found.undeclared(every[name])
    return Discovery(
        models=tuple(found.models),
        unknown=tuple(found.unknown),
        services=found.services,
        namespaces=spaces,
        problems=(*problems, *found.problems),
        warnings=(*warnings, *found.warnings),
        complete=not problems,
    )


def _namespaces(settings: Settings) -> tuple[set[str], set[str]]:
    """Namespaces that have to be read, and those where reading them only shows contradictions."""
    asked = set(settings.model_serving.namespaces)
    asked |= {model.namespace for model in settings.models if model.namespace and model.endpoint is None}
    useful: set[str] = set()
    for model in settings.models:
        if at := predictor(model.endpoint):
            needed = model.context_length is None or settings.model_serving.lockdown
            (asked if needed else useful).add(at.namespace)
    return asked, useful


def _no_kserve(server: str) -> Problem:
    what = (
        f"is not served by {server}; no InferenceService can be read; install OpenShift AI or KServe, or write each "
        "model with endpoint and contextLength, and no modelServing"
    )
    return Problem(where=f"cluster API {GROUP}", what=what)


def _without(settings: Settings, problems: Sequence[Problem]) -> Discovery:
    whole = [one for one in settings.models if one.endpoint and one.context_length]
    return Discovery(
        models=tuple(resolved(one) for one in whole),
        unknown=tuple(one for one in settings.models if one not in whole),
        services={},
        namespaces={},
        problems=tuple(problems),
        complete=not problems,
    )


class _Finding:
    """Collects models, and what speaks against them, one after the other."""

    def __init__(self, settings: Settings, spaces: Mapping[str, Serving]) -> None:
        self._settings, self._spaces = settings, spaces
        self._skipped = {*settings.retired_models, *(model.name for model in settings.models)}
        self.models: list[Resolved] = []
        self.unknown: list[Model] = []
        self.services: dict[str, InferenceService] = {}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def declared(self, index: int, model: Model) -> None:
        """A model of the stack file, with its InferenceService where there is one."""
        path = f"{NAMESPACE}:models[{index}]"
        if model.endpoint:
            at = predictor(model.endpoint)
            service = self._spaces[at.namespace].services.get(at.name) if at and at.namespace in self._spaces else None
        else:
            service = self._of_that_name(path, model)
        if model.endpoint is None and service is None:
            self.unknown.append(model)
            return
        if service:
            self.problems += _contradictions(path, model, service)
            model = _completed(model, service)
        if model.endpoint is None and service:
            self.problems.append(Problem(where=f"{path}.endpoint", what=f"is missing, and {service} {service.why_not}"))
        if model.context_length is None:
            self.problems.append(missing(index, "context_length"))
        if model.endpoint is None or model.context_length is None:
            self.unknown.append(model)
        else:
            self._add(model, service)

    def undeclared(self, service: InferenceService) -> None:
        """An InferenceService that is to be offered unless a model or a retired one has its name."""
        if other := self.services.get(service.name):
            if service.name not in self._skipped:
                what = f"has the name of {other}; a request could not tell them apart; declare one under another name"
                self.problems.append(Problem(where=str(service), what=what))
            return
        if service.name in self._skipped:
            return
        if service.url is None:
            self.warnings.append(f"{service} {service.why_not}: it is not offered until a later up finds one")
            return
        model = _completed(Model(name=service.name), service)
        if service.auth:
            self.problems.append(_no_key(service))
        if model.context_length is None:
            self.problems.append(_no_context(service))
            self.unknown.append(model)
        else:
            self._add(model, service)

    def _of_that_name(self, path: str, model: Model) -> InferenceService | None:
        spaces = [model.namespace] if model.namespace else self._settings.model_serving.namespaces
        found = [one for each in spaces if (one := self._spaces[each].services.get(model.name))]
        if len(found) == 1:
            return found[0]
        where = f"{path}.namespace" if model.namespace or found else f"{path}.endpoint"
        if found:
            what = f"is missing, and there are {' and '.join(map(str, found))}; write the namespace of the one meant"
        else:
            near = [name for each in spaces for name in self._spaces[each].services]
            close = get_close_matches(model.name, near, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            what = (
                f"is missing, and there is no InferenceService {model.name} in {', '.join(spaces)}; {hint}no call "
                "could reach it; write the endpoint, or the right name and namespace"
            )
        self.problems.append(Problem(where=where, what=what))
        return None

    def _add(self, model: Model, service: InferenceService | None) -> None:
        runs = service is None or service.replicas > 0
        self.models.append(resolved(model, serving=runs))
        if service is None:
            return
        self.services[model.name] = service
        if not runs:
            self.warnings.append(
                f"{model.name}: {service} has 0 replicas; the model is offered and not verified, and calls to it "
                "fail until somebody scales it up"
            )
        elif service.not_ready:
            self.warnings.append(f"{model.name}: {service} is not ready ({service.not_ready}); calls to it may fail")


def _no_context(service: InferenceService) -> Problem:
    fault = "does not say its context length (no --max-model-len); long prompts would fail, and the portal show none"
    return _to_declare(service, fault, "contextLength: <tokens>")


def _no_key(service: InferenceService) -> Problem:
    return _to_declare(service, "lets nobody in without a token (enable-auth is true); all would fail", "apiKey: ...")


def _to_declare(service: InferenceService, fault: str, key: str) -> Problem:
    what = (
        f"is discovered and {fault}; write models: [{{name: {service.name}, namespace: {service.namespace}, {key}}}], "
        "or leave it out by the labelSelector under modelServing.discover"
    )
    return Problem(where=str(service), what=what)


def _completed(model: Model, service: InferenceService) -> Model:
    """``model``, with what it does not say taken from its server."""
    served, written = service.served, model.model_fields_set
    known: dict[str, Any] = {
        "endpoint": f"{service.url}" if service.url else None,
        "served_name": next(iter(served.names), None),
        "context_length": served.context,
        "tools": served.tools,
        "embedding": served.embedding,
    }
    if served.embedding:
        known.pop("tools")
    new = {key: value for key, value in known.items() if key not in written and value is not None}
    return model.model_copy(update=new)


def _contradictions(path: str, model: Model, service: InferenceService) -> list[Problem]:
    """Where ``model`` says what its server does not do; each is a call that surely fails."""
    served = service.served
    problems: list[Problem] = []

    def problem(key: str, value: object, what: str) -> None:
        problems.append(Problem(where=f"{path}.{key}", value=None if value is None else str(value), what=what))

    for key, length in (("contextLength", model.context_length), ("maxOutput", model.max_output)):
        if length and served.context and length > served.context:
            what = f"is more than {service} serves (--max-model-len {served.context}); long requests would fail there"
            problem(key, length, f"{what}; write at most {served.context}, or leave it out")
    if model.tools and served.tools is False:
        what = f"contradicts {service}, which has tool calls off; requests with tools would fail there"
        problem("tools", "true", f"{what}; write false, or start it with --enable-auto-tool-choice and its parser")
    if model.served_name and served.names and model.served_name not in served.names:
        what = f"is not what {service} calls itself, which is {' or '.join(served.names)}; every call would be a 404"
        problem("servedName", model.served_name, f"{what}; write one of these, or leave it out")
    if service.auth and "api_key" not in model.model_fields_set:
        what = f"is missing, and {service} lets nobody in without a token (enable-auth is true); every call would fail"
        problem("apiKey", None, f"{what}; write where a token of a service account that may get it stands")
    if model.endpoint and service.ports and (port := _port(model.endpoint)) not in service.ports:
        ports = ", ".join(map(str, service.ports))
        what = f"names port {port}, and the Service of {service} can be called on {ports}; every call would fail"
        problem("endpoint", model.endpoint, f"{what}; write {service.url}, or leave it out")
    return problems


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
