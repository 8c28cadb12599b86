"""Images: where they are pulled from, what is refused and told of them, and the list of all that run."""

from pathlib import Path

import pytest
import yaml
from pulumi import RunError

from config import Settings, image_list, images
from config.images import NAMES, USES, Images, at_mirror, repository, tag
from tests import harness
from tests.unit.conftest import DEMO, PRODUCTION

MIRROR = "mirror.example.com:5000/litemaas"
DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED = {name: f"{Images.model_fields[name].default}@{DIGEST}" for name in NAMES}
EXTERNAL_REDIS = {
    "redis": {"mode": "external", "host": "redis.example.com"},
    "secrets": {"redisPassword": {"value": "an-external-password-0123456789"}},
}


def pulled(run: harness.Run) -> dict[str, str]:
    return {one.urn: harness.container(one)["image"] for one in run.workloads}


def refusal(**written: object) -> str:
    with pytest.raises(RunError) as refused:
        harness.read_config({**DEMO, **written})
    return str(refused.value)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert image_list.main(arguments) == code
    said = capsys.readouterr()
    return said.out, said.err


# --- The list is what runs ---


@pytest.mark.parametrize(
    ("config", "secrets"),
    [
        (DEMO, ()),
        (PRODUCTION, ()),
        ({**DEMO, **EXTERNAL_REDIS}, ("secrets",)),
        ({**DEMO, "database": {"mode": "operator"}}, ()),
    ],
    ids=["demo", "production", "external Redis", "operator"],
)
def test_the_list_names_exactly_what_runs_with_its_image(config, secrets):
    run = harness.shared_run(config, secrets)
    running = {
        (one.kind, one.template["metadata"]["labels"]["app.kubernetes.io/component"], harness.container(one)["image"])
        for one in run.workloads
    }
    settings = harness.read_config(config, secrets)
    listed = {
        (use.kind, use.component, getattr(settings.images, name))
        for name, uses in images.used(settings).items()
        for use in uses
    }
    assert listed == running


def test_the_keys_that_are_read_of_a_stack_file_decide_on_all_uses(tmp_path: Path):
    config = {**PRODUCTION, **EXTERNAL_REDIS}
    write(tmp_path, config)
    whole, read = harness.read_config(config, ("secrets",)), image_list.read("lab", tmp_path)
    assert image_list.table(read) == image_list.table(whole)
    assert len(image_list.table(read).splitlines()) == len(NAMES)  # a headline, and Redis left out


# --- Names at a mirror ---


@pytest.mark.parametrize(
    ("image", "copy"),
    [
        ("quay.io/a/b:1", f"{MIRROR}/a/b:1"),
        ("registry.local:5000/a:1", f"{MIRROR}/a:1"),
        (f"quay.io/a/b@{DIGEST}", f"{MIRROR}/a/b@{DIGEST}"),
        (f"quay.io/a/b:1@{DIGEST}", f"{MIRROR}/a/b:1@{DIGEST}"),
        (f"{MIRROR}/other/b:1", f"{MIRROR}/other/b:1"),
    ],
    ids=["tag", "port", "digest", "both", "there already"],
)
def test_a_copys_name_has_the_mirror_in_place_of_the_registry(image, copy):
    assert at_mirror(image, MIRROR) == copy
    assert at_mirror(image, None) == image


@pytest.mark.parametrize(
    ("image", "name", "label"),
    [
        ("quay.io/a/b:1", "quay.io/a/b", "1"),
        (f"r.local:5000/b@{DIGEST}", "r.local:5000/b", ""),
        (f"r.local:5000/b:1@{DIGEST}", "r.local:5000/b", "1"),
    ],
)
def test_an_images_repository_and_tag_are_told_apart_from_a_port(image, name, label):
    assert (repository(image), tag(image)) == (name, label)


@pytest.mark.parametrize("config", [DEMO, PRODUCTION], ids=["demo", "production"])
def test_every_pod_pulls_from_the_mirror(config):
    direct = pulled(harness.run_program({**config, "images": PINNED}))
    mirrored = pulled(harness.run_program({**config, "images": {**PINNED, "mirror": MIRROR}}))
    assert mirrored == {urn: at_mirror(image, MIRROR) for urn, image in direct.items()}
    assert all(image.startswith(f"{MIRROR}/") and DIGEST in image for image in mirrored.values())


def test_what_is_read_from_an_images_name_is_read_whatever_the_mirror():
    """The check of PostgreSQL's version looks at the name as it is written."""
    old = {"postgres": "quay.io/sclorg/postgresql-12-c8s:latest", "mirror": MIRROR}
    assert "is PostgreSQL 12" in refusal(images=old)


@pytest.mark.parametrize(
    "mirror",
    [
        "https://mirror.example.com",
        "mirror.example.com/",
        "mirror.example.com/a:1",
        "Mirror.example.com",
        "mirror",
        "m.x/a//b",
    ],
)
def test_what_is_no_mirror_is_refused(mirror):
    said = refusal(images={"mirror": mirror})
    assert f'litemaas:images.mirror = "{mirror}"' in said
    assert "no image could be pulled" in said
    assert "mirror.example.com:5000/litemaas" in said


