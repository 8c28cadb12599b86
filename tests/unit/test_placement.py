"""Where pods run, and how many there are: what is written reaches the pods, and what makes no sense is refused."""

from typing import Any

import pytest
from pulumi import RunError

from config.cluster import Answer
from config.placement import Placement
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION

INFRA = "node-role.kubernetes.io/infra"
TOLERATION = {"key": INFRA, "operator": "Exists", "effect": "NoSchedule"}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
        }
    },
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 50,
                "podAffinityTerm": {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": "noisy"}},
                },
            }
        ]
    },
}
EVERYTHING = {
    "nodeSelector": {INFRA: ""},
    "tolerations": [TOLERATION],
    "affinity": AFFINITY,
    "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "priorityClassName": "portal",
}
SCALERS = "/apis/autoscaling/v2/namespaces/litemaas/horizontalpodautoscalers"
PRIORITY = "/apis/scheduling.k8s.io/v1/priorityclasses/portal"


def cluster() -> harness.FakeCluster:
    return harness.FakeCluster({PRIORITY: Answer(200, {})})


def deployed(base: dict = DEMO, **placement) -> harness.Run:
    return harness.run_program({**base, "placement": placement}, cluster=cluster())


def without(value: Any) -> Any:
    """Without what was left out, which the engine is sent as null."""
    if isinstance(value, dict):
        return {key: without(inner) for key, inner in value.items() if inner is not None}
    return [without(inner) for inner in value] if isinstance(value, list) else value


def refusal(settings: dict) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config(settings)
    return str(refused.value)


# --- What reaches the pods ---


@pytest.mark.parametrize("base", [DEMO, PRODUCTION])
def test_what_is_written_for_all_is_in_every_pod_those_of_jobs_too(base):
    run = deployed(base, all=EVERYTHING)
    assert {"Deployment", "StatefulSet", "Job", "CronJob"} <= {one.kind for one in run.workloads}
    for one in run.workloads:
        pod = without(one.pod)
        assert pod["nodeSelector"] == {INFRA: ""}, one.urn
        assert pod["tolerations"] == [TOLERATION]
        assert pod["affinity"] == AFFINITY
        assert pod["priorityClassName"] == "portal"
        (spread,) = pod["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["whenUnsatisfiable"], spread["maxSkew"]) == (
            "topology.kubernetes.io/zone",
            "DoNotSchedule",
            1,
        )
        labels = spread["labelSelector"]["matchLabels"]
        assert one.template["metadata"]["labels"].items() >= labels.items(), "it counts its own pods"


def test_a_tiers_own_words_replace_those_of_all_key_by_key():
    run = deployed(all=EVERYTHING, litellm={"nodeSelector": {"gpu": "no"}, "tolerations": []})
    pod = without(run.one("Deployment", "litellm").pod)
    assert pod["nodeSelector"] == {"gpu": "no"}
    assert "tolerations" not in pod or not pod["tolerations"], "an empty list takes it away"
    assert pod["priorityClassName"] == "portal"
    assert without(run.one("Deployment", "frontend").pod)["nodeSelector"] == {INFRA: ""}


def test_the_migration_of_litellm_goes_where_litellm_goes_and_other_jobs_where_all_go():
    run = deployed(all={"nodeSelector": {"a": "b"}}, litellm={"nodeSelector": {"gpu": "no"}})
    selectors = {one.labels["app.kubernetes.io/component"]: without(one.pod)["nodeSelector"] for one in run.workloads}
    assert {name for name, chosen in selectors.items() if chosen == {"gpu": "no"}} == {"litellm", "litellm-migration"}


