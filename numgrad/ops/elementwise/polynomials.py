"""Orthogonal polynomials, and Bessel's and Airy's functions; as torch's they have no derivatives."""

from __future__ import annotations

from typing import Any

from numgrad.kernels import bessel, polynomials
from numgrad.ops.elementwise import oracles
from numgrad.ops.family import Elementwise, elementwise

_NOTE = "They are computed in float64, and a float32 result is rounded once. There is no derivative, as in torch."


def _polynomial(name: str, word: Any, oracle: Any, what: str, values: str, limit: str = "") -> Elementwise:
    op = elementwise(
        name,
        inputs=("x", "n"),
        homes=("special",),
        promotes=True,
        differentiable=False,
        cost=100,
        oracle=oracles.each(oracle),
        doc=f"""{what} of order n at x, elementwise and broadcast.

    Orders are cut to whole numbers; of negative ones it is 0{limit}. Integers are converted to floating point.
    {_NOTE}

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.special.{name}(ng.tensor([0.5, 2.0]), ng.tensor([2, 3]))
    tensor({values})
    """,
    )

    @op.forward
    def _(x, n):
        return word(x, n)

    return op


_T, _U, _V, _W = (oracles.chebyshev(kind) for kind in "tuvw")
_KINDS = ("first", "second", "third", "fourth")
chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w = (
    _polynomial(f"chebyshev_polynomial_{letter}", word, oracle, f"Chebyshev's polynomial of the {kind} kind", values)
    for letter, word, oracle, kind, values in zip(
        "tuvw",
        (polynomials.chebyshev_t, polynomials.chebyshev_u, polynomials.chebyshev_v, polynomials.chebyshev_w),
        (_T, _U, _V, _W),
        _KINDS,
        ("[-0.5000, 26.0000]", "[ 0., 56.]", "[-1., 41.]", "[ 1., 71.]"),
        strict=True,
    )
)
(
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
) = (
    _polynomial(
        f"shifted_chebyshev_polynomial_{letter}",
        word,
        oracles.shifted(oracle),
        f"Chebyshev's polynomial of the {kind} kind, at 2 x - 1,",
        values,
    )
    for letter, word, oracle, kind, values in zip(
        "tuvw",
        (
            polynomials.shifted_chebyshev_t,
            polynomials.shifted_chebyshev_u,
            polynomials.shifted_chebyshev_v,
            polynomials.shifted_chebyshev_w,
        ),
        (_T, _U, _V, _W),
        _KINDS,
        ("[-1., 99.]", "[ -1., 204.]", "[ -1., 169.]", "[ -1., 239.]"),
        strict=True,
    )
)
hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h", polynomials.hermite_h, oracles.series("hermite"),
    "Hermite's polynomial, in the form of physics,", "[-1., 40.]", ", of orders above 512 NaN (128 in float32)",
)  # fmt: skip
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he", polynomials.hermite_he, oracles.series("hermite_e"),
    "Hermite's polynomial, in the form of statistics,", "[-0.7500,  2.0000]", ", of orders above 512 NaN (128 in float32)",
)  # fmt: skip
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l", polynomials.laguerre_l, oracles.series("laguerre"), "Laguerre's polynomial",
    "[ 0.1250, -0.3333]", ", of orders above 100000 NaN",
)  # fmt: skip
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p", polynomials.legendre_p, oracles.series("legendre"), "Legendre's polynomial",
    "[-0.1250, 17.0000]", ", of orders above 100000 NaN",
)  # fmt: skip


def _function(name: str, word: Any, oracle: Any, what: str, values: str) -> Elementwise:
    op = elementwise(
        name,
        homes=("special",),
        promotes=True,
        differentiable=False,
        cost=200,
        oracle=oracles.each(oracle),
        doc=f"""{what}, elementwise. Integers are converted to floating point.

    {_NOTE}

    >>> import numgrad as ng
    >>> ng.special.{name}(ng.tensor([1.0, 10.0]))
    tensor({values})
    """,
    )

    @op.forward
    def _(x):
        return word(x)

    return op


airy_ai = _function("airy_ai", bessel.airy_ai, oracles.airy, "Airy's function Ai", "[1.3529e-01, 1.1048e-10]")
bessel_j0 = _function(
    "bessel_j0", bessel.j0, oracles.bessel_j(0), "Bessel's function of the first kind, order 0", "[ 0.7652, -0.2459]"
)
bessel_j1 = _function(
    "bessel_j1", bessel.j1, oracles.bessel_j(1), "Bessel's function of the first kind, order 1", "[0.4401, 0.0435]"
)
bessel_y0 = _function(
    "bessel_y0", bessel.y0, oracles.bessel_y(0), "Bessel's function of the second kind, order 0, NaN below 0",
    "[0.0883, 0.0557]",
)  # fmt: skip
bessel_y1 = _function(
    "bessel_y1", bessel.y1, oracles.bessel_y(1), "Bessel's function of the second kind, order 1, NaN below 0",
    "[-0.7812,  0.2490]",
)  # fmt: skip
modified_bessel_k0 = _function(
    "modified_bessel_k0", bessel.k0, oracles.bessel_k(0), "The modified Bessel function of the second kind, order 0, NaN below 0",
    "[4.2102e-01, 1.7780e-05]",
)  # fmt: skip
modified_bessel_k1 = _function(
    "modified_bessel_k1", bessel.k1, oracles.bessel_k(1), "The modified Bessel function of the second kind, order 1, NaN below 0",
    "[6.0191e-01, 1.8649e-05]",
)  # fmt: skip
scaled_modified_bessel_k0 = _function(
    "scaled_modified_bessel_k0", bessel.k0e, oracles.bessel_k(0, scaled=True), "exp(x) * modified_bessel_k0(x)",
    "[1.1445, 0.3916]",
)  # fmt: skip
scaled_modified_bessel_k1 = _function(
    "scaled_modified_bessel_k1", bessel.k1e, oracles.bessel_k(1, scaled=True), "exp(x) * modified_bessel_k1(x)",
    "[1.6362, 0.4108]",
)  # fmt: skip
spherical_bessel_j0 = _function(
    "spherical_bessel_j0", bessel.spherical_j0, oracles.sine_quotient, "sin(x) / x, the spherical Bessel function of order 0",
    "[ 0.8415, -0.0544]",
)  # fmt: skip
