"""The gateway's settings: what follows from each, what cannot work, what LiteLLM must not be told."""

import pytest
from pulumi import RunError

from components.gateway_config import Tuning
from config.cluster import Answer
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION

NEWER = "quay.io/team/litellm:v1.101.0"
ROUTE_TIMEOUT = "haproxy.router.openshift.io/timeout"
SCALERS = "/apis/autoscaling/v2/namespaces/litemaas/horizontalpodautoscalers"
LIMITS = {"litellm": {"limits": {"memory": "4Gi"}}}


def config(base: dict = DEMO, **gateway) -> dict:
    return {**base, "gateway": gateway}


def deployed(base: dict = DEMO, **gateway) -> harness.Run:
    return harness.shared_run(config(base, **gateway))


def proxy(run: harness.Run) -> harness.Registration:
    return run.one("Deployment", "litellm")


def refusal(settings: dict) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config(settings)
    text = str(refused.value)
    assert "nothing was touched" in text
    return text


# --- One number for all times ---


def test_every_time_follows_from_the_time_of_one_request():
    run = deployed(requestTimeoutSeconds=1200)
    pod = proxy(run).pod or {}
    assert harness.litellm_yaml(run)["litellm_settings"]["request_timeout"] == 1200
    assert run.one("Route", "litellm").annotations[ROUTE_TIMEOUT] == "1210s"
    assert harness.env(proxy(run))["GRACEFUL_SHUTDOWN_TIMEOUT"] == "1200"
    assert pod["terminationGracePeriodSeconds"] == 1220


def test_another_time_changes_the_gateway_and_its_route_and_nothing_else(demo):
    other = deployed(requestTimeoutSeconds=601)
    # Secrets are other ones in each run.
    before, after = (
        {one.urn: one.inputs for one in [*run.workloads, *run.find("Route"), *run.find("Service")]}
        for run in (demo, other)
    )
    changed = {urn.rpartition("::")[2] for urn in before | after if before.get(urn) != after.get(urn)}
    # The verification Job runs again for whatever is new of the gateway.
    assert changed == {"gateway-proxy", "gateway-route", "verification-checks"}


# --- LiteLLM's file ---


def test_the_same_settings_give_the_same_text():
    assert Tuning(more={"b": 1, "a": 2}).file({}) == Tuning(more={"b": 1, "a": 2}).file({})


def test_the_file_has_what_was_set():
    general = harness.litellm_yaml(deployed(batchWriteSeconds=60, spendLogRetentionDays=90))["general_settings"]
    assert general["proxy_batch_write_at"] == 60
    # LiteLLM 1.81 takes a number for seconds.
    assert general["maximum_spend_logs_retention_period"] == "90d"


def test_nothing_is_deleted_and_nothing_refused_unless_it_is_asked_for(run):
    general = harness.litellm_yaml(run)["general_settings"]
    assert not {"maximum_spend_logs_retention_period", "max_in_flight_requests_per_worker"} & set(general)


def test_settings_of_litellms_own_are_passed_on_and_ours_stay():
    more = {"drop_params": True, "num_retries": 2, "default_key_generate_params": {"max_budget": 5}}
    told, usual = (harness.litellm_yaml(deployed(litellmSettings=each))["litellm_settings"] for each in (more, {}))
    assert told == usual | more


def test_workers_are_started_by_the_proxy_itself():
    run = harness.run_program({**config(workers=2), "resources": LIMITS, "images": {"litellm": NEWER}})
    arguments = harness.container(proxy(run))["args"]
    assert arguments[arguments.index("--num_workers") + 1] == "2"
    assert int(harness.env(proxy(run))["TIMEOUT_WORKER_HEALTHCHECK"] or 0) >= 60, "else they are ended while they start"
    one = proxy(deployed())
    assert "--num_workers" not in harness.container(one)["args"]
    assert "TIMEOUT_WORKER_HEALTHCHECK" not in harness.env(one)


# --- LiteLLM's web page ---


def test_litellms_own_page_is_hidden_in_production_unless_asked_for(demo, production):
    def hidden(run: harness.Run) -> bool:
        return harness.env(proxy(run)).get("DISABLE_ADMIN_UI") == "True"

    assert (hidden(demo), hidden(production)) == (False, True)
    assert hidden(deployed(adminUi="hidden"))
    assert not hidden(deployed(PRODUCTION, adminUi="exposed"))


# --- Autoscaling ---


