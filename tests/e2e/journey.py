"""What the one stack is moved to, by as few ups as can be: each takes a minute, whatever it changes."""

import urllib.parse
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.load import Load
from tests.e2e.stack import Deployed
from tests.e2e.web import Gateway, Web
from tests.engine.driver import DOMAIN, Json
from tests.unit import certificates

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


@dataclass(frozen=True)
class Settled:
    """The settings before log-in moves, who bob is to the portal, and what alice may do."""

    settings: Json
    bob: str
    roles: list[str]


@dataclass(frozen=True)
class Moved:
    """What a preview said that was refused, and the `up` after it."""

    refused: str
    said: str


def move_to_a_provider(stack: Deployed) -> Moved:
    """Let a provider log people in, through Ingresses in place of the Routes that are there."""
    # A value of one's own and a generation exclude each other.
    others = {name: each for name, each in stack.project.config().get("secrets", {}).items() if name != SECRET}
    stack.project.change(
        access={"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": CLIENT}},
        secrets=others or None,
        exposure=INGRESS,
        gateway=stack.closed_gateway,
    )
    stack.project.set_secret(f"secrets.{SECRET}.value", GIVEN)
    refused = stack.project.refused()
    stack.cluster.kubectl("delete", "route", "-n", stack.namespace, "--all")
    stack.project.change(exposure={**INGRESS, "allowFrom": own_networks(stack)})
    return Moved(refused, stack.project.up())


def secure(stack: Deployed, settled: Json, folder: Path) -> Deployed:
    """Move it to TLS everywhere, log-in by a ServiceAccount, and entrances that are closed to whom they can be.

    In: the settings of before the moves, and a folder for the authorities that the result's clients trust.
    """
    lab = certificates.authority()
    urls = (stack.portal, stack.gateway.url, stack.project.outputs()["api_url"])
    made = certificates.make("portal", signer=lab, hosts=[urllib.parse.urlsplit(url).hostname or "" for url in urls])
    tls: Json = {"termination": "reencrypt", "certificate": {"crt": made.certificate}}
    own = {
        "tls": {"internal": True},
        # The backend and the verification use the public names.
        "trust": {"caBundle": lab.certificate},
        "exposure": {"tls": tls, "hstsMaxAgeSeconds": 3600, "allowFrom": own_networks(stack)},
        "access": {**stack.settings["access"], "mode": "serviceAccount"},
        "gateway": stack.closed_gateway,
    }
    stack.project.write_config({**settled, **own})
    stack.project.set_secret("exposure.tls.certificate.key", made.key)
    # It ends with the verification, which goes through the Routes.
    stack.project.up()
    sandbox, file = stack.cluster.sandbox, folder / "ca.pem"
    file.write_text((sandbox.state / "pki" / "sandbox-ca.crt").read_text() + lab.certificate)
    web = Web(sandbox.host, file)
    return replace(stack, web=web, gateway=Gateway(web, stack.gateway.url))
