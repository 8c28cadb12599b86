"""What the sandbox applies: valid objects with the rules that OpenShift's servers have."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import shape
from sandbox.paths import MANIFESTS

FILES = sorted(MANIFESTS.glob("*.yaml"))
ROUTE = {
    "metadata": {"name": "routes.route.openshift.io"},
    "spec": {
        "group": "route.openshift.io",
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "properties": {
                            "spec": {
                                "required": ["to"],
                                "properties": {"host": {}, "path": {}},
                                "x-kubernetes-validations": [{"rule": "true"}],
                            }
                        }
                    }
                },
            }
        ],
    },
}
INGRESS = {"metadata": {"name": "ingresses.config.openshift.io"}, "spec": {"group": "config.openshift.io"}}
CONSOLE_LINK = {"metadata": {"name": "consolelinks.console.openshift.io"}, "spec": {"group": "console.openshift.io"}}


@pytest.fixture
def openshift(tmp_path: Path) -> Path:
    """A folder like the one with OpenShift's own definitions."""
    (tmp_path / "routes.crd.yaml").write_text(yaml.safe_dump(ROUTE))
    (tmp_path / "ingresses.crd.yaml").write_text(yaml.safe_dump(INGRESS))
    (tmp_path / "consolelinks.crd.yaml").write_text(yaml.safe_dump(CONSOLE_LINK))
    return tmp_path


def schemas(file: str) -> dict[str, Any]:
    return {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in shape.load(MANIFESTS / file)
    }


def nodes_of(schema: Any):
    """Every mapping inside a schema."""
    if isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from nodes_of(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from nodes_of(each)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_manifest_is_a_list_of_objects(file: Path):
    for each in shape.load(file):
        assert {"apiVersion", "kind"} <= each.keys()


@pytest.mark.parametrize(
    "file",
    ["crds-oauth.yaml", "crds-kserve.yaml", "crds-cnpg.yaml", "crds-certmanager.yaml", "crds-external-secrets.yaml"],
)
def test_no_schema_lets_unknown_fields_through(file: str):
    for schema in schemas(file).values():
        for node in nodes_of(schema):
            assert "x-kubernetes-preserve-unknown-fields" not in node
            assert node.get("type") != "object" or "properties" in node or "additionalProperties" in node


def test_an_oauth_client_must_have_a_grant_method_and_no_empty_secret():
    client = schemas("crds-oauth.yaml")["OAuthClient"]
    assert client["required"] == ["grantMethod"]
    assert client["properties"]["grantMethod"]["enum"] == ["auto", "prompt"]
    assert client["properties"]["secret"]["minLength"] == 1
    assert client["properties"]["respondWithChallenges"]["enum"] == [True]


def test_redirect_uris_are_a_set_of_urls_without_fragments_or_dot_segments():
    uris = schemas("crds-oauth.yaml")["OAuthClient"]["properties"]["redirectURIs"]
    assert uris["x-kubernetes-list-type"] == "set"
    rules = [each["rule"] for each in uris["items"]["x-kubernetes-validations"]]
    assert rules[:2] == ["isURL(self)", "!self.contains('#')"]
    assert re.search("%2e", rules[2])


def test_group_members_with_a_colon_are_refused_unless_encoded():
    rules = schemas("crds-oauth.yaml")["Group"]["properties"]["users"]["items"]["x-kubernetes-validations"]
    assert any("startsWith('b64:')" in each["rule"] for each in rules)


def test_a_route_gets_the_four_rules_that_its_server_has_in_code(openshift: Path):
    crd = shape.route_crd(openshift)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = [each["rule"] for each in spec["x-kubernetes-validations"]]
    assert spec["required"] == ["host", "to"]
    assert rules == ["true", "has(self.host)"]
    assert "lowerAscii" in spec["properties"]["host"]["x-kubernetes-validations"][0]["rule"]
    assert "[ #]" in spec["properties"]["path"]["x-kubernetes-validations"][0]["rule"]


def test_a_cluster_without_an_api_leaves_its_definition_out(openshift: Path):
    names = [each["metadata"]["name"] for each in shape.definitions(openshift, ["groups.user.openshift.io"])]
    assert "groups.user.openshift.io" not in names
    assert "routes.route.openshift.io" in names


def test_leaving_out_what_does_not_exist_is_an_error(openshift: Path):
    with pytest.raises(ValueError, match=r"cannot leave out \['route'\]"):
        shape.definitions(openshift, ["route"])


def test_the_seeds_four_models_have_their_real_context_lengths():
    models = {each["metadata"]["name"]: each for each in shape.load(MANIFESTS / "models.yaml")}
    real = {"mistral-3-int4": 8192, "granite-8b-agent": 16384, "devstral-2": 32768, "gpt-oss-20b": 8192}
    for name, length in real.items():
        args = models[name]["spec"]["predictor"]["model"]["args"]
        assert {f"--served-model-name={name}", f"--max-model-len={length}"} <= set(args)
        assert models[f"{name}-predictor"]["spec"]["ports"][0]["port"] == 8080


def test_a_models_address_lies_in_the_clusters_domain():
    model = next(each for each in shape.load(MANIFESTS / "models.yaml") if each["kind"] == "InferenceService")
    status = shape.model_status(model, "apps.b.example.com")
    assert status["url"] == "https://mistral-3-int4-private-ai.apps.b.example.com"
    assert {each["status"] for each in status["conditions"]} == {"True"}


def test_every_namespace_enforces_the_restricted_standard():
    admission = shape.load(MANIFESTS / "admission.yaml")[0]
    assert admission["plugins"][0]["configuration"]["defaults"]["enforce"] == "restricted"


def test_claims_bind_at_once_by_default():
    storage, fixed = shape.load(MANIFESTS / "storage.yaml")
    assert storage["volumeBindingMode"] == "Immediate"
    assert storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    assert storage["allowVolumeExpansion"] is True
    assert "allowVolumeExpansion" not in fixed, "the class of a claim that cannot grow"


def test_the_nodes_are_finite_and_say_where_their_logs_are():
    nodes = shape.nodes(12345)
    assert len(nodes) == 3
    for node in nodes:
        assert node["status"]["allocatable"]["cpu"] == "16"
        assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 12345


def test_each_failing_image_has_a_stage_and_no_stage_declares_it_running():
    stages = {each["metadata"]["name"]: each["spec"] for each in shape.load(MANIFESTS / "kwok-stages.yaml")}
    for name in ("pod-ready", "pod-complete"):
        selector = stages[name]["selector"]["matchExpressions"]
        assert any("does-not-exist|crash-loop" in each["key"] for each in selector)
    events = {name: stages[name]["next"]["event"]["reason"] for name in stages if "event" in stages[name]["next"]}
    assert events == {"image-pull-failed": "Failed", "image-pull-back-off": "BackOff", "crash-loop": "BackOff"}