def test_an_autoscaler_sizes_the_proxy_and_the_program_leaves_its_number_alone():
    run = deployed(autoscaling={"minReplicas": 2, "maxReplicas": 6, "cpuPercent": 70})
    scaler = run.one("HorizontalPodAutoscaler")
    assert scaler.inputs["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "litellm"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    }
    assert proxy(run).inputs["spec"]["replicas"] == 2
    assert proxy(run).ignore_changes == ("spec.replicas",)
    # Nobody knows how many pods to wait for: the controller says when all are new.
    assert "}=NewReplicaSetAvailable" in proxy(run).annotations["pulumi.com/waitFor"].replace(".reason}", "}")
    assert harness.container(proxy(run))["resources"]["requests"]["cpu"], "use is measured against it"


def test_without_it_there_is_none(run):
    assert not run.find("HorizontalPodAutoscaler")


@pytest.mark.parametrize(("base", "least"), [(DEMO, 1), (PRODUCTION, 2)])
def test_the_least_number_of_pods_is_the_profiles(base, least):
    assert (
        deployed(base, autoscaling={"maxReplicas": 4}).one("HorizontalPodAutoscaler").inputs["spec"]["minReplicas"]
        == least
    )


@pytest.mark.parametrize(("most", "there"), [(4, True), (1, False)])
def test_pods_that_may_become_several_are_spread_and_drained_one_at_a_time(most, there):
    run = deployed(autoscaling={"minReplicas": 1, "maxReplicas": most})
    assert bool(run.find("PodDisruptionBudget", "litellm")) is there
    assert bool((proxy(run).pod or {}).get("topologySpreadConstraints")) is there


def test_a_drain_may_take_the_only_pod_of_several_that_there_may_be():
    """A minimum of available pods would hold a node for ever while there is one."""
    run = deployed(autoscaling={"minReplicas": 1, "maxReplicas": 4})
    assert run.one("PodDisruptionBudget", "litellm").inputs["spec"]["maxUnavailable"] == 1


def live_scaler(name: str, labels: dict, most: int = 4) -> dict[str, Answer]:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "litellm"}, "maxReplicas": most}
    return {SCALERS: Answer(200, {"items": [{"metadata": {"name": name, "labels": labels}, "spec": spec}]})}


def cluster(**scaler) -> harness.FakeCluster:
    return harness.FakeCluster(live_scaler(**scaler))


