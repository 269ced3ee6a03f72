"""Mathematics of single elements beside torch: values, dtypes, poles, large and small arguments, derivatives, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, -3.0, np.inf, -np.inf, np.nan, 0.5, -0.5, -2.5, 1e-30, -1e-30, 1e30, -1e30]
SMOOTH = [0.1, 0.3, 0.45, 0.75, 0.95]
WIDE = [-30.0, -9.5, -8.0, -3.7, -1.2, -0.3, 0.02, 0.3, 1.46, 1.7, 3.3, 7.9, 8.1, 12.0, 30.0, 80.0]
UNARY = [
    "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "log2", "log10", "exp2", "sinc", "rad2deg",
    "deg2rad", "erfc", "erfinv", "lgamma", "digamma", "i0", "logit", "nan_to_num", "angle", "isinf", "isposinf", "isneginf",
    "signbit", "isreal", "sgn", "absolute", "special.erfcx", "special.ndtr", "special.log_ndtr", "special.ndtri", "special.i0e",
    "special.i1", "special.i1e", "special.entr", "special.expit", "special.gammaln", "special.psi",
]  # fmt: skip
BINARY = [
    "atan2", "hypot", "logaddexp", "logaddexp2", "fmod", "copysign", "nextafter", "fmax", "fmin", "xlogy", "special.xlog1py",
    "heaviside", "logical_and", "logical_or", "logical_xor", "float_power", "isclose", "gcd", "lcm", "remainder", "ldexp",
    "special.zeta", "dist", "rsub", "true_divide",
]  # fmt: skip
# Where torch is wrong: NaN for i0 and i1 of infinity, a number for digamma at the pole -1e30.
NOT_JUDGED = {"i0": [np.inf, -np.inf], "special.i1": [np.inf, -np.inf], "digamma": [-1e30], "special.psi": [-1e30]}
# Where torch's digits are few: those of trigamma are nine.
TRIGAMMA = 1e-9
ROUGHER = {
    "erfcx": 1e-12,
    "log_ndtr": 1e-12,
    "digamma": 1e-11,
    "psi": 1e-11,
    "ndtr": 1e-11,
    "zeta": 1e-12,
    "sinc": 1e-12,
}


def function(library: Any, name: str) -> Any:
    """A library's function of that name."""
    for part in name.split("."):
        library = getattr(library, part)
    return library


def both(torch: Any, values: Any, dtype: str, grad: bool = False) -> tuple[Any, Any]:
    """The values as tensors of both libraries."""
    array = np.array(values).astype(dtype)
    mine, theirs = ng.tensor(array), torch.tensor(array)
    return (mine.requires_grad_(), theirs.requires_grad_()) if grad else (mine, theirs)


def result(call: Any) -> Any:
    try:
        return call()
    except (RuntimeError, TypeError) as error:
        return error


def compare(mine: Any, theirs: Any, note: str, rtol: float = 1e-12) -> None:
    """Both are refusals of one class (or numgrad's is the RuntimeError that torch's derives from), or equal results."""
    if isinstance(theirs, Exception) or isinstance(mine, Exception):
        ours, other = type(mine), type(theirs)
        assert issubclass(ours, Exception) == issubclass(other, Exception), (note, mine, theirs)
        assert (RuntimeError in ours.__mro__ and RuntimeError in other.__mro__) or ours is other, (note, mine, theirs)
        return
    assert str(mine.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1], note
    exact = "int" in str(theirs.dtype) or "bool" in str(theirs.dtype)
    rtol = 0 if exact else max(rtol, 2e-6) if "32" in str(theirs.dtype) else rtol
    wanted = theirs.detach().resolve_neg().clone()
    wanted = (
        wanted.new_zeros(wanted.shape) + wanted if not exact else wanted
    ).numpy()  # torch has zeros without memory
    np.testing.assert_allclose(mine.detach().numpy(), wanted, rtol=rtol, atol=rtol / 10, err_msg=note)


@pytest.mark.torch
@pytest.mark.parametrize("name", UNARY)
def test_of_one_tensor(name):
    torch = pytest.importorskip("torch")
    rough = ROUGHER.get(name.split(".")[-1], 1e-13)
    for values in ([value for value in SPECIAL if value not in NOT_JUDGED.get(name, ())], WIDE, SMOOTH):
        for dtype in ("float64", "float32"):
            x, y = both(torch, values, dtype)
            wanted = function(torch, name)(y)
            if wanted.dtype is torch.float32 and name != "nan_to_num":  # torch's own loses digits
                wanted = function(torch, name)(y.double()).float()
            compare(function(ng, name)(x), wanted, f"{name} {dtype} {values}", rough)
    for values, dtype in (
        ([0, 1, 2, -3], "int64"),
        ([True, False], "bool"),
        (np.zeros((0, 3)), "float32"),
        (0.5, "float32"),
    ):
        x, y = both(torch, values, dtype)
        compare(
            result(lambda x=x: function(ng, name)(x)),
            result(lambda y=y: function(torch, name)(y)),
            f"{name} {dtype}",
        )
    compare(result(lambda: function(ng, name)(2.0)), result(lambda: function(torch, name)(2.0)), name)


