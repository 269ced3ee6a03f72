"""Promises about ops: each is complete in its file, what it does hangs on no name, and no method is replaced on an object."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import numgrad as ng
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS, Op
from tests.contracts.test_contracts import PACKAGE, trees

# Who may ask for names: the table of ops, who prints and who writes them to files, and a rewrite of two ops into others. What is
# called op elsewhere is no op: a word in an expression of the language of loops, a `ReduceOp` of ranks.
OF_NAMES = ("registry/", "cli/", "compile/saved/", "compile/passes/fold.py", "loops/", "distributed/")
# Windows on the memory of a base, which only the engine opens: outside of any `vmap`.
WITHOUT_BATCHES = {"as_strided", "as_strided_backward"}
FUNCTIONS = (
    "plan_function", "backward_function", "jvp_function", "batch_function", "draw_function", "draw_once_function",
    "prepare_function", "composite_function", "node_function", "flops_function",
)  # fmt: skip
OWN = {name: op for name, op in OPS.items() if op.plan_function.__module__.startswith("numgrad.")}  # type: ignore[union-attr]


# ---- names ------------------------------------------------------------------------------------------------------


def _is_op(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id == "op") or (isinstance(node, ast.Attribute) and node.attr == "op")


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("name", "node_name") and _is_op(node.value)


def _is_list_of_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("inputs", "outputs", "param_names") and _is_op(node.value)


def questions(tree: ast.AST) -> Iterator[int]:
    """The lines in which code asks which op it has, or what an op's inputs are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            is_nothing = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
            by_word = isinstance(node.left, ast.Constant) and isinstance(node.left.value, str)
            if (
                any(_is_name(side) for side in sides)
                or (any(_is_op(side) for side in sides) and not is_nothing)
                or (by_word and any(_is_list_of_names(side) for side in node.comparators))
            ):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_text = node.func.attr in ("startswith", "endswith", "removeprefix", "removesuffix", "find", "index")
            if (of_text and _is_name(node.func.value)) or (node.func.attr == "get" and any(map(_is_name, node.args))):
                yield node.lineno
        elif (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_name(node.slice)) or (
            isinstance(node, ast.Match) and _is_name(node.subject)
        ):
            yield node.lineno


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("op.name == 'copy_'", True), ("'_' in op.name", True), ("node.op.name.endswith('_')", True),
        ("'state' in op.inputs", True), ("op in (bernoulli, dropout)", True), ("op is dropout", True),
        ("FLOPS.get(op.name)", True), ("FLOPS[op.name]", True), ("node.op is None", False), ("f'{op.name}: no'", False),
        ("op.random", False), ("check(op.name, x)", False), ("name in names", False), ("op.inputs[0]", False),
    ],
)  # fmt: skip
def test_questions_for_names_are_found(text: str, asks: bool) -> None:
    assert bool(list(questions(ast.parse(text)))) == asks


def test_nobody_asks_an_op_for_its_name() -> None:
    found = {
        f"{name}:{line}"
        for path, tree in trees().items()
        if not (name := str(path.relative_to(PACKAGE))).startswith(OF_NAMES)
        for line in questions(tree)
    }
    assert found == set()


# ---- methods ----------------------------------------------------------------------------------------------------


def test_no_method_is_replaced_on_an_object() -> None:
    allowed = {
        "runtime/scope.py",
        "optim/optimizer.py",
        "optim/lr_scheduler/base.py",
    }  # classes get their methods there
    replaced = {str(path.relative_to(PACKAGE)) for path in trees() if "ignore[method-assign" in path.read_text("utf-8")}
    assert replaced - allowed == set()
    for op in OPS.values():
        for each in (op, getattr(op, "in_place", None)):
            if each is not None:
                methods = {name for name, _ in inspect.getmembers(type(each), inspect.isfunction)}
                assert not methods & set(vars(each)), each


# ---- one file ---------------------------------------------------------------------------------------------------


def home_of(op: Op) -> set[str]:
    """The modules in which the parts of an op may stand: its own, those that many share, and what a family derives."""
    own: Any = op.scalar_forward if isinstance(op, Elementwise) else op.plan_function
    return {_module_of(own)} | ({"numgrad.ops.family"} if isinstance(op, Elementwise) else set())


def _module_of(function: Any) -> str:
    return str(getattr(function, "func", function).__module__)  # of a partial, its function


@pytest.mark.parametrize("name", sorted(OWN))
def test_an_op_is_complete_in_its_file(name: str) -> None:
    op = OWN[name]
    home = home_of(op)
    for part in FUNCTIONS:
        function = getattr(op, part)
        if function is not None and name != "cast":  # its scalar function is that of all copies
            module = _module_of(function)
            assert module in home or module.startswith("numgrad.ops.rules."), (
                f"{part} stands in {module}, not in {home}"
            )
    if op.differentiable and op.backward_function is not None and not op.aliases:
        has_tangents = op.jvp_function or op.linear_groups or op.composite_function
        has_batches = op.batch_function or op.elementwise or op.composite_function
        assert has_tangents, f"{name} has no forward derivative: attach one by jvp or linear_in"
        assert has_batches or name in WITHOUT_BATCHES, f"{name} has no batching rule: attach one by batch"
    if op.random and not op.mutates:
        assert op.draw_function is not None, f"{name} has no rule for numbers of many examples: attach one by draw"


def test_flags_say_what_plans_do() -> None:
    """A plan that writes over its first input without saying so is refused, and so is the reverse."""
    lying = Op("lying", ("input",), register=False, mutates=True)
    lying.plan(lambda b, input: b.alias(input))
    silent = Op("silent_", ("input",), register=False)
    silent.plan(lambda b, input: b.in_place(input) and None)
    with pytest.raises(ValueError, match="op lying: its plan does not write over its first input, .* mutates=True"):
        lying(ng.ones(2))
    with pytest.raises(ValueError, match="op silent_: its plan writes over its first input, .* mutates=False"):
        silent(ng.ones(2))


def test_an_underscore_means_nothing() -> None:
    """An op whose name ends like torch's in-place functions is none, in forward mode and for many examples."""
    op = ng.elementwise("contract_scaled_", register=False)
    op.forward(lambda x: x * 3)
    op.backward(lambda g: g * 3)
    x = ng.tensor([[1.0, 2.0], [3.0, 4.0]])
    out = ng.func.vmap(op)(x)
    assert (out.tolist(), x.tolist()) == ([[3, 6], [9, 12]], [[1, 2], [3, 4]])
    primal, tangent = ng.func.jvp(op, (x,), (ng.ones(2, 2),))
    assert (primal.tolist(), tangent.tolist()) == ([[3, 6], [9, 12]], [[3, 3], [3, 3]])


def test_a_step_of_an_optimizer_draws_no_numbers() -> None:
    """Its input is called state as a generator's is; that says nothing."""
    w = ng.nn.Parameter(ng.ones(2))
    w.grad = ng.ones(2)
    adam = ng.optim.Adam([w], lr=0.5)

    def step(x: ng.Tensor) -> ng.Tensor:
        adam.step()
        return x * 1

    ng.func.vmap(step)(ng.ones(3))
    assert w.tolist() == pytest.approx([0.5, 0.5])
