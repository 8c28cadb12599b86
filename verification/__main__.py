"""Makes the checks of `up`'s last Job from here, at any time: ``python -m verification --help``.

Exit code 0: all is well. 1: something failed, see the table. 2: nothing could be asked, and why.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Never
from urllib.parse import urlsplit
from urllib.request import getproxies

from config.cluster import Cluster, Json, UnreachableError
from config.installation import CannotAskError, Installation, find

FILES = Path(__file__).parents[1] / "components" / "files"
WELL, FAILED, NOT_ASKED = 0, 1, 2
# Of the caller's environment, what the checks may see: no login of another cluster, no passphrase.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
# Two hundred models that take half a minute each.
_LIMIT_SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the checks and returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        cluster = Cluster(options.context, chosen_with="--context")
        installation = find(cluster, options.namespace)
        models = _chosen(installation, options.model)
        if not options.address:
            _resolvable(installation.settings)
    except (CannotAskError, UnreachableError) as reason:
        print(f"verification: not possible: {reason}", file=sys.stderr)
        if options.json:
            print(json.dumps({"ok": None, "error": str(reason), "checks": []}, indent=2))
        return NOT_ASKED
    portal = installation.settings["PORTAL_URL"]
    print(f"verifying {portal} (namespace {installation.namespace}, context {cluster.context})", file=sys.stderr)
    if any(
        installation.scripts.get(file.name) != file.read_text(encoding="utf-8") for file in FILES.glob("verify*.py")
    ):
        print("note: the checks of this checkout are not those of the last `pulumi up`", file=sys.stderr)
    wanted = {
        "PATIENCE_SECONDS": str(options.patience),
        "LIMIT_SECONDS": str(_LIMIT_SECONDS),
        "FORMAT": "json" if options.json else "long",
        "CALLS": "no" if options.no_calls else "yes",
        **({"ADDRESS": options.address} if options.address else {}),
    }
    return _check(installation, models, wanted)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m verification",
        description="Makes the checks at the end of `up` from here, through the public addresses. Changes nothing; "
        "each model is asked for a few words, with a key that is deleted afterwards.",
        epilog="Exit code 0: all is well; 1: something failed; 2: nothing could be asked.",
    )
    parser.add_argument("--context", help="context of the kubeconfig (default: its current one)")
    parser.add_argument("--namespace", help="the installation's namespace (default: the only one that has any)")
    parser.add_argument("--model", action="append", metavar="NAME", help="look at this model only; repeatable")
    parser.add_argument("--no-calls", action="store_true", help="portal and gateway only: no model is called")
    parser.add_argument("--json", action="store_true", help="print the result for programs; progress goes to stderr")
    parser.add_argument(
        "--patience", type=float, default=15, metavar="SECONDS", help="how long things may take to settle"
    )
    parser.add_argument("--address", metavar="IP", help="where the public names are, if they do not resolve here")
    return parser


def _chosen(installation: Installation, names: Sequence[str] | None) -> list[Json]:
    """The declarations of the models called ``names``, of all if None. Raises CannotAskError."""
    for name in names or ():
        if name not in installation.models:
            near = get_close_matches(name, installation.models, 1)
            known = f"did you mean {near[0]}?" if near else f"declared are: {', '.join(installation.models) or 'none'}"
            msg = f"no model {name} is declared; {known}"
            raise CannotAskError(msg)
    return [model for name, model in installation.models.items() if names is None or name in names]


def _resolvable(settings: Mapping[str, str]) -> None:
    """Raises CannotAskError if none of the public names means anything here."""
    if "https" in getproxies():
        return
    hosts = [urlsplit(settings[name]).hostname or "" for name in ("PORTAL_URL", "API_URL", "GATEWAY_URL")]
    for host in hosts:
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            continue
        return
    msg = (
        f"{hosts[0]} does not resolve on this machine, nor do the others; connect to the network that knows the "
        "cluster's apps domain, or give the router's address with --address"
    )
    raise CannotAskError(msg)


def _check(installation: Installation, models: Sequence[Json], wanted: Mapping[str, str]) -> int:
    """Runs the Job's own scripts, behind the Job's own trust, in a process that alone is told the secrets."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # For the python3 whose certifi the script asks for.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    # Nothing secret is in it, and nobody else may look into it.
    with tempfile.TemporaryDirectory(prefix="litemaas-verification-") as made:
        folder = Path(made)
        declared = folder / "declared"
        declared.mkdir()
        for number, model in enumerate(models):
            (declared / f"{number:04}.json").write_text(json.dumps(model), encoding="utf-8")
        for number, text in enumerate(installation.authorities):
            (folder / f"{number}.crt").write_text(text, encoding="utf-8")
        (folder / "trust.sh").symlink_to(FILES / "trust.sh")
        env = {
            **kept,
            **installation.settings,
            **wanted,
            "DECLARED": str(declared),
            "SSL_CERT_FILE": str(folder / "trusted.pem"),
        }
        command = ["sh", str(folder / "trust.sh"), sys.executable, "-B", str(FILES / "verify.py")]
        with subprocess.Popen(command, env=env) as child:
            try:
                code = child.wait()
            except (KeyboardInterrupt, SystemExit):
                # It takes its key back and says how far it came.
                child.terminate()
                code = child.wait()
    if code in (WELL, FAILED):
        return code
    print(
        f"verification: not possible: the checks ended with exit code {code}; what they said is above", file=sys.stderr
    )
    return NOT_ASKED


def _stop(_number: int, _frame: FrameType | None) -> Never:
    sys.exit(FAILED)


if __name__ == "__main__":
    sys.exit(main())
