"""A workload that does not become ready is explained: state, events and log lines of its pods."""

import pytest
from pulumi import ErrorHookArgs, log

from components import diagnosis

LABELS = {"app.kubernetes.io/instance": "dev", "app.kubernetes.io/component": "backend"}
BASE = "/api/v1/namespaces/litemaas"


class FakeReader:
    """A test double of the cluster connection: pods, events and logs from memory."""

    def __init__(self, pods=(), events=(), logs=""):
        self.pods, self.events, self.logs = list(pods), list(events), logs
        self.paths: list[str] = []

    def read(self, path):
        self.paths.append(path)
        return {"items": self.pods if "/pods?" in path else self.events}

    def text(self, path):
        self.paths.append(path)
        return self.logs


def pod(phase="Pending", conditions=(), containers=()):
    status = {"phase": phase, "conditions": list(conditions), "containerStatuses": list(containers)}
    return {"metadata": {"name": "backend-7f-x"}, "status": status}


def event(reason, message, name="backend-7f-x", kind="Warning", when="2026-01-01T00:00:00Z"):
    return {
        "type": kind,
        "reason": reason,
        "message": message,
        "involvedObject": {"name": name},
        "lastTimestamp": when,
    }


def describe(reader: FakeReader) -> str:
    return diagnosis.describe(reader, "litemaas", "backend-server", LABELS)


def test_an_unschedulable_pod_is_explained_by_the_schedulers_own_words():
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }
    text = describe(FakeReader([pod(conditions=[condition])]))
    assert "backend-server did not become ready" in text
    assert "pod backend-7f-x: Pending" in text
    assert "PodScheduled is False: Unschedulable 0/3 nodes are available: 3 Insufficient memory." in text


def test_a_missing_image_is_named():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "quay.io/a/b:no"'}}
    reader = FakeReader(
        [pod(containers=[{"name": "backend", "restartCount": 0, "state": waiting}])],
        [event("Failed", "manifest unknown")],
    )
    text = describe(reader)
    assert 'container backend waiting: ImagePullBackOff Back-off pulling image "quay.io/a/b:no"' in text
    assert "event: Failed manifest unknown" in text


