"""The incomplete gamma functions."""

from __future__ import annotations

import math

from numgrad.kernels import gammas, incomplete, scalar, special
from numgrad.ops.elementwise import oracles
from numgrad.ops.family import Elementwise, elementwise


def _of_order(name: str, what: str, further: str, upper: bool, example: str) -> Elementwise:
    return elementwise(
        name,
        inputs=("input", "other"),
        homes=("function", "method", "in_place"),
        promotes=True,
        cost=200,
        oracle=oracles.each(oracles.gamma_part(upper)),
        doc=f"""{what}, elementwise and broadcast.

    NaN for negative numbers. Integers are converted to floating point. The gradient for input, the order, has no derivative of
    its own. ``special`` has it as `{further}`.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.{name}(ng.tensor([1.0, 4.0]), ng.tensor([1.0, 2.0]))
    tensor({example})
    """,
    )


igamma = _of_order(
    "igamma",
    "The integral of t**(input - 1) * exp(-t) from 0 to other, over that to infinity",
    "gammainc",
    False,
    "[0.6321, 0.1429]",
)
igammac = _of_order(
    "igammac", "1 - igamma(input, other), exact where that is small", "gammaincc", True, "[0.3679, 0.8571]"
)


@igamma.forward
def _(a, x):
    return incomplete.gammainc(a, x)


@igamma.backward
def _(g, a, x):
    density = scalar.exp((a - 1) * scalar.log(x) - x - special.lgamma(a))
    moved = scalar.where((x > 0) & (x < math.inf), density * x * gammas.log_gamma_slope(a, scalar.log(x)), 0.0)
    return -g * moved, g * density


@igammac.forward
def _(a, x):
    return incomplete.gammaincc(a, x)


@igammac.backward
def _(g, a, x):
    density = scalar.exp((a - 1) * scalar.log(x) - x - special.lgamma(a))
    moved = scalar.where((x > 0) & (x < math.inf), density * x * gammas.log_gamma_slope(a, scalar.log(x)), 0.0)
    return g * moved, -g * density