def test_without_a_word_several_pods_are_spread_over_nodes_if_it_can_be(demo, production):
    (spread,) = (production.one("Deployment", "frontend").pod or {})["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert not (demo.one("Deployment", "frontend").pod or {}).get("topologySpreadConstraints")
    none = deployed(PRODUCTION, frontend={"topologySpread": []}).one("Deployment", "frontend")
    assert not (none.pod or {}).get("topologySpreadConstraints")


def test_the_operators_database_is_told_in_the_operators_words():
    run = harness.run_program(
        {**DEMO, "database": {"mode": "operator"}, "placement": {"postgres": EVERYTHING}},
        cluster=cluster(),
    )
    spec = run.one("Cluster", "postgres").inputs["spec"]
    assert spec["affinity"] == {
        "nodeSelector": {INFRA: ""},
        "tolerations": [TOLERATION],
        "nodeAffinity": AFFINITY["nodeAffinity"],
        "additionalPodAntiAffinity": AFFINITY["podAntiAffinity"],
    }
    assert spec["topologySpreadConstraints"][0]["labelSelector"] == {"matchLabels": {"cnpg.io/cluster": "postgres"}}
    assert spec["priorityClassName"] == "portal"


def test_another_placement_changes_pods_and_nothing_else(demo):
    other = deployed(all={"nodeSelector": {"a": "b"}})
    kinds = ("Service", "Route", "NetworkPolicy", "PersistentVolumeClaim")
    before, after = ([(one.urn, one.inputs) for kind in kinds for one in run.find(kind)] for run in (demo, other))
    assert before == after


# --- What is refused ---

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
TERM = f"placement.all.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0]"


def nodes(**expression) -> dict:
    terms = [{"matchExpressions": [expression]}]
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}


