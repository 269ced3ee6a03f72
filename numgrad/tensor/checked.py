"""Arguments of one type: flags, real numbers, pairs of ints. For ints and shapes see `arguments`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.errors import ShapeError, warn
from numgrad.tensor.arguments import as_int, as_number

__all__ = ["Pair", "flag", "older_form", "pair", "real", "several"]

Pair: TypeAlias = int | Sequence[int]  # an argument that is one int for rows and columns, or one for each


def _refusal(op: str, name: str, value: Any, kind: str) -> TypeError:
    return TypeError(f"{op}(): argument '{name}' must be {kind}, not {type(value).__name__}")


def flag(op: str, name: str, value: Any) -> bool:
    """A bool; other values that are true or false are refused.

    Raises
    ------
    TypeError
        ``value`` is not a bool.

    >>> flag("max_pool2d", "ceil_mode", True)
    True
    """
    if value is True or value is False:
        return value  # type: ignore[no-any-return]
    raise _refusal(op, name, value, "bool")


def real(op: str, name: str, value: Any) -> float:
    """A float, from a number of Python or NumPy or a tensor of one element.

    Raises
    ------
    TypeError
        ``value`` is something else.

    >>> real("layer_norm", "eps", 1)
    1.0
    """
    if value.__class__ is float:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (int, float, np.number, np.bool_)) or (
        isinstance(value, TensorBase) and value._spec.numel == 1
    ):
        return float(value)  # type: ignore[arg-type]
    raise _refusal(op, name, value, "float")


def older_form(op: str, alpha: Any, operands: tuple[Any, ...], keyword_alpha: Any) -> tuple[Any, Any]:
    """Other and alpha of a call ``op(alpha, other)``, the order of torch's first years, with a warning.

    Raises
    ------
    TypeError
        The call does not have this form: alpha is not a number or is given twice, or there are more operands.
    """
    if len(operands) != 1 or as_number(alpha) is None or keyword_alpha.__class__ is not int or keyword_alpha != 1:
        raise TypeError(
            f"{op}(): got {1 + len(operands)} operands, expected (other, *, alpha) or the older (alpha, other)"
        )
    warn(
        f"This overload of {op} is deprecated: {op}(Number alpha, Tensor other). Consider using {op}(Tensor other, *, Number "
        "alpha)."
    )
    return operands[0], alpha


def pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """An argument that is one int, or two, as (row, column).

    Raises
    ------
    RuntimeError
        There are more than two ints, or none.
    TypeError
        A value is not an int.

    >>> pair("conv2d", "stride", 2)
    (2, 2)
    """
    if value.__class__ is tuple and len(value) == 2 and value[0].__class__ is int and value[1].__class__ is int:
        return value  # type: ignore[no-any-return]
    if value.__class__ is int:
        return value, value
    extents = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(extents) not in (1, 2):
        raise ShapeError(f"{op}: {name} must be a single int or a tuple of two ints, but got {name}={list(extents)}")
    first, second = (as_int(op, name, extent) for extent in (extents * 2 if len(extents) == 1 else extents))
    return first, second


def several(op: str, name: str, value: Any, count: int) -> tuple[int, ...]:
    """An argument that is one int for all dimensions, or ``count``.

    Raises
    ------
    RuntimeError
        There are more ints, or fewer.
    TypeError
        A value is not an int.

    >>> several("conv3d", "stride", 2, 3)
    (2, 2, 2)
    """
    if value.__class__ is int:
        return (value,) * count
    extents = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(extents) not in (1, count):
        words = "a single int" if count == 1 else f"a single int or a tuple of {'two' if count == 2 else count} ints"
        raise ShapeError(f"{op}: {name} must be {words}, but got {name}={list(extents)}")
    whole = extents * count if len(extents) == 1 else extents
    return tuple([as_int(op, name, extent) for extent in whole])
