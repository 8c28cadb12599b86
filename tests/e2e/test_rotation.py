"""Secrets are rotated while people log in and call models: what breaks is what the table says, and nothing else."""

import pytest

from config.secrets import SECRETS
from tests.e2e.conftest import report
from tests.e2e.load import Load
from tests.e2e.settings import TIERS
from tests.e2e.stack import Deployed
from tests.engine.driver import in_use

ROTATED = {spec.name: spec for spec in SECRETS if not spec.fixed}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All at once takes two minutes, each for itself a quarter of an hour and tells more."""
    if "names" in metafunc.fixturenames:
        each = metafunc.config.getoption("--each-secret")
        groups = [[name] for name in ROTATED] if each else [list(ROTATED)]
        metafunc.parametrize("names", groups, ids=["+".join(group) if each else "all" for group in groups])


def pods(stack: Deployed) -> dict[str, set[str]]:
    """The UIDs of the pods of every tier."""
    return {tier: stack.uids(tier) for tier in TIERS}


def test_a_rotation_breaks_what_the_table_says_and_nothing_else(stack: Deployed, names: list[str]) -> None:
    """All at once, the up also takes back what the gateway had grown by, and closes it."""
    if len(names) == 1:
        stack.shrink()
        stack.project.up()
    bob, calls = stack.user("bob"), stack.unlimited_key("granite-8b-agent")
    before, values = pods(stack), in_use(stack.project)
    generations = {name: each.get("generation", 1) for name, each in stack.project.config().get("secrets", {}).items()}

    def completion() -> str:
        return str(stack.gateway.complete(calls, "granite-8b-agent").status)

    def login() -> str:
        try:
            stack.user("carol")
        except AssertionError as refused:
            return str(refused)[:3]
        return "200"

    with Load(completion, workers=2) as completions, Load(login, workers=1, pause=0.5) as logins:
        stack.shrink()
        stack.project.change(
            secrets={name: {"generation": each} for name, each in generations.items()}
            | {name: {"generation": generations.get(name, 1) + 1} for name in names}
        )
        said = stack.project.up()
    report(f"rotated {', '.join(names)}: completions {completions}; logins {logins}")
    # The operator was told, and only what holds a rotated secret has new pods.
    for name in names:
        assert any(name in line and ROTATED[name].notice in line for line in said.splitlines()), said
    restarted = {tier for tier, uids in pods(stack).items() if uids != before[tier]}
    assert restarted == {tier for name in names for tier in ROTATED[name].restarts}
    # Keys of people stay valid all the time, their logins unless the table says otherwise.
    assert completions.failed == 0
    assert (bob.api("GET", "/api/v1/auth/me").status == 401) == ("jwtSecret" in names)
    if not restarted & {"backend", "postgres"}:
        assert logins.failed == 0
    assert stack.user("bob").roles()
    # The old values are worth nothing, and the others are as they were.
    now = in_use(stack.project)
    assert {name for name, value in now.items() if values[name] != value} == set(names)
    if "litellmMasterKey" in names:
        old = {"Authorization": f"Bearer {values['litellmMasterKey']}"}
        assert stack.web.send("GET", f"{stack.gateway.url}/key/list", headers=old).status == 401
