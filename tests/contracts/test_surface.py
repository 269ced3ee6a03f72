"""The public surface: said once, the same for type checkers, documented, and wherever torch has it."""

from __future__ import annotations

import ast
import doctest
import inspect
import sys
import types
from pathlib import Path

import pytest

import numgrad as ng
from numgrad.nn import functional
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from numgrad.tensor import in_place, pointwise
from numgrad.tensor.surface import functions_of, public

from .stubs import PACKAGE, STUBS

HOMES = {
    "function": ng, "method": ng.Tensor, "functional": functional, "linalg": ng.linalg, "special": ng.special,
}  # fmt: skip
EVERYWHERE = sorted((home, name) for home in HOMES for name in functions_of(home))


@pytest.mark.parametrize("path", STUBS)
def test_type_checkers_see_what_there_is(path):
    """After a change of the surface: ``python -m tests.contracts.stubs``."""
    assert (PACKAGE / path).read_text("utf-8") == STUBS[path]()


def test_each_is_at_its_home():
    assert [each for each in EVERYWHERE if getattr(HOMES[each[0]], each[1]) is not functions_of(each[0])[each[1]]] == []


def test_nothing_of_pythons_own_leaks():
    names = [name for name in vars(ng) if not name.startswith("_")]
    modules = [name for name in names if isinstance(getattr(ng, name), types.ModuleType)]
    assert set(names) - set(modules) - {"annotations"} <= set(ng.__all__)
    assert all(getattr(ng, name).__name__.startswith("numgrad") for name in modules)
    assert set(vars(functional)) - set(functional.__all__) <= {n for n in vars(functional) if n.startswith("_")} | {
        "annotations"
    }


def test_what_is_listed_is_there():
    for module in (ng, functional, ng.autograd, ng.distributions, ng.linalg, ng.nn, ng.optim, ng.special):
        assert not [name for name in module.__all__ if not hasattr(module, name)]


def test_every_layer_is_exported():
    layers = [
        value
        for name, module in sys.modules.items()
        if name.startswith("numgrad.nn.")
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ng.nn.Module) and value.__module__ == name
    ]
    # Bases, and what torch has at the address of its file alone.
    elsewhere = {
        "DistributedDataParallel", "Hooked", "LazyModuleMixin", "Loss", "NonDynamicallyQuantizableLinear", "ParametrizationList",
    }  # fmt: skip
    hidden = [layer for layer in layers if not layer.__name__.startswith("_") and layer.__name__ not in elsewhere]
    assert not [layer for layer in hidden if layer.__name__ not in ng.nn.__all__]


def test_a_function_cannot_be_declared_twice_or_nowhere():
    with pytest.raises(ValueError, match="there is a function tanh already"):
        public("function", name="tanh")(lambda input: input)
    with pytest.raises(ValueError, match="expected some of"):
        public("methods")
    with pytest.raises(ValueError, match="expected some of"):
        public()


def test_a_spec_says_where_its_op_is_public():
    declared = {name: op for name, op in OPS.items() if isinstance(op, Elementwise) and op.homes}
    assert {"tanh", "exp", "relu"} <= set(declared)
    for name, op in declared.items():
        for home in op.homes:
            written = home.startswith("in_place")
            owner = HOMES[{"in_place": "method", "in_place_function": "function"}.get(home, home)]
            assert callable(getattr(owner, f"{name}_" if written else name))


# ---- beside torch -----------------------------------------------------------------------------------------------


# Names that torch has twice, for two functions of which numgrad has one.
ANOTHERS = {
    ("function", "embedding_bag"): "returns the bags' sizes and offsets as well",
}


@pytest.mark.torch
def test_it_is_public_wherever_torch_has_it():
    torch = pytest.importorskip("torch")
    torchs = {"function": torch, "method": torch.Tensor, "functional": torch.nn.functional, "special": torch.special}
    known = {name for home, name in EVERYWHERE if home in torchs}
    missing = [
        (home, name)
        for home, theirs in torchs.items()
        for name in sorted(known)
        if callable(getattr(theirs, name, None)) and not hasattr(HOMES[home], name) and not name.startswith("__")
    ]
    assert set(missing) <= set(ANOTHERS)


