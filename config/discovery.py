"""What the cluster says of models: those that nobody declared, and what declarations leave out.

Why something is a problem or only a warning stands in docs/decisions/0025.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from config.agreement import completed, contradictions, no_context, no_key
from config.cluster import Cluster
from config.inference import GROUP, InferenceService, Serving, selected, serving
from config.models import Model
from config.report import NAMESPACE, Problem
from config.resolved import Resolved, missing, predictor, resolved
from config.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """``models`` are all that are offered; ``services`` the InferenceServices of each, by the model's name.

    With ``problems``, some models may be lacking: ``unknown`` are the declared ones among them, and with
    ``complete`` false not even the names of all are known.
    """

    models: tuple[Resolved, ...]
    unknown: tuple[Model, ...] = ()
    services: Mapping[str, Sequence[InferenceService]]
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
        for at in filter(None, map(predictor, [model.endpoint, *model.further_endpoints])):
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
        self._aliases = {alias: model.name for model in settings.models for alias in model.aliases}
        self.models: list[Resolved] = []
        self.unknown: list[Model] = []
        self.services: dict[str, list[InferenceService]] = {}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def declared(self, index: int, model: Model) -> None:
        """A model of the stack file, with its InferenceService where there is one."""
        path = f"{NAMESPACE}:models[{index}]"
        service = self._at(model.endpoint) if model.endpoint else self._of_that_name(path, model)
        if model.endpoint is None and service is None:
            self.unknown.append(model)
            return
        if service:
            self.problems += contradictions(path, model, service)
            model = completed(model, service)
        # One model to those who call it, so all that is said of it must be true of each of its servers.
        further = {place: one for place, url in enumerate(model.further_endpoints) if (one := self._at(url))}
        for place, one in further.items():
            whole = model.model_copy(update={"endpoint": model.further_endpoints[place]})
            wrong = contradictions(path, whole, one)
            self.problems += [
                replace(each, where=each.where.replace(".endpoint", f".furtherEndpoints[{place}]")) for each in wrong
            ]
        if model.endpoint is None and service:
            self.problems.append(Problem(where=f"{path}.endpoint", what=f"is missing, and {service} {service.why_not}"))
        if model.context_length is None:
            self.problems.append(missing(index, "context_length"))
        if model.endpoint is None or model.context_length is None:
            self.unknown.append(model)
        else:
            self._add(model, [*([service] if service else []), *further.values()])

    def undeclared(self, service: InferenceService) -> None:
        """An InferenceService that is to be offered unless a model or a retired one has its name."""
        if service.name in self._skipped:
            return
        other = next(iter(self.services.get(service.name, [])), None) or self._aliases.get(service.name)
        if other:
            what = f"has the name of {other}; a request could not tell them apart; declare one under another name"
            self.problems.append(Problem(where=str(service), what=what))
            return
        if service.url is None:
            self.warnings.append(f"{service} {service.why_not}: it is not offered until a later up finds one")
            return
        model = completed(Model(name=service.name), service)
        if service.auth:
            self.problems.append(no_key(service))
        if model.context_length is None:
            self.problems.append(no_context(service))
            self.unknown.append(model)
        else:
            self._add(model, [service])

    def _at(self, endpoint: str) -> InferenceService | None:
        at = predictor(endpoint)
        return self._spaces[at.namespace].services.get(at.name) if at and at.namespace in self._spaces else None

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

    def _add(self, model: Model, services: Sequence[InferenceService]) -> None:
        elsewhere = 1 + len(model.further_endpoints) - len(services)
        runs = bool(elsewhere) or any(one.replicas for one in services)
        self.models.append(resolved(model, serving=runs))
        if services:
            self.services[model.name] = list(services)
        without = "another server has to do" if runs else "the model is offered and not verified, and calls to it fail"
        for one in services:
            if not one.replicas:
                self.warnings.append(f"{model.name}: {one} has 0 replicas; {without} until somebody scales it up")
            elif one.not_ready:
                self.warnings.append(f"{model.name}: {one} is not ready ({one.not_ready}); calls to it may fail")
