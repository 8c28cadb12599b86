"""Quota tier: how much all pods of the namespace may take, and what those get that name nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Output, Resource, ResourceOptions

from components import kube

NAME = "litemaas"


@dataclass(frozen=True, kw_only=True)
class QuotaArgs:
    """``hard`` as in a ResourceQuota, None for none; ``usual`` requests and limits of a container that names none.

    ``home`` is the namespace itself, with which both go.
    """

    scope: kube.Scope
    home: Resource
    hard: Mapping[str, str] | None
    usual: tuple[Mapping[str, str], Mapping[str, str]] | None


class Quota(ComponentResource):
    """Counts every pod of the namespace, whoever made it."""

    names: Output[Sequence[str]]

    def __init__(self, name: str, args: QuotaArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Quota", name, None, opts)
        # Deleted before the pods, a quota would let others take their room.
        child = ResourceOptions(parent=self, deleted_with=args.home)
        metadata = args.scope.meta("quota", NAME, kube.HEAL)
        made: list[str] = []
        if args.hard is not None:
            spec = k8s.core.v1.ResourceQuotaSpecArgs(hard=dict(args.hard))
            k8s.core.v1.ResourceQuota(f"{name}-sum", metadata=metadata, spec=spec, opts=child)
            made.append("ResourceQuota")
        if args.usual is not None:
            requests, limits = args.usual
            item = k8s.core.v1.LimitRangeItemArgs(
                type="Container", default=dict(limits), default_request=dict(requests)
            )
            usual = k8s.core.v1.LimitRangeSpecArgs(limits=[item])
            k8s.core.v1.LimitRange(f"{name}-usual", metadata=metadata, spec=usual, opts=child)
            made.append("LimitRange")
        self.names = Output.from_input([f"{kind}/{NAME}" for kind in made])
        self.register_outputs({"names": self.names})
