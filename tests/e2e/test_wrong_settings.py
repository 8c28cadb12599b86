"""What used to end in a portal that looks well and does not work ends in a failed `up` that says why.

The program itself makes none of these mistakes, so the stacks beside the one are made by copies with mistakes in them.
"""

import re
from collections.abc import Callable

import pytest

from tests.e2e.conftest import report


def reason(said: str, pattern: str) -> str:
    """The line of a failed `up` that says why; a person must find it."""
    found = [line.strip() for line in said.splitlines() if re.search(pattern, line)]
    assert found, f"{pattern!r} is not said in:\n{said}"
    return found[0][:200]


@pytest.mark.parametrize(
    ("mistake", "pattern"),
    [
        ("no-rights", r"log: .*permission denied for schema public"),
        ("no-salt-key", r"LITELLM_SALT_KEY"),
        ("wrong-sslmode", r"log: .*(TLS|SSL)"),
        ("external-stranger", r"log: .*certificate verify failed"),
        ("external-password", r"log: refused: .*password"),
    ],
)
def test_a_first_up_that_cannot_work_fails_with_its_reason(
    beside: Callable[[str], str], mistake: str, pattern: str
) -> None:
    said = beside(mistake)
    report(f"{mistake}: {reason(said, pattern)}")
    # The log lines are the pods' own; the program itself must not end in one.
    assert not [line for line in said.splitlines() if "Traceback" in line and "log:" not in line]


@pytest.mark.parametrize(
    ("mistake", "pattern"),
    [
        ("wrong-redirect", r"FAILED +OpenShift login .*redirect"),
        ("wrong-redirect", r"FAILED +model nowhere"),
        ("unknown-client", r"FAILED +provider login"),
        ("unknown-client", r"the provider does not know this client"),
        ("nobody-let-in", r"FAILED +portal answers"),
    ],
    ids=(
        "wrong redirect URI",
        "a model that is nowhere",
        "a client that is unknown",
        "what it is told",
        "an allow-list of others",
    ),
)
def test_what_looks_well_is_found_wrong_by_using_it(beside: Callable[[str], str], mistake: str, pattern: str) -> None:
    report(f"{mistake}: {reason(beside(mistake), pattern)}")


def test_an_allow_list_without_the_cluster_itself_lets_nobody_else_in_either(beside: Callable[[str], str]) -> None:
    assert beside("from outside") == "0 0"


def test_the_right_settings_heal_all_of_it(beside: Callable[[str], str]) -> None:
    assert beside("roles") == "user"
