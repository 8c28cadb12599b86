"""A model as the stack file declares it and as its server was started: one under the other, or one against it.

What is declared wins. Where it contradicts the server, calls of users would surely fail, and both values are told
(docs/decisions/0025).
"""

from typing import Any
from urllib.parse import urlsplit

from config.inference import InferenceService
from config.models import Model
from config.report import Problem


def no_context(service: InferenceService) -> Problem:
    """A discovered model whose context length nobody knows is refused."""
    fault = "does not say its context length (no --max-model-len); long prompts would fail, and the portal show none"
    return _to_declare(service, fault, "contextLength: <tokens>")


def no_key(service: InferenceService) -> Problem:
    """A discovered model whose server wants a token is refused."""
    return _to_declare(service, "lets nobody in without a token (enable-auth is true); all would fail", "apiKey: ...")


def _to_declare(service: InferenceService, fault: str, key: str) -> Problem:
    what = (
        f"is discovered and {fault}; write models: [{{name: {service.name}, namespace: {service.namespace}, {key}}}], "
        "or leave it out by the labelSelector under modelServing.discover"
    )
    return Problem(where=str(service), what=what)


def completed(model: Model, service: InferenceService) -> Model:
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


def contradictions(path: str, model: Model, service: InferenceService) -> list[Problem]:
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
