"""Ways to models around the gateway are found and told; lockdown closes them."""

from typing import Any

import pytest

from config import bypass, discovery
from config.cluster import Answer
from tests import harness
from tests.unit import inference
from tests.unit.conftest import DEMO
from tests.unit.inference import POLICIES, arguments, cluster, front, lists, service
from tests.unit.test_preflight import OURS, refusal

NAME = "granite-8b-agent"
WORDS = arguments(NAME, 16384, tools=True)
EXPOSED = {"networking.kserve.io/visibility": "exposed"}
HOST = f"{NAME}-private-ai.{harness.DOMAIN}"
ROUTE = inference.route(NAME, HOST)
LOCKED = {"lockdown": True}
OWN = "litemaas-lockdown-granite-8b-agent"


def policy(name: str, rules: Any = None, labels: Any = None, **selector: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": rules},
    }


def settings(**serving: Any) -> dict[str, Any]:
    return {**DEMO, "models": [NAME], "modelServing": serving}


def warned(one: dict[str, Any] | None = None, serving: Any = None, **kinds: Any) -> str:
    double = cluster(lists(served=[one or service(NAME, WORDS)], **kinds))
    known = harness.read_config(settings(**(serving or {})))
    found = discovery.discover(known, double, {"serving.kserve.io"})
    assert found.problems == ()
    return "\n".join(bypass.warnings(known, found))


def test_a_route_to_a_model_without_a_key_is_told_with_its_host_and_the_cure():
    text = warned(routes=[ROUTE])
    assert f"from outside at https://{HOST}" in text
    assert "modelServing.lockdown: true" in text
    assert (
        f"oc annotate --overwrite inferenceservice {NAME} -n private-ai security.opendatahub.io/enable-auth=true"
        in text
    )


def test_a_route_that_splits_its_traffic_is_seen_too():
    split = {"metadata": {"name": "x"}, "spec": {"host": HOST, "to": {"kind": "Service", "name": "other"}}}
    split["spec"]["alternateBackends"] = [{"kind": "Service", "name": f"{NAME}-predictor"}]
    assert HOST in warned(routes=[split])


def test_an_exposed_model_is_told_before_its_route_is_there():
    assert "once KServe has made the Route" in warned(service(NAME, WORDS, labels=EXPOSED))


def test_a_model_that_every_pod_may_call_is_told():
    text = warned()
    assert "from every pod of the cluster, since no NetworkPolicy selects its pods" in text
    assert "from outside" not in text


OTHER = {"from": [{"podSelector": {}}]}
SELECTORS = {
    "all pods": {},
    "the service's": {"matchLabels": {"serving.kserve.io/inferenceservice": NAME}},
    "by an expression": {"matchExpressions": [{"key": "component", "operator": "In", "values": ["predictor"]}]},
    "by absence": {"matchExpressions": [{"key": "database", "operator": "DoesNotExist"}]},
}


@pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS.keys())
def test_a_policy_that_selects_its_pods_guards_a_model(selector):
    assert warned(policies=[policy("guard", [OTHER], **selector)]) == ""


STRANGERS = {
    "another's": {"matchLabels": {"serving.kserve.io/inferenceservice": "other"}},
    "by an expression": {"matchExpressions": [{"key": "component", "operator": "NotIn", "values": ["predictor"]}]},
    "by presence": {"matchExpressions": [{"key": "database", "operator": "Exists"}]},
}


