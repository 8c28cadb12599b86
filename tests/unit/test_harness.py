"""The harness itself: what it is trusted with, it must really do."""

import pulumi
import pytest
from pulumi import Output, Stash
from pulumi_kubernetes.core.v1 import ConfigMap

from tests import harness


def test_an_output_put_into_an_f_string_fails_the_run():
    def program():
        made = ConfigMap("made", metadata={"name": "made"})
        ConfigMap("wrong", data={"text": f"see {made.metadata}"})

    with pytest.raises(AssertionError, match="f-string"):
        harness.build(program)


def test_a_check_inside_an_apply_is_run_and_fails_the_run():
    def program():
        def refuse(value):
            msg = "the check ran"
            raise ValueError(msg)

        Output.from_input("x").apply(refuse)

    with pytest.raises(Exception, match="the check ran"):
        harness.build(program)


def test_a_run_leaves_nothing_behind_for_the_next():
    harness.build(lambda: ConfigMap("first", data={}))
    assert [one.name for one in harness.build(lambda: ConfigMap("second", data={})).registrations] == ["second"]


def test_auto_named_objects_get_a_name_so_that_a_lost_reference_shows():
    def program():
        pulumi.export("name", ConfigMap("made", data={}).metadata.name)

    assert harness.build(program).exports == {"name": "made-auto"}


def test_a_preview_leaves_every_output_unknown():
    def program():
        made = ConfigMap("made", data={})
        ConfigMap("user", data={"of": made.metadata.name})

    user = harness.build(program, preview=True).one("ConfigMap", "user")
    assert user.inputs["data"]["of"] is harness.UNKNOWN


def test_secrets_arrive_marked_and_a_stash_gives_its_input_back():
    def program():
        kept = Stash("kept", input=Output.secret("hidden"))
        ConfigMap("user", data={"text": kept.output})

    run = harness.build(program)
    assert "hidden" not in [value for _, value in harness.outside_secrets(run.one("ConfigMap", "user").marked)]
    assert run.one("ConfigMap", "user").inputs["data"]["text"] == "hidden"
    assert run.one("Stash", "kept").marked["input"] == harness.Secret("hidden")
