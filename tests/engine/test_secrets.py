"""No secret shows anywhere but where it belongs, and none changes by itself."""

import base64
import json
import urllib.parse

import pytest

from tests.engine.conftest import Deployed
from tests.engine.driver import HOLDERS, NAMESPACE, Cluster, Project, generated, leaks, stored


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_the_search_finds_a_secret_in_each_of_its_spellings(before: str) -> None:
    value = "Given+Portal=Password~0123456789"
    hidden = base64.b64encode(f"{before}{value}{before}".encode()).decode()
    for text in (value, urllib.parse.quote(f"{before}{value}"), hidden):
        assert leaks(f"some {text} text", {"it": value}) == ["it"]
    assert leaks("some other text", {"it": value}) == []


def test_every_secret_is_generated_and_long_and_reaches_the_cluster(deployed: Deployed, cluster: Cluster) -> None:
    assert len(deployed.secrets) == 11
    assert min(map(len, deployed.secrets.values())) >= 32
    assert len(set(deployed.secrets.values())) == 11
    content = stored(cluster, NAMESPACE)
    assert {name for name, value in deployed.secrets.items() if value not in content} == set()


def test_no_secret_shows_in_preview_or_up(deployed: Deployed) -> None:
    # Values are made at the first up: what a preview made is another one, so it is asked again below.
    for text in (deployed.preview, deployed.up):
        assert leaks(text, deployed.secrets) == []


def test_no_secret_shows_in_the_preview_of_a_change(deployed: Deployed, main: Project) -> None:
    # Everything that uses a secret is shown: each gets another image, label or host.
    image = "quay.io/example/other:1"
    main.change(images=dict.fromkeys(("backend", "frontend", "litellm", "postgres", "redis"), image))
    said = main.preview("--diff")
    assert "quay.io/example/other:1" in said
    assert leaks(said, deployed.secrets) == []
    plan = main.plan().printed
    assert leaks(plan, deployed.secrets) == []
    assert "[secret]" in plan


def test_no_secret_shows_in_the_state(deployed: Deployed) -> None:
    exported = json.dumps(deployed.project.export())
    assert "ciphertext" in exported
    assert leaks(exported, deployed.secrets) == []


def test_no_secret_shows_in_any_file_that_the_engine_keeps(deployed: Deployed) -> None:
    files = deployed.project.state_files()
    assert any("history" in str(each) for each in files)
    assert any("logs" in each.parent.name for each in files), "the engine logs each command by itself"
    assert any(each.name == "main.json" for each in files)
    found = {each: leaks(each.read_text(errors="replace"), deployed.secrets) for each in files}
    assert {each: names for each, names in found.items() if names} == {}


def test_no_secret_shows_in_any_object_but_those_made_to_hold_it(deployed: Deployed, cluster: Cluster) -> None:
    objects = cluster.everything()
    holders = [each for each in objects if each["kind"] in HOLDERS]
    assert leaks(json.dumps(holders), deployed.secrets) == sorted(deployed.secrets)
    # Pods with their command lines and environments are among them, and events too.
    others = [each for each in objects if each["kind"] not in HOLDERS]
    assert {"Pod", "Event", "ConfigMap", "ReplicaSet"} <= {each["kind"] for each in others}
    assert leaks(json.dumps(others), deployed.secrets) == []


def test_no_secret_shows_in_the_outputs(deployed: Deployed) -> None:
    said = deployed.project.pulumi("stack", "output")
    assert leaks(said + json.dumps(deployed.project.outputs()), deployed.secrets) == []


def test_secrets_stay_the_same_over_runs(again: str, deployed: Deployed) -> None:
    assert again
    assert generated(deployed.project) == deployed.secrets


def test_a_weak_secret_is_refused_without_being_quoted(empty: Project) -> None:
    weak = "hunter2-short"
    empty.set_secret("secrets.jwtSecret.value", weak)
    empty.set_secret("secrets.adminApiKey.value", "NoPrefixButLongEnough-0123456789")
    said = empty.refused()
    assert "litemaas:secrets.jwtSecret.value" in said
    assert "litemaas:secrets.adminApiKey.value" in said
    assert "ltm_admin_" in said
    assert leaks(said, {"weak": weak, "long": "NoPrefixButLongEnough-0123456789"}) == []


def test_a_secret_in_clear_in_the_stack_file_is_refused_without_being_quoted(empty: Project) -> None:
    clear = "StandsInClearInTheFile-0123456789"
    empty.change(secrets={"jwtSecret": {"value": clear}})
    said = empty.refused()
    assert "pulumi config set --secret --path litemaas:secrets" in said
    assert leaks(said, {"it": clear}) == []
