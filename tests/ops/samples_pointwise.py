"""Rows of the mathematical functions of single elements: angles, special functions, combinations of several numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad as ng
from tests.ops.rows import LARGE, Rng, bad, bools, constant, good, integers, normal, off_zero, positive, uniform
from tests.ops.samples_elementwise import _SPECIAL_PAIRS, SPECIAL, Maker, _different, _off_multiples, _pair

NEAR_ZERO = [1e-9, -1e-9, 1e-4]


def _between(low: float, high: float) -> Maker:
    return lambda *shape: uniform(low, high, *shape)


def _off_poles(*shape: int) -> Callable[[Rng], np.ndarray]:
    """Of both signs, at least 0.2 away from integers below 1."""
    return lambda rng: np.asarray(rng.integers(-3, 4, shape) + rng.uniform(0.2, 0.8, shape))


# ---- of one ---------------------------------------------------------------------------------------------------------

QUICK: dict[str, Maker] = {  # where it is smooth
    "tan": _between(-1.0, 1.0),
    "asin": _between(-0.9, 0.9),
    "acos": _between(-0.9, 0.9),
    "atan": normal,
    "sinh": normal,
    "cosh": normal,
    "asinh": normal,
    "acosh": _between(1.2, 4.0),
    "atanh": _between(-0.9, 0.9),
    "log2": positive,
    "log10": positive,
    "exp2": normal,
    "sinc": off_zero,
    "frac": lambda *shape: uniform(0.1, 0.9, *shape),
    "angle": off_zero,
    "isinf": normal,
    "signbit": off_zero,
    "frexp_exponent": normal,
    "log_odds": _between(0.1, 0.9),
    "entr": positive,
}
# Their oracles take a millisecond for an element.
SLOW: dict[str, Maker] = {
    "erfc": normal,
    "erfcx": normal,
    "erfinv": _between(-0.9, 0.9),
    "ndtr": normal,
    "log_ndtr": normal,
    "ndtri": _between(0.1, 0.9),
    "lgamma": _off_poles,
    "digamma": _off_poles,
    "i0": off_zero,
    "i0e": off_zero,
    "i1": off_zero,
    "i1e": off_zero,
}
INTEGERS = ("signbit",)

for name, make in (QUICK | SLOW).items():
    good(name, "matrix", make(3, 4))
    good(name, "empty", make(0, 3))
    good(name, "special", constant(SPECIAL), smooth=False)
    if name in QUICK:
        good(name, "large", make(LARGE), small=False)
    if name not in INTEGERS:
        bad(name, "int64", integers(0, 3, 2), error=RuntimeError, match=f"\"{name}\" not implemented for 'Long'")
good("signbit", "int64", integers(-5, 6, 3, 4))
bad("signbit", "a list", error=TypeError, match="signbit.*Tensor.*list", call=lambda: ng.signbit([1.0]))
for name in ("asinh", "atanh", "tan", "sinh", "erfinv", "sinc", "i1", "i1e"):
    good(name, "near 0", constant(NEAR_ZERO), smooth=False)
good("sinc", "around 0", constant([0.0, 0.05, -0.09, 0.099, 0.101]), smooth=False)
good("erfcx", "far", constant([5.0, 26.0, 1e3, 1e10, -5.0]), smooth=False)
good("erfc", "far", constant([5.0, 20.0, 26.0, -5.0]), smooth=False)
good("log_ndtr", "far", constant([-40.0, -1000.0, 6.0]), smooth=False)
good("digamma", "around its root", constant([1.4, 1.4616, 1.5, 12.0, 1e5]), smooth=False)
good("frexp_exponent", "powers of 2", constant([1.0, 2.0, 0.5, 2.0**-126, 2.0**-140, 3e38]), smooth=False)
for name in ("i0", "i0e", "i1", "i1e"):
    good(name, "both series", constant([-700.0, -8.1, 7.9, 8.0, 30.0, 80.0]), smooth=False)


# ---- of two ---------------------------------------------------------------------------------------------------------

FLOATS: dict[str, tuple[Callable[..., Any], str]] = {  # inputs for two shapes; categories of dtype that are taken
    "atan2": (_pair(off_zero, off_zero), "f"),
    "hypot": (_pair(off_zero, off_zero), "f"),
    "logaddexp": (_pair(normal, normal), "f"),
    "logaddexp2": (_pair(normal, normal), "f"),
    "copysign": (_pair(off_zero, off_zero), "f"),
    "nextafter": (_pair(normal, normal), "f"),
    "xlogy": (_pair(normal, positive), "f"),
    "xlog1py": (_pair(normal, positive), "f"),
    "fmod": (_off_multiples, "if"),
    "fmax": (_different, "bif"),
    "fmin": (_different, "bif"),
    "heaviside": (_pair(off_zero, normal), "bif"),
    "logical_and": (_pair(off_zero, off_zero), "bif"),
    "logical_or": (_pair(off_zero, off_zero), "bif"),
    "logical_xor": (_pair(off_zero, off_zero), "bif"),
    "gcd": (_pair(off_zero, off_zero), "i"),
    "lcm": (_pair(off_zero, off_zero), "i"),
}

for name, (pair, kinds) in FLOATS.items():
    if "f" in kinds:
        good(name, "matrices", pair((3, 4), (3, 4)))
        good(name, "row and column", pair((4,), (3, 1)))
        good(name, "empty", pair((0, 3), (3,)))
        if name != "nextafter":  # whose neighbours depend on the dtype; torch is asked for them
            good(name, "special", *_SPECIAL_PAIRS, smooth=False)
        bad(
            name,
            "float32 and float64",
            normal(2),
            lambda rng: rng.normal(size=2).astype("float32"),
            error=RuntimeError,
            match=f"{name}: dtype of .* is .*float32, expected .*float64",
        )
    if "i" in kinds:
        good(name, "int64", integers(-9, 10, 3, 4), integers(1, 9, 3, 4))
    if "b" in kinds:
        good(name, "bool", bools(3, 4), bools(3, 4))
    if "f" not in kinds:
        good(name, "empty", integers(0, 2, 0, 3), integers(0, 2, 3))
        bad(name, "floats", normal(2), normal(2), error=RuntimeError, match=f'"{name}" not implemented for')
for name in ("gcd", "lcm"):
    good(name, "int8", constant([-128, 127, 0, 12, -9], "int8"), constant([-128, 0, 0, 18, 6], "int8"))
good("fmod", "signs", constant([7, -7, 7, -7], "int64"), constant([2, 2, -2, -2], "int64"))
good("hypot", "beyond the squares", constant([3e200, 3e-200, 0.0]), constant([4e200, 4e-200, 0.0]), smooth=False)
good("logaddexp", "far", constant([1000.0, -1000.0, 0.0]), constant([1000.0, -1001.0, 800.0]), smooth=False)
good("zeta", "matrix", uniform(1.5, 8.0, 3, 4), uniform(0.5, 9.0, 3, 4), fixed=(0,))
good("zeta", "empty", normal(0, 3), normal(3), fixed=(0,))
good("zeta", "poles", constant([1.0, 0.5, 2.0, 2.0]), constant([2.0, 2.0, 0.0, -3.0]), smooth=False)
good("zeta", "below 0", constant([2.0, 3.0, 2.0]), constant([-0.5, -2.25, -7.75]), fixed=(0,))
bad("zeta", "shapes", normal(2, 3), normal(4), error=RuntimeError, match="zeta: The size of tensor a")
for name in (
    "chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w hermite_polynomial_h "
    "hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t "
    "shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w"
).split():
    good(name, "matrix", uniform(-1.2, 1.2, 3, 4), constant([[0.0, 1.0, 2.7, 9.0]] * 3))
    good(name, "empty", normal(0, 3), constant([0.0, 1.0, 2.0]))
    good(name, "ends", constant([-1.0, 1.0, 0.0, 0.5, 2.0]), constant([5.0, 4.0, 7.0, -2.0, 3.0]))
    bad(name, "shapes", normal(2, 3), normal(4), error=RuntimeError, match=f"{name}: The size of tensor a")
    if "chebyshev" in name:
        good(
            name, "of high orders", constant([0.9, -0.3, 1.0, 0.0, 0.5]), constant([150.0, 101.0, 120.0, 100.0, 133.0])
        )
for name in (
    "airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 "
    "scaled_modified_bessel_k1 spherical_bessel_j0"
).split():
    good(name, "matrix", uniform(0.1, 9.0, 3, 4))
    good(name, "empty", normal(0, 3))
    good(
        name,
        "far",
        constant([0.0, 1e-3, 24.9, 25.1, 60.0]) if name != "airy_ai" else constant([0.0, -0.3, -8.9, -9.1, 12.0]),
    )
    bad(name, "bools", bools(3), error=RuntimeError, match="not implemented for 'Bool'")
for name in ("igamma", "igammac"):
    good(name, "matrix", uniform(0.3, 8.0, 3, 4), uniform(0.2, 9.0, 3, 4), fixed=(0,))
    good(name, "broadcast", constant(2.5), uniform(0.2, 9.0, 3, 4), fixed=(0,))
    good(name, "empty", normal(0, 3), normal(3), fixed=(0,))
    good(name, "ends", constant([0.0, 2.0, 3.0, -1.0, 0.0]), constant([2.0, 0.0, 40.0, 2.0, 0.0]), smooth=False)
    bad(name, "shapes", normal(2, 3), normal(4), error=RuntimeError, match=f"{name}: The size of tensor a")
good("polygamma", "of order 1", _off_poles(3, 4), constant(1.0), fixed=(1,))
good("polygamma", "empty", normal(0, 3), constant(1.0), fixed=(1,))
good("polygamma", "of order 3", _off_poles(3, 4), constant(3.0), fixed=(1,))
bad(
    "polygamma",
    "negative",
    normal(2),
    error=RuntimeError,
    match="does not support negative n",
    call=lambda x: ng.polygamma(-1, x),
)
good("frexp_mantissa", "matrix", normal(3, 4), constant(2.0), fixed=(1,))
good("frexp_mantissa", "empty", normal(0, 3), constant(2.0), fixed=(1,))
bad("frexp_mantissa", "int64", integers(0, 3, 2), integers(0, 3, 2), error=RuntimeError, match="not implemented")


# ---- of more --------------------------------------------------------------------------------------------------------

good("lerp", "numbers", normal(3, 4), normal(4), constant(0.25))
good("lerp", "both halves", normal(3, 4), normal(3, 4), uniform(0.0, 1.0, 3, 4))
good("lerp", "empty", normal(0, 4), normal(4), constant(0.75))
bad(
    "lerp",
    "dtypes",
    normal(2),
    normal(2),
    error=RuntimeError,
    match="lerp: expected dtype",
    call=lambda x, y: ng.lerp(x, y.float(), 0.5),
)
good("addcmul", "matrices", normal(3, 4), normal(4), normal(3, 1), constant(0.5))
good("addcmul", "int64", integers(-4, 5, 3, 4), integers(-4, 5, 4), integers(-4, 5, 3, 1), constant(2, "int64"))
good("addcmul", "empty", normal(0, 4), normal(4), normal(4), constant(0.5))
bad("addcmul", "bools", *[bools(2)] * 4, error=RuntimeError, match="\"addcmul\" not implemented for 'Bool'")
good("addcdiv", "matrices", normal(3, 4), normal(4), off_zero(3, 1), constant(0.5))
good("addcdiv", "empty", normal(0, 4), normal(4), off_zero(4), constant(0.5))
bad("addcdiv", "int64", *[integers(1, 3, 2)] * 4, error=RuntimeError, match="\"addcdiv\" not implemented for 'Long'")
REPLACED = [[0.5, np.inf, -1.2], [np.nan, 2.0, -np.inf]]
good("nan_to_num", "matrix", constant(REPLACED), constant(0.0), constant(1.0), constant(-1.0), fixed=(1, 2, 3))
good("nan_to_num", "empty", normal(0, 3), constant(0.0), constant(1.0), constant(-1.0), fixed=(1, 2, 3))
good("nan_to_num", "special", constant(SPECIAL), constant(5.0), constant(6.0), constant(7.0), smooth=False)
bad("nan_to_num", "text", normal(2), error=TypeError, match="must be float", call=lambda x: ng.nan_to_num(x, "0"))
good("isclose", "matrix", normal(3, 4), normal(3, 4), constant(0.5), constant(0.1))
good("isclose", "special", *_SPECIAL_PAIRS, constant(1e-5), constant(1e-8), smooth=False)
bad(
    "isclose",
    "negative",
    normal(2),
    error=RuntimeError,
    match="rtol must be greater than or equal to zero",
    call=lambda x: ng.isclose(x, x, -1.0),
)
