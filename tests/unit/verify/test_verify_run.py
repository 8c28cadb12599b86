"""The run as a whole: waiting, the table at its end, secrets, being stopped."""

import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.unit.http_double import serving
from tests.unit.verify.conftest import FILES
from tests.unit.verify.installation_double import GRANITE, MASTER, InstallationDouble, refuse, say

PORTAL, GATEWAY = "/portal/api/v1", "/gateway"
CHAT = f"{GATEWAY}/v1/chat/completions"


def test_several_failures_are_all_reported(double, verify):
    double.faults |= {
        f"{PORTAL}/banners": say(200, [{"id": "mock-banner-1"}]),
        "/api/api/v1/api-keys": say(200, {}),
        f"{PORTAL}/models/sync": say(200, {"success": False, "errors": ["x"]}),
        CHAT: refuse(500, "Connection error."),
    }
    result = verify(double)
    assert result.failed == ["portal data", "guard of the API", "model sync", "model granite"]
    assert result.state("models in the portal") == "not tried: needs: model sync"
    assert result.table[-1] == "5 of 17 checks failed or could not be tried"


def test_nothing_at_all_still_ends_in_a_table(verify, free_port):
    double = InstallationDouble(GRANITE)
    double.url = f"http://127.0.0.1:{free_port}"
    result = verify(double)
    assert result.code == 1
    assert result.failed == ["portal answers", "guard of the portal", "guard of the API", "gateway answers"]
    assert "cannot be reached" in result.state("portal answers")
    assert len(result.table) <= 28


@pytest.fixture
def free_port() -> int:
    with serving(lambda _: (200, b"")) as url:
        return int(url.rsplit(":", 1)[1])


def test_a_name_that_does_not_resolve_is_told_from_a_server_that_is_away(double, verify):
    result = verify(double, PORTAL_URL="http://portal.invalid")
    assert "portal.invalid does not resolve" in result.state("portal answers")
    assert "wildcard DNS record" in result.advice("portal answers")


def test_an_answer_of_another_form_is_a_failure_not_a_crash(double, verify):
    double.faults[f"{PORTAL}/config"] = (200, b"<html>")
    double.faults[f"{PORTAL}/models"] = say(200, [])
    result = verify(double)
    assert result.failed == ["portal settings", "models in the portal"]
    assert "another form" in result.state("portal settings")


def test_what_needs_a_moment_is_waited_for_with_a_line_that_says_so(double, verify):
    double.faults[f"{PORTAL}/models/sync"] = after(1, say(200, {"success": False, "errors": ["duplicate key"]}))
    result = verify(double, patience=20)
    assert result.code == 0, result.said
    assert "model sync: success: false; duplicate key; waiting, " in result.said
    assert len(double.called(f"{PORTAL}/models/sync")) == 2


def after(tries: int, reply) -> Callable[[object], object]:
    """Answers so often with ``reply``, then as usual."""
    left = iter(range(tries))
    return lambda _: reply if next(left, None) is not None else None


def test_patience_has_an_end(double, verify):
    double.faults[f"{GATEWAY}/health/readiness"] = refuse(503, "starting")
    result = verify(double, patience=1.5)
    assert result.code == 1
    # Fewer on a busy machine.
    assert 1 < len(double.called(f"{GATEWAY}/health/readiness")) < 5


def test_what_cannot_mend_itself_is_not_waited_for(double, verify):
    double.faults[f"{PORTAL}/banners"] = say(200, [{"id": "mock-banner-1"}])
    assert verify(double, patience=30).failed == ["portal data"]
    assert len(double.called(f"{PORTAL}/banners")) == 1


def test_a_key_in_an_error_message_is_not_repeated(double, verify):
    text = f"refused sk-user-0123456789, {MASTER[:-3]}, Bearer abc.def and postgresql://litellm:hunter2@postgres:5432/x"
    double.faults[f"{PORTAL}/models/sync"] = say(200, {"success": False, "errors": [f"{'x' * 90} {text}"]})
    result = verify(double)
    assert not [word for word in ("sk-", "abc.def", "hunter2") if word in result.said], result.said


def test_many_failures_fit_into_what_is_shown_of_a_log(verify):
    served = InstallationDouble(*(GRANITE | {"model": f"model-{number:02}"} for number in range(12)))
    served.faults |= {CHAT: refuse(500, "Connection error."), "/api/api/v1/api-keys": say(200, {})}
    with serving(served) as served.url:
        result = verify(served)
    assert result.code == 1
    assert len(result.table) <= 28, result.said
    for model in served.models:
        assert model["model"] in "\n".join(result.table)
    assert "ok         14: portal answers, portal data" in result.table[0]
    assert result.table[-1] == "13 of 27 checks failed or could not be tried"


def test_a_run_that_reaches_its_limit_still_ends_in_a_table_and_takes_its_key_back(verify):
    """Behind the limit the Job's pod is deleted, and with it what it said."""
    served = InstallationDouble(*(GRANITE | {"model": f"model-{number:03}"} for number in range(100)))
    go = threading.Event()
    served.faults[CHAT] = lambda _: after_all(go)
    with serving(served) as served.url:
        started = time.monotonic()
        result = verify(served, LIMIT_SECONDS="3")
        seconds = time.monotonic() - started
        go.set()
    assert seconds < 8
    assert result.code == 1
    assert "did not answer within" in result.said
    assert "not tried  " in result.said
    assert served.keys == {}


def after_all(go: threading.Event) -> None:
    """The usual answer, when nobody waits for it any more."""
    go.wait(20)


def test_two_hundred_models_are_checked_in_seconds_though_each_takes_its_time(verify):
    """One after the other the answers alone would take a minute; with a second for each, it was 20 s and not 600."""
    served = InstallationDouble(*(GRANITE | {"model": f"model-{number:03}"} for number in range(200)))
    served.faults[CHAT] = lambda _: time.sleep(0.1)
    with serving(served) as served.url:
        started = time.monotonic()
        result = verify(served)
        seconds = time.monotonic() - started
    assert result.code == 0, result.said
    assert "models: 200 of 200 done" in result.said
    assert len(result.table) <= 28
    assert seconds < 30


def test_a_stopped_run_takes_its_key_back_and_says_how_far_it_came(double, start):
    asked, go = threading.Event(), threading.Event()

    def stall(_):
        asked.set()
        go.wait(20)

    double.faults[CHAT] = stall
    with start(double) as process:
        assert asked.wait(20)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
        go.set()
    assert process.returncode == 1
    assert double.keys == {}
    assert "not tried  what is left" in said
    assert "Traceback" not in said


def test_the_scripts_need_python_only():
    """They run in LiteLLM's image, whose packages are not ours to rely on."""
    scripts = sorted(FILES.glob("verify*.py"))
    own = {file.stem for file in scripts}
    for file in scripts:
        lines = file.read_text(encoding="utf-8").splitlines()
        imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
        assert imported <= sys.stdlib_module_names | own, file.name
