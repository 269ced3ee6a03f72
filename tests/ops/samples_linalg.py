"""Rows of linear algebra: matrices with distinct singular values, far from singular ones."""

from __future__ import annotations

from typing import Any

import numpy as np

import numgrad as ng
from numgrad.errors import LinAlgError
from tests.ops.rows import THROUGH, bad, constant, good, integers, normal, off_zero, together

ROUGH = 100.0  # sums in another order than NumPy's, times the condition
SHAPES = {"matrix": (3, 3), "batch": (2, 3, 3)}
DOUBLE = "Expected a floating point or complex tensor as input. Got Long"
THREE = [[2.0, 1.0, 0.0], [0.5, 3.0, 1.0], [1.0, 0.0, 2.5]]
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]
NOT_SQUARE = "must be batches of square matrices, but they are 2 by 3 matrices"


def apart(x: Any, *others: Any) -> tuple[Any, ...]:
    """Matrices with singular values that are far from 0 and from each other, out of small ones."""
    return (x + _diagonal(x, slice(None)), *others)


def exchanged(x: Any) -> tuple[Any]:
    """As `apart`, with the large elements where elimination has to exchange rows for them."""
    return (x + _diagonal(x, slice(None, None, -1)),)


def _diagonal(x: Any, rows: slice) -> Any:
    m, n = x.shape[-2:]
    values = (np.eye(m, n) * np.linspace(2.0, 4.0, m)[:, None])[rows]
    return values if isinstance(x, np.ndarray) else ng.tensor(values.copy(), dtype=x.dtype)


def well(*shape: int) -> Any:
    """Small matrices, for ops that are applied `through` one of these."""
    return normal(*shape, scale=0.3)


def refused_as_matrices(op: str, letters: str, *others: Any, square: bool = True, **params: Any) -> None:
    """The refusals that all functions of matrices share."""
    bad(op, "vector", normal(3), *others, error=RuntimeError, match="must have at least 2 dimensions", params=params)
    bad(op, "integers", integers(0, 4, 3, 3), *others, error=RuntimeError, match=DOUBLE, params=params)
    if square:
        bad(op, "not square", normal(2, 3), *others, error=RuntimeError, match=NOT_SQUARE, params=params)
    if letters == "AB":
        bad(
            op, "two dtypes", normal(3, 3), constant(np.ones((3, 2)), "float32"), error=RuntimeError,
            match="found A of type Double and B of type Float", params=params,
        )  # fmt: skip


# ---- triangles and diagonals ------------------------------------------------------------------------------------

for label, low, high, diagonal in (
    ("lower", -9, 0, 1.0), ("half lower", -9, 0, 0.5), ("above", 1, 9, 1.0), ("nothing", 3, 2, 1.0),
):  # fmt: skip
    params = {"low": low, "high": high, "diagonal": diagonal}
    good("band", label, normal(3, 4), params=params)
good("band", "batch", normal(2, 4, 3), params={"low": -1, "high": 1, "diagonal": 2.0})
good("band", "empty", normal(2, 0, 3), params={"low": -1, "high": 1, "diagonal": 2.0})
refused_as_matrices("band", "A", square=False)
bad("band", "an int for the factor", normal(2, 2), error=TypeError, match="expected a float", params={"diagonal": 2})
good("with_diagonal", "matrix", normal(3, 3), normal(3))
good("with_diagonal", "wide", normal(2, 3, 4), normal(2, 3))
good("with_diagonal", "tall", normal(3, 2), normal(2))
bad("with_diagonal", "too many", normal(3, 3), normal(4), error=RuntimeError, match=r"shape \[4\], expected \[3\]")

for op in ("linalg_solve_ex", "linalg_inv_ex", "linalg_det", "linalg_slogdet", "cofactor", "linalg_pinv", "linalg_lstsq",
           "linalg_qr", "linalg_svd", "linalg_svdvals"):  # fmt: skip
    THROUGH[op] = apart
THROUGH["linalg_lu_factor_ex"] = exchanged

# ---- systems ----------------------------------------------------------------------------------------------------

for label, shape in SHAPES.items():
    good("linalg_solve_ex", label, well(*shape), normal(*shape[:-1], 2), tolerance=ROUGH)
    good("linalg_inv_ex", label, well(*shape), tolerance=ROUGH)
    good("linalg_det", label, well(*shape), tolerance=ROUGH)
    good("linalg_slogdet", label, well(*shape), tolerance=ROUGH)
    good("cofactor", label, well(*shape), tolerance=ROUGH)
    good("linalg_matrix_exp", label, normal(*shape), tolerance=ROUGH)
