"""A model that leaves the stack file is refused, with what hangs on it, until it is said that it is meant."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pulumi import RunError

from tests import harness
from tests.unit.conftest import DEMO
from tests.unit.http_double import Reply, Request, serving
from tests.unit.test_verification_command import objects

MASTER, ADMIN = "sk-sentinel-master-key", "ltm_admin_sentinel-key"
MODELS = "/api/v1/namespaces/litemaas/configmaps"
ONLY_GRANITE = {**DEMO, "models": ["granite-8b-agent"]}
MISTRAL = {"endpoint": "http://mistral-3-int4-predictor.private-ai.svc.cluster.local:8080/v1", "contextLength": 8192}


class Services:
    """A double of the two services that know: portal and LiteLLM, as far as they are asked here."""

    def __init__(self):
        self.url, self.asked = "", list[str]()
        self.subscriptions = {"mistral-3-int4": 3}
        self.keys: list[list[str]] = [["mistral-3-int4"]] * 2 + [["mistral-3-int4", "granite-8b-agent"], []]
        self.page_size = 100
        self.broken: dict[str, tuple[int, bytes]] = {}

    def environment(self) -> dict[str, str]:
        return {
            "GATEWAY_URL": f"{self.url}/gateway",
            "API_URL": f"{self.url}/api-route",
            "LITELLM_MASTER_KEY": MASTER,
            "ADMIN_API_KEY": ADMIN,
        }

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        self.asked.append(parts.path)
        if parts.path in self.broken:
            return self.broken[parts.path]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        sent = request.headers.get("authorization")
        if parts.path == "/gateway/key/list" and sent == f"Bearer {MASTER}":
            page, size = int(query["page"]), min(int(query["size"]), self.page_size)
            keys = [{"models": models, "token": "hash"} for models in self.keys[(page - 1) * size : page * size]]
            return 200, json.dumps({"keys": keys, "total_pages": -(-len(self.keys) // size)}).encode()
        if parts.path == "/api-route/api/v1/admin/subscriptions" and sent == f"Bearer {ADMIN}":
            total = self.subscriptions.get(query["modelIds"], 0) if query["statuses"] == "active" else 0
            return 200, json.dumps({"data": [], "pagination": {"total": total}}).encode()
        return 401, b"{}"


@pytest.fixture
def services() -> Iterator[Services]:
    double = Services()
    with serving(double) as double.url:
        yield double


def offered(run: harness.Run) -> dict[str, Any]:
    """What preflight finds of the models of a run."""
    return {MODELS: {"items": [{"data": run.one("ConfigMap", "models-declarations").inputs["data"]}]}}


def deployed(run: harness.Run, services: Services | None = None, **more: Any) -> harness.FakeCluster:
    """A cluster after the up of ``run``, whose public addresses are those of ``services``."""
    answers = objects(run)
    env = services.environment() if services else {}
    job = answers["/apis/batch/v1/namespaces/litemaas/jobs"]["items"][0]
    for one in job["spec"]["template"]["spec"]["containers"][0]["env"]:
        if one["name"] in env:
            one.pop("valueFrom", None)
            one["value"] = env[one["name"]]
    return harness.FakeCluster({**answers, **offered(run), **more})


def refusal(config: dict[str, Any], cluster: harness.FakeCluster) -> str:
    """What preview says; no secret is ever in it."""
    with pytest.raises(RunError) as refused:
        harness.run_program(config, cluster=cluster)
    text = " ".join(str(refused.value).split())
    assert "sentinel" not in text
    assert "sk-" not in text
    return text


def test_a_model_that_leaves_is_refused_with_the_subscriptions_and_keys_at_stake(demo, services):
    text = refusal(ONLY_GRANITE, deployed(demo, services))
    assert "litemaas:models = mistral-3-int4" in text
    assert "Active subscriptions: 3; keys that name it: 3 (2 of them no other model);" in text
    assert "put it back, or write retiredModels: [mistral-3-int4] if you mean it" in text
    assert "(1 problem)" in text


def test_keys_beyond_the_first_page_are_counted(demo, services):
    services.page_size = 2
    assert "keys that name it: 3 (2 of" in refusal(ONLY_GRANITE, deployed(demo, services))


def test_a_model_that_nobody_uses_is_refused_all_the_same(demo, services):
    services.subscriptions, services.keys = {}, [["granite-8b-agent"]]
    assert "Active subscriptions and keys that name it: 0;" in refusal(ONLY_GRANITE, deployed(demo, services))


def test_each_of_several_models_is_told_with_its_own_numbers(demo, services):
    services.subscriptions["granite-8b-agent"] = 7
    text = refusal({**DEMO, "models": []}, deployed(demo, services))
    assert "= granite-8b-agent" in text
    assert "Active subscriptions: 7; keys that name it: 1 (0 of them no other model)" in text
    assert "Active subscriptions: 3; keys that name it: 3 (2 of them no other model)" in text


def test_a_retired_model_goes_and_nobody_is_asked(demo, services):
    retired = {**ONLY_GRANITE, "retiredModels": ["mistral-3-int4"]}
    assert harness.run_program(retired, cluster=deployed(demo, services)).manifests
    assert services.asked == []


def test_while_no_model_leaves_neither_services_nor_secrets_are_asked_for(demo, services):
    cluster = deployed(demo, services)
    harness.run_program(DEMO, cluster=cluster)
    assert services.asked == []
    assert not [path for _, path in cluster.requests if "/secrets/" in path or "/jobs" in path]


@pytest.mark.parametrize("served", [{}, {"servedName": "mistral-3-int4"}], ids=["left out", "as before"])
@pytest.mark.parametrize("renamed", ["mistral-new", "a-mistral"])
def test_a_renamed_model_is_recognised_by_its_server(renamed, served, demo, services):
    """The cluster may say the served name where the stack file leaves it out."""
    config = {**DEMO, "models": ["granite-8b-agent", {"name": renamed, **MISTRAL, **served}]}
    text = refusal(config, deployed(demo, services))
    assert f"is offered now, and {renamed} is declared with its server" in text
    assert f"keep the name mistral-3-int4, with aliases: [{renamed}]" in text
    assert "Active subscriptions: 3" in text


def test_a_model_under_another_served_name_of_the_same_server_is_no_renamed_one(demo, services):
    """One server may serve several models."""
    other = {"name": "adapter", **MISTRAL, "servedName": "mistral-adapter"}
    text = refusal({**DEMO, "models": ["granite-8b-agent", other]}, deployed(demo, services))
    assert "is offered now and no longer declared" in text


def test_a_model_that_was_offered_before_is_no_new_name(demo, services):
    """Two offered models can share a server; when one goes, the other has not taken its place."""
    twin = {"name": "twin", **MISTRAL}
    before = harness.run_program({**DEMO, "models": ["mistral-3-int4", twin]})
    text = refusal({**DEMO, "models": [twin]}, deployed(before, services))
    assert "is offered now and no longer declared" in text


# --- When it cannot be known ---


def test_a_portal_that_does_not_answer_is_said_and_the_keys_are_counted(demo, services):
    services.broken["/api-route/api/v1/admin/subscriptions"] = (503, b"")
    text = refusal(ONLY_GRANITE, deployed(demo, services))
    assert "Active subscriptions: could not be asked: the portal answered 503; keys that name it: 3" in text


def test_a_litellm_that_answers_with_a_web_page_is_said(demo, services):
    services.broken["/gateway/key/list"] = (200, b"<html>")
    text = refusal(ONLY_GRANITE, deployed(demo, services))
    assert "Active subscriptions: 3; keys that name it: could not be asked: LiteLLM answered in another form" in text


def test_an_answer_of_another_form_is_said(demo, services):
    services.broken["/gateway/key/list"] = (200, b'{"keys": "none"}')
    services.broken["/api-route/api/v1/admin/subscriptions"] = (200, b"[]")
    text = refusal(ONLY_GRANITE, deployed(demo, services))
    assert "the portal answered in another form" in text
    assert "LiteLLM answered in another form" in text


def test_addresses_that_nobody_serves_are_said(demo):
    text = refusal(ONLY_GRANITE, deployed(demo))
    assert re.search(r"the portal at litemaas-api-litemaas\.\S+ does not answer here", text)
    assert re.search(r"LiteLLM at litellm-litemaas\.\S+ does not answer here", text)


def test_a_stack_that_never_came_to_its_end_is_said(demo):
    text = refusal(ONLY_GRANITE, harness.FakeCluster(offered(demo)))
    assert "Active subscriptions and keys that name it: could not be asked: " in text
    assert "retiredModels: [mistral-3-int4]" in text


def test_whoever_may_not_read_secrets_is_refused_all_the_same(demo):
    hidden = {path: harness.Answer(403, {}) for path in objects(demo) if "/secrets/" in path}
    text = refusal(ONLY_GRANITE, deployed(demo, None, **hidden))
    assert "could not be asked: you may not read secrets in namespace litemaas" in text
