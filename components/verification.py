"""Verification tier: the last Job of `up`, which uses what was deployed as people and programs will."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi_kubernetes as k8s
from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components import jobs, kube, parts, revision, volumes, wiring
from components.models import DECLARED, declared
from components.trust import Trust, trusting
from components.wiring import Place, Target

SCRIPTS = (
    "verify.py",
    "verify_advice.py",
    "verify_catalogue.py",
    "verify_client.py",
    "verify_keys.py",
    "verify_login.py",
    "verify_models.py",
    "verify_report.py",
)


def _times(limit: int) -> dict[str, str]:
    """How long it lets things settle, and when it stops asking and prints its table.

    It waits by itself. All of it has to fit into the Job's time limit, since then a pod that still runs is
    deleted, and what it said with it; the last fifth is for the pod's start and for the key's end.
    """
    return {"PATIENCE_SECONDS": str(limit // 4), "LIMIT_SECONDS": str(limit * 4 // 5)}


@dataclass(frozen=True, kw_only=True)
class VerificationArgs:
    """``tiers`` have to be up before; it runs again when one of ``revisions`` changes, or a declaration.

    ``image`` is LiteLLM's own, used for its Python. ``gateway_secret`` and ``backend_secret`` are the
    Secrets with the keys of administrators, ``declarations`` the ConfigMap of the models. ``provider`` says who
    logs people in: openshift or oidc.
    """

    scope: kube.Scope
    image: str
    size: kube.Size
    trust: Trust
    tiers: Sequence[Resource]
    revisions: Sequence[Input[str]]
    declarations: Input[str]
    portal_url: Target[str]
    api_url: Target[str]
    gateway_url: Target[str]
    provider: str
    oauth_issuer: Target[str]
    oauth_client_id: Input[str]
    oauth_callback: str
    gateway_secret: Input[str]
    backend_secret: Input[str]


class Verification(ComponentResource):
    """`up` fails where this fails: what was deployed does not work, and the Job's log says what and why."""

    revision: Output[str]

    def __init__(self, name: str, args: VerificationArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("litemaas:index:Verification", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        self.revision = revision.of(*args.revisions)
        account = parts.account(name, scope, "verification", child)
        scripts = k8s.core.v1.ConfigMap(
            f"{name}-scripts",
            metadata=scope.meta("verification"),
            immutable=True,
            data={file: kube.file(file) for file in SCRIPTS},
            opts=child,
        )
        pod = _pod(args, self.revision, scripts.metadata.name, account)
        k8s.batch.v1.Job(
            f"{name}-checks",
            metadata=scope.job_meta("verification"),
            spec=jobs.job(scope, "verification", trusting(pod, args.trust), patient=True),
            # All addresses are known long before anything answers there.
            opts=scope.workload(self, depends_on=args.tiers),
        )
        self.edges = wiring.calls("verification", args)
        self.register_outputs({"revision": self.revision})


def _pod(args: VerificationArgs, checked: Input[str], scripts: Input[str], account: Input[str]) -> kube.Pod:
    return kube.Pod(
        name="verification",
        image=args.image,
        size=args.size,
        command=["python3", "/opt/litemaas/verify.py"],
        env={
            "PORTAL_URL": args.portal_url.address,
            "API_URL": args.api_url.address,
            "GATEWAY_URL": args.gateway_url.address,
            "AUTH_PROVIDER": args.provider,
            "OAUTH_ISSUER": args.oauth_issuer.address,
            # For the command, which may be told where the router is: that is not where this one answers.
            "ELSEWHERE": "" if args.oauth_issuer.peer is Place.ROUTER else args.oauth_issuer.address,
            "OAUTH_CLIENT_ID": args.oauth_client_id,
            "OAUTH_CALLBACK": args.oauth_callback,
            "NAMESPACE": args.scope.namespace,
            "DECLARED": DECLARED,
            **_times(args.scope.timeout_seconds),
            # Read by nobody: another value is another pod template, and that is another Job.
            "REVISION": checked,
            "HOME": "/tmp",
        },
        secret_env={
            "LITELLM_MASTER_KEY": (args.gateway_secret, "LITELLM_MASTER_KEY"),
            "ADMIN_API_KEY": (args.backend_secret, "ADMIN_API_KEYS"),
        },
        mounts=[
            volumes.config_files("scripts", "/opt/litemaas", scripts),
            declared(args.declarations),
        ],
        service_account=account,
    )
