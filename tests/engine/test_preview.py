"""A preview shows what was changed and what must follow, nothing else."""

from collections.abc import Iterator

import pytest

from tests.engine.driver import DOMAIN, GRANITE, TRUSTING, Cluster, Project
from tests.unit import certificates

OTHER_DOMAIN = "apps.moved.example.com"
# Whatever changes something that users could notice is verified again.
VERIFIED = ("replace", "Job", "verification-checks")


def test_a_changed_an_added_and_a_retired_model_show_those_and_their_registration(main: Project) -> None:
    main.change(models=[GRANITE | {"contextLength": 12000}, "gpt-oss-20b"], retiredModels=["mistral-3-int4"])
    plan = main.plan()
    assert plan.rows == {
        ("update", "Model", "models-granite-8b-agent"),
        ("create", "Model", "models-gpt-oss-20b"),
        ("delete", "Model", "models-mistral-3-int4"),
        ("replace", "ConfigMap", "models-declarations"),
        ("replace", "Job", "models-registration"),
        VERIFIED,
    }
    model = next(step for step in plan.steps if step.name == "models-granite-8b-agent")
    changed = {key for key in model.old | model.new if model.old.get(key) != model.new.get(key)}
    assert changed == {"context_length", "max_output"}
    assert (model.old["context_length"], model.new["context_length"]) == (16384, 12000)


def test_the_text_of_a_preview_shows_the_changed_value_of_a_model_and_no_other_model(main: Project) -> None:
    main.change(models=[GRANITE | {"contextLength": 12000}, "mistral-3-int4"])
    said = main.preview("--diff")
    assert "context_length: 16384 => 12000" in " ".join(said.split())
    assert "mistral" not in said.partition("models-registration")[0]


def test_a_model_that_only_vanishes_and_a_domain_that_is_not_the_clusters_are_refused(main: Project) -> None:
    main.change(models=["granite-8b-agent"], clusterDomain="apps.elsewhere.example.com")
    said = main.refused()
    assert "litemaas:models = mistral-3-int4" in said
    assert "retiredModels: [mistral-3-int4]" in said
    assert "litemaas:clusterDomain = apps.elsewhere.example.com" in said
    assert f"write {DOMAIN}" in said


def test_a_changed_member_shows_one_group_a_larger_claim_itself_and_a_group_no_longer_listed_nothing(
    main: Project,
) -> None:
    main.change(access={"admins": ["alice", "bob"]}, storage={"backups": {"size": "6Gi"}})
    plan = main.plan()
    # No verification: it looks at nothing that a member of a group changes, and no pod is made of the size.
    assert plan.rows == {
        ("update", "Group", "oauth-litemaas-admins"),
        ("update", "PersistentVolumeClaim", "backend-backups"),
    }
    (users,) = (step.new["users"] for step in plan.steps if step.kind == "Group")
    assert users == ["alice", "bob"]


def test_another_authority_rolls_those_that_trust_it_and_another_image_its_tier(main: Project) -> None:
    main.change(
        trust={"caBundle": certificates.authority().certificate}, images={"frontend": "quay.io/example/other:1"}
    )
    assert main.plan().rows == {*TRUSTING, ("update", "Deployment", "frontend-nginx")}


@pytest.fixture
def moved(cluster: Cluster) -> Iterator[None]:
    """A cluster that got another apps domain."""
    cluster.patch("ingresses.config.openshift.io", "cluster", {"spec": {"domain": OTHER_DOMAIN}}, None)
    yield
    cluster.patch("ingresses.config.openshift.io", "cluster", {"spec": {"domain": DOMAIN}}, None)


def test_a_changed_domain_changes_hosts_redirect_uri_and_urls_together(main: Project, moved: None) -> None:
    main.change(clusterDomain=OTHER_DOMAIN)
    steps = {step.name: step for step in main.preview_json()}
    routes = {"gateway-route": "litellm", "frontend-litemaas": "litemaas", "frontend-litemaas-api": "litemaas-api"}
    # The policy for the portal's pages, which nginx tells browsers, names the gateway.
    nginx = {"frontend-server", "frontend-nginx"}
    others = {"application-menu-link", "oauth-client", "backend-server", "verification-checks"}
    assert set(steps) == {*routes, *nginx, *others}
    for step, host in routes.items():
        assert steps[step].new["spec"]["host"] == f"{host}-litemaas.{OTHER_DOMAIN}"
    portal = f"https://litemaas-litemaas.{OTHER_DOMAIN}"
    assert steps["oauth-client"].new["redirectURIs"] == [f"{portal}/api/auth/callback"]
    old, new = (_environment(each) for each in (steps["backend-server"].old, steps["backend-server"].new))
    assert {key: new[key] for key in new if new[key] != old[key]} == {
        "OAUTH_ISSUER": f"https://oauth-openshift.{OTHER_DOMAIN}",
        "OAUTH_CALLBACK_URL": f"{portal}/api/auth/callback",
        "CORS_ORIGIN": portal,
        "LITELLM_API_URL": f"https://litellm-litemaas.{OTHER_DOMAIN}",
    }
    for step in steps.values():
        assert DOMAIN not in str(step.new), step.name


def _environment(inputs) -> dict[str, str]:
    container = inputs["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", "") for each in container["env"]}