good("linalg_solve_ex", "no columns", well(2, 2), normal(2, 0), smooth=False)
good("linalg_solve_ex", "no rows", normal(0, 0), normal(0, 2), smooth=False)
good("linalg_matrix_exp", "far", normal(2, 3, 3, scale=20.0), smooth=False, tolerance=1e6)
for op in ("linalg_inv_ex", "linalg_det", "linalg_slogdet", "cofactor", "linalg_matrix_exp"):
    good(op, "empty", normal(2, 0, 0), smooth=False)
    refused_as_matrices(op, "A")
refused_as_matrices("linalg_solve_ex", "AB", normal(3, 2))
for op, text in (
    ("linalg_solve_ex", "torch.linalg.solve: The solver failed"),
    ("linalg_inv_ex", "linalg.inv: The diagonal element 2"),
):
    others = (normal(2, 1),) if op == "linalg_solve_ex" else ()
    bad(op, "singular", constant(SINGULAR), *others, error=LinAlgError, match=text, params={"check_errors": True})
bad(
    "linalg_inv_ex", "one is singular", constant([np.eye(2), SINGULAR]), error=LinAlgError,
    match=r"linalg.inv: \(Batch element 1\): The diagonal element 2 is zero", params={"check_errors": True},
)  # fmt: skip
bad(
    "linalg_solve_ex", "other rows", normal(3, 3), normal(2, 2), error=RuntimeError,
    match=r"Incompatible shapes of A and B for the equation AX = B \(3x3 and 2x2\)",
)  # fmt: skip

for upper in (False, True):
    for unitriangular in (False, True):
        params = {"upper": upper, "unitriangular": unitriangular}
        label = f"{'upper' if upper else 'lower'}{', ones' if unitriangular else ''}"
        good("linalg_solve_triangular", label, off_zero(3, 3), normal(3, 2), params=params, tolerance=ROUGH)
        good(
            "linalg_solve_triangular",
            f"{label}, batch",
            off_zero(2, 3, 3),
            normal(2, 3, 1),
            params=params,
            tolerance=ROUGH,
        )
    good(
        "linalg_solve_triangular", f"blocks, {upper}",
        together(lambda rng: (rng.normal(size=(67, 67)) / 67 + 2 * np.eye(67), rng.normal(size=(67, 3)))),
        params={"upper": upper, "unitriangular": False}, small=False, tolerance=ROUGH,
    )  # fmt: skip
refused_as_matrices("linalg_solve_triangular", "AB", normal(3, 2))

for label, shape in {"tall": (4, 3), "wide": (2, 3), "batch": (2, 3, 2)}.items():
    tolerances = constant(np.full(shape[:-2], 1e-3)), constant(np.full(shape[:-2], 1e-6))
    good("linalg_pinv", label, well(*shape), *tolerances, fixed=(1, 2), tolerance=ROUGH)
    good("linalg_lstsq", label, well(*shape), normal(*shape[:-1], 2), params={"rcond": 1e-7}, tolerance=ROUGH)
good("linalg_pinv", "one tolerance", well(3, 3), None, constant(1e-6), fixed=(2,), tolerance=ROUGH)
refused_as_matrices("linalg_pinv", "A", None, constant(1e-6), square=False)
bad(
    "linalg_pinv",
    "tolerances",
    normal(2, 3, 3),
    None,
    constant(1e-6),
    error=RuntimeError,
    match=r"expected numbers of shape \[2\]",
)
refused_as_matrices("linalg_lstsq", "AB", normal(3, 2), square=False)
bad(
    "linalg_lstsq",
    "other rows",
    normal(3, 2),
    normal(2, 2),
    error=RuntimeError,
    match="input.size.-2. should match other.size.-2.",
)

# ---- factors ----------------------------------------------------------------------------------------------------


def definite(x: Any) -> tuple[Any]:
    """Positive definite matrices out of any."""
    return apart(x @ x.mT)


THROUGH["linalg_cholesky_ex"] = definite
for label, shape in SHAPES.items():
    for upper in (False, True):
        good("linalg_cholesky_ex", f"{label}, {upper}", normal(*shape), params={"upper": upper}, tolerance=ROUGH)