@pytest.mark.parametrize("mirror", ["mirror:5000", "mirror.example.com", "localhost/a", "10.0.0.1:5000/a-b/c_d"])
def test_mirrors_are_hosts_with_or_without_port_and_path(mirror):
    assert harness.read_config({**DEMO, "images": {"mirror": mirror}}).images.mirror == mirror


def test_a_name_that_begins_with_no_registry_is_refused():
    """The mirror would take the place of its first part, and each node would look for it elsewhere without one."""
    assert "is no full image reference" in refusal(images={"redis": "sclorg/redis-7-c9s:latest"})


def test_two_images_of_one_name_at_the_mirror_are_refused():
    said = refusal(images={"mirror": MIRROR, "redis": "docker.io/sclorg/postgresql-16-c9s:7"})
    assert "litemaas:images.redis = docker.io/sclorg/postgresql-16-c9s:7" in said
    assert "images.postgres (quay.io/sclorg/postgresql-16-c9s)" in said
    assert "copy it to a path of its own" in said


# --- Digests, tags that move, when to pull ---


def test_every_image_without_a_digest_is_refused_at_once():
    said = refusal(images={"requireDigests": True, "backend": PINNED["backend"]})
    assert "(4 problems)" in said
    for name in set(NAMES) - {"backend"}:
        image = Images.model_fields[name].default
        assert f"litemaas:images.{name} = {image}" in said
        assert f"skopeo inspect --format '{{{{.Digest}}}}' docker://{image}" in said
    assert "images.backend" not in said


def test_an_image_that_nothing_runs_needs_no_digest():
    written = {"requireDigests": True, **{name: image for name, image in PINNED.items() if name != "redis"}}
    settings = harness.read_config({**DEMO, **EXTERNAL_REDIS, "images": written}, ("secrets",))
    assert settings.images.require_digests
    with pytest.raises(RunError, match=r"images\.redis"):
        harness.read_config({**DEMO, "images": written})


def test_with_all_digests_nothing_is_refused_or_told():
    run = harness.run_program({**PRODUCTION, "images": {**PINNED, "requireDigests": True}})
    assert run.log == []


def test_in_production_the_defaults_that_move_are_told():
    (said,) = harness.run_program({**PRODUCTION, "images": {}}).log
    assert "images.postgres: quay.io/sclorg/postgresql-16-c9s:latest" in said
    assert "images.redis: quay.io/sclorg/redis-7-c9s:latest" in said
    assert "images.backend" not in said
    assert "write a digest" in said


def test_in_a_demo_only_what_the_stack_file_says_is_told():
    (said,) = harness.run_program({**DEMO, "images": {"backend": "quay.io/me/backend:main"}}).log
    assert "images.backend: quay.io/me/backend:main" in said
    assert "images.postgres" not in said
    assert "depends on when its node pulled it" in said


def test_asked_at_each_start_a_tag_that_moves_brings_another_build():
    written = {"backend": "quay.io/me/backend:latest", "pullPolicy": "Always"}
    (said,) = harness.run_program({**DEMO, "images": written}).log
    assert "each start of a pod may bring another build" in said


@pytest.mark.parametrize(("written", "policy"), [({}, "IfNotPresent"), ({"pullPolicy": "Always"}, "Always")])
def test_every_container_says_when_to_pull(written, policy):
    """Kubernetes' own default depends on the tag."""
    run = harness.run_program({**DEMO, "images": written})
    assert {harness.container(one)["imagePullPolicy"] for one in run.workloads} == {policy}


def test_a_pull_policy_that_would_never_pull_is_refused():
    assert "'IfNotPresent' or 'Always'" in refusal(images={"pullPolicy": "Never"})


# --- The command ---


def write(folder: Path, config: dict) -> None:
    written = {"config": {f"litemaas:{key}": value for key, value in config.items()}}
    (folder / "Pulumi.lab.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")


def test_the_list_shows_every_image_with_its_use(capsys):
    out, err = printed(capsys)
    for name in NAMES:
        (line,) = (line for line in out.splitlines() if line.startswith(f"{Images.model_fields[name].default} "))
        for use in (use for use in USES if use.image == name and use.when(Settings())):
            assert f"{use.kind} {use.component}" in line
    assert "role-check" not in out, "the role check is off by default"
    assert err == ""


def test_with_a_mirror_the_list_shows_the_copies_too(capsys):
    out, _ = printed(capsys, "--mirror", MIRROR)
    assert f"  {MIRROR}/sclorg/redis-7-c9s:latest  " in out


def test_the_stack_of_the_sandbox_is_read_from_its_file(capsys):
    assert printed(capsys, "--stack", "dev")[0] == printed(capsys)[0]


