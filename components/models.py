"""Models tier: what is declared becomes what LiteLLM serves."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import jobs, kube, parts, revision, volumes, wiring
from components.trust import Trust, trusting
from components.wiring import Target

DECLARED = "/etc/litemaas-models"
_SCRIPTS = ("register_models.py", "register_api.py")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One server of a model, and the name that it knows the model by.

    ``key_env`` is the variable of LiteLLM's pods that holds its API key (None: it asks for none),
    ``key_revision`` says where that key comes from.
    """

    target: Target[str]
    served_name: str
    key_env: str | None = None
    key_revision: str | None = None

    def declaration(self) -> dict[str, str | None]:
        """The server as the registering script reads it."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "target"}
        return {"url": self.target.address} | values


@dataclass(frozen=True, kw_only=True)
class ModelArgs:
    """One model: lengths in tokens, prices per token, ``tpm`` and ``rpm`` per minute (None: no limit).

    With ``serving`` false its servers are scaled to zero. All plain, because each is a row of its own in preview.
    """

    model: str
    endpoints: Sequence[Endpoint]
    context_length: int
    max_output: int
    input_price: float
    output_price: float
    tools: bool
    vision: bool
    embedding: bool
    tpm: int | None
    rpm: int | None
    verify: bool
    serving: bool

    def declaration(self) -> dict[str, Any]:
        """The model as the registering script reads it."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return values | {"endpoints": [one.declaration() for one in self.endpoints]}


class Model(ComponentResource):
    """A declared model; its inputs are the declaration, so that preview shows what changes.

    Without an object of its own: with one, each of 200 models cost 0.16 s of an up (docs/decisions/0006).
    """

    model: Output[str]

    def __init__(self, name: str, args: ModelArgs, opts: ResourceOptions | None = None) -> None:
        shown = {key: value for key, value in args.declaration().items() if value is not None}
        super().__init__("litemaas:index:Model", name, shown, opts)
        self.model = Output.from_input(args.model)
        self.register_outputs({"model": self.model})


@dataclass(frozen=True, kw_only=True)
class ModelsArgs:
    """``gateway`` must be ready before models are registered; ``env_secret`` holds its master key.

    ``image`` is LiteLLM's own, used for its Python.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    gateway: Resource
    gateway_url: Target[Output[str]]
    env_secret: Input[str]
    models: Sequence[ModelArgs]
    retired: Sequence[str]
    trust: Trust


class Models(ComponentResource):
    """All declared models, and the Job that makes LiteLLM's database equal to them."""

    names: Output[Sequence[str]]
    declarations: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: ModelsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Models", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        for one in args.models:
            Model(f"{name}-{one.model}", one, child)
        carrier = k8s.core.v1.ConfigMap(
            f"{name}-declarations",
            metadata=scope.meta("model"),
            immutable=True,
            data={f"{one.model}.json": json.dumps(one.declaration(), sort_keys=True) for one in args.models},
            opts=child,
        )
        self.declarations = carrier.metadata.name
        account = parts.account(name, scope, "models", child)
        script = k8s.core.v1.ConfigMap(
            f"{name}-script",
            metadata=scope.meta("models"),
            immutable=True,
            data={file: kube.file(file) for file in _SCRIPTS},
            opts=child,
        )
        pod = _registration(args, account, self.declarations, script.metadata.name)
        spec = jobs.job(scope, "models", pod, patient=True)
        k8s.batch.v1.Job(
            f"{name}-registration",
            metadata=scope.job_meta("models"),
            spec=spec,
            # A rolled gateway keeps its URL: without this the Job would call the old one.
            opts=scope.workload(self, depends_on=[args.gateway]),
        )
        self.names = Output.from_input([one.model for one in args.models])
        # The Job calls the gateway, and by what it tells it the gateway calls the models.
        told = [to.target.called_by(args.gateway_url.peer) for one in args.models for to in one.endpoints]
        self.edges = [*wiring.calls("models", args), *told]
        self.revision = revision.of(spec.template)
        told = {"declarations": self.declarations, "revision": self.revision}
        self.register_outputs({"names": self.names, **told})


def _registration(args: ModelsArgs, account: Input[str], declarations: Input[str], script: Input[str]) -> kube.Pod:
    pod = kube.Pod(
        name="registration",
        image=args.image,
        service_account=account,
        size=args.size,
        command=["python3", "/opt/litemaas/register_models.py"],
        env={
            "LITELLM_URL": args.gateway_url.address,
            "DECLARED": DECLARED,
            "RETIRED": ",".join(args.retired),
            "HOME": "/tmp",
        },
        secret_env={"LITELLM_MASTER_KEY": (args.env_secret, "LITELLM_MASTER_KEY")},
        mounts=[volumes.config_files("script", "/opt/litemaas", script), declared(declarations)],
    )
    return trusting(pod, args.trust)


def declared(declarations: Input[str]) -> volumes.Mount:
    """Each model's declaration as ``<name>.json`` in the directory ``DECLARED``.

    ``declarations`` is the name of their ConfigMap.
    """
    return volumes.config_files("declared", DECLARED, declarations)
