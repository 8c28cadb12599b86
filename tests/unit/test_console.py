"""The portal in the application menu of OpenShift's console."""

import base64
import json
import re
from xml.etree import ElementTree as ET

import pytest
from pulumi import RunError

from tests import harness
from tests.unit.conftest import DEMO
from tests.unit.test_preflight import OURS, refusal

API, KIND = "console.openshift.io", "consolelinks"
LINK = f"/apis/{API}/v1/{KIND}/litemaas-portal"
DENIED = {(verb, KIND) for verb in ("create", "patch", "delete")}


def config(**link) -> dict:
    return {**DEMO, "exposure": {"consoleLink": link}}


def test_the_link_leads_to_the_portal_and_is_made_after_it(demo):
    link = demo.one("ConsoleLink")
    spec = link.inputs["spec"]
    assert spec["href"] == demo.exports["portal_url"]
    assert spec["location"] == "ApplicationMenu"
    assert (spec["text"], spec["applicationMenu"]["section"]) == ("LiteMaaS", "OpenShift Self Managed Services")
    waited = {one.urn for one in demo.find("Deployment") if one.metadata["name"] == "frontend"}
    assert waited <= set(link.dependencies)


def test_two_installations_of_a_cluster_have_links_that_differ_in_name_and_text(demo, production):
    links = [one.one("ConsoleLink") for one in (demo, production)]
    assert [one.metadata["name"] for one in links] == ["litemaas-portal", "portal-portal"]
    assert [one.inputs["spec"]["text"] for one in links] == ["LiteMaaS", "LiteMaaS (portal)"]


def test_the_image_is_a_picture_in_the_link_itself(demo):
    """So nothing from another host is needed to show it."""
    url = demo.one("ConsoleLink").inputs["spec"]["applicationMenu"]["imageURL"]
    match = re.fullmatch(r"data:image/svg\+xml;base64,(\S+)", url)
    assert match
    root = ET.fromstring(base64.b64decode(match[1]))  # noqa: S314 (our own file)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["viewBox"] == "0 0 24 24", "square"


def test_text_heading_and_image_can_be_chosen():
    chosen = {"text": "Models", "section": "AI", "imageUrl": "https://example.com/logo.png"}
    spec = harness.run_program(config(**chosen)).one("ConsoleLink").inputs["spec"]
    assert spec["text"] == "Models"
    assert spec["applicationMenu"] == {"section": "AI", "imageURL": "https://example.com/logo.png"}


@pytest.mark.parametrize("value", ["http://example.com/logo.png", "logo.png", "data:text/html,x", "https:// /x"])
def test_an_image_that_the_console_would_not_show_is_refused(value):
    with pytest.raises(RunError) as refused:
        harness.read_config(config(imageUrl=value))
    assert f"litemaas:exposure.consoleLink.imageUrl = {json.dumps(value)}" in str(refused.value)
    assert "is neither an https:// address nor a data:image/ URL" in str(refused.value)


@pytest.mark.parametrize("key", ["text", "section"])
@pytest.mark.parametrize("value", ["", " padded", "two\nlines", "x" * 101])
def test_words_that_fit_into_no_menu_are_refused(key, value):
    with pytest.raises(RunError) as refused:
        harness.read_config(config(**{key: value}))
    assert f"litemaas:exposure.consoleLink.{key} = " in str(refused.value)
    assert "write a word or two" in str(refused.value)


def test_a_cluster_without_the_console_gets_no_link_and_no_question_about_it():
    cluster = harness.FakeCluster(missing_apis={API})
    assert not harness.run_program(DEMO, cluster=cluster).find("ConsoleLink")
    assert not [path for _, path in cluster.requests if KIND in path]


def test_a_link_that_is_asked_for_is_refused_where_there_is_no_console():
    text = refusal(harness.FakeCluster(missing_apis={API}), config(enabled=True))
    assert "litemaas:exposure.consoleLink.enabled = true" in text
    assert "console.openshift.io is not served by" in text
    assert "(1 problem)" in text


def test_without_the_right_the_link_is_left_out_and_the_operator_told():
    found = harness.run_program(DEMO, cluster=harness.FakeCluster(denied=DENIED))
    assert not found.find("ConsoleLink")
    assert any("you may not make ConsoleLinks" in line for line in found.log)


@pytest.mark.parametrize("way", ["asked for", "made before"])
def test_without_the_right_a_link_that_has_to_be_there_is_refused(way):
    """Left out, the one that was made before would be deleted, or rather not."""
    answers = {LINK: {"metadata": {"name": "litemaas-portal", "labels": OURS}}} if way == "made before" else {}
    wanted = config(enabled=True) if way == "asked for" else DEMO
    text = refusal(harness.FakeCluster(answers, denied=DENIED), wanted)
    assert "permission on consolelinks.console.openshift.io" in text
    assert "you may not create, patch, delete them" in text


def test_a_link_of_that_name_of_somebody_else_is_refused_with_its_cure():
    text = refusal(harness.FakeCluster({LINK: {"metadata": {"name": "litemaas-portal"}}}), DEMO)
    assert "ConsoleLink litemaas-portal" in text
    assert "write exposure.consoleLink.enabled: false" in text
    assert "oc label --overwrite consolelink litemaas-portal" in text


def test_switched_off_nothing_is_made_asked_or_said():
    cluster = harness.FakeCluster({LINK: {"metadata": {"name": "litemaas-portal"}}}, denied=DENIED)
    found = harness.run_program(config(enabled=False), cluster=cluster)
    assert not found.find("ConsoleLink")
    assert not found.log
