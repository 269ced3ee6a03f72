"""Calls of functions of several tensors and numbers, questions and second names: values, dtypes and refusals are torch's."""

from __future__ import annotations

import math
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

CALLS = (
    """
lib.lerp(f, d, 0.5)|lib.lerp(i, i, 0.5)|lib.lerp(f, f, d)|lib.lerp(f, 2.0, 0.5)|lib.lerp(f, f, 1)
lib.lerp(f, f * 3, 0.25)
lib.lerp(f, g, g)|lib.lerp(f, g, 'a')|f.lerp_(g, 0.75)|lib.lerp(f, big, 1.0)|lib.lerp(f, f[:2], 0.5)
lib.lerp(f, g, weight=0.75)
lib.addcmul(f, d, d)|lib.addcmul(i, i, i, value=0.5)|lib.addcmul(i, i, i, value=2)|lib.addcmul(f, 2, f, f)
lib.addcmul(f, i, i)
lib.addcmul(b, b, b)|lib.addcmul(f, 2.0, 3.0)|lib.addcmul(f, g, f, value='a')|f.addcmul_(g, g, value=2)
i.addcmul_(f, f)
f.addcmul_(d, d)|lib.addcmul(f, tensor1=g, tensor2=f)|lib.addcmul(f, g, f, value=-0.5)
lib.addcmul(i.int(), i.int(), i)
lib.addcdiv(i, i, i)|lib.addcdiv(f, i, i)|lib.addcdiv(f, d, d)|f.addcdiv_(g, f, value=3)|lib.addcdiv(f, f, i + 1)
lib.addcdiv(f, 2, f, f + 2)|lib.addcdiv(f, g, f + 2, value=2)|lib.addcdiv(b, f, f + 2)|f.addcdiv_(d, d + 2)
lib.heaviside(f, d)|lib.heaviside(f, 0.5)|lib.heaviside(b, b)|lib.heaviside(i, i)|f.heaviside_(g)
lib.nan_to_num(i)|lib.nan_to_num(b)|lib.nan_to_num(s)|lib.nan_to_num(s, 1.5)|lib.nan_to_num(s, posinf=1e300)
lib.nan_to_num(s, nan=2, posinf=3, neginf=4)|s.nan_to_num_()|lib.nan_to_num_(s, 1.0)|lib.nan_to_num(s.double())
lib.nan_to_num(s, 'a')
lib.ldexp(f, i)|lib.ldexp(i, i)|lib.ldexp(f, 2)|lib.ldexp(f, f)|f.ldexp_(i)|lib.ldexp(b, i)
lib.frexp(i)|lib.frexp(f)[0]|lib.frexp(f)[1]|lib.frexp(s).mantissa|lib.frexp(s).exponent|lib.frexp(tiny).mantissa
f.frexp().exponent
lib.frexp(tiny).exponent|lib.frexp(tiny.double()).mantissa|lib.frexp(big).exponent
lib.float_power(f, 2)|lib.float_power(2, f)|lib.float_power(i, i)|f.float_power_(2)|d.float_power_(2)
lib.float_power(2, 3)
lib.dist(f, g)|lib.dist(f, g, 3)|lib.dist(f, d)|lib.dist(i, i)|lib.dist(f, g, 0)|lib.dist(f, g, math.inf)
lib.dist(f, g, p=1)
lib.polygamma(-1, f)|lib.polygamma(1.5, f)|lib.polygamma(2, i)|lib.polygamma(0, g)|lib.polygamma(1, g)
lib.polygamma(4, g)|g.polygamma(3)
g.polygamma_(2)|lib.special.polygamma(1, g)|lib.polygamma(n=1, input=g)|i.polygamma_(1)|lib.polygamma(2, b)
lib.mvlgamma(g + 2, 2)|lib.mvlgamma(g * 0.1, 2)|lib.mvlgamma(i + 3, 3)|lib.mvlgamma(g, 0)|lib.mvlgamma(g, 1.5)
(g + 3).mvlgamma(p=3)
lib.special.multigammaln(d + 5, 4)|(g + 2).mvlgamma_(2)|lib.mvlgamma(g + 2, 1)
lib.logit(f)|lib.logit(f, 1e-3)|lib.logit(i)|lib.logit(f, 'a')|lib.logit(f, eps=0.25)|f.logit_(0.25)
lib.special.logit(d, 0.1)
lib.isclose(f, d)|lib.isclose(i, i + 1, atol=1)|lib.isclose(f, f, rtol=-1)|lib.isclose(f, 1.0)|lib.isclose(b, b)
lib.isclose(s, s)
lib.isclose(s, s, equal_nan=True)|lib.isclose(f, f * (1 + 1e-6))|f.isclose(f + 1e-9)|lib.isclose(f, g, atol=-1)
lib.isclose(f, f[:2])
lib.isclose(f, g, rtol=0, atol=0)|lib.isclose(f, g, 1e-1, 1.0, False)
lib.isposinf(i)|lib.isneginf(b)|lib.isreal(i)|lib.is_nonzero(f)|lib.is_nonzero(f[:1])|lib.is_nonzero(3)
lib.is_same_size(f, d)
lib.is_same_size(f, f[:2])|lib.is_complex(f)|f.is_complex()|lib.is_complex(3)|lib.is_signed(i)
lib.tensor([1], dtype=lib.uint8).is_signed()|b.is_signed()
lib.is_floating_point(f)|lib.is_floating_point(i)|lib.is_floating_point(3)|lib.is_tensor(f)|lib.is_tensor(3)
lib.is_conj(f)|lib.is_neg(f)
lib.is_inference(f)|lib.can_cast(lib.float32, lib.int32)|lib.can_cast(lib.int64, lib.float32)
lib.can_cast(lib.bool, lib.uint8)
lib.can_cast(3, lib.uint8)|lib.can_cast(lib.float64, lib.float32)|lib.positive(b)|lib.positive(f)|f.positive()
lib.rsub(f, 3, alpha=2)|lib.rsub(f, i)|lib.rsub(b, b)|lib.rsub(i, 2, alpha=0.5)
lib.sgn(b)|lib.sgn(f)|lib.angle(f)|lib.angle(i)|lib.real(i)|f.real|lib.imag(f)|f.imag|lib.conj(f)|f.conj()
lib.resolve_conj(f)
f.resolve_neg()|lib.conj_physical(f)|f.conj_physical_()
lib.gcd(b, b)|lib.gcd(f, f)|lib.gcd(i, 3)|lib.gcd(i * 6, i + 2)|lib.lcm(i, i + 3)|i.gcd_(i + 2)|lib.gcd(i.int(), i)
lib.lcm_(i, i + 1)
lib.div(i * 7, -2, rounding_mode='trunc')|lib.div(f * 7, -2, rounding_mode='floor')
lib.div(f * 7, -2, rounding_mode='up')
lib.div(b, b, rounding_mode='floor')|lib.div(b, b, rounding_mode='trunc')|lib.div(i, 0, rounding_mode='trunc')
lib.divide(i * 7, 2, rounding_mode='floor')|lib.div(i * 7, i - 5, rounding_mode='trunc')
f.div_(2, rounding_mode='trunc')
i.div_(2, rounding_mode='floor')|i.divide(2)|f.div(d, rounding_mode='trunc')|lib.true_divide(i, 2)|f.true_divide_(2)
lib.fmod(i * 7, -3)|lib.fmod(i, 0)|lib.fmod(f, 0)|f.fmod_(0.75)|i.fmod_(2)|i.fmod_(0)|lib.remainder(5.0, g)
lib.fmod(b, 2)
lib.clip(f, 0)|lib.clip(f, -0.5, 0.5)|lib.clip(f)|f.clip_(max=0)|lib.clip_(f, 0, 1)|f.clip(min=f, max=g)
lib.clip(i, 0.5)
lib.multiply(f, 2)|f.multiply_(2)|lib.subtract(f, g, alpha=2)|f.subtract_(g)|lib.subtract(b, b)|lib.negative(f)
lib.negative_(f)
lib.absolute(f)|f.absolute_()|lib.greater(f, 0)|f.less_equal(g)|f.not_equal_(g)|lib.arctan2(f, g)|f.arctan2_(g)
lib.arccos(f)
lib.arcsin_(f)|lib.arctanh(f)|lib.arccosh(g + 2)|lib.arcsinh(i)|f.arctan()|lib.fix(f)|f.fix_()|lib.fix(b)
lib.less(f, g)
lib.logical_and(f, 2)|lib.logical_or(f, i)|f.logical_xor_(g)|i.logical_and_(b)|lib.logical_not(f)|lib.signbit(-f)
lib.copysign(i, -2)
f.copysign_(-1)|lib.nextafter(f, d)|f.nextafter_(g)|lib.atan2(f, 1.0)|lib.xlogy(2, g)|lib.xlogy(f, 2)
lib.xlogy_(f, g)|g.xlogy(2.0)
lib.special.xlog1py(2, g)|lib.special.xlog1py(f, 0.5)|lib.special.zeta(2, g)|lib.special.zeta(g + 1, 2)
lib.special.xlogy(f, g)
lib.hypot(f, d)|f.hypot_(g)|lib.hypot(i, i)|lib.hypot(huge, huge)|lib.logaddexp(huge, huge)|lib.sinh(big)
lib.exp2(f)|f.exp2_()
lib.special.round(f, decimals=1)|lib.special.softmax(f, 0)|lib.special.log_softmax(f, 0)|lib.special.expit(f)
lib.special.erf(f)
lib.rad2deg(i)|lib.deg2rad(b)|f.rad2deg_()|i.deg2rad_()|lib.frac(i)|f.frac_()|i.tan_()|b.sin()|lib.asin(i)
lib.sinc(i)|f.sinc_()
lib.pi|lib.e|lib.inf|lib.nan|lib.newaxis|f[:, lib.newaxis]
""".strip()
    .replace("\n", "|")
    .split("|")
)
# torch has these for numbers as well, which nobody writes.
LOOSE = {"lib.float_power(2, 3)"}


