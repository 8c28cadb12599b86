"""``python -m verification`` on a real API server: what it finds there. Nothing answers at the addresses."""

import json

from sandbox.paths import CHECKOUT, VENV
from tests.engine.conftest import Deployed
from tests.engine.driver import NAMESPACE, Cluster, execute, in_use

ASK = [str(VENV / "bin" / "python"), "-B", "-m", "verification", f"--namespace={NAMESPACE}", "--patience=0"]


def test_it_finds_addresses_and_keys_by_itself_and_tells_what_does_not_answer(
    deployed: Deployed, cluster: Cluster
) -> None:
    done = execute([*ASK, "--json", "--address=127.0.0.1"], cluster.env, CHECKOUT)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["namespace"]) == (1, False, NAMESPACE), done.stderr
    assert told["portal"] == deployed.project.outputs()["portal_url"]
    assert "cannot be reached" in {row["check"]: row for row in told["checks"]}["portal answers"]["seen"]
    for secret in in_use(deployed.project).values():
        assert secret not in done.stdout + done.stderr


def test_names_that_do_not_resolve_here_are_no_failure_of_the_installation(
    deployed: Deployed, cluster: Cluster
) -> None:
    # Behind a proxy it is the proxy's business what resolves.
    env = {name: value for name, value in cluster.env.items() if "proxy" not in name.lower()}
    done = execute(ASK, env, CHECKOUT)
    assert done.returncode == 2
    assert "does not resolve on this machine" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_namespace_without_an_installation_is_said(cluster: Cluster) -> None:
    done = execute([*ASK, "--namespace=default"], cluster.env, CHECKOUT)
    assert done.returncode == 2
    assert "namespace default has no verification Job" in done.stderr