def ours() -> dict[str, str]:
    return {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/managed-by": "pulumi"}


def test_a_second_autoscaler_beside_somebody_elses_is_refused():
    with pytest.raises(RunError) as refused:
        harness.run_program(config(autoscaling={"maxReplicas": 4}), cluster=cluster(name="by-hand", labels={}))
    assert "HorizontalPodAutoscaler by-hand" in str(refused.value)
    assert "oc delete hpa by-hand -n litemaas" in str(refused.value)


def test_the_live_one_of_this_stack_is_no_strangers_whatever_it_may_do_now():
    """Else fewer pods could not be written, where there are too many for the database."""
    run = harness.run_program(
        config(autoscaling={"maxReplicas": 4}), cluster=cluster(name="litellm", labels=ours(), most=99)
    )
    assert run.one("HorizontalPodAutoscaler").inputs["spec"]["maxReplicas"] == 4


def test_the_up_that_removes_the_autoscaler_says_that_the_next_one_sets_the_number(demo):
    run = harness.run_program(DEMO, cluster=cluster(name="litellm", labels=ours()))
    assert proxy(run).ignore_changes == ("spec.replicas",)
    assert any("the next up sets replicas.litellm" in line for line in run.log)
    assert not any("autoscaler" in line for line in demo.log)


# --- What cannot work ---

# What is written -> path of the key, and the words that tell what would break and what to write.
IMPOSSIBLE = {
    "less than nothing to do": (config(requestTimeoutSeconds=5), "gateway.requestTimeoutSeconds = 5", "at least 10"),
    "a request of a day": (config(requestTimeoutSeconds=86400), "gateway.requestTimeoutSeconds", "at most 3600"),
    "minimum above maximum": (
        config(autoscaling={"minReplicas": 5, "maxReplicas": 3}),
        "gateway.autoscaling",
        "minReplicas 5 and maxReplicas 3; the API server would refuse",
    ),
    "the profile's minimum above the maximum": (
        config(PRODUCTION, autoscaling={"maxReplicas": 1}),
        "gateway.autoscaling.maxReplicas = 1",
        "write 2 or more, or minReplicas too",
    ),
    "two numbers of pods": (
        {**config(autoscaling={"maxReplicas": 4}), "replicas": {"litellm": 3}},
        "replicas.litellm = 3",
        "write it as gateway.autoscaling.minReplicas: 3",
    ),
    "more pods than connections": (
        config(autoscaling={"maxReplicas": 15}),
        "gateway.autoscaling.maxReplicas",
        "15 pods, and one more during an update, may open 210 database connections",
    ),
    "more workers than connections": (
        {**config(workers=3, autoscaling={"maxReplicas": 5}), "resources": LIMITS},
        "gateway.autoscaling.maxReplicas",
        "5 pods of 3 workers, and one more during an update, may open 230 database connections",
    ),
    "more workers than memory": (
        config(workers=2),
        "gateway.workers = 2",
        "needs 2250Mi at rest (3 processes of LiteLLM), and a pod may use 2Gi",
    ),
    "more workers than memory, the cure": (
        config(workers=2),
        "gateway.workers = 2",
        "write workers: 1, or resources.litellm.limits.memory: 3Gi or more",
    ),
    "a pod too small for one": (
        {**DEMO, "resources": {"litellm": {"requests": {"memory": "256Mi"}, "limits": {"memory": "512Mi"}}}},
        "gateway.workers = 1",
        "write resources.litellm.limits.memory: 1Gi or more",
    ),
    "a limit that the default image does not know": (
        config(maxInFlightRequests=100),
        "gateway.maxInFlightRequests = 100",
        "unknown to LiteLLM 1.81",
    ),
    "several workers in the default image": (
        {**config(workers=2), "resources": LIMITS},
        "gateway.workers = 2",
        "the pod would never be ready; write 1 and more pods, or an images.litellm of 1.90 or newer",
    ),
    "an unknown key": (config(timeout=5), "gateway.timeout", "no such key"),
}


@pytest.mark.parametrize(("settings", "path", "cure"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_work_is_refused_with_path_and_cure(settings, path, cure):
    text = refusal(settings)
    assert f"litemaas:{path}" in text
    assert cure in text


def test_all_of_it_is_refused_at_once():
    text = refusal(
        {**config(workers=2, maxInFlightRequests=1, autoscaling={"maxReplicas": 9}), "replicas": {"litellm": 1}}
    )
    paths = ("gateway.workers", "gateway.maxInFlightRequests", "gateway.autoscaling.maxReplicas", "replicas.litellm")
    assert [path for path in paths if f"litemaas:{path}" not in text] == []
    assert "(5 problems)" in text


@pytest.mark.parametrize(
    "image",
    [NEWER, "quay.io/team/litellm:main-v1.108.7-stable", "quay.io/team/litellm:ours", f"{NEWER}@sha256:{'0' * 64}"],
)
def test_calls_in_flight_are_limited_where_the_image_knows_how_or_does_not_tell(image):
    run = harness.run_program({**config(maxInFlightRequests=100), "images": {"litellm": image}})
    assert harness.litellm_yaml(run)["general_settings"]["max_in_flight_requests_per_worker"] == 100


@pytest.mark.parametrize("schedule", ["*/5 * * * *", "0 0,12 1-7 */2 0", "@hourly", "59 23 31 12 6"])
def test_a_schedule_is_taken_as_the_api_server_takes_it(schedule):
    assert deployed(keyCheck={"schedule": schedule}).one("CronJob").inputs["spec"]["schedule"] == schedule


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "5",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "*/0 * * * *",
        "9-3 * * * *",
        "never",
        "TZ=UTC * * * * *",
        "*/5 * * * *\n* * * * *",
    ],
)
def test_what_is_no_schedule_is_refused(schedule):
    assert "write for example */5 * * * *" in refusal(config(keyCheck={"schedule": schedule}))


# --- What LiteLLM must not be told ---

NOT_OURS_TO_GIVE = {
    "cache": (True, "Redis shares the limits"),
    "request_timeout": (60, "gateway.requestTimeoutSeconds"),
    "global_disable_no_log_param": (False, "switch the metering of its own calls off"),
    "allow_requests_on_db_unavailable": (True, "any made-up key would be served"),
    "fallbacks": ([{"a": ["b"]}], "under models"),
    "master_key": ("x", "secrets.litellmMasterKey"),
    "set_verbose": (True, "keys would be printed"),
    "ssl_verify": (False, "nothing is left unverified"),
    "post_call_rules": ("a.b", "LiteLLM would not start"),
    "callbacks": (["ours.logger"], "LiteLLM would not start"),
    "DropParams": (True, "lower case"),
}


@pytest.mark.parametrize("name", NOT_OURS_TO_GIVE)
def test_a_setting_that_is_ours_or_unsafe_is_refused_by_name_with_the_reason(name):
    value, reason = NOT_OURS_TO_GIVE[name]
    text = refusal(config(litellmSettings={name: value}))
    assert "litemaas:gateway.litellmSettings" in text
    assert name in text
    assert reason in text


SECRETS = {
    "openai_key": "hunter2-in-clear",
    "headers": {"Authorization": "hunter2-in-clear"},
    "some_list": [{"password": "hunter2-in-clear"}],
    "a_url": "https://user:hunter2-in-clear@proxy.example.com",
    "anything": "sk-hunter2-in-clear",
    "from_the_pod": "os.environ/LITELLM_MASTER_KEY",
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_looks_like_a_secret_is_refused_and_not_quoted(name):
    text = refusal(config(litellmSettings={name: SECRETS[name]}))
    assert name in text
    assert "secret" in text
    assert "hunter2" not in text


def test_what_only_sounds_like_one_is_taken():
    more = {
        "max_tokens": 5,
        "token_counter": "x",
        "callbacks": ["prometheus"],
        "upperbound_key_generate_params": {"max_budget": 1},
    }
    assert harness.litellm_yaml(deployed(litellmSettings=more))["litellm_settings"].items() >= more.items()


def test_every_wrong_setting_is_named_in_one_refusal():
    text = refusal(config(litellmSettings={"cache": False, "json_logs": False, "api_key": "x"}))
    assert [name for name in ("cache", "json_logs", "api_key") if name not in text] == []
