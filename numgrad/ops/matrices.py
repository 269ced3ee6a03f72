"""What the ops of linear algebra are written with: proofs of matrices, their products in batches, triangles, diagonals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.errors import DtypeError, LinAlgError, ShapeError
from numgrad.kernels import lapack
from numgrad.kernels.triangles import plan_band
from numgrad.layout import product as count_of
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.elementwise import add, sub
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.linalg import bmm, mm
from numgrad.ops.proofs import prove_ints
from numgrad.ops.view import reshape, slice_, transpose, unsqueeze
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

# ---- proofs -----------------------------------------------------------------------------------------------------


def check_matrices(
    name: str, x: Operand, *, square: bool = False, letter: str = "A"
) -> tuple[tuple[int, ...], int, int]:
    """The leading dimensions, the rows and the columns of matrices of floating point.

    Raises
    ------
    RuntimeError
        They are no matrices, not square, or of another dtype.
    """
    shape = tuple(x.spec.shape)
    if len(shape) < 2:
        raise ShapeError(f"{name}: The input tensor {letter} must have at least 2 dimensions.")
    *batch, rows, columns = shape
    if square and rows != columns:
        raise ShapeError(
            f"{name}: {letter} must be batches of square matrices, but they are {rows} by {columns} matrices"
        )
    if not x.spec.dtype.is_floating_point:
        raise DtypeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {x.spec.dtype.torch_name}; convert it with "
            ".float() or .double() first"
        )
    return tuple(batch), rows, columns


def check_alike(name: str, first: Operand, second: Operand, letters: str = "AB") -> None:
    """Refuse matrices of two dtypes, or of other leading dimensions."""
    if first.spec.dtype is not second.spec.dtype:
        one, other = (x.spec.dtype.torch_name for x in (first, second))
        raise DtypeError(
            f"{name}: Expected {letters[0]} and {letters[1]} to have the same dtype, but found {letters[0]} of type {one} and "
            f"{letters[1]} of type {other} instead; convert one with .to(dtype)"
        )
    if first.spec.shape[:-2] != second.spec.shape[: len(first.spec.shape) - 2]:
        raise ShapeError(
            f"{name}: {letters[0]} of shape {list(first.spec.shape)} and {letters[1]} of {list(second.spec.shape)} have other "
            "leading dimensions; expand() them first"
        )


def prove_flags(name: str, **flags: Any) -> None:
    """Refuse parameters that are not bools."""
    for flag, value in flags.items():
        if value.__class__ is not bool:
            raise TypeError(f"{name}: {flag} is {value!r}, expected a bool")


def failed(name: str, text: str) -> Callable[[int, Any], LinAlgError]:
    """What makes the error of a status: which matrix of a batch it is, and ``text`` with its ``{info}``."""

    def error(status: int, params: Any) -> LinAlgError:
        number, info = lapack.matrix_of(status)
        where = "" if number is None else f"(Batch element {number}): "
        return LinAlgError(f"{name}: {where}{text.format(info=info)}")

    return error


# ---- compositions -----------------------------------------------------------------------------------------------


def adjoint(x: Any) -> Any:
    """The matrices transposed."""
    return transpose(x, dim0=x._spec.ndim - 2, dim1=x._spec.ndim - 1)


def product(*factors: Any) -> Any:
    """The product of matrices [..., m, k], [..., k, n] and so on, of the same leading dimensions."""
    result, *others = factors
    for other in others:
        *batch, m, k = result._spec.shape
        n = other._spec.shape[-1]
        if not batch:
            result = mm(result, other)
        else:
            size = count_of(batch)
            result = bmm(reshape(result, (size, m, k)), reshape(other, (size, k, n)))
            result = reshape(result, (*batch, m, n))
    return result


def column(x: Any) -> Any:
    """[..., n] as [..., n, 1], which scales rows."""
    return unsqueeze(x, dim=x._spec.ndim)


def row(x: Any) -> Any:
    """[..., n] as [..., 1, n], which scales columns."""
    return unsqueeze(x, dim=x._spec.ndim - 1)


def symmetric(x: Any) -> Any:
    """x + x^T."""
    return add(x, adjoint(x))


def skew(x: Any) -> Any:
    """x - x^T."""
    return sub(x, adjoint(x))


def diagonal(x: Any) -> Any:
    """The diagonals of matrices [..., m, n]: a view, where the matrices are contiguous."""
    *batch, m, n = x._spec.shape
    count = min(m, n)
    flat = reshape(x, (*batch, m * n))
    zeros, ones = (0,) * len(batch), (1,) * len(batch)
    return slice_(flat, starts=(*zeros, 0), steps=(*ones, n + 1), sizes=(*batch, count))


def filled(like: Any, shape: tuple[int, ...], value: float) -> Any:
    """A constant of the dtype of ``like``."""
    return full(size=tuple(shape), value=value, dtype=like._spec.dtype)


def identity(like: Any, n: int) -> Any:
    """Identity matrices [..., n, n] with the leading dimensions of ``like``."""
    batch = tuple(like._spec.shape[:-2])
    return with_diagonal(filled(like, (*batch, n, n), 0.0), filled(like, (*batch, n), 1.0))


def lower(x: Any, last: int = 0) -> Any:
    """The part on and below the ``last``-th diagonal."""
    return band(x, low=-_FAR, high=last)


def upper(x: Any, first: int = 0) -> Any:
    """The part on and above the ``first``-th diagonal."""
    return band(x, low=first, high=_FAR)


def half_lower(x: Any) -> Any:
    """The lower triangle with half of the diagonal."""
    return band(x, low=-_FAR, high=0, diagonal=0.5)


_FAR = 1 << 40  # beyond any diagonal


# ---- triangles and diagonals ------------------------------------------------------------------------------------

band = Op(
    "band",
    ("input",),
    {"low": 0, "high": 0, "diagonal": 1.0},
    doc="Matrices with zeros but where the column is ``low`` to ``high`` behind the row; the main diagonal times a factor.",
)


@band.plan
def _(b: PlanBuilder, input: Operand, low: int, high: int, diagonal: float) -> None:
    check_matrices("band", input)
    prove_ints("band", "low and high", (low, high))
    if diagonal.__class__ is not float:
        raise TypeError(f"band: diagonal is {diagonal!r}, expected a float")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_band(b, contiguous(b, input), out, low, high, diagonal)


@band.backward
def _(ctx, grad):
    return band(grad, **ctx.params._asdict())


band.linear_in("input")
band.batch(rules.leading)


@band.oracle
def _(x, low, high, diagonal):
    behind = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    return np.where((behind >= low) & (behind <= high), np.where(behind == 0, diagonal * x, x), 0)


with_diagonal = Op(
    "with_diagonal",
    ("input", "values"),
    doc="Matrices [..., m, n] with values [..., min(m, n)] on their diagonals.",
)


@with_diagonal.plan
def _(b: PlanBuilder, input: Operand, values: Operand) -> None:
    batch, m, n = check_matrices("with_diagonal", input)
    check_alike("with_diagonal", input, values, ("input", "values"))  # type: ignore[arg-type]
    if tuple(values.spec.shape) != (*batch, min(m, n)):
        raise ShapeError(f"with_diagonal: values have shape {list(values.spec.shape)}, expected {[*batch, min(m, n)]}")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_copy(b, input, out)
    *steps, _, _ = out.spec.strides
    plan_copy(b, values, out.view((*batch, min(m, n)), (*steps, n + 1)))


@with_diagonal.backward
def _(ctx, grad):
    shape = tuple(ctx.input_specs[1].shape)
    return with_diagonal(grad, filled(grad, shape, 0.0)) if ctx.needs[0] else None, diagonal(grad)


with_diagonal.linear_in("input", "values")
with_diagonal.batch(rules.leading)


@with_diagonal.oracle
def _(x, values):
    out = x.copy()
    places = np.arange(values.shape[-1])
    out[..., places, places] = values
    return out
