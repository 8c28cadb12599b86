"""Network policies against what the pods are really told: no way without a use, no use without a way."""

from dataclasses import dataclass

import pytest

from components import wiring
from components.naming import KUBERNETES, Addresses
from components.wiring import Edge, Namespace, Place, Pods, Target
from tests import harness, modes, network
from tests.modes import MODES
from tests.unit.conftest import DEMO
from tests.unit.ways import (
    COMPONENT,
    HOST_NETWORK,
    ROUTERS,
    Way,
    addresses,
    allowed,
    behind,
    components,
    is_dns,
    policies,
    selected,
    told,
    used,
    ways,
)


@pytest.fixture(params=MODES)
def mode(request) -> str:
    return request.param


@pytest.fixture
def any_run(mode) -> harness.Run:
    return modes.run(mode)


@pytest.fixture(scope="module")
def mixed() -> harness.Run:
    return modes.run("models of every kind")


def test_every_way_into_a_pod_is_one_that_somebody_is_told_of_and_the_other_way_round(any_run, mode):
    assert allowed(any_run)[0] == used(any_run, monitored=MODES[mode].monitored)[0]


def test_every_way_out_of_a_pod_is_one_that_it_is_told_of_and_the_other_way_round(any_run):
    assert allowed(any_run)[1] == used(any_run)[1]


def test_the_ways_inside_the_namespace_are_these(demo):
    """So that one sees them; the two tests above would follow any program."""
    into, _ = allowed(demo)
    assert into == {
        "postgres": {Way(each, 5432) for each in ("postgres-bootstrap", "litellm-migration", "litellm", "backend")},
        "redis": {Way("litellm", 6379)},
        "litellm": {Way("models", 4000), Way("key-check", 4000), Way("routers", 4000)},
        "backend": {Way("frontend", 8080)},
        "frontend": {Way("routers", 8080)},
        "postgres-bootstrap": set(),
        "litellm-migration": set(),
        "key-check": set(),
        "models": set(),
        "verification": set(),
    }


@pytest.mark.parametrize("caller", ["frontend", "backend", "models", "litellm", "key-check", "verification"])
def test_an_edge_that_is_lost_or_that_nobody_uses_is_seen(demo, caller, monkeypatch):
    """The tests above, tested: with another caller's edges in place of those of one."""
    real = wiring.calls
    other = "verification" if caller != "verification" else "models"
    monkeypatch.setattr(wiring, "calls", lambda name, args: real(other if name == caller else name, args))
    broken = harness.run_program(DEMO)
    assert allowed(broken) != used(broken)
    assert used(broken) == used(demo)


def test_nobody_watches_who_was_not_asked_to():
    """The backend's port lets everybody in who gets there."""
    for name in MODES:
        watched = {
            tier for tier, ways in allowed(modes.run(name))[0].items() if any("monitoring" in way.peer for way in ways)
        }
        assert watched == ({"litellm", "backend"} if MODES[name].monitored else set()), name


def test_the_table_of_all_edges_is_that_of_the_program():
    made = network.document()
    stored = (harness.ROOT / "docs" / "network.md").read_text(encoding="utf-8")
    assert stored == made, "stale; run python -m tests.network > docs/network.md"


def test_no_purpose_in_the_table_is_of_an_edge_that_is_gone():
    assert {(source, target) for (source, target, _), _ in network.rows()} == set(network.PURPOSES)


def test_the_denial_covers_every_pod_in_both_directions_and_lets_nothing_through(any_run):
    assert policies(any_run)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_policy_selects_nothing(any_run):
    for name, spec in policies(any_run).items():
        found = selected(any_run, spec["podSelector"])
        assert found == ({name} if name != "default-deny" else components(any_run)), name
        for path, value in harness.leaves(spec):
            if path.endswith(f"matchLabels.{COMPONENT}"):
                assert selected(any_run, {"matchLabels": {COMPONENT: value}}), f"{name}{path} finds no pod"


def test_the_router_is_let_in_by_both_of_its_labels(any_run):
    """Where it runs on the nodes' network, the label of its own namespace is not seen."""
    wanted = [{"namespaceSelector": {"matchLabels": {label: ""}}} for label in (ROUTERS, HOST_NETWORK)]
    for name, port in (behind(any_run, each) for each in ("litellm", "frontend")):
        rule = {"from": wanted, "ports": [{"port": port, "protocol": "TCP"}]}
        assert rule in policies(any_run)[name]["ingress"]


