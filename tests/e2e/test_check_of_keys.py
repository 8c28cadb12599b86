"""With a check each minute an open key does not stay one; it was made while the stack grew."""

from concurrent.futures import Future

from tests.e2e.conftest import report


def test_a_check_each_minute_refuses_an_open_key_by_itself(checked: Future[float]) -> None:
    report(f"with a check each minute, an open key is refused {checked.result():.0f} s after it was made")
