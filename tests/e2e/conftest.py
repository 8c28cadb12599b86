"""One sandbox with a real node and one stack on it, deployed once; every test leaves it working."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cluster import Sandbox
from sandbox.images.make import make
from tests.e2e import external, journey, mistakes, ways
from tests.e2e.replicas import addresses, ask
from tests.e2e.settings import MODELS, SETTINGS
from tests.e2e.stack import Deployed, Slow
from tests.e2e.web import Gateway, Key, User, Web, meanwhile
from tests.engine.driver import DOMAIN, Cluster, Json, copy_program

# By what the one stack is at the time: as first deployed, grown, with other secrets, then moving.
ORDER = (
    "test_up",
    # Before other stacks come and go: Chromium gives up on a page when a network interface of the machine changes.
    "test_browser",
    "test_workflow",
    "test_guard",
    "test_removal",
    "test_verify_command",
    "test_roles",
    "test_network",
    "test_usage",
    "test_shared_limits",
    "test_database_failures",
    "test_gateway_settings",
    "test_rolling_updates",
    "test_lockdown",
    "test_many_backends",
    "test_check_of_keys",
    "test_rotation",
    "test_open_models",
    "test_external_database",
    "test_wrong_settings",
    "test_login_modes",
    "test_ingress",
    "test_tls",
    "test_service_account",
)
measured: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever writes tests keep the sandbox, which takes minutes to fill."""
    parser.addoption("--keep", help="folder of a sandbox that is used, made if need be, and left running")
    parser.addoption("--each-secret", action="store_true", help="rotate secrets one by one, not all at once")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and let those that harm the stack come last."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured, also when all went well."""
    if measured:
        terminalreporter.section("measured")
        for line in measured:
            terminalreporter.write_line(line)


def report(line: str) -> None:
    """Add a figure to the end of the run's output."""
    measured.append(line)


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A cluster with a real node; afterwards nothing of it is left on the machine."""
    make()
    if kept := request.config.getoption("--keep"):
        running = Sandbox(Path(kept), name="e2e", domain=DOMAIN, nodes="real")
        running.up()
        yield running
        return
    # Short, because there are sockets below it.
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    folder.chmod(0o755)
    with Sandbox(folder / "s", name="e2e", domain=DOMAIN, nodes="real") as running:
        yield running
    assert running.node
    assert not any(running.node.leftovers().values())
    folder.rmdir()


@pytest.fixture(scope="session")
def stack(sandbox: Sandbox) -> Deployed:
    """The stack ``e2e``, from an empty cluster to verified."""
    # In the sandbox's folder: a kept one finds it there the next time.
    shutil.rmtree(sandbox.state / "program", ignore_errors=True)
    program = copy_program(sandbox.state / "program")
    project = Slow(sandbox.state / "project", program, sandbox.env(), "e2e")
    project.write_config(SETTINGS)
    started = time.monotonic()
    project.up()
    report(f"up from an empty cluster until everything works: {time.monotonic() - started:.0f} s")
    found = project.outputs()
    web = Web(sandbox.host, sandbox.state / "pki" / "sandbox-ca.crt")
    return Deployed(
        project=project,
        settings=SETTINGS,
        program=program,
        cluster=Cluster(sandbox),
        web=web,
        portal=found["portal_url"],
        gateway=Gateway(web, found["gateway_url"]),
        namespace=found["namespace"],
    )


@pytest.fixture(scope="session")
def bob(stack: Deployed) -> User:
    """Somebody without a role of his own."""
    return stack.user("bob")


@pytest.fixture(scope="session")
def deleted(stack: Deployed, bob: User) -> Iterator[Future[float]]:
    """The seconds for which a replica still took a key that was deleted: up to a minute, spent by other tests."""
    key, replicas = bob.key("granite-8b-agent"), addresses(stack)
    assert [ask(address, key) for address in replicas] == [200, 200]
    bob.api("DELETE", f"/api/v1/api-keys/{key.id}").ok()
    refused = lambda: [ask(address, key) for address in replicas] == [401, 401]  # noqa: E731
    with meanwhile("both to refuse", refused, 70) as waiting:
        yield waiting


@dataclass(frozen=True)
class Used:
    """What somebody asked a model, and what the model counted."""

    user: User
    key: Key
    usages: list[Json]


@pytest.fixture(scope="session")
def used(stack: Deployed) -> Used:
    """Three calls; what is recorded of them comes up to a minute later, spent by other tests."""
    carol = stack.user("carol")
    key = carol.key("gpt-oss-20b")
    return Used(carol, key, [stack.gateway.complete(key.secret, "gpt-oss-20b").ok().json()["usage"] for _ in range(3)])


@pytest.fixture(scope="session")
def beside(stack: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """What became of other stacks in the same cluster, each in a namespace of its own and gone afterwards.

    They take minutes, most of it waiting, so they come and go while the tests run.
    """
    external.serve(stack)
    chains = {
        mistakes.mended_one_by_one: (
            "no-salt-key",
            "wrong-sslmode",
            "wrong-redirect",
            "unknown-client",
            "nobody-let-in",
            "from outside",
            "roles",
        ),
        external.let_in_at_last: ("external-password", "external-stranger", "external"),
        mistakes.no_rights: ("no-rights",),
    }
    with ThreadPoolExecutor(max_workers=2) as pool:
        coming = {}
        for chain, names in chains.items():
            future = pool.submit(chain, stack, tmp_path_factory.mktemp("beside"))
            coming |= dict.fromkeys(names, future)
        yield lambda name: coming[name].result()[name]
    external.stop(stack)


@pytest.fixture(scope="session")
def callers(stack: Deployed) -> Iterator[dict[str, tuple[str, str]]]:
    """Namespace and pod of whoever may try to come around the gateway, by a Route of a model's own too."""
    with ways.callers(stack) as found, ways.exposed(stack):
        yield found


