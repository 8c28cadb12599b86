"""All components have one shape (style guide, rules 1 to 3 and 10)."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil

import pytest
from pulumi import Alias, ComponentResource, ResourceOptions, Stash

import components
from tests import harness
from tests.unit.conftest import DEMO

MODULES = [importlib.import_module(f"components.{found.name}") for found in pkgutil.iter_modules(components.__path__)]
COMPONENTS = [
    cls
    for module in MODULES
    for cls in vars(module).values()
    if inspect.isclass(cls) and issubclass(cls, ComponentResource) and cls.__module__ == module.__name__
]
each = pytest.mark.parametrize("component", COMPONENTS, ids=lambda cls: cls.__name__)


def arguments(component):
    return getattr(importlib.import_module(component.__module__), f"{component.__name__}Args")


def constructor(component) -> ast.FunctionDef:
    tree = ast.parse(inspect.getsource(importlib.import_module(component.__module__)))
    owner = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == component.__name__)
    return next(node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")


def test_the_contract_looks_at_every_tier():
    assert {cls.__name__ for cls in COMPONENTS} >= {
        "Credentials",
        "Foundation",
        "OAuthPrerequisites",
        "Database",
        "Cache",
        "Gateway",
        "Model",
        "Models",
        "Backend",
        "Frontend",
        "Isolation",
        "Verification",
        "Lockdown",
        "RoleCheck",
        "ApplicationMenu",
        "Quota",
    }


@each
def test_a_constructor_takes_name_args_and_opts(component):
    parameters = list(inspect.signature(component.__init__).parameters.values())[1:]
    assert [one.name for one in parameters] == ["name", "args", "opts"]
    assert parameters[0].annotation is str
    assert parameters[1].annotation is arguments(component)
    assert parameters[2].annotation == ResourceOptions | None
    assert parameters[2].default is None


@each
def test_arguments_are_a_frozen_keyword_only_dataclass(component):
    args = arguments(component)
    assert dataclasses.is_dataclass(args)
    assert args.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
    assert all(one.kw_only for one in dataclasses.fields(args))


@each
def test_the_type_token_is_the_name_of_the_class(component, production, locked):
    registered = production.find(component.__name__) or locked.find(component.__name__)
    assert registered
    assert {one.type for one in registered} == {f"litemaas:index:{component.__name__}"}


@each
def test_the_annotations_of_the_class_are_exactly_what_it_registers(component, production):
    for one in production.find(component.__name__):
        assert set(production.outputs[one.urn]) == set(component.__annotations__)


@each
def test_outputs_are_registered_last(component):
    last = constructor(component).body[-1]
    assert isinstance(last, ast.Expr)
    assert ast.unparse(last).startswith("self.register_outputs({")


@each
def test_a_constructor_stays_under_sixty_lines(component):
    init = constructor(component)
    assert init.end_lineno is not None
    assert init.end_lineno - init.lineno + 1 < 60


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_component_file_stays_under_250_lines(module):
    assert len(inspect.getsource(module).splitlines()) < 250


@pytest.fixture(scope="module")
def burdened() -> harness.Run:
    """The program, with options on every component that no child may inherit."""

    def burden(original):
        def init(self, name, args, opts=None):
            other = Stash(f"other-{name}", input="nothing")
            more = ResourceOptions(
                aliases=[Alias(name="burden")],
                ignore_changes=["burden"],
                replace_on_changes=["burden"],
                delete_before_replace=True,
                depends_on=[other],
            )
            original(self, name, args, ResourceOptions.merge(opts, more))

        return init

    with pytest.MonkeyPatch.context() as patch:
        for component in COMPONENTS:
            patch.setattr(component, "__init__", burden(component.__init__))
        return harness.run_program(DEMO)


def test_options_given_to_a_component_reach_the_component(burdened):
    for one in burdened.registrations:
        if one.is_component:
            assert "burden" in one.ignore_changes, one.urn
            assert one.delete_before_replace, one.urn


def test_options_given_to_a_component_reach_none_of_its_children(burdened):
    for one in burdened.registrations:
        if one.is_component or one.name.startswith("other-"):
            continue
        assert "burden" not in one.ignore_changes, one.urn
        assert "burden" not in one.replace_on_changes, one.urn
        assert not one.delete_before_replace, one.urn
        assert "burden" not in "".join(one.aliases), one.urn
        assert not [urn for urn in one.dependencies if "::other-" in urn], f"{one.urn} inherited a dependency"


def test_every_resource_of_a_tier_is_a_child_of_its_component(run):
    tiers = {one.urn for one in run.registrations if one.is_component}
    outside = [one.urn for one in run.registrations if not one.is_component and one.parent not in tiers]
    assert [urn.rsplit("::", 1)[1] for urn in outside] == ["cluster"], "only the provider stands on its own"


def test_every_manifest_goes_through_the_one_provider(run):
    provider = run.one("kubernetes", "cluster")
    for one in run.manifests:
        assert one.provider.startswith(provider.urn), f"{one.urn} would go to the ambient cluster"


def test_components_read_neither_configuration_nor_environment_nor_clock():
    for module in MODULES:
        tree = ast.parse(inspect.getsource(module))
        imported = {
            name
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or "", *(alias.name for alias in node.names)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not imported & {"os", "time", "datetime", "config", "Config"}, module.__name__
        assert not {name for name in imported if name.startswith("config.")}, module.__name__