def test_encrypted_secrets_and_other_keys_of_the_stack_file_do_not_matter(tmp_path: Path):
    config = {
        "clusterDomain": "not a domain",
        "images": {"mirror": MIRROR},
        "access": {"enforceGroups": True},
        "secrets": {"jwtSecret": {"value": {"secure": "v1:unreadable"}}},
        "database": "",
    }
    write(tmp_path, config)
    read = image_list.read("lab", tmp_path)
    assert read.images.mirror == MIRROR
    assert "CronJob role-check" in image_list.table(read)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"images": {"redis": "redis:7"}}, "litemaas:images.redis"),
        ({"images": {"secure": "v1:unreadable"}}, "needs its passphrase"),
        ({"images": "text"}, "litemaas:images"),
    ],
    ids=["wrong", "encrypted", "no mapping"],
)
def test_a_stack_file_that_cannot_be_used_is_said_to_be_so(tmp_path: Path, config: dict, said: str):
    write(tmp_path, config)
    with pytest.raises(image_list.ListError, match=said):
        image_list.read("lab", tmp_path)


@pytest.mark.parametrize("text", ["just text", "", "config: text", "config:", "encryptionsalt: v1:x"])
def test_a_stack_file_without_settings_has_the_defaults(tmp_path: Path, text: str):
    (tmp_path / "Pulumi.lab.yaml").write_text(text, encoding="utf-8")
    assert image_list.read("lab", tmp_path) == Settings()


def test_a_stack_file_that_is_no_yaml_is_refused(tmp_path: Path):
    (tmp_path / "Pulumi.lab.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(image_list.ListError, match=r"Pulumi\.lab\.yaml is no YAML"):
        image_list.read("lab", tmp_path)


def test_an_unknown_stack_is_refused_with_those_that_exist(capsys):
    out, err = printed(capsys, "--stack", "nope", code=2)
    assert out == ""
    assert "there is no Pulumi.nope.yaml" in err
    assert "dev" in err


def test_without_a_mirror_there_is_nothing_to_copy_to(capsys):
    for form in ("copy", "idms", "itms"):
        out, err = printed(capsys, "--format", form, code=2)
        assert out == ""
        assert "write MIRROR=registry/path" in err


def test_a_wrong_mirror_is_refused_as_in_a_stack_file(capsys):
    _, err = printed(capsys, "--mirror", "https://mirror.example.com", code=2)
    assert "MIRROR = https://mirror.example.com is no registry" in err


def test_copies_are_lines_that_skopeo_takes():
    """It refuses a name with tag and digest at once."""
    settings = Settings.model_validate({"images": {**PINNED, "redis": f"quay.io/a/redis@{DIGEST}", "mirror": MIRROR}})
    lines = dict(line.split(" ") for line in image_list.copies(settings).splitlines())
    assert len(lines) == len(NAMES)
    assert (
        lines[f"quay.io/rh-aiservices-bu/litemaas-backend@{DIGEST}"]
        == f"{MIRROR}/rh-aiservices-bu/litemaas-backend:0.4.0"
    )
    assert lines[f"quay.io/a/redis@{DIGEST}"] == f"{MIRROR}/a/redis@{DIGEST}"


def test_what_is_named_at_the_mirror_already_is_not_copied():
    settings = Settings.model_validate({"images": {"redis": f"{MIRROR}/a/redis:1", "mirror": MIRROR}})
    assert "redis" not in image_list.copies(settings)
    assert "redis" not in image_list.mirror_set(settings, "itms")


@pytest.mark.parametrize(
    ("form", "kind", "field"),
    [
        ("idms", "ImageDigestMirrorSet", "imageDigestMirrors"),
        ("itms", "ImageTagMirrorSet", "imageTagMirrors"),
    ],
)
def test_a_mirror_set_leads_each_repository_to_its_copy(capsys, form, kind, field):
    out, _ = printed(capsys, "--format", form, "--mirror", MIRROR)
    made = yaml.safe_load(out)
    assert (made["apiVersion"], made["kind"]) == ("config.openshift.io/v1", kind)
    assert {"source": "quay.io/sclorg/redis-7-c9s", "mirrors": [f"{MIRROR}/sclorg/redis-7-c9s"]} in made["spec"][field]
    assert len(made["spec"][field]) == len(NAMES)


def test_an_image_for_which_a_mirror_set_does_not_hold_is_named(capsys):
    _, err = printed(capsys, "--format", "idms", "--mirror", MIRROR)
    assert "FORMAT=itms" in err
    for name in NAMES:
        assert Images.model_fields[name].default in err
    assert printed(capsys, "--format", "itms", "--mirror", MIRROR)[1] == ""


def test_the_operators_own_images_are_said_to_be_missing(capsys, monkeypatch: pytest.MonkeyPatch):
    operated = Settings.model_validate({"database": {"mode": "operator"}})
    monkeypatch.setattr(image_list, "read", lambda _: operated)
    out, err = printed(capsys)
    assert "StatefulSet" not in out
    assert "CloudNativePG" in err
