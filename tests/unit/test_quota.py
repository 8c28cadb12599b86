"""The quota fits what the program makes, in every mode, and one that does not is refused."""

from collections import Counter

import pytest
from pulumi import RunError

from config.footprint import footprint
from config.types import quantity
from tests import harness, modes
from tests.modes import MODES
from tests.unit.conftest import DEMO

KEYS = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


def quota(config: dict) -> dict:
    spec = harness.shared_run({**DEMO, "isolation": {"quota": config}}).one("ResourceQuota").inputs["spec"]
    return spec["hard"]


def refusal(isolation: dict, **more) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config({**DEMO, **more, "isolation": isolation})
    return str(refused.value)


def most(run: harness.Run, workload: harness.Registration) -> int:
    """Pods of a workload that may be there at once, read from what is made of it."""
    spec = workload.inputs["spec"]
    if workload.kind in {"Job", "CronJob"}:
        return 1
    scalers = [one.inputs["spec"] for one in run.find("HorizontalPodAutoscaler", workload.metadata["name"])]
    pods = max([spec.get("replicas", 1), *(one["maxReplicas"] for one in scalers)])
    rolling = spec.get("strategy", {}).get("type") == "RollingUpdate"
    # A pod that drains is no longer one of the Deployment's, but the quota's still.
    return 2 * pods if rolling else pods


def taken(run: harness.Run) -> Counter:
    found: Counter = Counter()

    def add(pods: int, resources: dict):
        found["pods"] += pods
        for key in KEYS:
            side, resource = key.split(".")
            found[key] += round(pods * quantity(resources[side][resource]) * 1000)

    for one in run.workloads:
        add(most(run, one), harness.container(one)["resources"])
    # On the way from one to several, that one is still there.
    for one in run.find("Deployment", "backend-1"):
        add(1, harness.container(one)["resources"])
    for one in run.find("Cluster"):
        add(one.inputs["spec"]["instances"] + 1, one.inputs["spec"]["resources"])
    return found


@pytest.mark.parametrize("name", MODES)
def test_the_footprint_is_that_of_what_the_program_makes(name):
    said = footprint(MODES[name].settings())
    assert {key: round(quantity(text) * (1 if key == "pods" else 1000)) for key, text in said.items()} == taken(
        modes.run(name)
    )


def test_a_quota_without_a_word_is_the_footprint(demo):
    assert quota({}) == footprint(harness.read_config(DEMO))
    assert quota({}) == {
        "pods": "12",
        "requests.cpu": "1150m",
        "requests.memory": "4160Mi",
        "limits.cpu": "7100m",
        "limits.memory": "8832Mi",
    }
    assert not demo.find("ResourceQuota"), "none without the key"
    assert not demo.find("LimitRange")


def test_what_is_written_wins_and_the_rest_is_computed():
    made = quota({"pods": 40, "limits": {"memory": "20Gi"}})
    assert (made["pods"], made["limits.memory"]) == ("40", "20Gi")
    assert made["limits.cpu"] == quota({})["limits.cpu"]


@pytest.mark.parametrize(
    ("written", "as_the_server_has_it"),
    [("20480Mi", "20Gi"), ("20000Mi", "20000Mi"), ("21474836480", "20Gi"), ("2048Gi", "2Ti")],
)
def test_amounts_are_written_as_the_api_server_writes_them(written, as_the_server_has_it):
    """Else each refresh would find a difference."""
    assert quota({"limits": {"memory": written}})["limits.memory"] == as_the_server_has_it


def test_cores_are_written_so_too():
    assert quota({"limits": {"cpu": "20000m"}})["limits.cpu"] == "20"
    assert quota({"limits": {"cpu": "8.5"}})["limits.cpu"] == "8500m"


@pytest.mark.parametrize("key", ["pods", *KEYS])
def test_a_quota_that_is_too_small_is_refused_with_both_numbers(key):
    needed = footprint(harness.read_config(DEMO))[key]
    value = 3 if key == "pods" else "7m" if key.endswith("cpu") else "7Mi"
    inner = {"pods": value} if key == "pods" else {key.split(".")[0]: {key.split(".")[1]: value}}
    text = refusal({"quota": inner})
    assert f"litemaas:isolation.quota.{key} = {value}" in text
    assert f"is less than {needed}," in text
    assert f"write at least {needed}, or leave it out" in text


def test_all_that_is_too_small_is_told_at_once():
    text = refusal({"quota": {"pods": 1, "requests": {"cpu": "1m"}, "limits": {"memory": "1Mi"}}})
    assert "(3 problems)" in text


def test_a_quota_that_fits_to_the_last_byte_is_taken_and_one_pod_more_is_not():
    needed = footprint(harness.read_config(DEMO))
    written = {"pods": int(needed["pods"]), "limits": {"cpu": needed["limits.cpu"], "memory": needed["limits.memory"]}}
    assert quota(written) == needed
    assert "isolation.quota.pods" in refusal({"quota": written}, replicas={"frontend": 2})


def test_a_limit_range_has_defaults_for_those_who_name_nothing():
    run = harness.run_program({**DEMO, "isolation": {"limitRange": {"limits": {"memory": "1Gi"}}}})
    assert run.one("LimitRange").inputs["spec"]["limits"] == [
        {
            "type": "Container",
            "defaultRequest": {"cpu": "50m", "memory": "64Mi"},
            "default": {"cpu": "500m", "memory": "1Gi"},
        }
    ]
    assert not run.find("ResourceQuota")


def test_a_limit_range_below_its_own_requests_is_refused():
    text = refusal({"limitRange": {"limits": {"memory": "1Mi"}}})
    assert "reserves more memory (64Mi) than its limit (1Mi)" in text


def test_both_go_with_the_namespace_and_not_before_the_pods(production):
    for kind in ("ResourceQuota", "LimitRange"):
        one = production.one(kind)
        assert one.deleted_with == production.one("Namespace").urn
        assert one.dependencies == (production.one("Namespace").urn,)
