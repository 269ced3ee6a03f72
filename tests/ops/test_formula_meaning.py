"""`elementwise(f)` computes the function that it is given: its code, its scope, Python's operators."""

from __future__ import annotations

import importlib.util
import linecache
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.errors import KernelError

MODE = "x0"
BITS = 6
TABLE = (0.5, -2.0, 3.0)
v0 = 100.0
exp = 7.0


def value(op: Any, *args: float) -> float:
    """What an op makes of numbers, in float64."""
    return float(op(*[ng.tensor(arg, dtype=ng.float64) for arg in args]).item())


def module(path: Path, text: str, name: str = "a_module_of_formulas") -> Any:
    """A module that is imported from a file."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# ---- which function --------------------------------------------------------------------------------------------------


def test_lambdas_that_stand_in_one_line() -> None:
    f, g = ng.elementwise(lambda x: x * 2), ng.elementwise(lambda x: x * 3)
    h, k = (ng.elementwise(each) for each in (lambda x: x - 1, lambda y: 1 - y))
    assert [value(op, 5.0) for op in (f, g, h, k)] == [10, 15, 4, -4]
    many = [
        ng.elementwise(each) for each in (lambda x: x * 1.0, lambda x: x * 1, lambda x: x * -0.0, lambda x: x * 0.0)
    ]
    assert [math.copysign(1, value(op, 5.0)) for op in many] == [1, 1, -1, 1]
    nested = (lambda: (lambda x: x + 1, lambda x: x + 2))()
    assert [value(ng.elementwise(each), 1.0) for each in nested] == [2, 3]
    two, one = (lambda x: (lambda x: x * 7)(x)), (lambda x: x * 7)
    assert value(ng.elementwise(one), 1.0) == 7
    with pytest.raises(KernelError, match="Lambda"):
        ng.elementwise(two)


def test_the_same_text_with_other_closures() -> None:
    ops = [ng.elementwise(lambda x, k=k: x * k) for k in (2.0, 3.0)]
    closed = [ng.elementwise(each) for each in ((lambda k: lambda x: x + k)(2.0), (lambda k: lambda x: x + k)(3.0))]
    assert [value(op, 5.0) for op in (*ops, *closed)] == [10, 15, 7, 8]


@pytest.mark.parametrize("text", ["lambda x: (\n    x * 2\n    + 1)", "(lambda x:\n x * 2 + 1)"])
def test_lambdas_of_several_lines(text: str, tmp_path: Path) -> None:
    made = module(tmp_path / "lines.py", f"functions = [lambda x: x, {text},\n    lambda x: x * 2 - 1]\n")
    assert [value(ng.elementwise(f), 5.0) for f in made.functions] == [5, 11, 9]


def test_decorated_functions_and_functions_in_decorators(tmp_path: Path) -> None:
    text = """
import functools
import numgrad as ng
kept = []
def keep(f):
    kept.append(f)
    return lambda g: g
@keep(lambda x: x * 11)
@functools.lru_cache
def other(x): return x
class Holder:
    scale = 3.0
    @staticmethod
    def method(x): return x * 13
    class Inner:
        method = staticmethod(lambda x: x * 17)