@pytest.mark.parametrize("selector", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_policy_for_other_pods_does_not(selector):
    assert "from every pod" in warned(policies=[policy("guard", [OTHER], **selector)])


@pytest.mark.parametrize("rule", [{}, {"from": [{"namespaceSelector": {}}]}], ids=["nobody named", "every namespace"])
def test_nor_does_one_that_lets_everybody_in(rule):
    assert "which NetworkPolicy open lets in" in warned(policies=[policy("open", [rule])])


def test_nor_does_one_about_what_pods_may_call():
    outgoing = policy("outgoing")
    outgoing["spec"]["policyTypes"] = ["Egress"]
    assert "no NetworkPolicy selects" in warned(policies=[outgoing])


def test_the_labels_of_the_pods_themselves_count_if_there_are_any():
    template = {"metadata": {"labels": {"team": "a"}}}
    deployment = {"metadata": {"name": f"{NAME}-predictor"}, "spec": {"replicas": 1, "template": template}}
    assert warned(deployments=[deployment], policies=[policy("guard", [OTHER], matchLabels={"team": "a"})]) == ""


def test_a_model_that_asks_for_a_token_is_no_way_around():
    one = service(NAME, WORDS, labels=EXPOSED, annotations=inference.AUTH)
    known = harness.read_config(settings())
    found = discovery.discover(known, cluster(lists(served=[one], routes=[ROUTE])), {"serving.kserve.io"})
    assert bypass.warnings(known, found) == []


def test_models_in_the_installations_own_namespace_are_guarded_by_its_own_policies():
    model = {"name": "m", "namespace": "litemaas"}
    double = cluster(lists("litemaas", served=[service("m", arguments("m", 9, tools=False), "litemaas")]))
    known = harness.read_config({**DEMO, "models": [model], "modelServing": LOCKED})
    found = discovery.discover(known, double, {"serving.kserve.io"})
    assert (bypass.guarded(known, found), bypass.warnings(known, found)) == ((), [])


def test_what_lockdown_closes_is_told_until_it_is_closed():
    assert f"lockdown closes https://{HOST}" in warned(serving=LOCKED, routes=[ROUTE])
    ours = policy(OWN, [OTHER], {"app.kubernetes.io/component": "lockdown"})
    assert warned(serving=LOCKED, routes=[ROUTE], policies=[ours]) == ""


def test_a_policy_that_lets_others_in_beside_lockdown_is_told_by_name():
    text = warned(serving=LOCKED, policies=[policy("allow-openshift-ingress", [OTHER])])
    assert "lockdown does not hold, since policies add up: NetworkPolicy allow-openshift-ingress" in text


def test_a_policy_that_only_denies_does_no_harm():
    assert warned(serving=LOCKED, policies=[policy("default-deny")]) == ""


def test_a_model_that_is_no_inference_service_is_told_to_be_unguarded():
    known = harness.read_config(
        {
            **DEMO,
            "models": [{"name": "m", "endpoint": "https://m.example.com/v1", "contextLength": 9}],
            "modelServing": LOCKED,
        }
    )
    found = discovery.discover(known, cluster(lists()), {"serving.kserve.io"})
    assert "m: https://m.example.com/v1 is no InferenceService" in "\n".join(bypass.warnings(known, found))


def test_lockdown_lets_in_the_gateway_the_servers_own_pods_and_prometheus(locked):
    (made,) = [one for one in locked.manifests if one.labels["app.kubernetes.io/component"] == "lockdown"]
    own = {"matchLabels": {"serving.kserve.io/inferenceservice": NAME}}
    monitoring = {
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": ["openshift-monitoring", "openshift-user-workload-monitoring"],
    }
    assert (made.kind, made.metadata["name"], made.metadata["namespace"]) == ("NetworkPolicy", OWN, "private-ai")
    assert made.inputs["spec"] == {
        "podSelector": own,
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "litemaas"}},
                        "podSelector": {
                            "matchLabels": {
                                "app.kubernetes.io/instance": "dev",
                                "app.kubernetes.io/component": "litellm",
                            }
                        },
                    },
                    {"podSelector": own},
                    {
                        "namespaceSelector": {"matchExpressions": [monitoring]},
                        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
                    },
                ]
            }
        ],
    }


def test_the_policy_says_whose_it_is(locked):
    (made,) = [one for one in locked.manifests if one.labels["app.kubernetes.io/component"] == "lockdown"]
    assert made.labels["app.kubernetes.io/instance"] == harness.STACK
    assert made.labels["app.kubernetes.io/managed-by"] == "pulumi"


def test_without_lockdown_nothing_is_made_in_other_namespaces():
    run = harness.run_program(settings(), cluster=cluster(lists(served=[service(NAME, WORDS)])))
    assert {one.metadata["namespace"] for one in run.manifests if "namespace" in one.metadata} == {"litemaas"}


def test_a_policy_of_that_name_that_is_somebody_elses_is_not_taken():
    theirs = {f"{POLICIES.format('private-ai')}/{OWN}": policy(OWN)}
    text = refusal(cluster(lists(served=[service(NAME, WORDS)]), theirs), settings(**LOCKED))
    assert f"NetworkPolicy {OWN}" in text
    assert "oc label --overwrite networkpolicy litemaas-lockdown-granite-8b-agent -n private-ai" in text


def test_our_own_policy_is_no_obstacle():
    ours = {f"{POLICIES.format('private-ai')}/{OWN}": policy(OWN, labels=OURS)}
    assert harness.run_program(
        settings(**LOCKED), cluster=cluster(lists(served=[service(NAME, WORDS)]), ours)
    ).manifests


def test_rights_that_lockdown_needs_are_asked_for_before_anything_is_made():
    double = cluster(
        lists(served=[service(NAME, WORDS)]), denied={("create", "networkpolicies"), ("delete", "networkpolicies")}
    )
    text = refusal(double, settings(**LOCKED))
    assert "(1 problem)" in text
    assert "permission on networkpolicies.networking.k8s.io in namespace private-ai" in text
    assert "you may not create, delete them" in text
    assert harness.run_program(settings(), cluster=double).manifests


def test_lockdown_cannot_be_had_where_inference_services_may_not_be_read():
    forbidden = {inference.SERVED.format("private-ai"): Answer(403, {})}
    assert "the verb list" in refusal(cluster(lists(), forbidden), settings(**LOCKED))


def test_the_warnings_of_a_preview_reach_the_operator():
    run = harness.run_program(
        settings(),
        cluster=cluster(lists(served=[service(NAME, WORDS, replicas=0)], services=[front(NAME)], routes=[ROUTE])),
    )
    text = "\n".join(run.log)
    assert "Models:\n  - granite-8b-agent: InferenceService private-ai/granite-8b-agent has 0 replicas" in text
    assert "Models answer without a key" in text
