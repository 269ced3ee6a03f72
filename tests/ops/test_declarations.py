"""Typical mistakes in declaring an op: each gives one readable error that names the op and the line to mend."""

from __future__ import annotations

import inspect
import types

import numpy as np
import pytest

import numgrad as ng
from numgrad import scalar
from numgrad.errors import KernelError
from numgrad.kernels.elementwise import plan_elementwise
from numgrad.ops.declared import check_scalar_function
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS, Op


def _declared(inputs=("x",), forward=None, backward=None):
    op = ng.elementwise("declaration_of_a_test", inputs=inputs, register=False)
    if forward is not None:
        op.forward(forward)
    if backward is not None:
        op.backward(backward)
    return op


def _no_result(x):
    x * 2


def _some_result(x):
    if x > 0:
        return x


def _word(x):
    return scalar.tanhh(x)


def _numpy_word(x):
    return np.tanhh(x)


def _long_word(x):
    return ng.scalar.exxp(x)


def _name(x):
    y = x + 1
    return tanhh(y)  # noqa: F821


def _pair(x):
    return x, x


def _one_of_two(g, x, y):
    return g * y


def _three_of_two(g, x, y):
    z = g * y
    return z, g * x, g


def _late(g, x, y):
    if x > 0:
        return g * y, g * x
    return g


def _no_gradient(g, x):
    g * 2


def _product(x, y):
    return x * y


def _same(x):
    return x


LINE = f"{__file__}:{{line}}"
MISTAKES = [
    ("no forward", lambda: _declared()(ng.ones(2)), ValueError, "has no forward; attach one", None),
    ("no result", lambda: _declared(forward=_no_result), KernelError, "does not always return, expected one result", 0),
    ("a path", lambda: _declared(forward=_some_result), KernelError, "does not always return, expected one result", 0),
    ("word", lambda: _declared(forward=_word), KernelError, "uses scalar.tanhh, which there is not; similar: tanh", 1),
    ("NumPy's", lambda: _declared(forward=_numpy_word), KernelError, "uses numpy.tanhh, which there is not", 1),
    ("module's", lambda: _declared(forward=_long_word), KernelError, "uses scalar.exxp, which there is not; similar: exp", 1),
    ("name", lambda: _declared(forward=_name), KernelError, "refers to tanhh, which is not defined", 2),
    ("a pair", lambda: _declared(forward=_pair), KernelError, "returns 2 results, expected one result", 1),
    ("one of two", lambda: _declared("xy", _product, _one_of_two), KernelError, "returns 1 result, expected a tuple of 2", 1),
    ("three of two", lambda: _declared("xy", _product, _three_of_two), KernelError, "returns 3 results, expected a tuple", 2),
    ("one on a path", lambda: _declared("xy", _product, _late), KernelError, "returns 1 result, expected a tuple", None),
    ("no gradient", lambda: _declared("x", _same, _no_gradient), KernelError, "does not always return, expected one", 0),
    ("nothing to read", lambda: _declared("x", _same, lambda: 1), ValueError, "has no parameters, expected the gradient", None),
    ("unknown input", lambda: _declared("x", _same, lambda g, z: g), ValueError, r"reads \['z'\], expected names", None),
    ("backward first", lambda: _declared("x", None, lambda g, x: g), ValueError, "has no forward; attach one", None),
    ("inputs", lambda: _declared("xy", _same), ValueError, "expected one for each of the inputs", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "text", "line"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_is_named(make, error, text, line):
    with pytest.raises(error, match=text) as caught:
        make()
    assert "declaration_of_a_test" in str(caught.value)
    assert "\n" not in str(caught.value)
    if line is not None:
        function = next(
            each
            for name in make.__code__.co_names
            if isinstance(each := globals().get(name), types.FunctionType) and each not in (_declared, _product, _same)
        )
        assert f"{__file__}:{inspect.getsourcelines(function)[1] + line})" in str(caught.value)


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if isinstance(op, Elementwise)))
def test_numgrads_own_are_right(name):
    op = OPS[name]
    for part, function, results in (
        ("forward", op.scalar_forward, 1),
        ("backward", op.scalar_backward, len(op.inputs)),
    ):
        if function is not None:
            check_scalar_function(name, part, function, results)


def test_what_cannot_be_told_is_left_to_the_compiler():
    def pair(g, x):
        both = g * x, g
        return both

    op = _declared("xy", _product)
    op.backward(lambda g, x, y: (g * y, None))
    _declared("x", lambda x: scalar.where(x > 0, x, 0))
    check_scalar_function("op", "backward", pair, 2)


# ---- ops of the registry ----------------------------------------------------------------------------------------


def _op(inputs=("x",), plan=None, **options):
    op = Op("declaration_of_a_test", inputs, register=False, **options)
    if plan is not None:
        op.plan(plan)
    return op


def _copy_of_first(b, *inputs):
    x = inputs[0]
    plan_elementwise(b, "copy", lambda x: x, x.code, [x], [b.output(x.spec.dtype, x.spec.shape)])


OP_MISTAKES = [
    ("no plan", lambda: _op()(ng.ones(2)), ValueError, "declaration_of_a_test has no plan; attach one: @"),
    ("no outputs", lambda: _op(plan=lambda b, x: None)(ng.ones(2)), ValueError, "makes no output, expected out"),
    ("a name twice", lambda: _op(("x", "x")), ValueError, "expected each name once"),
    ("an unknown save", lambda: _op(saves=("z",)), ValueError, r"saves \['z'\], expected names of its inputs or outputs"),
    ("linear in what", lambda: _op().linear_in("z"), ValueError, r"linear_in got \['z'\], expected names of its inputs \['x'\]"),
    ("tied to what", lambda: _op().tie(("x",), ("z",)), ValueError, r"tie got \['z'\], expected names of its inputs \['x'\]"),
    ("too many", lambda: _op(plan=_copy_of_first)(ng.ones(2), ng.ones(2)), TypeError, "got 2 inputs, expected 1: x"),
    ("too few", lambda: OPS["add"](ng.ones(2)), TypeError, "add: got 1 inputs, expected 2: input, other"),
    ("a parameter", lambda: OPS["sum"](ng.ones(2), dimm=(0,)), TypeError, r"sum: got a parameter 'dimm', expected some of \["),
    ("operands", lambda: OPS["randperm"](ng.ones(2), n=3), RuntimeError, "randperm: the operands do not fit: reserve"),
    ("a number", lambda: OPS["bitwise_or"](ng.ones(2, dtype=ng.int64), 2**70), RuntimeError, "bitwise_or: a number cannot"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "error", "text"), [row[1:] for row in OP_MISTAKES], ids=[row[0] for row in OP_MISTAKES]
)
def test_a_mistake_with_an_op_is_named(make, error, text):
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_an_input_without_a_gradient():
    op = _declared(("x", "y"), _product, lambda g, x, y: (g * y, None))
    for create_graph in (False, True):
        x, y = ng.tensor([2.0, 3.0], requires_grad=True), ng.tensor([5.0, 7.0], requires_grad=True)
        grads = ng.autograd.grad(op(x, y).sum(), (x, y), create_graph=create_graph, allow_unused=True)
        assert grads[0].tolist() == [5, 7]
        assert grads[1] is None
        only = ng.autograd.grad(op(x.detach(), y).sum(), y, allow_unused=True, create_graph=create_graph)
        assert only == (None,)
    primal, tangent = ng.func.jvp(op, (x.detach(), y.detach()), (ng.ones(2), ng.ones(2)))
    assert (primal.tolist(), tangent.tolist()) == ([10, 21], [5, 7])