def test_a_crashing_container_shows_exit_code_and_the_log_of_the_run_that_crashed():
    status = {
        "name": "backend",
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    reader = FakeReader([pod("Running", containers=[status])], logs="starting\nOAUTH_ISSUER must match pattern\n")
    text = describe(reader)
    assert "container backend waiting: CrashLoopBackOff back-off 40s" in text
    assert "container backend terminated with exit code 1: Error" in text
    assert "log: OAUTH_ISSUER must match pattern" in text
    assert any("previous=true" in path for path in reader.paths), "the current run has nothing to say yet"


def test_a_container_that_never_crashed_shows_the_log_of_its_only_run():
    running = {"name": "backend", "restartCount": 0, "state": {"running": {"startedAt": "x"}}}
    reader = FakeReader([pod("Running", containers=[running])], logs="waiting for the database: ECONNREFUSED")
    text = describe(reader)
    assert "log: waiting for the database: ECONNREFUSED" in text
    assert not any("previous=true" in path for path in reader.paths)
    assert "container backend running" not in text, "what runs needs no line"


def test_only_the_last_log_lines_are_shown():
    running = {"name": "backend", "restartCount": 0, "state": {"running": {}}}
    text = describe(FakeReader([pod("Running", containers=[running])], logs="\n".join(f"line {n}" for n in range(100))))
    assert "log: line 99" in text
    assert "line 80" not in text


def test_of_a_jobs_tries_the_last_one_that_failed_is_shown_and_its_log_down_to_the_end():
    """All of them tell the same; and the verification's table has to be whole."""
    failed = {"name": "verification", "restartCount": 0, "state": {"terminated": {"exitCode": 1}}}
    tries = [pod("Failed", containers=[failed]) for _ in range(3)] + [pod("Running")]
    for number, each in enumerate(tries):
        each["metadata"] = {"name": f"try-{number}", "creationTimestamp": f"2026-01-01T00:0{number}:00Z"}
    reader = FakeReader([tries[2], tries[0], tries[3], tries[1]], logs="\n".join(f"  row {n}" for n in range(100)))
    text = diagnosis.describe(reader, "litemaas", "verification-checks", LABELS, job=True)
    assert "pod try-2: Failed" in text
    assert "pod try-0" not in text
    assert "pod try-3" not in text
    assert text.count("    log:   row ") == 30, "rows keep their indentation"
    assert "row 99" in text


def test_a_job_that_never_got_a_pod_running_is_shown_with_all_it_has():
    text = diagnosis.describe(FakeReader([pod("Pending")]), "litemaas", "verification-checks", LABELS, job=True)
    assert "pod backend-7f-x: Pending" in text


def test_without_pods_the_events_of_their_controller_are_shown():
    quota = event("FailedCreate", "exceeded quota: compute", name="backend-7f")
    other = event("FailedCreate", "not ours", name="frontend-1a")
    text = describe(FakeReader([], [quota, other]))
    assert "none: the controller could not make one" in text
    assert "event: FailedCreate exceeded quota: compute" in text
    assert "not ours" not in text


def test_only_warnings_count_and_the_newest_come_last():
    events = [event("B", "newer", when="2026-01-02T00:00:00Z"), event("A", "older"), event("N", "fine", kind="Normal")]
    text = describe(FakeReader([pod()], events))
    assert text.index("older") < text.index("newer")
    assert "fine" not in text


def test_pods_are_found_by_their_labels_and_the_last_line_says_where_to_look_on():
    reader = FakeReader([pod()])
    text = describe(reader)
    selector = "app.kubernetes.io/component%3Dbackend%2Capp.kubernetes.io/instance%3Ddev"
    assert reader.paths[0] == f"{BASE}/pods?labelSelector={selector}"
    assert text.splitlines()[-1].startswith("Look further: oc get pods,events -n litemaas")


def hook_arguments(inputs) -> ErrorHookArgs:
    return ErrorHookArgs(
        urn="urn:pulumi:dev::litemaas::kubernetes:apps/v1:Deployment::backend-server",
        id="",
        name="backend-server",
        type="kubernetes:apps/v1:Deployment",
        new_inputs=inputs,
        old_inputs=None,
        old_outputs=None,
        failed_operation="create",
        errors=[],
    )


def test_the_hook_prints_the_diagnosis_and_does_not_try_again(monkeypatch):
    printed: list[str] = []
    monkeypatch.setattr(log, "error", printed.append)
    hook = diagnosis.explainer(FakeReader([pod()]), "litemaas")
    inputs = {"kind": "Deployment", "spec": {"template": {"metadata": {"labels": LABELS}}}}
    assert hook(hook_arguments(inputs)) is False
    assert "backend-server did not become ready" in printed[0]


def test_the_hook_tells_a_job_from_a_server(monkeypatch):
    printed: list[str] = []
    monkeypatch.setattr(log, "error", printed.append)
    running = {"name": "backend", "restartCount": 0, "state": {"running": {}}}
    reader = FakeReader([pod("Failed", containers=[running])], logs="\n".join(f"line {n}" for n in range(100)))
    for kind, lines in (("Deployment", 8), ("Job", 30)):
        inputs = {"kind": kind, "spec": {"template": {"metadata": {"labels": LABELS}}}}
        diagnosis.explainer(reader, "litemaas")(hook_arguments(inputs))
        assert printed[-1].count("log: line") == lines


class FakeRouteReader(FakeReader):
    """A test double that knows one Route."""

    def __init__(self, *routers):
        super().__init__()
        self.route = {"spec": {"host": "portal.example.com"}, "status": {"ingress": list(routers)}}

    def read(self, path):
        self.paths.append(path)
        return self.route


def test_a_route_that_no_router_admits_is_explained_by_the_routers_own_words(monkeypatch):
    printed: list[str] = []
    monkeypatch.setattr(log, "error", printed.append)
    condition = {"type": "Admitted", "status": "False", "reason": "HostAlreadyClaimed", "message": "by ns/other"}
    reader = FakeRouteReader({"routerName": "default", "conditions": [condition]})
    hook = diagnosis.explainer(reader, "litemaas")
    assert hook(hook_arguments({"kind": "Route", "metadata": {"name": "litemaas"}})) is False
    assert reader.paths == ["/apis/route.openshift.io/v1/namespaces/litemaas/routes/litemaas"]
    assert "No router admits Route litemaas (host portal.example.com)" in printed[0]
    assert "router default: HostAlreadyClaimed by ns/other" in printed[0]


def test_a_route_that_no_router_has_seen_says_so():
    assert "no router has looked at it" in diagnosis.describe_route(FakeRouteReader(), "litemaas", "litemaas")


def test_a_cluster_is_explained_by_its_operator_and_its_pods():
    class FakeClusterReader(FakeReader):
        def read(self, path):
            if "/clusters/" in path:
                assert path.endswith("/postgresql.cnpg.io/v1/namespaces/litemaas/clusters/postgres")
                return {"status": {"phase": "Setting up primary", "phaseReason": "Creating primary instance"}}
            return super().read(path)

    text = diagnosis.describe_cluster(FakeClusterReader([pod()]), "litemaas", "database-cluster", "postgres")
    assert "The operator says of Cluster postgres: Setting up primary Creating primary instance" in text
    assert "database-cluster did not become ready" in text


def test_a_cluster_of_which_no_operator_says_anything_is_told_so():
    text = diagnosis.describe_cluster(FakeReader(), "litemaas", "database-cluster", "postgres")
    assert "nothing; does it run, and watch this namespace?" in text


class FakeCertificateReader(FakeReader):
    """A double of the cluster connection that has one Certificate, of these conditions."""

    def __init__(self, *conditions: dict) -> None:
        super().__init__()
        self.conditions = list(conditions)

    def read(self, path: str) -> dict:
        assert path == "/apis/cert-manager.io/v1/namespaces/litemaas/certificates/litemaas-route-tls"
        return {"status": {"conditions": self.conditions}}


def test_a_certificate_that_is_not_made_is_explained_by_cert_managers_own_words(monkeypatch):
    printed: list[str] = []
    monkeypatch.setattr(log, "error", printed.append)
    condition = {"type": "Ready", "status": "False", "reason": "DoesNotExist", "message": "Issuing certificate"}
    hook = diagnosis.explainer(FakeCertificateReader(condition), "litemaas")
    assert hook(hook_arguments({"kind": "Certificate", "metadata": {"name": "litemaas-route-tls"}})) is False
    assert "Ready is False: DoesNotExist Issuing certificate" in printed[0]
    assert "oc describe certificate,certificaterequest" in printed[0]


def test_a_certificate_that_cert_manager_has_not_seen_says_so():
    text = diagnosis.describe_certificate(FakeCertificateReader(), "litemaas", "litemaas-route-tls")
    assert "may not be running" in text


@pytest.mark.parametrize("inputs", [None, {}, {"kind": "Deployment", "spec": {}}])
def test_a_diagnosis_that_fails_hides_nothing(inputs, monkeypatch):
    warned: list[str] = []
    monkeypatch.setattr(log, "warn", warned.append)
    assert diagnosis.explainer(FakeReader(), "litemaas")(hook_arguments(inputs)) is False
    assert "backend-server failed, and its pods could not be examined" in warned[0]


def test_the_labels_in_every_workload_are_where_the_hook_looks_for_them(demo):
    for one in demo.workloads:
        labels = one.template["metadata"]["labels"]
        text = diagnosis.describe(FakeReader([pod()]), "litemaas", one.name, labels)
        assert labels["app.kubernetes.io/component"] in text


def test_a_refused_object_is_not_explained_by_its_pods(monkeypatch):
    """It never got that far: the text would point to the wrong cause."""
    said = []
    monkeypatch.setattr(log, "error", said.append)
    errors = ["Server-Side Apply field conflict detected", 'Route "x" is invalid: spec: ...']
    for error in errors:
        failure = ErrorHookArgs(urn="u", id="i", name="n", type="t", failed_operation="update", errors=[error])
        assert diagnosis.explainer(FakeReader(), "litemaas")(failure) is False
    assert said == []
