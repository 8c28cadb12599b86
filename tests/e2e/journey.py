"""What the one stack is moved to, by as few ups as can be: each takes a minute, whatever it changes."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from tests.e2e.load import Load
from tests.e2e.stack import Deployed
from tests.engine.driver import DOMAIN, Json

MODEL = "granite-8b-agent"
FRONTENDS, BACKENDS = 3, 2
# Lockdown, an autoscaler, a check of keys each minute, several backends, and something in all pods of gateway and
# frontend: together, because none of it is to be noticed by who works.
GROWTH: Json = {
    "modelServing": {"lockdown": True},
    "gateway": {"keyCheck": {"schedule": "* * * * *"}, "autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
    "replicas": {"frontend": FRONTENDS, "backend": BACKENDS},
    "resources": {"litellm": {"limits": {"memory": "2100Mi"}}, "frontend": {"limits": {"memory": "300Mi"}}},
}

ISSUER, SECRET = f"https://login-double.{DOMAIN}/oidc", "oauthClientSecret"
# As in sandbox/node/manifests/oauth.yaml.
CLIENT, GIVEN = "portal-at-the-double", "oidc-double-5eed-0123456789abcdef"
INGRESS: Json = {"kind": "ingress", "ingress": {"className": "nginx", "controllerNamespace": "openshift-ingress"}}


@dataclass(frozen=True)
class Grown:
    """What went on while the stack grew: the pods before, what became of the calls, and a key made at the end."""

    before: Mapping[str, set[str]]
    loads: Mapping[str, Load]


def grow(stack: Deployed) -> Grown:
    """Move the stack to GROWTH while people call models, look at pages, and their pages call the API."""
    key = stack.unlimited_key(MODEL)

    def completion() -> str:
        return str(stack.gateway.complete(key, MODEL).status)

    def page() -> str:
        return str(stack.web.send("GET", f"{stack.portal}/").status)

    def call() -> str:
        return str(stack.web.send("GET", f"{stack.portal}/api/v1/models").status)

    before = {tier: stack.uids(tier) for tier in ("litellm", "frontend")}
    loads = {
        "completions": Load(completion, workers=3),
        "pages": Load(page, workers=2),
        "calls": Load(call, workers=1, pause=0.5),
    }
    with ExitStack() as going:
        for each in loads.values():
            going.enter_context(each)
        stack.project.change(**GROWTH)
        stack.project.up()
    return Grown(before, loads)


def own_networks(stack: Deployed) -> list[str]:
    """Those of this machine, which is the node, and of its pods."""
    assert stack.cluster.sandbox.node
    return [f"{stack.cluster.sandbox.host}/32", stack.cluster.sandbox.node.names.pods]


def move_to_a_provider(stack: Deployed) -> str:
    """What an `up` says that lets a provider log people in, and closes what nobody outside needs."""
    # A value of one's own and a generation exclude each other.
    others = {name: each for name, each in stack.project.config().get("secrets", {}).items() if name != SECRET}
    stack.project.change(
        access={"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": CLIENT}},
        secrets=others or None,
        exposure={"hstsMaxAgeSeconds": 3600, "allowFrom": own_networks(stack)},
        gateway={**stack.settings["gateway"], "adminUi": "hidden"},
    )
    stack.project.set_secret(f"secrets.{SECRET}.value", GIVEN)
    return stack.project.up()


def move_to_ingresses(stack: Deployed, before: Json) -> str:
    """What a preview says of Ingresses in place of the Routes that are there; afterwards they are in their place."""
    closed = {**stack.settings["gateway"], "adminUi": "hidden"}
    # People log in at OpenShift again.
    stack.project.write_config({**before, "exposure": INGRESS, "gateway": closed})
    said = stack.project.refused()
    stack.cluster.kubectl("delete", "route", "-n", stack.namespace, "--all")
    stack.project.change(exposure={**INGRESS, "allowFrom": own_networks(stack)})
    stack.project.up()
    return said
