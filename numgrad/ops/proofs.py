"""Proofs of parameters, for plans: public functions have checked them, but anybody may call an op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.errors import DtypeError, ShapeError


def prove_int(op: str, name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """The parameter, a Python int within [low, high].

    Raises
    ------
    TypeError
        It is not an int.
    ValueError
        It is out of the range.
    """
    if value.__class__ is not int:
        raise TypeError(f"{op}: {name} is {value!r}, expected an int")
    if (low is not None and value < low) or (high is not None and value > high):
        limits = f"[{'-inf' if low is None else low}, {'inf' if high is None else high}]"
        raise ValueError(f"{op}: {name} is {value}, expected in range of {limits}")
    return value


def prove_ints(op: str, name: str, values: Any, count: int | None = None, low: int | None = None) -> tuple[int, ...]:
    """The parameter, a tuple of ``count`` Python ints that are at least ``low``.

    Raises
    ------
    TypeError
        It is not a tuple of ints, or has another length.
    ValueError
        One is too small.
    """
    if not isinstance(values, tuple) or (count is not None and len(values) != count):
        raise TypeError(f"{op}: {name} is {values!r}, expected a tuple of {'' if count is None else f'{count} '}ints")
    for value in values:
        prove_int(op, name, value, low)
    return values


def prove_dim(op: str, dim: Any, ndim: int, least: int = 0) -> int:
    """The parameter ``dim``, one of the dimensions, counted from 0, or with a negative ``least`` from the end.

    Raises
    ------
    TypeError
        It is not an int.
    IndexError
        There is no such dimension.
    """
    if dim.__class__ is not int:
        raise TypeError(f"{op}: dim is {dim!r}, expected an int")
    if not least <= dim < ndim:
        raise IndexError(f"{op}: dim is {dim}, expected one of the {ndim} dimensions, {least} to {ndim - 1}")
    return dim % ndim


def prove_dims(op: str, dims: Any, ndim: int) -> tuple[int, ...]:
    """The parameter ``dims``, a tuple of different dimensions.

    Raises
    ------
    TypeError
        It is not a tuple of ints.
    IndexError
        There is no such dimension.
    ShapeError
        A dimension occurs twice.
    """
    prove_ints(op, "dims", dims)
    for dim in dims:
        prove_dim(op, dim, ndim)
    if len(set(dims)) != len(dims):
        raise ShapeError(f"{op}: a dim occurs twice in dims={dims}")
    return dims  # type: ignore[no-any-return]


def prove_shapes(op: str, names: Sequence[str], operands: Sequence[Any], *shapes: Sequence[int] | None) -> None:
    """Prove that each operand has its shape; None for a required operand of any shape.

    Raises
    ------
    ShapeError
        One has another shape, or is missing.
    """
    for name, operand, shape in zip(names, operands, shapes, strict=True):
        if operand is None:
            raise ShapeError(f"{op}: {name} is None, expected a tensor")
        if shape is not None and tuple(operand.spec.shape) != tuple(shape):
            raise ShapeError(f"{op}: {name} has shape {list(operand.spec.shape)}, expected {list(shape)}")


def prove_dtype(op: str, name: str, operand: Any, dtype: Any) -> None:
    """Prove that the operand is of this dtype.

    Raises
    ------
    DtypeError
        It has another dtype.
    """
    if operand.spec.dtype is not dtype:
        raise DtypeError(f"{op}: {name} is of {operand.spec.dtype}, expected {dtype}")
