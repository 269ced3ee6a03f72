"""`elementwise(f)`: derivatives that are found from a function's text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import scalar
from numgrad.errors import KernelError
from tests.ops.applying import agree, directional

SLOPE = 0.1


def helper(a: Any, b: Any = 2.0) -> Any:
    """A helper with a default."""
    if a > 1:
        return a * b
    return a + b - 1


def swish(x: Any) -> Any:
    """x * sigmoid(x)."""
    return x / (1 + scalar.exp(-x))


def leaky(x: Any) -> Any:
    """A global, and a choice."""
    return x if x > 0 else SLOPE * x


def branches(x: Any, y: Any) -> Any:
    """Early returns, assignments in branches, comparisons in a chain."""
    if x > y:
        z = x * y
        w = math.sin(z)
    else:
        z = x + y
        w = z
    if -0.5 < z <= 0.5 and not x > 2:
        return z * w
    z += helper(w) / (1 + helper(y, 3.0) ** 2)
    return z


def where_safe(x: Any) -> Any:
    """A root that is defined in one branch only: its NaN does no harm, at no order."""
    return scalar.where(x > 0, np.sqrt(x) * x, x * x)


def horner(x: Any, y: Any) -> Any:
    """A loop."""
    total = 0.0
    for k in range(5):
        total = total * x + y / (k + 1)
    return total


def sigmoids(x: Any) -> Any:
    return x * scalar.sigmoid(2 * x) + scalar.floor_divide(x, 0.3)


def words(x: Any, y: Any) -> Any:
    """Every word."""
    a = np.exp(x) + np.expm1(y) + math.log(1.5 + x * x) + np.log1p(y * y) + math.sqrt(2 + x)
    b = np.cos(x) * np.tanh(y) + math.erf(x) + abs(y - 3) + np.sign(x) * y + np.floor(x) * y + round(y) * x
    c = x**3 + (2 + x) ** y + max(x, y, 0.3) + min(x, 2 * y) + (y + 4) ** -1.5 + (y % 0.7) + x**2 / 3
    return (
        a * 0.3 + b - c + math.hypot(x, y) + np.square(x) + math.tan(x / 4) + np.sinh(y) * np.cosh(x) + np.log2(y + 9)
    )


def inverses(x: Any, y: Any) -> Any:
    """The words for angles, inverses and remainders."""
    a = (
        math.asin(x / 2)
        + np.arccos(y / 2)
        + np.arctan(x * y)
        + math.asinh(x)
        + math.acosh(x * x + 1.5)
        + np.arctanh(y / 3)
    )
    return a + math.atan2(x, y + 3) * np.exp2(y) - math.erfc(x) * y + math.fmod(x + 5, 2.3) + np.copysign(x, y + 3)


FORMULAS: list[tuple[Callable[..., Any], int]] = [
    (swish, 1), (leaky, 1), (branches, 2), (where_safe, 1), (horner, 2), (words, 2), (inverses, 2), (sigmoids, 1),
    (lambda x, y: x * y + x / (2 + y * y), 2),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "count"), FORMULAS, ids=lambda v: getattr(v, "__name__", None))
def test_values_and_two_derivatives(formula: Callable[..., Any], count: int) -> None:
    op = ng.elementwise(formula)
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(-1.9, 1.9, (40,)), rng.uniform(-1.7, 1.7, (3, 1))][:count]
    with np.errstate(invalid="ignore"):
        expected = np.vectorize(formula)(*arrays)
    inputs = [ng.tensor(a).requires_grad_() for a in arrays]
    np.testing.assert_allclose(op(*inputs).detach().numpy(), expected, rtol=1e-13, atol=1e-14)
    numerical, analytical, size = directional(lambda *a: (op(*a),), inputs)
    assert agree(numerical, analytical, size, 10), (numerical, analytical)
    few = [ng.tensor(a[:3]).requires_grad_() for a in arrays]  # for the same kernels
    assert ng.autograd.gradcheck(op, few)
    assert ng.autograd.gradgradcheck(op, few)


def test_third_derivatives_and_the_other_transforms() -> None:
    op = ng.elementwise(where_safe)
    x = ng.tensor([0.25, -1.0, 4.0], dtype=ng.float64)
    third = ng.func.grad(ng.func.grad(ng.func.grad(lambda x: op(x).sum() if x.ndim else op(x))))
    assert [round(third(each).item(), 10) for each in x] == [-3.0, 0.0, round(-0.375 * 4**-1.5, 10)]
    product = ng.elementwise(lambda x, y: x * x * y)
    a, b = ng.tensor([1.0, 2.0]), ng.tensor([3.0, 4.0])
    assert ng.func.jvp(product, (a, b), (ng.ones(2), ng.zeros(2)))[1].tolist() == [6.0, 16.0]
    assert ng.func.vmap(ng.func.grad(product, argnums=(0, 1)))(a, b)[1].tolist() == [1.0, 4.0]
    assert ng.func.hessian(lambda x: product(x, b).sum())(a).tolist() == [[6.0, 0.0], [0.0, 8.0]]


def test_float32_stays_float32() -> None:
    x = ng.tensor([0.3, -0.7], requires_grad=True)
    out = ng.elementwise(branches)(x, ng.ones(2))
    out.sum().backward()
    assert out.dtype is ng.float32
    assert x.grad is not None
    assert x.grad.dtype is ng.float32


def test_as_a_decorator() -> None:
    @ng.elementwise
    def softsign(x: Any) -> Any:
        """x / (1 + |x|)."""
        return x / (1 + abs(x))

    x = ng.tensor([-1.0, 3.0], requires_grad=True)
    softsign(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.25, 0.0625]
    assert (softsign.name, softsign.doc) == ("softsign", "x / (1 + |x|).")
    assert str(softsign(x)) == "tensor([-0.5000,  0.7500], grad_fn=<SoftsignBackward0>)"


def test_only_what_a_gradient_reads_is_saved() -> None:
    op = ng.elementwise(lambda x, y: x * 3 + y * y)
    x, y = ng.ones(2, requires_grad=True), ng.ones(2)
    node = op(x, y).grad_fn
    assert node is not None
    assert node.saved is None or all(each is None for each in node.saved)


def test_a_number_is_refused_by_autograd_no_less() -> None:
    op = ng.elementwise(lambda x: 2.0 if x > 5 else 3.0)
    x = ng.tensor([1.0, 7.0], requires_grad=True)
    op(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0]


def forever(x: Any) -> Any:
    """A loop without an end."""
    while x > 0:
        x = x - 1
    return x


def unknown(x: Any) -> Any:
    """A function without a known derivative."""
    return math.gamma(x)


def nothing(x: Any) -> Any:
    """A way through without a result."""
    if x > 0:
        return x


def one_sided(x: Any) -> Any:
    """A name that only one branch defines."""
    if x > 0:
        y = x
    return y


def recursive(x: Any) -> Any:
    """Without an end."""
    return recursive(x - 1)


def subscripted(x: Any) -> Any:
    """Not of numbers."""
    return x[0]


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (forever, "`while` is not supported, in forever: `while x > 0:`"),
        (unknown, "'gamma' has no derivative that is known, in unknown"),
        (nothing, "returns nothing"),
        (one_sided, "y is defined in one branch only"),
        (recursive, "more than 50 deep"),
        (subscripted, "`Subscript` is not supported"),
        (lambda *x: x[0], "expected one parameter or more"),
        (lambda x: x + undefined_name, "undefined_name is not defined"),  # type: ignore[name-defined]  # noqa: F821
    ],
    ids=lambda v: getattr(v, "__name__", "text"),
)
def test_refusals(formula: Callable[..., Any], text: str) -> None:
    with pytest.raises(KernelError, match=text):
        ng.elementwise(formula)


def test_a_tensor_in_a_numba_function() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def total(x: Any) -> Any:
        return x.sum()

    x = ng.ones(3, requires_grad=True)
    with pytest.raises(TypeError, match=r"given to a function compiled by Numba .*numgrad.custom_op"):
        total(x)
    assert total(x.detach().numpy()) == 3.0