NONSENSE = {
    "a value that is not looked at": (
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "placement.all.tolerations[0]",
        "leave value out, or write operator: Equal",
    ),
    "equal to nothing": (
        {"tolerations": [{"value": "b"}]},
        "placement.all.tolerations[0]",
        "or operator: Exists for every taint",
    ),
    "seconds of a taint that sends nobody away": (
        {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
        "placement.all.tolerations[0]",
        "write effect: NoExecute",
    ),
    "no label": ({"nodeSelector": {"a b": "c"}}, "placement.all.nodeSelector", "is no name of a label"),
    "no value of a label": ({"nodeSelector": {"a": "b/c"}}, "placement.all.nodeSelector", "is no value of a label"),
    "a label with a wrong prefix": ({"nodeSelector": {"A/b": "c"}}, "placement.all.nodeSelector", "is no name"),
    "the cluster's own priority": (
        {"priorityClassName": "system-node-critical"},
        "placement.all.priorityClassName",
        "make a PriorityClass of your own",
    ),
    "a skew of nothing": (
        {"topologySpread": [{"topologyKey": "a", "maxSkew": 0}]},
        "placement.all.topologySpread[0].maxSkew = 0",
        "at least 1",
    ),
    "an unknown key": ({"nodeSelectors": {}}, "placement.all.nodeSelectors", "did you mean nodeSelector?"),
    "an unknown key deep in an affinity": (
        {"affinity": {"nodeAffinity": {"required": {}}}},
        "placement.all.affinity.nodeAffinity.required",
        "no such key",
    ),
    "a comparison with nothing": (
        nodes(key="a", operator="In"),
        TERM,
        "needs values",
    ),
    "more than a word": (
        nodes(key="a", operator="Gt", values=["x"]),
        TERM,
        "one whole number",
    ),
}


@pytest.mark.parametrize(("written", "path", "cure"), NONSENSE.values(), ids=NONSENSE)
def test_what_makes_no_sense_is_refused_with_path_and_cure(written, path, cure):
    text = refusal({**DEMO, "placement": {"all": written}})
    assert f"litemaas:{path}" in text
    assert cure in text


def test_every_toleration_that_kubernetes_takes_is_taken():
    every = [
        {"operator": "Exists"},
        {"key": "a"},
        {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 0},
    ]
    assert Placement.model_validate({"all": {"tolerations": every}})


def test_a_place_for_pods_of_somebody_elses_is_refused():
    settings = {
        **DEMO,
        "redis": {"mode": "external", "host": "redis.example.com"},
        "placement": {"redis": {"nodeSelector": {"a": "b"}}},
    }
    with pytest.raises(RunError) as refused:
        harness.read_config(settings)
    assert "litemaas:placement.redis" in str(refused.value)
    assert "that somebody else runs" in str(refused.value)


def test_a_priority_that_the_cluster_does_not_know_is_refused_at_preview():
    settings = {**DEMO, "placement": {"backend": {"priorityClassName": "portal"}}}
    with pytest.raises(RunError) as refused:
        harness.run_program(settings)
    assert "litemaas:placement.backend.priorityClassName = portal" in str(refused.value)
    assert "oc get priorityclasses" in str(refused.value)
    harness.run_program(settings, cluster=harness.FakeCluster({PRIORITY: Answer(403, {})}))


# --- How many ---


def test_an_autoscaler_sizes_the_frontend_and_the_program_leaves_its_number_alone():
    run = harness.run_program({**DEMO, "frontend": {"autoscaling": {"maxReplicas": 4, "cpuPercent": 70}}})
    spec = run.one("HorizontalPodAutoscaler", "frontend").inputs["spec"]
    assert (spec["scaleTargetRef"]["name"], spec["minReplicas"], spec["maxReplicas"]) == ("frontend", 1, 4)
    frontend = run.one("Deployment", "frontend")
    assert frontend.ignore_changes == ("spec.replicas",)
    assert run.one("PodDisruptionBudget", "frontend").inputs["spec"]["maxUnavailable"] == 1
    assert (frontend.pod or {})["topologySpreadConstraints"]
    assert not run.find("HorizontalPodAutoscaler", "litellm")


@pytest.mark.parametrize(
    ("settings", "where", "cure"),
    [
        (
            {**DEMO, "frontend": {"autoscaling": {"maxReplicas": 4}}, "replicas": {"frontend": 3}},
            "litemaas:replicas.frontend = 3",
            "frontend.autoscaling.minReplicas: 3",
        ),
        (
            {**PRODUCTION, "frontend": {"autoscaling": {"maxReplicas": 1}}},
            "litemaas:frontend.autoscaling.maxReplicas = 1",
            "write 2 or more, or minReplicas too",
        ),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(settings, where, cure):
    text = refusal(settings)
    assert where in text
    assert cure in text


def live(name: str, labels: dict) -> harness.FakeCluster:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "frontend"}, "maxReplicas": 99}
    items = [{"metadata": {"name": name, "labels": labels}, "spec": spec}]
    return harness.FakeCluster({SCALERS: Answer(200, {"items": items})})


def test_somebody_elses_autoscaler_of_the_frontend_is_left_alone_unless_ours_is_to_stand_beside_it():
    run = harness.run_program(DEMO, cluster=live("by-hand", {}))
    assert run.one("Deployment", "frontend").ignore_changes == ("spec.replicas",)
    with pytest.raises(RunError) as refused:
        harness.run_program({**DEMO, "frontend": {"autoscaling": {"maxReplicas": 4}}}, cluster=live("by-hand", {}))
    assert "leave frontend.autoscaling out, or run: oc delete hpa by-hand -n litemaas" in str(refused.value)


def test_the_up_that_removes_the_frontends_says_that_the_next_one_sets_the_number():
    labels = {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/managed-by": "pulumi"}
    run = harness.run_program(DEMO, cluster=live("frontend", labels))
    assert any("frontend.autoscaling is gone" in line and "replicas.frontend" in line for line in run.log)


@pytest.mark.parametrize("base", [DEMO, PRODUCTION])
def test_every_server_of_several_pods_has_a_budget_and_no_single_one_has(base):
    run = harness.shared_run(base)
    budgets = {one.metadata["name"] for one in run.find("PodDisruptionBudget")}
    several = {one.metadata["name"] for one in run.find("Deployment") if one.inputs["spec"]["replicas"] > 1}
    assert budgets == several