"""
    made = module(tmp_path / "decorated.py", text)
    assert value(ng.elementwise(made.kept[0]), 1.0) == 11
    assert value(ng.elementwise(made.Holder.method), 1.0) == 13
    assert value(ng.elementwise(made.Holder.Inner.method), 1.0) == 17


def test_a_file_that_changed_after_the_import(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    made = module(path, "def f(x):\n    return x * 2\n\ndef g(x):\n    return x * 5\n")
    assert value(ng.elementwise(made.f), 1.0) == 2
    path.write_text("# a line more\ndef f(x):\n    return x * 3\n\ndef g(x):\n    return x * 5\n")
    made.f.__code__ = made.f.__code__.replace()  # nothing that was read before is of use
    linecache.clearcache()
    fresh = type(made.f)(made.f.__code__, made.f.__globals__)
    with pytest.raises(
        KernelError, match=r"function f \(.*changing.py:1\) is not that of the function: it was changed"
    ):
        ng.elementwise(fresh)
    assert value(ng.elementwise(type(made.g)(made.g.__code__, {})), 1.0) == 5  # its own text is what it was


def test_a_function_without_a_source() -> None:
    scope: dict[str, Any] = {}
    exec("def f(x): return x * 2", scope)
    with pytest.raises(KernelError, match="source of the function f .*cannot be read"):
        ng.elementwise(scope["f"])


@pytest.mark.parametrize("function", [math.sin, np.tanh, print, 3, "".join])
def test_what_is_not_written_in_python(function: Any) -> None:
    with pytest.raises(KernelError, match="written in Python"):
        ng.elementwise(function)


def test_a_wrapper_is_not_what_it_wraps() -> None:
    import functools

    def inner(x: Any) -> Any:
        return x * 2

    @functools.wraps(inner)
    def outer(x: Any) -> Any:
        return inner(x) + 1

    assert value(ng.elementwise(outer), 5.0) == 11

    @functools.wraps(inner)
    def any_way(*args: Any) -> Any:
        return inner(*args)

    with pytest.raises(KernelError, match="each by its name and place"):
        ng.elementwise(any_way)


# ---- names -----------------------------------------------------------------------------------------------------------


def test_names_that_collide_with_generated_ones() -> None:
    def drag(v0: Any, k: Any) -> Any:
        return v0 * k + v0

    def all_of_them(g: Any, out: Any, x0: Any, v1: Any, wide_x0: Any, function: Any, result: Any, _T: Any) -> Any:  # noqa: N803
        v2 = g * out
        numgrad_literals = v2 - x0
        return numgrad_literals * v1 + wide_x0 * function - result / _T

    for f, args in ((drag, (3.0, 4.0)), (all_of_them, (2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0))):
        op = ng.elementwise(f)
        inputs = [ng.tensor([arg], dtype=ng.float64, requires_grad=True) for arg in args]
        assert op(*inputs).item() == f(*args)
        assert ng.autograd.gradcheck(op, inputs)
        assert ng.autograd.gradgradcheck(op, inputs)
        tangents = tuple(ng.ones(1, dtype=ng.float64) for _ in args)
        forward = ng.func.jvp(op, tuple(x.detach() for x in inputs), tangents)[1].item()
        assert forward == pytest.approx(sum(g.item() for g in ng.autograd.grad(op(*inputs).sum(), inputs)))


def test_arguments_and_functions_called_like_words() -> None:
    def exp(where: Any, log: Any) -> Any:
        absolute = where * log
        return math.exp(absolute) + where

    op = ng.elementwise(exp)
    inputs = [ng.tensor([arg], dtype=ng.float64, requires_grad=True) for arg in (0.5, 0.25)]
    assert op(*inputs).item() == pytest.approx(exp(0.5, 0.25), rel=1e-15)
    assert op.inputs == ("where", "log")
    assert ng.autograd.gradgradcheck(op, inputs)


def test_a_global_called_like_a_word_or_a_step() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return y + v0 * exp

    assert value(ng.elementwise(f), 1.0) == 702


def test_positional_only_and_bound_by_name() -> None:
    def helper(a: Any, /, b: Any, *, scale: float = 2.0) -> Any:
        return (a - b) * scale

    def rest(a: Any, *others: Any) -> Any:
        return a + sum(others)

    def f(x: Any, y: Any, /) -> Any:
        return helper(x, b=y, scale=3.0) + helper(x, y) + rest(x, y, y)

    op = ng.elementwise(f)
    assert op.inputs == ("x", "y")
    assert value(op, 5.0, 1.0) == f(5.0, 1.0)


def test_a_local_name_is_not_a_global_one() -> None:
    def f(x: Any) -> Any:
        y = v0 * x  # noqa: F823
        v0 = 3.0
        return y + v0

    with pytest.raises(
        KernelError, match=r"v0 is read before it is given a value, in f: `v0` \(.*test_formula_meaning.py:\d+\)"
    ):
        ng.elementwise(f)


def test_strings_are_no_steps() -> None:
    def f(x: Any, mode: str = "v0") -> Any:
        y = x + 1
        if mode == "v0" and MODE == "x0":
            return y * 2
        return y

    assert value(ng.elementwise(f), 1.0) == 4


# ---- text pairs ------------------------------------------------------------------------------------------------------


def test_text_pairs_are_those_that_were_given() -> None:
    scale = 2.0
    op = ng.elementwise("formula", inputs=("x", "g_0"), register=False)
    op.forward(lambda x, g_0: x * g_0 * scale), (lambda x, g_0: x)
    op.backward(lambda g, x, g_0: (g * g_0 * scale, g * x * scale)), (lambda g, x, g_0: (g, g))
    for dtype in (ng.float32, ng.float64):
        x, y = ng.tensor([3.0], dtype=dtype, requires_grad=True), ng.tensor([5.0], dtype=dtype, requires_grad=True)
        out = op(x, y)
        scale = 50.0
        out.sum().backward()
        assert x.grad is not None
        assert y.grad is not None
        assert [out.item(), x.grad.item(), y.grad.item()] == [30, 10, 6]
    one = ng.ones(1)
    assert ng.func.jvp(op, (one * 3, one * 5), (one, one))[1].item() == 16


def test_text_pairs_with_wrong_parameters_are_refused() -> None:
    op = ng.elementwise("formula", inputs=("x", "y"), register=False)
    for forward in (lambda x: x, lambda x, out: x, lambda x, y, k=2: x, lambda *args: args[0]):
        with pytest.raises(ValueError, match=r"parameters"):
            op.forward(forward)


def test_a_fraction_among_integers_is_refused() -> None:
    op = ng.elementwise("half", accepts="if", register=False)
    op.forward(lambda x: x * 0.5)
    assert op(ng.tensor([3.0])).item() == 1.5
    with pytest.raises(KernelError, match=r"the number 0.5 is not an integer"):
        op(ng.tensor([3]))


# ---- meaning ---------------------------------------------------------------------------------------------------------

MEANINGS: list[Callable[..., Any]] = [
    lambda x, y: x * ((5 & 3) + (4 | 1) + (6 ^ 3) + (1 << 4) + (~5) + (BITS >> 1)),
    lambda x, y: x * (7 // 2 - -7 // 2 + 7 % -3 + 2**-1 + 10**20 % 7),
    lambda x, y: x * TABLE[1] + TABLE[-1] * len(TABLE) + sum(TABLE),
    lambda x, y: (x and y) + 2 * (x or y),
    lambda x, y: (x > 0 and y) + (x > 0 or y) + (x and y > 0),
    lambda x, y: (0.0 and x) + (1.0 and y) + (0.0 or x),  # noqa: SIM223
    lambda x, y: 1.0 if x and not y else 2.0 if not (x or y) else 3.0,
    lambda x, y: (x > 0) * 2 + (y > 0) * 3 + -(x > y) + (True + (x < y)),
    lambda x, y: float((x > 0) ^ (y > 0)) + ((x > 0) & (y > 0)) * 2 + ((x > 0) | (y > 0)) * 4,
    lambda x, y: max(x, y) + 3 * min(x, y, 0.5) + max((x, 1.0)) + sum((x, y, 2.0)),
    lambda x, y: x * 0 + y * 0.0,
    lambda x, y: x + 0.0 if x == y else x - 0.0,
    lambda x, y: (0.0 if x > 5 else -0.0) * 1.0,
    lambda x, y: -1 < x < y <= 3,
    lambda x, y: round(x) + math.floor(y) - math.ceil(x) * math.trunc(y),
    lambda x, y: sum([a * b for a, b in []], 0.0) + x if False else abs(x),
    lambda x, y: math.log(abs(x) + 2, 3) + math.log10(1000) * x + math.log2(abs(y) + 8),
    lambda x, y: math.hypot(x, y) + math.sinh(x / 8) - math.cosh(y / 8) + math.tan(x / 16),
]


@pytest.mark.parametrize("number", range(len(MEANINGS)))
def test_values_are_python_s(number: int) -> None:
    f = MEANINGS[number]
    op = ng.elementwise(f)
    numbers = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, 7.25]
    for x in numbers:
        for y in numbers:
            expected, got = float(f(x, y)), value(op, x, y)
            assert got == pytest.approx(expected, rel=1e-14, abs=1e-300), (x, y)
            if abs(expected) < 1e-300 and type(f(x, y)) is float:  # an int has no -0
                assert math.copysign(1, got) == math.copysign(1, expected), (x, y)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.3, -0.1, 5.5, -7.0, 1e-20, 3e30, math.inf, -math.inf, math.nan]


JUDGED: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (lambda x, y: x % y, np.remainder),
    (lambda x, y: x // y, np.floor_divide),
    (
        lambda x, y: divmod(x, y)[0] + 0 * divmod(x, y)[1],
        lambda x, y: np.floor_divide(x, y) + 0 * np.remainder(x, y),
    ),
    (lambda x, y: np.maximum(x, y), np.maximum),
    (lambda x, y: np.minimum(x, y), np.minimum),
    (lambda x, y: max(x, y), np.vectorize(lambda x, y: max(x, y), otypes=[float])),
    (lambda x, y: min(x, y), np.vectorize(lambda x, y: min(x, y), otypes=[float])),
    (lambda x, y: np.logaddexp(x, y), np.logaddexp),
    (lambda x, y: x * 0.0 + 0.0 * y, lambda x, y: x * 0.0 + 0.0 * y),
    (lambda x, y: 0 / x + y, lambda x, y: 0 / x + y),
    (lambda x, y: x**y, np.power),
    (lambda x, y: x / y, np.divide),
    (lambda x, y: np.clip(x, -1, y), lambda x, y: np.minimum(np.maximum(x, -1), y)),
    (lambda x, y: (x == y) + 2 * (x != y) + 4 * (x <= y), lambda x, y: (x == y) + 2 * (x != y) + 4 * (x <= y)),
    (lambda x, y: np.where(np.isnan(x), y, x) + np.sign(x), lambda x, y: np.where(np.isnan(x), y, x) + np.sign(x)),
]


# Formulas of float32 are computed in float64, and rounded: every fourth says so.
@pytest.mark.parametrize(
    ("f", "judge", "dtype"),
    [*((*each, "float64") for each in JUDGED), *((*each, "float32") for each in JUDGED[::4])],
)
def test_special_values_are_numpy_s(f: Callable[..., Any], judge: Callable[..., Any], dtype: str) -> None:
    x, y = (a.astype(dtype) for a in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        expected = judge(x.astype(np.float64), y.astype(np.float64)).astype(dtype)
    got = ng.elementwise(f)(ng.tensor(x), ng.tensor(y)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_and_and_or_have_the_gradient_of_what_they_choose() -> None:
    op = ng.elementwise(lambda x, y: (x and y * y) + (x or y**3))
    x, y = ng.tensor([2.0, 0.0], requires_grad=True), ng.tensor([3.0, 3.0], requires_grad=True)
    op(x, y).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.tolist(), y.grad.tolist()) == ([1.0, 1.0], [6.0, 27.0])


def test_remainders_have_gradients() -> None:
    op = ng.elementwise(lambda x, y: x % y + x // y)
    x, y = (
        ng.tensor([7.5, -7.5], dtype=ng.float64, requires_grad=True),
        ng.tensor([2.0, 2.0], dtype=ng.float64, requires_grad=True),
    )
    op(x, y).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.tolist(), y.grad.tolist()) == ([1.0, 1.0], [-3.0, 4.0])


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x & 3, "only constants have bits"),
        (lambda x: x << 1, "LShift"),
        (lambda x: ~x, "Invert"),
        (lambda x: ~(x > 0), "write `not`"),
        (lambda x: x @ x, "MatMult"),
        (lambda x: x is None, "Is"),
        (lambda x: x in (1, 2), "In`"),
        (lambda x: x * (1 // 0), "ZeroDivisionError"),
        (lambda x: x * (-8.0) ** 0.5, "got complex"),
        (lambda x: x * "a", "got str"),
        (lambda x: x + 10**400, "too large"),
        (lambda x: round(x, 2), "rounding to digits"),
        (lambda x: np.sin(x, x), "expected 1 argument"),
        (lambda x: pow(x, 2, 3), "expected 2 arguments"),
        (lambda x: int(x), "'int' has no derivative"),
        (lambda x: range(x), "has to be constant"),
        (lambda x: x[0], "Subscript"),
        (lambda x: np.random.rand() * x, "'rand' has no derivative"),
        (lambda x: (x, x), "got tuple"),
        (lambda x: None, "got NoneType"),
        (lambda x: (y := x) + y, "NamedExpr"),
        (lambda x: sum([x for _ in (1,)]), "ListComp"),
    ],
)
def test_what_cannot_be_compiled_is_refused_by_name_and_line(f: Callable[..., Any], text: str) -> None:
    with pytest.raises(KernelError, match=r"elementwise formula: .*test_formula_meaning.py:\d+") as caught:
        ng.elementwise(f)
    assert text in str(caught.value)
    assert f":{f.__code__.co_firstlineno})" in str(caught.value)


def test_globals_are_those_of_the_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    op = ng.elementwise(lambda x: x * BITS)
    monkeypatch.setattr(sys.modules[__name__], "BITS", 50)
    for dtype in (ng.float32, ng.float64):
        x = ng.tensor([2.0], dtype=dtype, requires_grad=True)
        out = op(x)
        out.sum().backward()
        assert x.grad is not None
        assert (out.item(), x.grad.item()) == (12.0, 6.0)


def test_float32_overflows_nowhere_on_the_way_unless_asked_to() -> None:
    f = lambda x: (x * x) / (x * x + 1)  # noqa: E731
    x = ng.tensor([1e30, -2e25, 3.0], requires_grad=True)
    out = ng.elementwise(f)(x)
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(out.tolist(), [1, 1, 0.9], rtol=1e-6)
    np.testing.assert_allclose(x.grad.tolist(), [0, 0, 0.06], rtol=1e-6, atol=1e-38)
    narrow = ng.elementwise(f, wide=False)(x)
    assert np.isnan(narrow.tolist()).tolist() == [True, True, False]
    assert narrow.dtype is ng.float32
