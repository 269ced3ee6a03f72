"""What the special functions are checked by: integrals and inversions, slow and of other formulas than the kernels'."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def each(function: Any) -> Any:
    """The function of arrays that applies one of numbers; in float64, as the ops do."""

    def oracle(*arrays: Any) -> Any:
        arrays = np.broadcast_arrays(*arrays)
        values = [function(*map(float, row)) for row in zip(*[x.ravel() for x in arrays], strict=True)]
        return np.array(values, np.float64).reshape(arrays[0].shape).astype(arrays[0].dtype)

    return oracle


def quadrature(function: Any, low: float, high: float, count: int = 400) -> float:
    """The integral of a smooth function, by Gauss and Legendre's formula on pieces."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(low, high, count + 1)
    middles, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    return float(np.sum(function(middles[:, None] + halves[:, None] * nodes) * weights * halves[:, None]))


def erfcx_of(x: float) -> float:
    """The integral of exp(-t**2 - 2 x t) over positive t, times 2 / sqrt(pi)."""
    if not math.isfinite(x):
        return x if x != x else 0.0 if x > 0 else math.inf
    if x < 0:
        return 2 * math.exp(x * x) - erfcx_of(-x)
    end = min(10.0, 40 / x if x else 10.0)
    return 2 / math.sqrt(math.pi) * quadrature(lambda t: np.exp(-t * t - 2 * x * t), 0, end)


def solved(function: Any, y: float, low: float, high: float) -> float:
    """Where an increasing function is y, by bisection."""
    if math.isnan(y) or not function(low) <= y <= function(high):
        return math.nan
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < y else (low, middle)
    return high


def erfinv_of(y: float) -> float:
    return math.copysign(math.inf, y) if abs(y) == 1 else math.copysign(solved(math.erf, abs(y), 0.0, 7.0), y)


