"""What plans prove of parameters: public functions have checked them, but an op may be called by anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.errors import ShapeError


def prove_int(op: str, name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """The parameter, a Python int within [low, high].

    Raises
    ------
    TypeError
        It is no int.
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
        It is no tuple, or has another length, or what is in it is no int.
    ValueError
        One is too small.
    """
    if not isinstance(values, tuple) or (count is not None and len(values) != count):
        raise TypeError(f"{op}: {name} is {values!r}, expected a tuple of {'' if count is None else f'{count} '}ints")
    for value in values:
        prove_int(op, name, value, low)
    return values


def prove_dim(op: str, dim: Any, ndim: int) -> int:
    """The parameter ``dim``, one of the dimensions, counted from 0.

    Raises
    ------
    TypeError
        It is no int.
    IndexError
        There is no such dimension.
    """
    if dim.__class__ is not int:
        raise TypeError(f"{op}: dim is {dim!r}, expected an int")
    if not 0 <= dim < ndim:
        raise IndexError(f"{op}: dim is {dim}, expected one of the {ndim} dimensions, counted from 0")
    return dim


def prove_dims(op: str, dims: Any, ndim: int) -> tuple[int, ...]:
    """The parameter ``dims``, a tuple of dimensions, none of them twice.

    Raises
    ------
    TypeError
        It is no tuple of ints.
    IndexError
        There is no such dimension.
    ShapeError
        One is there twice.
    """
    prove_ints(op, "dims", dims)
    for dim in dims:
        prove_dim(op, dim, ndim)
    if len(set(dims)) != len(dims):
        raise ShapeError(f"{op}: a dim is there twice in dims={dims}")
    return dims  # type: ignore[no-any-return]


def prove_shapes(op: str, names: Sequence[str], operands: Sequence[Any], *shapes: Sequence[int] | None) -> None:
    """Each operand has its shape; None for one that has to be there with any.

    Raises
    ------
    ShapeError
        One has another, or is missing.
    """
    for name, operand, shape in zip(names, operands, shapes, strict=True):
        if operand is None:
            raise ShapeError(f"{op}: {name} is None, expected a tensor")
        if shape is not None and tuple(operand.spec.shape) != tuple(shape):
            raise ShapeError(f"{op}: {name} has shape {list(operand.spec.shape)}, expected {list(shape)}")