def outcome(lib: Any, text: str) -> Any:
    """What a call gives, with the tensor that it may have changed, or the exception that it raises."""
    f = lib.tensor([0.25, -0.75, 0.0], dtype=lib.float32)
    names = {
        "lib": lib, "math": math, "f": f, "g": lib.tensor([0.5, 1.5, 2.25], dtype=lib.float32),
        "d": lib.tensor([1.0, 2.0, 0.5], dtype=lib.float64), "i": lib.tensor([1, -2, 3]), "b": lib.tensor([True, False, True]),
        "s": lib.tensor([1.0, math.nan, math.inf, -math.inf, -0.0]), "tiny": lib.tensor([1e-45, -1e-39, 0.0, 2.0**-126]),
        "big": lib.tensor([3e38, -3e38, 1.0]), "huge": lib.tensor([1e38, -2e38]),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(text, names), names["f"], names["i"]
        except Exception as error:
            return error


def same(mine: Any, theirs: Any) -> None:
    if hasattr(theirs, "dtype"):
        assert str(mine.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
        np.testing.assert_allclose(mine.numpy(), theirs.resolve_conj().resolve_neg().numpy(), rtol=1e-6, atol=1e-7)
    else:
        assert mine == theirs or mine != mine


@pytest.mark.parametrize("text", [text for text in CALLS if text not in LOOSE])
def test_a_call_is_torchs(text: str, torch: ModuleType) -> None:
    mine, theirs = outcome(ng, text), outcome(torch, text)
    if isinstance(theirs, Exception) or isinstance(mine, Exception):
        kinds = [RuntimeError if isinstance(value, RuntimeError) else type(value) for value in (mine, theirs)]
        assert kinds[0] is kinds[1], (mine, theirs)
        return
    for one, other in zip(mine, theirs, strict=True):
        same(one, other)


@pytest.mark.parametrize("name", ["lerp", "addcmul", "addcdiv"])
def test_gradients(name: str) -> None:
    x, y, z = (
        ng.tensor([[0.3, -0.7], [1.2, 2.0]], dtype=ng.float64, requires_grad=True),
        ng.tensor([0.5, 1.5], dtype=ng.float64, requires_grad=True),
        ng.tensor([[0.25], [0.75]], dtype=ng.float64, requires_grad=True),
    )
    function = getattr(ng, name)
    assert ng.autograd.gradcheck(function, (x, y, z))
    assert ng.autograd.gradgradcheck(function, (x, y, z))
    if name != "lerp":
        assert ng.autograd.gradcheck(lambda x, y, z: function(x, y, z, value=-2.0), (x, y, z))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ng.mvlgamma(x + 2, 3),
        lambda x: ng.logit(x, 0.1),
        lambda x: ng.polygamma(2, x),
        lambda x: ng.dist(x, x * x, 3),
        lambda x: ng.ldexp(x, ng.tensor([2, -1])),
        lambda x: ng.frexp(x)[0],
        lambda x: ng.float_power(x, 1.5),
        lambda x: ng.rad2deg(x),
        lambda x: ng.clip(x, 0.2, 0.5).arctan2(x + 1),
    ],
)
def test_gradients_of_one(function: Any) -> None:
    x = ng.tensor([0.3, 0.6], dtype=ng.float64, requires_grad=True)
    assert ng.autograd.gradcheck(function, x)
    assert ng.autograd.gradgradcheck(function, x)