good("linalg_cholesky_ex", "empty", normal(0, 0), smooth=False)
refused_as_matrices("linalg_cholesky_ex", "A")
for order, diagonal in enumerate(([-1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 2.0, np.nan]), 1):
    bad(
        "linalg_cholesky_ex", f"not definite from {order} on", constant(np.diag(diagonal)), error=LinAlgError,
        match=rf"linalg.cholesky: The factorization .*the leading minor of order {order} is not positive-definite",
        params={"check_errors": True},
    )  # fmt: skip
bad(
    "linalg_cholesky_ex", "one is not definite", constant([np.eye(2), -np.eye(2)]), error=LinAlgError,
    match=r"\(Batch element 1\): The factorization", params={"check_errors": True},
)  # fmt: skip

for label, shape in {"tall": (4, 3), "square": (3, 3), "wide": (2, 4), "batch": (2, 3, 2)}.items():
    good("linalg_qr", label, well(*shape), tolerance=ROUGH)
    slopes = () if shape[-2] <= shape[-1] else (0,)  # where there are none
    good("linalg_qr", f"{label}, complete", well(*shape), params={"mode": "complete"}, fixed=slopes, tolerance=ROUGH)
    good("linalg_qr", f"{label}, r", well(*shape), params={"mode": "r"}, fixed=(0,), small=False, tolerance=ROUGH)
    good("linalg_lu_factor_ex", label, well(*shape), tolerance=ROUGH)
for label, shape in {"square": (3, 3), "wide": (2, 4), "batch": (2, 3, 3)}.items():
    good("geqrf", label, well(*shape), tolerance=ROUGH)
refused_as_matrices("linalg_qr", "A", square=False)
bad("geqrf", "dimensions", normal(2), error=RuntimeError, match="at least 2 dimensions")
bad("linalg_qr", "mode", normal(2, 2), error=ValueError, match="unrecognized mode 'full'", params={"mode": "full"})
good("linalg_lu_factor_ex", "without exchanges", constant(THREE), params={"pivot": False}, tolerance=ROUGH)
good("linalg_lu_factor_ex", "blocks", well(70, 67), small=False, tolerance=ROUGH)
refused_as_matrices("linalg_lu_factor_ex", "A", square=False)
bad(
    "linalg_lu_factor_ex", "singular", constant(SINGULAR), error=LinAlgError, match=r"torch.linalg.lu_factor: U\[2,2\] is zero",
    params={"check_errors": True},
)  # fmt: skip
good("permutation", "three", constant([2, 3, 3], "int32"), params={"rows": 3, "dtype": ng.float64})
good("permutation", "batch", constant([[2, 2], [4, 3]], "int32"), params={"rows": 4, "dtype": ng.float64}, small=False)
bad(
    "permutation",
    "no such row",
    constant([2, 4, 3], "int32"),
    error=LinAlgError,
    match="between 1 and 3",
    params={"rows": 3},
)
bad("permutation", "floats", normal(2), error=RuntimeError, match="expected numgrad.int32", params={"rows": 3})

# ---- spectra ----------------------------------------------------------------------------------------------------


def symmetric(x: Any) -> tuple[Any]:
    """Symmetric matrices out of any."""
    return (x + x.mT,)


for op in ("linalg_eigh", "linalg_eigvalsh"):
    THROUGH[op] = symmetric
    for label, shape in SHAPES.items():
        for uplo in "LU":
            good(op, f"{label}, {uplo}", normal(*shape), params={"UPLO": uplo}, tolerance=ROUGH)
    good(op, "empty", normal(0, 0), smooth=False)
    refused_as_matrices(op, "A")
    bad(
        op,
        "not a number",
        constant([[np.nan]]),
        error=LinAlgError,
        match="linalg.eigh: The algorithm failed to converge",
    )
    bad(op, "triangle", normal(2, 2), error=ValueError, match="to be 'L' or 'U', but got X", params={"UPLO": "X"})

for label, shape in {"tall": (4, 2), "square": (3, 3), "wide": (2, 4), "batch": (2, 3, 2)}.items():
    good("linalg_svd", label, well(*shape), params={"full_matrices": False}, tolerance=ROUGH)
    good("linalg_svd", f"{label}, full", well(*shape), smooth=shape == (3, 3), tolerance=ROUGH)
    good("linalg_svdvals", label, well(*shape), tolerance=ROUGH)
for op in ("linalg_svd", "linalg_svdvals"):
    good(op, "empty", normal(0, 2), smooth=False)
    refused_as_matrices(op, "A", square=False)
    bad(op, "not a number", constant([[np.nan]]), error=LinAlgError, match="linalg.svd: .* contained non-finite values")
