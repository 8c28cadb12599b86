"""Copies of the program with mistakes in them, which the program itself does not make."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.stack import Deployed, Slow
from tests.engine.driver import Json, copy_program

Mistakes = Mapping[str, tuple[str, str]]
"""The right and the wrong text, by file of the program."""
# These end a stack's first `up` before it has a portal.
EARLY: Mapping[str, Mistakes] = {
    "wrong-sslmode": {
        "components/server.py": (' if self.verified else "sslmode=disable"', ' if self.verified else "sslmode=require"')
    },
    "no-salt-key": {"components/gateway.py": ('        "LITELLM_SALT_KEY": args.salt_key,\n', "")},
    "no-rights": {
        "components/files/bootstrap.sh": (
            "-- Since PostgreSQL 15 the schema follows",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner;\n-- Since PostgreSQL 15 the schema follows",
        )
    },
}


def spoilt(deployed: Deployed, folder: Path, mistakes: Mistakes, stack: str, **settings: object) -> Slow:
    """A stack of the deployed cluster, with a program that has mistakes."""
    program = copy_program(folder / "program")
    for file, (right, wrong) in mistakes.items():
        text = (program / file).read_text()
        assert right in text, f"{file} no longer holds {right!r}"
        (program / file).write_text(text.replace(right, wrong))
    given = deployed.settings
    if stack == deployed.project.stack:
        # It exists already; its file says with what its secrets are encrypted.
        (folder / "project").mkdir()
        shutil.copy(deployed.project.file, folder / "project")
        given = deployed.project.config()
    project = Slow(folder / "project", program, deployed.project.env, stack)
    project.write_config({**given, **settings})
    return project


def fail_early(deployed: Deployed, folder: Path, *, mistake: str) -> str:
    """What the first `up` of a stack of its own says that has one of the early mistakes; leaves nothing."""
    settings: Json = {"namespace": mistake, "access": {"manageGroups": False}, "rolloutTimeoutSeconds": 120}
    settings["replicas"] = {}
    project = spoilt(deployed, folder, EARLY[mistake], mistake, **settings)
    said = project.up(expect=1)
    project.destroy()
    return said