@pytest.fixture(scope="session")
def grown(stack: Deployed) -> journey.Grown:
    """Makes the stack all that it can be while people work; the gateway is as before from test_rotation on."""
    grown = journey.grow(stack)
    for name, load in grown.loads.items():
        report(f"{name} while the stack grows: {load}")
    return grown


@pytest.fixture(scope="session")
def checked(stack: Deployed, grown: journey.Grown) -> Iterator[Future[float]]:
    """The seconds until the check of keys refused an open one by itself: up to a minute, spent by other tests."""
    assert grown
    body = {"models": [], "metadata": {"created_by": "litemaas"}, "key_alias": "by-the-clock", "duration": "30m"}
    key = stack.administer("/key/generate", body).json()["key"]
    refused = lambda: stack.gateway.complete(key, MODELS[0]).status == 401  # noqa: E731
    with meanwhile("the key to be refused", refused, 150, 1) as waiting:
        yield waiting


@pytest.fixture(scope="session")
def settled(stack: Deployed) -> journey.Settled:
    """The stack and its people before log-in and entrances move."""
    bob = stack.user("bob").api("GET", "/api/v1/auth/me").ok().json()["id"]
    return journey.Settled(stack.project.config(), bob, stack.user("alice").roles())


@pytest.fixture(scope="session")
def at_a_provider(stack: Deployed, settled: journey.Settled) -> journey.Moved:
    """What was said when log-in moved to a provider and Ingresses came in place of Routes."""
    assert settled
    return journey.move_to_a_provider(stack)


@pytest.fixture(scope="session")
def secured(stack: Deployed, settled: journey.Settled, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The stack at the end, as its new authority's clients see it. Nobody takes anything back."""
    started = time.monotonic()
    found = journey.secure(stack, settled.settings, tmp_path_factory.mktemp("trust"))
    report(f"up to TLS everywhere, verified: {time.monotonic() - started:.0f} s")
    return found
