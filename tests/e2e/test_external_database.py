"""A database that somebody else runs: TLS with a private authority, an administrator who is no superuser."""

from collections.abc import Callable

from tests.e2e.conftest import report


def test_a_stack_works_with_an_external_server_over_tls_alone(beside: Callable[[str], str]) -> None:
    rows = beside("external").splitlines()
    report(f"connections to an external PostgreSQL by role, t for TLS: {', '.join(rows)}")
    assert set(rows) == {"litemaas|t", "litellm|t"}
