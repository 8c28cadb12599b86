"""Images: what a recipe may say, when it is built anew, what a layer holds."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from config.images import NAMES, Images
from sandbox.images import catalogue, layers, registry
from sandbox.images.builder import Builder
from sandbox.images.make import PORTAL, is_real
from sandbox.images.recipe import File, Recipe, RecipeError, load
from sandbox.node.tools import NodeTools

BASES = {each.name: each for each in catalogue.RECIPES}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text("print()")
    return tmp_path / "image.toml"


def test_a_recipe_builds_on_its_base(file: Path):
    file.write_text('base = "python"\ncopy = [["server.py", "/opt/server.py"]]\ncommand = ["python3"]\nport = 80')
    recipe = load(file, "double", BASES)
    assert recipe.layers == ("debian", "python")
    assert recipe.references == ("lab.local/double:1",)
    assert recipe.files == (File(file.parent / "server.py", "/opt/server.py"),)
    assert recipe.config()["Entrypoint"] == ["python3"]
    assert recipe.config()["ExposedPorts"] == {"80/tcp": {}}
    assert "Cmd" not in recipe.config()
    assert any(each.startswith("PATH=/opt/app-root/bin:") for each in recipe.config()["Env"])


def test_an_install_step_runs_in_its_directory(file: Path):
    file.write_text('base = "node"\ninstall = { directory = "/app dir", command = ["npm", "ci"] }')
    assert load(file, "double", BASES).script == "cd '/app dir'\nnpm ci\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('base = "python"\nfrom = 1', "unknown keys"),
        ('base = "rust"', "`base` must be one of"),
        ("", "`base` must be one of"),
        ('base = "python"\ncopy = ["server.py"]', "pair of paths"),
        ('base = "python"\ncopy = [["gone.py", "/x"]]', "there is no"),
        ("base = ", "image.toml"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(file: Path, text: str, words: str):
    file.write_text(text)
    with pytest.raises(RecipeError, match=words):
        load(file, "double", BASES)


def test_a_changed_file_script_or_base_is_a_new_image(tmp_path: Path):
    (tmp_path / "a").write_text("1")
    recipe = Recipe(name="x", title="x", layers=("b",), files=(File(tmp_path / "a", "/a"),))
    first = recipe.fingerprint({"b": "1"})
    assert recipe.fingerprint({"b": "1"}) == first
    assert recipe.fingerprint({"b": "2"}) != first
    assert replace(recipe, script="true").fingerprint({"b": "1"}) != first
    (tmp_path / "a").write_text("2")
    assert recipe.fingerprint({"b": "1"}) != first


def test_every_recipe_stands_on_known_ones_and_all_images_have_names_of_their_own(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/coredns").touch()
    known = catalogue.recipes(NodeTools({"coredns": tmp_path}))
    builder = Builder(known, print, tmp_path)
    assert len({builder.key(each) for each in known}) == len(known)
    names = [name for each in known.values() for name in each.references]
    assert len(set(names)) == len(names)
    assert set(catalogue.SYSTEM) <= set(known)


def test_the_images_of_the_program_are_all_there():
    made = {name for each in catalogue.RECIPES for name in each.references}
    made |= {name for names in catalogue.DOUBLES.values() for name in names}
    wanted = {Images.model_fields[name].default for name in NAMES}
    assert {name for name in made if name.startswith("quay.io/")} == wanted


@pytest.mark.parametrize("value", [None, "double"])
def test_the_doubles_of_the_portal_are_used_unless_the_real_images_are_asked_for(value: str | None):
    assert not is_real({} if value is None else {PORTAL: value})
    assert is_real({PORTAL: "real"})
    with pytest.raises(ValueError, match="neither"):
        is_real({PORTAL: "yes"})


def test_only_images_of_litemaas_itself_can_be_had_for_real():
    recipes = catalogue.recipes(NodeTools({"coredns": Path("/nowhere")}))
    assert set(catalogue.portal(recipes)) == {"portal-double-backend", "portal-double-frontend"}


def test_a_layer_is_the_same_bytes_each_time(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("x")
    (tmp_path / "link").symlink_to("d")
    one, two = io.BytesIO(), io.BytesIO()
    described = layers.write(tmp_path, one)
    assert described == layers.write(tmp_path, two)
    assert described["size"] == len(one.getvalue())
    assert described["digest"] == registry.digest_of(two.getvalue())
    with tarfile.open(fileobj=io.BytesIO(one.getvalue())) as tar:
        assert tar.getnames() == ["d", "link", "d/f"]
        assert tar.getmember("d").uname == ""


def test_a_repository_keeps_the_host_of_its_name():
    assert registry.split("quay.io/sclorg/redis-7-c9s:latest") == ("quay.io/sclorg/redis-7-c9s", "latest")
