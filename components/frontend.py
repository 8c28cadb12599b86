"""Frontend tier: nginx with the portal's pages, and the guard in front of its API."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, ResourceOptions

from components import affinity, kube, parts, probes, revision, serving, sizes, volumes, wiring
from components.entrance import Entrance, Way
from components.naming import Door
from components.wiring import Target

PORT = 8080
# Beside the image's own port, which the network policy closes to others than the kubelet.
_TLS_PORT = 8443
_TLS = f"""\
listen {_TLS_PORT} ssl;
ssl_certificate {serving.CERTIFICATE};
ssl_certificate_key {serving.KEY};
ssl_protocols TLSv1.2 TLSv1.3;
"""
_SERVER = "/opt/app-root/etc/nginx.default.d"
# The backend's own longest answers (usage exports) take minutes; nginx waits 300 s.
_ROUTE_SECONDS = 310


@dataclass(frozen=True, kw_only=True)
class FrontendArgs:
    """``backend_url`` without path; its Service must exist before nginx starts, which resolves it once.

    ``backends``, host and port of each, are given where there are several.
    ``gateway_url`` is what the pages' playground calls, from the browser: the pods themselves never do.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    backend_url: Target[Output[str]]
    gateway_url: str
    portal: Door
    api: Door
    entrance: Entrance
    internal_tls: bool
    backends: Sequence[Input[str]] = ()


class Frontend(ComponentResource):
    """The portal's pages; both its entrances pass the same guard."""

    service: Output[str]
    revision: Output[str]

    def __init__(self, name: str, args: FrontendArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Frontend", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        backend = Output.from_input(affinity.URL) if args.backends else args.backend_url.address
        template = (_TLS if args.internal_tls else "") + kube.file("nginx.conf.template")
        template = template.replace("${GATEWAY_URL}", args.gateway_url)
        server = k8s.core.v1.ConfigMap(
            f"{name}-server",
            metadata=scope.meta("frontend"),
            immutable=True,
            data={
                "default.conf": backend.apply(lambda url: template.replace("${BACKEND_URL}", url)),
                "start.sh": kube.file("start-frontend.sh"),
                **affinity.files(args.backends),
            },
            opts=child,
        )
        account = parts.account(name, scope, "frontend", child)
        spec = kube.deployment(scope, "frontend", _pod(args, server.metadata.name, account))
        nginx = k8s.apps.v1.Deployment(
            f"{name}-nginx",
            metadata=scope.meta("frontend", "frontend", scope.rollout("frontend", args.size)),
            spec=spec,
            opts=scope.workload(self, "frontend"),
        )
        service = parts.service(
            name, scope, "frontend", _TLS_PORT if args.internal_tls else PORT, child, tls=args.internal_tls
        )
        parts.budget(name, scope, "frontend", args.size, child)
        scaled = scope.meta("frontend", "frontend", kube.HEAL)
        sizes.autoscaler(name, scaled, nginx.metadata.name, args.size, child)
        way = Way(service=service, seconds=_ROUTE_SECONDS, scope=scope, component="frontend", parent=self)
        entered = [args.entrance.open(f"{name}-{door.name}", door, way) for door in (args.portal, args.api)]
        self.service = service.address
        self.edges = [*entered, *wiring.calls("frontend", args)]
        self.revision = revision.of(spec.template)
        self.register_outputs({"service": self.service, "revision": self.revision})


def _pod(args: FrontendArgs, server: Input[str], account: Input[str]) -> kube.Pod:
    return kube.Pod(
        name="frontend",
        image=args.image,
        size=args.size,
        port=_TLS_PORT if args.internal_tls else PORT,
        command=["sh", f"{_SERVER}/start.sh"],
        env={"HOME": "/opt/app-root/src"},
        mounts=[
            # The image includes *.conf of this directory in its server block. Nothing is
            # mounted at /tmp, where the image keeps files of its own.
            volumes.config_files("server", _SERVER, server),
            volumes.scratch("/run", "16Mi"),
            volumes.scratch("/var/lib/nginx/tmp"),
            volumes.scratch("/var/log/nginx", "16Mi"),
            *([serving.mount("frontend")] if args.internal_tls else []),
            *affinity.mounts(args.backends, server),
        ],
        service_account=account,
        startup=probes.tcp(PORT, period=2, failures=60),
        readiness=probes.http("/", PORT, period=5),
        liveness=probes.http("/healthz", PORT, period=15),
        # nginx stops at once on SIGTERM: the pod leaves the Service first.
        before_stop=["sleep", "5"],
        grace_seconds=330,
    )
