"""Every function of Python, math and NumPy that a program may call: its value is NumPy's, its derivatives are differences'."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
import pytest

from numgrad.loops.vocabulary import KNOWN, LIKE, MAKERS, METHODS, WHOLE_ARRAY
from numgrad.runtime.kernel import Device
from tests.loops import duals
from tests.loops.running import Run

ONE_NUMBER = """
fabs sqrt exp expm1 exp2 log log1p log2 log10 sin cos tan sinh cosh tanh asin acos atan asinh atanh erf erfc floor
ceil trunc radians degrees
""".split()
MATH = [f"math.{name}(s)" for name in ONE_NUMBER if hasattr(math, name)]
NUMPY = """
np.abs(x) np.fabs(x) np.sqrt(x) np.exp(x) np.expm1(x) np.exp2(x) np.log(x) np.log1p(x) np.log2(x) np.log10(x) np.sin(x)
np.cos(x) np.tan(x) np.sinh(x) np.cosh(x) np.tanh(x) np.arcsin(x) np.arccos(x) np.arctan(x) np.arcsinh(x) np.arccosh(x+1)
np.arctanh(x) np.sign(x-0.5) np.square(x) np.rint(x*3) np.floor(x*3) np.ceil(x*3) np.trunc(x*3) np.deg2rad(x) np.rad2deg(x)
np.reciprocal(x) np.negative(x) np.add(x,s) np.subtract(x,s) np.multiply(x,s) np.divide(s,x) np.floor_divide(x,0.3)
np.mod(x,0.3) np.power(x,s) np.float_power(s,2.0) np.maximum(x,s) np.minimum(x,s) np.fmax(x,s) np.fmin(x,s)
np.where(x>s,x*x,s) np.clip(x,0.3,0.6) np.hypot(x,s) np.logaddexp(x,s) np.arctan2(x,s) np.fmod(x,0.3)
np.copysign(x,s-1)
np.where(np.isnan(x),s,x) np.where(np.isinf(x),s,x) np.where(np.isfinite(x),s*x,x) np.where(np.less(x,s),x*x,x)
np.where(np.less_equal(x,s),x*x,x) np.where(np.greater(x,s),x*x,x) np.where(np.greater_equal(x,s),x*x,x)
np.where(np.equal(x,s),s,x) np.where(np.not_equal(x,s),s*x,x) np.where(np.logical_and(x>s,x<0.8),x*x,x)
np.where(np.logical_or(x>s,x<0.3),x*x,x) np.where(np.logical_not(x>s),x*x,x)
""".split()
PYTHON = """
abs(s-1) max(s,x[0],x[1]) min(s,x[0]) float(s) s*int(x[3]*7) s*bool(n) pow(s,3) pow(s,x[0]) round(s*7)*s math.pow(s,x[1])
math.hypot(s,x[0]) math.atan2(s,x[0]) math.fmod(s,0.3) math.copysign(s,-1.0) math.acosh(1+s) math.fabs(s) np.float64(s)
s*np.float32(0.5) s*np.int64(2) s*np.int32(2) s*np.bool_(n) s*(1+math.isnan(s)) s*(1+math.isinf(s)) s*(1+math.isfinite(s))
s**2 s**-1.5 2.0**s s%0.3 -s%0.3 s//0.3+s x[0]/s +s
""".split()
ARRAYS = """
np.sum(x*x) sum(x) np.mean(x*s) np.prod(x) np.max(x) np.amax(m) np.min(x) np.amin(m) x[np.argmax(x)]*s x[np.argmin(x)]*s
np.dot(x,x) np.dot(m,x[:3]) np.dot(m,m) np.matmul(m,m) np.vdot(x,x) np.inner(x,x) np.cumsum(x*x) np.copy(x)*s np.asarray(x)*s
np.array(x)*s np.ascontiguousarray(x)*s np.transpose(m)*m np.linalg.norm(x) np.outer(x,x) s*np.any(x>s) s*np.all(x<2)
np.trace(m*m) np.diag(m)*s np.var(x) np.std(x) np.arange(4)*s+x np.linspace(0.0,1.0,4)*x np.eye(3)*m np.identity(3)*m
np.ravel(x)*s m@m m@x[:3] x[:3]@m x@x m.T*m m.T@m x.sum() (x*x).mean() x.prod() x.max() m.min() x[x.argmax()]*s
x[x.argmin()]*s x.dot(x) (x*s).cumsum() x.copy()*s m.transpose()@m s*(x>s).any() s*(x>0).all() x.var() x.std() m[1:,:2]*s
m[::2,1]*s x[::-1]*x x[1:]-x[:-1] m[:,0]*m[1] m*x[:3] np.sum(m,axis=0) np.sum(m,axis=1)*s np.zeros(4)+x np.ones((3,3))*m
np.full(4,s)*x np.zeros_like(x)+s np.ones_like(m)*s np.full_like(x,s)*x np.empty(4)*0.0+x np.empty_like(x)*0.0+x
""".split()
EXPRESSIONS = [*MATH, *NUMPY, *PYTHON, *ARRAYS, "s if s > 0.5 else x[0]"]
ARGUMENTS: list[Any] = [
    0.55,
    np.array([0.81, 0.35, 0.62, 0.23]),
    np.array([[0.9, 0.2, 0.4], [0.3, 0.7, 0.5], [0.15, 0.45, 0.6]]),
    2,
]
NAMES = ("s", "x", "m")
SCOPE = {"math": math, "np": np}


def made(expression: str) -> Any:
    text = f"def f(s, x, m, n):\n    y = {expression}\n    return y\n"
    return duals.scope(text, f"word {expression}", SCOPE)["f"]


def values(function: Any, moved: list[Any]) -> np.ndarray:
    return np.ravel(np.asarray(function(*moved), float))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_word(expression: str) -> None:
    function = made(expression)
    run = Run(function, ARGUMENTS)
    want = values(function, ARGUMENTS)
    (found,) = run.record().values()
    np.testing.assert_allclose(found.reshape(-1), want, rtol=1e-6 if "float32" in expression else 1e-13)
    weights = np.cos(np.arange(want.size))
    way = {
        name: np.sin(np.arange(np.size(a)) + k).reshape(np.shape(a))
        for k, (name, a) in enumerate(zip(NAMES, ARGUMENTS, strict=False))
    }
    h = 1e-6

    def at(t: float) -> np.ndarray:
        return values(function, [*[a + t * way[n] for n, a in zip(NAMES, ARGUMENTS, strict=False)], ARGUMENTS[3]])

    along = (at(h) - at(-h)) / (2 * h)
    grads = run.reverse({"out_0": weights.reshape(found.shape)}) if run.sweeps.results[0].needs_grad else {}
    got = sum(float(np.sum(g * way[name])) for name, g in grads.items())
    assert got == pytest.approx(weights @ along, rel=1e-7, abs=1e-8)
    tangents = run.tangent(way)
    if run.sweeps.results[0].needs_grad:
        np.testing.assert_allclose(tangents["out_0"].reshape(-1), along, rtol=1e-7, atol=1e-8)


def extremes(x, y):
    """What numbers give one after the other, and what arrays give."""
    each = np.empty((6, x.size))
    for i in range(x.size):
        each[0, i] = np.maximum(x[i], y[i])
        each[1, i] = np.minimum(x[i], y[i])
        each[2, i] = np.fmax(x[i], y[i])
        each[3, i] = np.fmin(x[i], y[i])
        each[4, i] = np.clip(x[i], -1.5, y[i])
        each[5, i] = np.logaddexp(x[i], y[i])
    return each, np.maximum(0.0, x), np.clip(x, y, 2.0), np.fmin(x, np.fmax(y, np.minimum(x, 0.5))), np.logaddexp(x, y)


def test_extremes_of_nans_and_infinities() -> None:
    ends = np.array([-np.inf, -2.0, -0.0, 0.0, 1.0, 800.0, np.inf, np.nan])
    x, y = (a.reshape(-1) for a in np.meshgrid(ends, ends))
    with np.errstate(invalid="ignore"):
        wanted = extremes(x, y)
    for found, want in zip(Run(extremes, [x, y]).record().values(), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-15)


def test_equal_numbers_share_the_slope_of_logaddexp() -> None:
    run = Run(made("np.logaddexp(x,x[::-1]*1.0)"), [0.5, np.array([2.0, -np.inf, -np.inf, 2.0]), np.ones((1, 1)), 2])
    run.record()
    np.testing.assert_allclose(run.reverse({"out_0": np.ones(4)})["x"], [1.0, 1.0, 1.0, 1.0])


def test_every_word_has_a_row() -> None:
    called, methods = [], set()
    for expression in EXPRESSIONS:
        for node in ast.walk(ast.parse(expression)):
            if isinstance(node, ast.Call):
                text = ast.unparse(node.func)
                if text.partition(".")[0] in ("math", "np") or "." not in text:
                    called.append(eval(text, SCOPE))
                elif isinstance(node.func, ast.Attribute):
                    methods.add(node.func.attr)
    words = [f for f in [*KNOWN, *WHOLE_ARRAY, *MAKERS, *LIKE] if not isinstance(f, Device)]
    missing = [f for f in words if not any(f is each for each in called)]
    assert not missing, missing
    assert set(METHODS) <= methods