def test_float32_does_not_overflow_where_the_result_is_finite() -> None:
    """Against float64, which holds what overflows on the way."""
    large = [1e38, 2e38, 3e38]
    for function in (
        lambda x: ng.hypot(x, x * 0.5),
        lambda x: ng.logaddexp(x, -x),
        lambda x: ng.logaddexp2(x, x * 0.5),
        ng.asinh,
        ng.acosh,
        ng.special.i0e,
        ng.special.log_ndtr,
        ng.special.erfcx,
        lambda x: ng.lgamma(x * 1e-3),
        ng.digamma,
        lambda x: ng.sinh(x * 1e-36 / 4),
        lambda x: ng.special.i0(x * 2.5e-37),
    ):
        x = ng.tensor(large, requires_grad=True)
        y = ng.tensor(x.tolist(), dtype=ng.float64, requires_grad=True)
        single, double = function(x), function(y)
        np.testing.assert_allclose(single.tolist(), double.tolist(), rtol=1e-5)
        single.sum().backward()
        double.sum().backward()
        np.testing.assert_allclose(x.grad.tolist(), y.grad.tolist(), rtol=1e-5, atol=1e-44)


def test_poles_far_below_zero_take_no_loop() -> None:
    x = ng.tensor([-1e15 - 0.5, -1e6 - 0.25], dtype=ng.float64)
    assert ng.polygamma(1, x).tolist() == pytest.approx([math.pi**2, 2 * math.pi**2], rel=1e-5)
    assert ng.special.zeta(ng.tensor(3.0), ng.tensor(-1e18)).item() == math.inf
    ends = ng.tensor([-math.inf, -1e30, 1e30, math.inf, math.nan], dtype=ng.float64)
    np.testing.assert_allclose(ng.digamma(ends)[[0, 1, 3, 4]].tolist(), [math.nan, math.nan, math.inf, math.nan])
    np.testing.assert_allclose(ng.polygamma(1, ends).tolist(), [math.inf, math.inf, 1e-30, 0, math.nan], 1e-14)
    np.testing.assert_allclose(ng.special.zeta(ends, 2.0)[[2, 3]].tolist(), [0, 0])
    np.testing.assert_allclose(ng.special.zeta(2.0, ends).tolist(), [math.inf, math.inf, 1e-30, 0, math.nan], 1e-14)
