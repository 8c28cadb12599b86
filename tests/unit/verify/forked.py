"""Runs a script again and again, each time in a process of its own that has the standard library already.

In: the script, as argument; a line of JSON per run, with its environment and the file for what it says. Out: a
line per run, with its exit code. The script's start is two thirds of a run; only its own modules are read anew.
"""

import concurrent.futures
import dataclasses
import http.client
import json
import os
import secrets
import signal
import ssl
import sys
import urllib.request
from pathlib import Path

READ = (concurrent.futures.ThreadPoolExecutor, dataclasses, http.client, secrets, signal, ssl, urllib.request)


def become(script: str, environment: dict[str, str], said: str) -> None:
    """What a start of the script with that environment and output would be."""
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = [script], str(Path(script).parent)
    exec(compile(Path(script).read_bytes(), script, "exec"), {"__name__": "__main__", "__file__": script})  # noqa: S102


if __name__ == "__main__":
    for line in sys.stdin:
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            become(sys.argv[1], *json.loads(line))
            sys.exit()
