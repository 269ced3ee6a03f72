"""The elementary and special functions keep the bounds of docs/benchmarks/accuracy.md, at a sample of its points."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng
from benchmarks import accuracy
from benchmarks.accuracy_functions import FUNCTIONS, Function

pytest.importorskip("mpmath")


@pytest.mark.parametrize("dtype", accuracy.DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_errors_keep_their_bounds(function: Function, dtype: str) -> None:
    worst = accuracy.worst_of(function, dtype, 60, seed=1)
    assert worst.error <= function.bounds[accuracy.DTYPES.index(dtype)], worst


@pytest.mark.parametrize(
    ("name", "interval"), [("asinh", (0.35, 0.8)), ("acosh", (1.02, 1.3)), ("digamma", (0.8, 3.2))]
)
@pytest.mark.parametrize("dtype", accuracy.DTYPES)
def test_where_errors_are_largest(name: str, interval: tuple[float, float], dtype: str) -> None:
    """One sample in a hundred tells here what was lost in sums."""
    function = next(each for each in FUNCTIONS if each.name == name)
    worst = accuracy.worst_of(function._replace(core=interval), dtype, 600, seed=2)
    assert worst.error <= function.bounds[accuracy.DTYPES.index(dtype)], worst


def test_an_error_is_seen() -> None:
    wrong = Function("exp", lambda m, x: m.exp(x) * (1 + m.mpf(2) ** -50), (-1, 1))
    assert 3 < accuracy.worst_of(wrong, "float64", 40).error < 10
    infinite = Function("exp", lambda m, x: m.exp(x) / 2, (700, 709.9))
    assert accuracy.worst_of(infinite, "float64", 40).error > 1e15


@pytest.mark.parametrize("dtype", [ng.float32, ng.float64])
def test_ends(dtype: ng.dtype) -> None:
    inf, nan = math.inf, math.nan
    x = ng.tensor([-inf, -0.0, 0.0, inf, nan] * 60, dtype=dtype)  # a whole stretch, and what is left of one
    rows = {
        "i0": [inf, 1, 1, inf, nan], "i0e": [0, 1, 1, 0, nan], "i1": [-inf, -0.0, 0, inf, nan],
        "i1e": [-0.0, -0.0, 0, 0, nan], "bessel_j0": [0, 1, 1, 0, nan], "bessel_j1": [-0.0, -0.0, 0, 0, nan],
        "bessel_y0": [nan, -inf, -inf, 0, nan], "bessel_y1": [nan, -inf, -inf, 0, nan],
        "airy_ai": [0, 0.3550280538878172, 0.3550280538878172, 0, nan], "erfcx": [inf, 1, 1, 0, nan],
        "ndtr": [0, 0.5, 0.5, 1, nan], "log_ndtr": [-inf, -math.log(2), -math.log(2), 0, nan],
        "ndtri": [nan, -inf, -inf, nan, nan], "erfinv": [nan, -0.0, 0, nan, nan], "digamma": [nan, inf, -inf, inf, nan],
        "gammaln": [inf, inf, inf, inf, nan], "modified_bessel_k0": [nan, inf, inf, 0, nan],
        "modified_bessel_k1": [nan, inf, inf, 0, nan], "scaled_modified_bessel_k0": [nan, inf, inf, 0, nan],
        "scaled_modified_bessel_k1": [nan, inf, inf, 0, nan], "sinc": [nan, 1, 1, nan, nan],
    }  # fmt: skip
    for name, expected in rows.items():
        values = np.tile(np.array(expected, dtype.numpy), 60)
        assert np.allclose(getattr(ng.special, name)(x).numpy(), values, rtol=1e-6, atol=0, equal_nan=True), name
    one = ng.tensor([-1.0, 1.0], dtype=dtype)
    assert ng.special.erfinv(one).tolist() == [-inf, inf]
    assert ng.special.bessel_j0(ng.tensor([1e9, 1e30], dtype=dtype)).abs().max() < 1e-4
    assert ng.polygamma(1, ng.tensor([0.5, inf], dtype=dtype)).tolist() == pytest.approx([math.pi**2 / 2, 0.0])


def test_words_in_python() -> None:
    """Where kernels run as Python, words that are intrinsics have a form of their own."""
    from numgrad.kernels import airy_vectors, bessel_vectors, special_vectors

    for module in (airy_vectors, bessel_vectors, special_vectors):
        for name in ("airy_ai", "j0", "j1", "y0", "y1", "i0", "i0e", "i1", "i1e", "erfcx", "ndtr", "erfinv", "digamma"):
            word = getattr(module, name, None)
            if word is not None:
                public = getattr(ng.special, f"bessel_{name}" if name in ("j0", "j1", "y0", "y1") else name)
                for x in (0.3, 0.9):
                    exact = public(ng.tensor([x], dtype=ng.float64)).item()
                    assert float(word(np.float64(x))) == pytest.approx(exact, rel=1e-9), name
    for x in (0.3, 2.5):
        for word, name in (
            (bessel_vectors.k0, "modified_bessel_k0"),
            (bessel_vectors.k1e, "scaled_modified_bessel_k1"),
            (special_vectors.lgamma, "gammaln"),
        ):
            exact = getattr(ng.special, name)(ng.tensor([x], dtype=ng.float64)).item()
            assert float(word(np.float64(x))) == pytest.approx(exact, rel=1e-9), name
    assert float(special_vectors.trigamma(np.float64(0.3), np.float64(1))) == pytest.approx(
        ng.polygamma(1, ng.tensor([0.3], dtype=ng.float64)).item()
    )