def test_whoever_calls_something_may_ask_for_its_address(any_run):
    names = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["openshift-dns", "kube-system"]}
    for name, spec in policies(any_run).items():
        rules = [rule for rule in spec.get("egress", []) if is_dns(rule)]
        if len(spec.get("egress", [])) == len(rules):
            assert not rules, f"{name} calls nobody"
            continue
        ((rule),) = rules
        assert rule["to"] == [{"namespaceSelector": {"matchExpressions": [names]}}]
        # OpenShift's DNS pods listen on 5353; a rule for the Service's 53 alone would let nothing through.
        assert {(one["port"], one["protocol"]) for one in rule["ports"]} == {
            (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
        }


def test_the_backend_is_let_out_to_router_and_api_server_each_by_rules_of_its_own(any_run):
    """So that neither depends on how wide the other one is."""
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in ("0.0.0.0/0", "::/0")]
    tcp = [{"port": port, "protocol": "TCP"} for port in (443, 6443)]
    rules = policies(any_run)["backend"]["egress"]
    assert {"to": blocks, "ports": tcp} in rules
    assert {"to": blocks, "ports": tcp[:1]} in rules
    assert {"to": [{"namespaceSelector": {"matchLabels": {ROUTERS: ""}}}]} in rules


def test_the_verification_reaches_public_names_and_nothing_else(any_run):
    """Otherwise it would not see what users see."""
    assert allowed(any_run)[1]["verification"] == {Way("routers"), Way("any address", 443)}


def test_litellm_reaches_just_its_stores_when_there_is_no_model():
    assert allowed(modes.run("no model"))[1]["litellm"] == {Way("postgres", 5432), Way("redis", 6379)}


def test_litellm_reaches_every_kind_of_endpoint(mixed):
    assert allowed(mixed)[1]["litellm"] == {
        Way("postgres", 5432),
        Way("redis", 6379),
        Way("neighbours"),
        # Without a port: the Service's is known, that of the pods behind it is what counts.
        Way("namespace serving"),
        Way("namespace stateful"),
        Way("any address", 443),
        Way("any address", 80),
        Way("any address", 8443),
        Way("any address", 8000),
        Way("routers"),
    }


def test_a_model_in_the_portals_namespace_hears_litellm_and_nobody_else(mixed, demo):
    spec = policies(mixed)["neighbours"]
    assert ways(mixed, spec["ingress"], "from") == {Way("litellm")}
    assert "egress" not in spec, "what such a pod may call is its owner's to say"
    assert "neighbours" not in policies(demo)


def test_policies_wait_for_the_namespace_alone_and_nothing_waits_for_them(run):
    made = {one.urn for one in run.find("NetworkPolicy")}
    for one in run.find("NetworkPolicy"):
        assert one.dependencies == (run.one("Namespace").urn,), f"{one.urn} would come after the pods it is for"
        assert not one.error_hooks
    for one in run.registrations:
        assert not made & set(one.dependencies), f"{one.urn} waits for a policy"


def test_policies_go_with_the_namespace_and_not_before_the_pods(run):
    for one in run.find("NetworkPolicy"):
        assert one.deleted_with == run.one("Namespace").urn, one.urn


def test_policies_are_named_after_the_component_that_they_are_for(run):
    for one in run.find("NetworkPolicy"):
        assert one.name == f"isolation-{one.metadata['name']}"
        assert one.labels[COMPONENT] == one.metadata["name"]


def test_the_migration_is_told_of_the_database_and_of_nothing_else(run):
    job = run.one("Job", "gateway-migration")
    assert not harness.container(job)["envFrom"]
    assert set(addresses(told(run, job))) == {("postgres", 5432)}


@pytest.mark.parametrize(
    ("url", "peer", "port"),
    [
        (KUBERNETES, Place.API_SERVER, None),
        ("https://litellm-portal.apps.example.com", Place.ROUTER, 443),
        ("http://m.apps.example.com:8080/v1", Place.ROUTER, 8080),
        ("https://apps.example.com.evil.net/v1", Place.ANYWHERE, 443),
        ("https://notapps.example.com/v1", Place.ANYWHERE, 443),
        ("http://m/v1", Place.NEIGHBOURS, None),
        ("http://m.portal.svc/v1", Place.NEIGHBOURS, None),
        ("http://m.serving.svc:8080/v1", Namespace("serving"), None),
        ("http://M.Serving.SVC.cluster.local.:8080/v1", Namespace("serving"), None),
        ("http://m-0.m.serving.svc.cluster.local/v1", Namespace("serving"), None),
        ("http://m.svc.svc.cluster.local/v1", Namespace("svc"), None),
        ("http://example.com/v1", Place.ANYWHERE, 80),
        ("http://svc.example.com/v1", Place.ANYWHERE, 80),
        ("https://192.0.2.7:8443/v1", Place.ANYWHERE, 8443),
    ],
)
def test_the_host_of_a_url_tells_who_answers(url, peer, port):
    urls = Addresses(namespace="portal", domain="apps.example.com")
    assert urls.target(url) == Target(address=url, peer=peer, port=port)


def test_a_tier_gets_an_edge_for_each_target_that_it_is_given():
    @dataclass(frozen=True, kw_only=True)
    class Args:
        name: str
        one: Target[str]
        other: Target[str]

    one, other = (Target(address=f"http://{name}:1", peer=Pods(name), port=1) for name in ("one", "other"))
    assert wiring.calls("caller", Args(name="http://third", one=one, other=other)) == [
        Edge(source=Pods("caller"), target=Pods("one"), port=1),
        Edge(source=Pods("caller"), target=Pods("other"), port=1),
    ]
