"""Stacks beside the one, of copies of the program with mistakes in them, which the program itself does not make."""

from collections.abc import Mapping
from pathlib import Path

from sandbox.paths import CHECKOUT
from tests.e2e.stack import Deployed, Slow
from tests.engine.driver import DOMAIN, Json, copy_program

Mistakes = Mapping[str, tuple[str, str]]
"""The right and the wrong text, by file of the program."""
MISTAKES: Mapping[str, Mistakes] = {
    "no-rights": {
        "components/files/bootstrap.sh": (
            "-- Since PostgreSQL 15 the schema follows",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner;\n-- Since PostgreSQL 15 the schema follows",
        )
    },
    "no-salt-key": {"components/gateway.py": ('        "LITELLM_SALT_KEY": args.salt_key,\n', "")},
    "wrong-sslmode": {
        "components/server.py": (' if self.verified else "sslmode=disable"', ' if self.verified else "sslmode=require"')
    },
    "wrong-redirect": {
        "__main__.py": ("redirect_uri=urls.oauth_callback,", 'redirect_uri=urls.oauth_callback + "/other",')
    },
}
# In a namespace of somebody else's, since lockdown of the one stack's models would close them to other stacks.
SPACE = "elsewhere"
MODEL: Json = {"name": "echo", "endpoint": f"http://model.{SPACE}.svc.cluster.local:8080/v1", "contextLength": 4096}
NOWHERE: Json = {
    "name": "nowhere",
    "endpoint": "http://nowhere-predictor.private-ai.svc.cluster.local:8080/v1",
    "contextLength": 4096,
}
ISSUER = f"https://login-double.{DOMAIN}/oidc"
NOBODY = "192.0.2.0/24"


class Copy:
    """A stack in a namespace of its own, with a program of its own."""

    def __init__(self, deployed: Deployed, folder: Path, name: str, **settings: object) -> None:
        """Of the settings of the one stack at its first `up`; nothing is deployed yet."""
        self._program, self._spoilt = copy_program(folder / "program"), frozenset[str]()
        # Not the environment of the one stack's project, which tests change.
        self.project = Slow(folder / "project", self._program, deployed.cluster.sandbox.env(), name)
        own = {"namespace": name, "access": {"manageGroups": False}, "replicas": {}, "models": [MODEL]}
        self.project.write_config({**deployed.settings, **own, **settings})

    def up(self, mistakes: Mistakes | None = None, expect: int = 0) -> str:
        """What an `up` says of a program with these mistakes, and none of those before."""
        made = mistakes or {}
        for file in self._spoilt | set(made):
            right, wrong = made.get(file, ("", ""))
            text = (CHECKOUT / file).read_text()
            assert right in text, f"{file} no longer holds {right!r}"
            (self._program / file).write_text(text.replace(right, wrong) if right else text)
        self._spoilt = frozenset(made)
        return self.project.up(expect=expect)


def no_rights(deployed: Deployed, folder: Path) -> dict[str, str]:
    """A stack of its own, since what the mistake takes away the right program does not give back."""
    copy = Copy(deployed, folder, "no-rights", rolloutTimeoutSeconds=90)
    said = copy.up(MISTAKES["no-rights"], expect=1)
    copy.project.destroy()
    return {"no-rights": said}


def mended_one_by_one(deployed: Deployed, folder: Path) -> dict[str, str]:
    """What the ups of one stack say that has a mistake after the other, each mended by the next up."""
    copy, said = Copy(deployed, folder, "mistakes", rolloutTimeoutSeconds=90), dict[str, str]()
    project = copy.project
    said["no-salt-key"] = copy.up(MISTAKES["no-salt-key"], expect=1)
    said["wrong-sslmode"] = copy.up(MISTAKES["wrong-sslmode"], expect=1)

    project.change(models=[MODEL, NOWHERE])
    said["wrong-redirect"] = copy.up(MISTAKES["wrong-redirect"], expect=1)

    login = {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "unknown"}}
    project.change(models=[MODEL], retiredModels=["nowhere"], access=login, rolloutTimeoutSeconds=60)
    project.set_secret("secrets.oauthClientSecret.value", "of-a-client-that-nobody-knows-0123456789")
    said["unknown-client"] = copy.up(expect=1)

    project.change(access={"manageGroups": False}, exposure={"allowFrom": [NOBODY]})
    said["nobody-let-in"] = copy.up(expect=1)
    found = project.outputs()
    doors = found["portal_url"], f"{found['gateway_url']}/health/liveliness"
    said["from outside"] = " ".join(str(deployed.web.status(url)) for url in doors)

    project.change(exposure=None)
    copy.up()
    said["roles"] = " ".join(deployed.web.log_in(found["portal_url"], "bob").roles())
    project.destroy()
    return said
