"""Operators: NumPy's numbers, unknown operands, and that each in-place one changes the memory or is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
    "%=": operator.imod, "**=": operator.ipow, "&=": operator.iand, "|=": operator.ior, "^=": operator.ixor,
    "<<=": operator.ilshift, ">>=": operator.irshift,
}  # fmt: skip
BITS = ("&=", "|=", "^=", "<<=", ">>=")
VIEWS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "a row": lambda x: x[1],
    "a column": lambda x: x[:, 1],
    "every other": lambda x: x[::2, 1:],
    "transposed": lambda x: x.t(),
    "reshaped": lambda x: x.view(2, 6),
    "one element": lambda x: x[2, 1],
    "nothing": lambda x: x[:0],
}


def matrix(lib: Any, dtype: str) -> Any:
    return lib.arange(1, 13).view(4, 3).to(getattr(lib, dtype))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("symbol", IN_PLACE)
def test_the_memory_changes(symbol: str, view: str, torch: ModuleType) -> None:
    """The value under the old name, in the base and in all views is torch's, for numbers of each kind and tensors.

    How a view is written is the same for each dtype.
    """
    others: list[Callable[[Any], Any]] = [lambda lib: 2, lambda lib: np.int64(2), lambda lib: lib.tensor(2)]
    whole = view in ("itself", "one element", "nothing")
    for dtype in ("int64", "uint8", "float32") if whole else ("int64",) if symbol in BITS else ("float32",):
        if dtype == "float32" and symbol in BITS:
            continue
        extra = [lambda lib: 2.5, lambda lib: np.float64(2.5)] if dtype == "float32" else []
        for other in others + extra:
            bases = []
            for lib in (ng, torch):
                base = matrix(lib, dtype)
                window = VIEWS[view](base)
                if dtype == "uint8" and symbol == "/=":
                    continue
                if dtype != "float32" and symbol == "/=":
                    continue
                before = base._version
                result = IN_PLACE[symbol](window, other(lib))
                assert result is window
                assert base._version > before
                bases.append(base.tolist())
            if bases:
                np.testing.assert_allclose(bases[0], bases[1], rtol=1e-6)


def test_statements_keep_the_name_on_the_memory() -> None:
    a = ng.tensor([7, 8])
    v = a[:1]
    v //= 2
    v **= 3
    v %= 20
    v &= 6
    v |= 9
    v ^= 2
    v <<= 3
    v >>= 1
    assert a.tolist() == [(((((7 // 2) ** 3 % 20) & 6) | 9) ^ 2) << 3 >> 1, 8]
    b = a.float()
    w = b[1:]
    w /= 3
    w -= 0.5
    assert b.tolist() == pytest.approx([a[0].item(), 8 / 3 - 0.5])


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_a_refusal_changes_nothing(symbol: str, torch: ModuleType) -> None:
    cases: list[tuple[str, Callable[[Any], Any]]] = [
        ("int64", lambda lib: 2.5),
        ("int64", lambda lib: np.float32(2.5)),
        ("int64", lambda lib: lib.ones(4, 3)),
        ("int64", lambda lib: lib.tensor(2.0, dtype=lib.float64)),
        ("int64", lambda lib: lib.ones(2, 4, 3, dtype=lib.int64)),
        ("bool", lambda lib: 2),
        ("bool", lambda lib: lib.ones(4, 3, dtype=lib.uint8)),
        ("float32", lambda lib: lib.ones(5)),
        ("float32", lambda lib: None),
        ("float32", lambda lib: "2"),
        ("float32", lambda lib: [2.0]),
        ("float32", lambda lib: 2j),
    ]
    for dtype, other in cases:
        if dtype == "float32" and symbol in BITS:
            continue
        classes = []
        for lib in (ng, torch):
            x = matrix(lib, dtype)
            before, version = x.tolist(), x._version
            with pytest.raises((RuntimeError, TypeError)) as caught:
                IN_PLACE[symbol](x, other(lib))
            assert (x.tolist(), x._version) == (before, version)
            classes.append(isinstance(caught.value, TypeError))
        assert classes[0] == classes[1] or other(ng) == 2j


def test_results_are_computed_in_the_common_dtype(torch: ModuleType) -> None:
    for lib in (ng, torch):
        x = lib.tensor([5], dtype=lib.uint8)
        x //= lib.tensor([256], dtype=lib.int16)
        assert x.tolist() == [0]
        x = lib.tensor([200], dtype=lib.uint8)
        x %= lib.tensor([300], dtype=lib.int32)
        assert x.tolist() == [200]
        x = lib.tensor([1.0])
        x += lib.tensor(
            [2**-24 + 2**-50], dtype=lib.float64
        )  # rounded to 2**-24 first, it would be a tie, which goes to 1
        assert x.tolist() == [1 + 2**-23]
        x = lib.tensor([3.0])
        x *= lib.tensor([1e39], dtype=lib.float64)
        assert x.tolist() == [float("inf")]
        x /= lib.tensor([1.0], dtype=lib.float64)
        assert x.dtype is lib.float32
        x = lib.tensor([1, 0], dtype=lib.int8)
        x |= lib.tensor([True, True])
        assert (x.dtype, x.tolist()) == (lib.int8, [1, 1])


def test_in_place_with_another_dtype_is_differentiated() -> None:
    x = ng.tensor([1.0, 2.0], requires_grad=True)
    w = ng.tensor([3.0, 4.0], dtype=ng.float64, requires_grad=True)
    y = x * 1
    y *= w
    y += ng.ones(2, dtype=ng.float64)
    (y * y).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert (x.grad.tolist(), w.grad.tolist()) == ([2 * 4 * 3, 2 * 9 * 4], [2 * 4 * 1, 2 * 9 * 2])
    assert (x.grad.dtype, w.grad.dtype) == (ng.float32, ng.float64)


@pytest.mark.parametrize("symbol", ["**=", "%=", "/=", "-="])
def test_gradients_of_in_place_operators(symbol: str, torch: ModuleType) -> None:
    for view in ("itself", "every other", "transposed"):
        grads = []
        for lib in (ng, torch):
            x = lib.arange(1.0, 13.0).view(4, 3).requires_grad_()
            other = lib.tensor(2.5, requires_grad=True)
            y = x * 1
            IN_PLACE[symbol](VIEWS[view](y), other)
            (y * y).sum().backward()
            grads.append([*x.grad.tolist(), [other.grad.item()]])
        for ours, theirs in zip(*grads, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-5)


def test_what_has_no_derivative_is_refused_in_place_in_a_graph() -> None:
    x = ng.ones(3, requires_grad=True)
    y = x * 5
    with pytest.raises(RuntimeError, match="derivative for floor_divide_ is not implemented"):
        y //= 2
    assert y.tolist() == [5, 5, 5]
    with ng.no_grad():
        y //= 2
    assert y.tolist() == [2, 2, 2]
    z = x * 5
    z.lt_(6)  # 1 or 0: flat everywhere
    z.sum().backward()
    assert x.grad is not None
    assert (z.tolist(), x.grad.tolist()) == ([1, 1, 1], [0, 0, 0])


def test_leaves_and_versions() -> None:
    x = ng.ones(3, requires_grad=True)
    for function in IN_PLACE.values():
        if function not in [IN_PLACE[symbol] for symbol in BITS]:
            with pytest.raises(RuntimeError, match="leaf Variable|not implemented"):
                function(x, 2.0)
    assert x.tolist() == [1, 1, 1]
    a = ng.ones(3, requires_grad=True)
    b = ng.ones(3)
    c = a * b
    b %= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        c.sum().backward()


# ---- matrix products ---------------------------------------------------------------------------------------------


def test_a_matrix_product_in_place_changes_the_memory() -> None:
    base = ng.arange(8.0).view(2, 2, 2)
    x = base[1]
    y = x
    y @= ng.tensor([[0.0, 1.0], [2.0, 0.0]])
    assert y is x
    assert base.tolist() == [[[0, 1], [2, 3]], [[10, 4], [14, 6]]]
    with pytest.raises(RuntimeError, match=r"shape \[2, 3\], expected that of the target, \[2, 2\]; write x = x @ y"):
        y @= ng.ones(2, 3)
    with pytest.raises(TypeError):
        y @= 2
    assert base.tolist() == [[[0, 1], [2, 3]], [[10, 4], [14, 6]]]
    w, x = ng.eye(2, requires_grad=True), ng.ones(2, 2, requires_grad=True)
    z = x * 3
    z @= w
    z.sum().backward()
    assert w.grad is not None
    assert x.grad is not None
    assert (w.grad.tolist(), x.grad.tolist()) == ([[6, 6], [6, 6]], [[3, 3], [3, 3]])


def test_matrix_products_with_arrays() -> None:
    x, array = ng.arange(4.0).view(2, 2), np.array([[0, 2], [1, 0]])
    assert (x @ array).tolist() == (x.numpy() @ array).tolist()
    assert (array @ x).tolist() == (array @ x.numpy()).tolist()
    for other in (2, 2.0, None, [1]):
        with pytest.raises(TypeError):
            x @ other


# ---- NumPy -------------------------------------------------------------------------------------------------------


def test_numbers_of_numpy_cost_no_digits() -> None:
    x = ng.tensor([2**24 + 1, 2**53 + 1])
    assert (x + np.int64(0)).tolist() == (np.int64(0) + x).tolist() == (x * np.int8(1)).tolist() == x.tolist()
    assert (x - np.uint8(1)).tolist() == [2**24, 2**53]
    assert (np.int64(2**53 + 1) == x).tolist() == (x == np.int64(2**53 + 1)).tolist() == [False, True]
    assert (x > np.int64(2**53)).tolist() == [False, True]
    assert (np.int32(2**24) < x).tolist() == [True, True]
    assert (x + np.bool_(False)).tolist() == (x + np.array(0)).tolist() == x.tolist()
    y = ng.zeros(1, dtype=ng.float64)
    assert (y + np.float64(0.1)).item() == (np.float64(0.1) - y).item() == 0.1
    assert (ng.ones(1) * np.float64(0.1)).dtype is ng.float32
    for number in (np.int64(3), np.float32(2.5), np.float64(2.5)):
        x = ng.tensor([1.0, 2.0], dtype=ng.float64)
        assert (x**number).tolist() == pytest.approx([1.0, 2.0 ** float(number)])


def test_an_array_that_a_tensor_is_added_to_stays_that_array() -> None:
    array = np.arange(3.0)
    same = array
    same += ng.ones(3)
    same *= ng.tensor([2.0, 2.0, 2.0], dtype=ng.float64)
    assert same is array
    assert array.tolist() == [2, 4, 6]
    with pytest.raises(TypeError, match="requires a gradient, which an array of NumPy's would lose"):
        same += ng.ones(3, requires_grad=True)
    whole = np.arange(3)
    with pytest.raises(TypeError):  # NumPy's refusal to put fractions into integers
        whole /= ng.ones(3)
    assert whole.tolist() == [0, 1, 2]


def test_an_array_beside_a_tensor_gives_a_tensor_with_its_gradient() -> None:
    x, array = ng.ones(3, requires_grad=True), np.arange(3.0)
    for result in (array * x, x * array, np.multiply(array, x)):
        assert isinstance(result, ng.Tensor)
        x.grad = None
        result.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [0, 1, 2]
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    assert (frozen + ng.ones(3)).tolist() == [1, 2, 3]
    product = (array * x).sum()
    array[:] = 9  # after the fact
    x.grad = None
    product.backward()
    assert x.grad.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    x.grad = None
    (np.sin(x).sum() + np.add.reduce(x)).backward()  # type: ignore[call-overload]
    assert x.grad.numpy() == pytest.approx(np.cos(np.ones(3)) + 1)  # type: ignore[union-attr]


# ---- what operators do not know ----------------------------------------------------------------------------------


class Meters:
    """A class that knows tensors, which do not know it."""

    def __radd__(self, other: Any) -> str:
        return f"{other.tolist()} and metres"

    def __rmatmul__(self, other: Any) -> str:
        return "metres"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, other: Any) -> bool:
        return True


def test_an_unknown_operand_may_know_what_to_do() -> None:
    x = ng.ones(1)
    assert x + Meters() == "[1.0] and metres"
    assert x @ Meters() == "metres"
    assert (x == Meters()) is True
    assert (x < Meters()) is True


@pytest.mark.parametrize(
    "other", [None, "a", [1.0], (1.0,), {}, object(), ng.float32, slice(1)], ids=lambda other: type(other).__name__
)
def test_unknown_operands(other: Any) -> None:
    x = ng.ones(1)
    assert (x == other) is False
    assert (other == x) is False
    assert (x != other) is True
    assert (other != x) is True
    for symbol in (
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.pow,
        operator.lt,
        operator.and_,
    ):
        for operands in ((x, other), (other, x)):
            with pytest.raises(
                TypeError, match="not supported|unsupported operand|can only concatenate|only integer tensors"
            ):
                symbol(*operands)
    for function in (ng.add, ng.sub, ng.mul, ng.div, ng.pow, ng.eq, ng.lt, ng.maximum, ng.bitwise_and, ng.remainder):
        with pytest.raises(TypeError, match=f"{function.__name__}: expected a Tensor"):
            function(x, other)
    with pytest.raises(RuntimeError, match="only supports Tensor or scalar"):
        other in x  # noqa: B015
    assert [x, other].index(other) == 1


def test_ints_beyond_64_bits() -> None:
    with pytest.raises(OverflowError, match="too big"):
        ng.tensor([1]) + 2**64
    assert (ng.tensor([1.0], dtype=ng.float64) + 2**64).item() == float(2**64 + 1)
    with pytest.raises(OverflowError):
        ng.tensor([1.0]) + 10**400


def test_clamp_refuses_bounds_that_the_dtype_does_not_have() -> None:
    for dtype, bound in ((ng.uint8, -1), (ng.int8, 300), (ng.int32, 2**40)):
        for call in (lambda x, b: x.clamp(b), lambda x, b: x.clamp(max=b), lambda x, b: x.clamp_(0, b)):
            x = ng.ones(2, dtype=dtype)
            with pytest.raises(RuntimeError, match="without overflow"):
                call(x, bound)
            assert x.tolist() == [1, 1]
    assert ng.tensor([2**24 + 1]).clamp(min=np.int64(0)).tolist() == [2**24 + 1]


def test_shifts(torch: ModuleType) -> None:
    for dtype in ("uint8", "int8", "int16", "int32", "int64"):
        values, shifts = [0, 1, 5, 100, 127], [0, 1, 7, 8, 31, 63, 64, 100]
        if dtype != "uint8":
            values, shifts = [*values, -1, -128, -77], [*shifts, -1, -100]
        results = []
        for lib in (ng, torch):
            x = lib.tensor(values, dtype=getattr(lib, dtype)).unsqueeze(1)
            y = lib.tensor(shifts, dtype=getattr(lib, dtype))
            results.append([(x << y).tolist(), (x >> y).tolist(), (x << 3).tolist(), (1 << y).tolist()])
        assert results[0] == results[1]
    for call in (lambda x: x << 2, lambda x: 2 >> x, lambda x: ng.bitwise_left_shift(x, x)):
        with pytest.raises(RuntimeError, match="not implemented for 'Float'"):
            call(ng.ones(2))