def ndtr_of(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def log_ndtr_of(x: float) -> float:
    if x > -10:
        return math.log(ndtr_of(x)) if x < 5 else math.log1p(-ndtr_of(-x))
    return math.log(erfcx_of(-x / math.sqrt(2)) / 2) - x * x / 2 if x > -1e150 else -math.inf if x == x else x


def ndtri_of(p: float) -> float:
    return {0.0: -math.inf, 1.0: math.inf}.get(p) or solved(ndtr_of, p, -38.0, 9.0)


def lgamma_of(x: float) -> float:
    if math.isinf(x) or (x <= 0 and x == math.floor(x)):
        return math.inf
    return math.lgamma(x)


def digamma_of(x: float) -> float:
    """By Gauss's integral: log(x) less that of (1 / (1 - exp(-t)) - 1 / t) * exp(-x t), from 12 on, and the recurrence."""
    if x == 0 or math.isinf(x):
        return math.copysign(math.inf, -x) if x == 0 else x if x > 0 else math.nan
    if x != x or (x < 0 and x == math.floor(x)):
        return math.nan
    total = 0.0
    while x < 12:
        total, x = total - 1 / x, x + 1
    return total + math.log(x) - quadrature(lambda t: (-1 / np.expm1(-t) - 1 / t) * np.exp(-x * t), 0, 40 / x)


def zeta_of(x: float, q: float) -> float:
    """By the integral of t**(x - 1) * exp(-q t) / (1 - exp(-t)) over gamma(x), and the recurrence up to q > 1."""
    if x == 1:
        return math.inf
    if not x > 1 or q != q:
        return math.nan
    if q <= 0 and q == math.floor(q):
        return math.inf
    if math.isinf(x) or math.isinf(q):
        return math.nan if math.isinf(q) and q < 0 else 0.0 if math.isinf(q) or q > 1 else 1.0 if q == 1 else math.inf
    if q <= 0 and x != math.floor(x):
        return math.nan
    total = 0.0
    while q < 4:
        total, q = total + q**-x, q + 1

    def integrand(u: Any) -> Any:  # with t = u**12, smooth at 0
        t = u**12
        return np.exp((x - 1) * np.log(t) - q * t - math.lgamma(x)) / -np.expm1(-t) * 12 * u**11

    return total + quadrature(integrand, 0, ((40 + 4 * x) / q) ** (1 / 12))


def polygamma_of(x: float, n: float) -> float:
    if n == 0:
        return digamma_of(x)
    return (-1.0) ** (n + 1) * (math.factorial(int(n)) * zeta_of(n + 1, x))


def gamma_part(upper: bool) -> Any:
    """The incomplete gamma functions of finite numbers, by integrals of t = u**8."""

    def of(a: float, x: float) -> float:
        if math.isnan(a + x) or a < 0 or x < 0 or a == x == 0 or (math.isinf(a) and math.isinf(x)):
            return math.nan
        if x == 0 or math.isinf(a) or a == 0 or math.isinf(x):
            return float(upper is (x == 0 or math.isinf(a)))
        end = (x + a + 12 * math.sqrt(a + 1) + 60) ** (1 / 8)
        low, high = (x ** (1 / 8), end) if upper else (0.0, min(x ** (1 / 8), end))
        return quadrature(lambda u: 8 * np.exp((8 * a - 1) * np.log(u) - u**8 - math.lgamma(a)), low, max(low, high))

    return of


def bessel(order: int) -> Any:
    """exp(-abs(x)) * I(x) of this order, by its integral over angles: the rule of middles is exact for periodic functions."""

    def of(x: float) -> float:
        if math.isinf(x):
            return 0.0
        angles = (np.arange(4096) + 0.5) * (math.pi / 4096)
        if abs(x) < 1e5:
            return float(np.mean(np.exp(x * np.cos(angles) - abs(x)) * np.cos(order * angles)))
        return math.copysign(1, x) ** order / math.sqrt(2 * math.pi * abs(x))

    return of


def grown(of: Any) -> Any:
    def grown(x: float) -> float:
        if x != x or abs(x) > 720:
            return math.copysign(math.inf, of(x)) if x == x and abs(x) < math.inf else x if of is bessel1 else abs(x)
        return of(x) * math.exp(abs(x) / 2) * math.exp(abs(x) / 2)  # type: ignore[no-any-return]

    return grown


bessel0, bessel1 = bessel(0), bessel(1)


# ---- polynomials, and Bessel's functions ----------------------------------------------------------------------------


def series(family: str) -> Any:
    """An orthogonal polynomial of NumPy's."""

    def of(x: float, n: float) -> float:
        if math.isnan(x) or not n < math.inf:
            return math.nan
        if n < 0:
            return 0.0
        if math.isinf(x) and n >= 1:
            lead = (-1.0) ** math.trunc(n) if family == "laguerre" else 1.0
            return lead * math.copysign(math.inf, x) ** math.trunc(n)
        basis = getattr(np.polynomial, {"hermite": "Hermite", "hermite_e": "HermiteE"}.get(family, family.title()))
        return float(basis.basis(math.trunc(n))(x))

    return of


def chebyshev(kind: str) -> Any:
    """T of NumPy's; U is its derivative, and V and W are differences and sums of U."""

    def second(x: float, n: int) -> float:
        return float(np.polynomial.Chebyshev.basis(n + 1).deriv()(x)) / (n + 1) if n >= 0 else 0.0

    def of(x: float, n: float) -> float:
        if kind == "t" or not (0 <= n < math.inf and math.isfinite(x)):
            return series("chebyshev")(x, n)  # type: ignore[no-any-return]
        order = math.trunc(n)
        return second(x, order) + {"u": 0.0, "v": -1.0, "w": 1.0}[kind] * second(x, order - 1)

    return of


def shifted(function: Any) -> Any:
    return lambda x, n: function(2 * x - 1, n)


def bessel_j(order: int) -> Any:
    """By its integral over angles; of finite numbers below 1000."""

    def of(x: float) -> float:
        if math.isinf(x):
            return 0.0
        angles = (np.arange(4096) + 0.5) * (math.pi / 4096)
        return float(np.mean(np.cos(x * np.sin(angles) - order * angles)))

    return of


def bessel_y(order: int) -> Any:
    """By Schläfli's integrals."""

    def of(x: float) -> float:
        if not 0 < x < math.inf:
            return {0.0: -math.inf, math.inf: 0.0}.get(x, math.nan)
        waves = quadrature(lambda t: np.sin(x * np.sin(t) - order * t), 0, math.pi)
        tail = quadrature(
            lambda t: (np.exp(order * t) + (-1) ** order * np.exp(-order * t)) * np.exp(-x * np.sinh(t)),
            0,
            math.asinh(800 / x),
        )
        return (waves - tail) / math.pi

    return of


def bessel_k(order: float, scaled: bool = False) -> Any:
    """By the integral of exp(-x cosh(t)) * cosh(order t)."""

    def of(x: float) -> float:
        if not 0 < x < math.inf:
            return {0.0: math.inf, math.inf: 0.0}.get(x, math.nan)
        end = 2 * math.asinh(math.sqrt(25 / x))
        total = quadrature(lambda t: np.exp(-2 * x * np.sinh(t / 2) ** 2) * np.cosh(order * t), 0, end)
        return total * (1 if scaled else math.exp(-x))

    return of


def airy(x: float) -> float:
    """By its integral along a line in the complex plane, on which it decays."""
    if not math.isfinite(x):
        return 0.0 if math.isinf(x) else x
    u = np.linspace(-12, 12, 4001) + 1j * max(1.0, math.sqrt(max(x, 0.0)))
    return float(np.sum(np.exp(1j * (u**3 / 3 + x * u))).real * (24 / 4000) / (2 * math.pi))


def sine_quotient(x: float) -> float:
    if x == 0 or math.isinf(x):
        return 1.0 if x == 0 else 0.0
    return math.sin(x) / x