def test_no_name_has_two_definitions():
    """A function that stands in two files under one name is two functions, unless torch has two as well."""
    twice = {
        "batch_norm",
        "embedding",
        "softmax",
        "log_softmax",
        "relu",
        "silu",
        "softplus",
        "dropout",
        "unfold",
        "vander",
    }  # torch.* and F.*, or torch.linalg.*
    defined: dict[str, list[str]] = {}
    for path in (PACKAGE / "tensor").glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(each, ast.Call) and getattr(each.func, "id", "") == "public" for each in node.decorator_list
            ):
                defined.setdefault(node.name, []).append(path.name)
    assert {name for name, files in defined.items() if len(files) > 1} <= twice


# ---- documented -------------------------------------------------------------------------------------------------

# The methods and properties of Tensor that are no functions, and what else is called by its name in the package.
OTHERS = sorted(
    [("method", name) for name in dir(ng.Tensor) if not name.startswith("_") and name not in functions_of("method")]
    + [
        ("function", name)
        for name in ng.__all__
        if callable(getattr(ng, name)) and name not in functions_of("function")
    ]
)
ALL_NAMES = EVERYWHERE + OTHERS


def is_generated(value: object) -> bool:
    """Whether it is the in-place form of a function, whose example is the function's."""
    made_in = getattr(inspect.unwrap(value), "__globals__", {})  # type: ignore[arg-type]
    return made_in.get("__name__") == in_place.__name__


def test_each_has_documentation_with_an_example():
    values = {each: getattr(HOMES[each[0]], each[1]) for each in ALL_NAMES}
    words = {each: "Raises" if is_generated(value) else ">>> " for each, value in values.items()}
    assert [each for each, value in values.items() if words[each] not in (inspect.getdoc(value) or "")] == []


@pytest.mark.parametrize(
    "package",
    [
        ng.autograd,
        ng.autograd.forward_ad,
        ng.distributions,
        ng.distributions.constraints,
        ng.distributions.utils,
        ng.datasets,
        ng.func,
        ng.nn,
        ng.nn.grad,
        ng.nn.parallel,
        ng.nn.parameter,
        ng.nn.utils,
        ng.nn.utils.parametrizations,
        ng.nn.utils.parametrize,
        ng.nn.utils.prune,
        ng.nn.utils.rnn,
        ng.optim,
        ng.optim.lr_scheduler,
        ng.optim.swa_utils,
        ng.transforms,
        ng.transforms.functional,
        ng.utils.data,
        ng.viz,
    ],
    ids=lambda package: package.__name__,
)
def test_so_has_each_name_of_the_other_packages(package):
    called = [name for name in package.__all__ if callable(getattr(package, name))]
    assert called
    assert not [name for name in called if ">>> " not in (inspect.getdoc(getattr(package, name)) or "")]


@pytest.mark.parametrize("name", sorted(pointwise.of_specs))
def test_the_example_of_a_spec_runs(name):
    """``--doctest-modules`` finds those that stand in a module; a spec's is in the function that is made of it."""
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    [example] = doctest.DocTestFinder().find(pointwise.of_specs[name], name, module=False)
    assert example.examples
    doctest.DebugRunner(optionflags=flags).run(example)


def test_the_stub_of_the_arrays_methods_has_those_of_the_tables() -> None:
    from numgrad.numpy import array_type

    text = Path(array_type.__file__).with_name("array_methods.pyi").read_text("utf-8")
    stub = {each.name for each in ast.walk(ast.parse(text)) if isinstance(each, ast.FunctionDef)}
    operators = {f"__{side}{name}__" for name in array_type.OPERATORS for side in ("", "r")}
    comparisons = {f"__{name}__" for name in array_type.COMPARISONS}
    assert stub == {*array_type.METHODS, *operators, *comparisons}
