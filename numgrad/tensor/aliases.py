"""Functions that torch has under several names."""

from __future__ import annotations

# These modules declare the functions.
from numgrad.tensor import clamping as _clamping  # noqa: F401
from numgrad.tensor import combinations as _combinations  # noqa: F401
from numgrad.tensor import predicates as _predicates  # noqa: F401
from numgrad.tensor import rounding as _rounding  # noqa: F401
from numgrad.tensor import special_functions as _special_functions  # noqa: F401
from numgrad.tensor.surface import alias

for _name, _of in {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "clip": "clamp", "divide": "div", "fix": "trunc", "greater": "gt",
    "greater_equal": "ge", "less": "lt", "less_equal": "le", "multiply": "mul", "negative": "neg", "not_equal": "ne",
    "sgn": "sign", "subtract": "sub", "true_divide": "div",
}.items():  # fmt: skip
    alias(_name, _of)

for _name, _of in {
    "expit": "sigmoid", "gammainc": "igamma", "gammaincc": "igammac", "gammaln": "lgamma",
    "modified_bessel_i0": "i0", "modified_bessel_i1": "i1", "multigammaln": "mvlgamma",    "psi": "digamma",
}.items():  # fmt: skip
    alias(_name, _of, home="special")