SMOOTH_ONLY = {"isinf", "isposinf", "isneginf", "signbit", "isreal"}


@pytest.mark.torch
@pytest.mark.parametrize("name", [name for name in UNARY if name not in SMOOTH_ONLY])
def test_derivatives_of_one(name):
    """First and second ones; the first also at special values, where torch's are the limit."""
    torch = pytest.importorskip("torch")
    values = [1.2, 1.9, 3.0] if name == "acosh" else SMOOTH
    x, y = both(torch, values, "float64", grad=True)
    [first] = ng.autograd.grad(function(ng, name)(x).sum(), x, create_graph=True)
    [other] = torch.autograd.grad(function(torch, name)(y).sum(), y, create_graph=True)
    gamma = name.endswith(("digamma", "psi", "gammaln", "lgamma"))
    compare(first, other, name, TRIGAMMA if gamma else 1e-11)
    if first.requires_grad and other.requires_grad:
        [second] = ng.autograd.grad(first.sum(), x)
        [other_second] = torch.autograd.grad(other.sum(), y)
        compare(second, other_second, f"{name} twice", TRIGAMMA if gamma else 1e-10)
    wide = [
        value for value in WIDE if not (gamma and value == int(value) and value < 0)
    ]  # torch's poles are no infinities
    x, y = both(torch, [abs(value) + 1 for value in wide] if name == "acosh" else wide, "float64", grad=True)
    function(ng, name)(x).sum().backward()
    function(torch, name)(y).sum().backward()
    rough = (
        TRIGAMMA if gamma else 1e-7 if name.endswith(("erfcx", "log_ndtr")) else 1e-10
    )  # torch's have cancelled there
    compare(x.grad, y.grad, f"{name} wide", rough)


@pytest.mark.torch
@pytest.mark.parametrize("name", BINARY)
def test_of_two_tensors(name):
    torch = pytest.importorskip("torch")
    mine, theirs = function(ng, name), function(torch, name)
    table = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 0.3]
    if name in ("dist", "special.zeta"):
        table = [1.5, 2.0, 3.5, 6.0]
    first, second = np.repeat(table, len(table)), np.tile(table, len(table))
    for dtype in ("float64", "float32"):
        (a, c), (b, d) = both(torch, first, dtype), both(torch, second, dtype)
        compare(result(lambda a=a, b=b: mine(a, b)), result(lambda c=c, d=d: theirs(c, d)), f"{name} {dtype}", 1e-12)
    ints = np.array([-7, -3, 1, 2, 12]), np.array([2, 5, -3, 4, 18])
    for one, two in (
        ("int64", "int64"),
        ("float32", "float64"),
        ("int64", "float32"),
        ("bool", "bool"),
        ("int32", "int64"),
    ):
        if name == "special.zeta" and one == "bool":
            continue
        (a, c), (b, d) = both(torch, ints[0], one), both(torch, ints[1], two)
        if name == "special.zeta":
            a, b, c, d = a.abs() + 2, b.abs() + 2, c.abs() + 2, d.abs() + 2
        compare(result(lambda a=a, b=b: mine(a, b)), result(lambda c=c, d=d: theirs(c, d)), f"{name} {one} {two}")
    (a, c), (b, d) = both(torch, np.ones((2, 3)), "float32"), both(torch, np.ones(2), "float32")
    compare(result(lambda: mine(a, b)), result(lambda: theirs(c, d)), f"{name} shapes")
    compare(result(lambda: mine(a, 2.0)), result(lambda: theirs(c, 2.0)), f"{name} and a number", 1e-5)


@pytest.mark.torch
@pytest.mark.parametrize(
    "name",
    [
        "atan2",
        "hypot",
        "logaddexp",
        "logaddexp2",
        "fmod",
        "copysign",
        "fmax",
        "fmin",
        "xlogy",
        "special.xlog1py",
        "ldexp",
        "dist",
    ],
)
def test_derivatives_of_two(name):
    torch = pytest.importorskip("torch")
    (a, c), (b, d) = (both(torch, values, "float64", grad=True) for values in ([0.3, 2.0, 5.5], [0.7, 1.5, 2.0]))
    firsts = ng.autograd.grad(function(ng, name)(a, b).sum(), (a, b), create_graph=True)
    others = torch.autograd.grad(function(torch, name)(c, d).sum(), (c, d), create_graph=True)
    for first, other in zip(firsts, others, strict=True):
        compare(first, other, name, 1e-11)
    total = sum(first.sum() * (k + 1) for k, first in enumerate(firsts) if first.requires_grad)
    total_other = sum(other.sum() * (k + 1) for k, other in enumerate(others) if other.requires_grad)
    if not isinstance(total, int) and not isinstance(total_other, int):
        seconds = ng.autograd.grad(total, (a, b), allow_unused=True)
        other_seconds = torch.autograd.grad(total_other, (c, d), allow_unused=True)
        for second, other in zip(seconds, other_seconds, strict=True):
            if second is not None and other is not None:
                compare(second, other, f"{name} twice", 1e-10)
