"""Background processes: nothing foreign is stopped, nothing of ours is left."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.processes import Component, ComponentError, start_time, stop, strays

SLEEP = ["sleep", "60"]
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


@pytest.fixture
def component(tmp_path: Path):
    one = Component("etcd", tmp_path)
    yield one
    stop(strays(tmp_path))


def pidfile(component: Component) -> Path:
    return component.folder / "run" / "etcd.json"


def test_a_started_component_is_known_by_its_process(component: Component):
    component.start(SLEEP)
    assert component.pid()
    component.check()


def test_a_process_id_that_was_used_again_is_not_ours(component: Component):
    pidfile(component).parent.mkdir()
    pidfile(component).write_text(json.dumps({"pid": os.getpid(), "started": "1", "command": []}))
    assert component.pid() is None


def test_a_torn_pidfile_counts_as_no_process(component: Component):
    pidfile(component).parent.mkdir()
    pidfile(component).write_text('{"pid": 1')
    assert component.pid() is None


def test_a_component_that_stopped_is_reported_with_the_end_of_its_log(component: Component):
    component.start(["sh", "-c", "echo no such flag; exit 1"])
    until = time.monotonic() + 5
    while component.pid() and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(ComponentError, match="no such flag"):
        component.check()


def test_a_process_without_a_pidfile_is_found_by_its_marker(component: Component):
    component.start(SLEEP)
    pid = component.pid()
    pidfile(component).unlink()
    assert component.pid() is None
    # Its environment can be read once it has become the program, which takes a moment on a busy machine.
    until = time.monotonic() + 5
    while not strays(component.folder) and time.monotonic() < until:
        time.sleep(0.01)
    assert strays(component.folder) == [pid]


def test_another_sandboxes_processes_are_no_strays(component: Component, tmp_path: Path):
    component.start(SLEEP)
    assert strays(tmp_path / "other") == []
    assert strays(Path(str(tmp_path)[:-1])) == []


def test_stopping_ends_a_process_that_ignores_the_polite_signal(component: Component):
    component.start([sys.executable, "-c", DEAF])
    until = time.monotonic() + 5
    while "deaf" not in component.tail() and time.monotonic() < until:
        time.sleep(0.01)
    stop(strays(component.folder), patience=0.3)
    assert strays(component.folder) == []


def test_stopping_what_is_gone_is_harmless():
    gone = subprocess.Popen(["true"])
    gone.wait()
    stop([gone.pid])
    assert start_time(gone.pid) is None
