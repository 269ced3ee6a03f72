"""Arguments of one kind, for ints see `arguments.as_int`: a flag is no number; torch's class for what is of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.errors import ShapeError, warn
from numgrad.tensor.arguments import as_int, as_number


def _refusal(op: str, name: str, value: Any, kind: str) -> TypeError:
    return TypeError(f"{op}(): argument '{name}' must be {kind}, not {type(value).__name__}")


def flag(op: str, name: str, value: Any) -> bool:
    """A bool, and nothing that only is true or false.

    Raises
    ------
    TypeError
        It is something else.

    >>> flag("max_pool2d", "ceil_mode", True)
    True
    """
    if value is True or value is False:
        return value  # type: ignore[no-any-return]
    raise _refusal(op, name, value, "bool")


def real(op: str, name: str, value: Any) -> float:
    """A number, also one of NumPy or in a tensor of one element.

    Raises
    ------
    TypeError
        It is something else.

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


def older_form(op: str, alpha: Any, further: tuple[Any, ...], given: Any) -> tuple[Any, Any]:
    """Other and alpha of ``op(alpha, other)``, the order of torch's first years, with a warning.

    Raises
    ------
    TypeError
        It is not that form: alpha is no number or is given twice, or there is still more.
    """
    if len(further) != 1 or as_number(alpha) is None or given.__class__ is not int or given != 1:
        raise TypeError(
            f"{op}(): got {1 + len(further)} operands, expected (other, *, alpha) or the older (alpha, other)"
        )
    warn(
        f"This overload of {op} is deprecated: {op}(Number alpha, Tensor other). Consider using {op}(Tensor other, *, Number "
        "alpha)."
    )
    return further[0], alpha


def pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """An int, or two, as (row, column).

    Raises
    ------
    RuntimeError
        There are not one or two.
    TypeError
        They are no ints.

    >>> pair("conv2d", "stride", 2)
    (2, 2)
    """
    if value.__class__ is tuple and len(value) == 2 and value[0].__class__ is int and value[1].__class__ is int:
        return value  # type: ignore[no-any-return]
    if value.__class__ is int:
        return value, value
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(given) not in (1, 2):
        raise ShapeError(f"{op}: {name} must be a single int or a tuple of two ints, but got {name}={list(given)}")
    first, second = (as_int(op, name, extent) for extent in (given * 2 if len(given) == 1 else given))
    return first, second


def cpu(op: str, device: Any) -> None:
    """Refuse every device but the one that there is; None leaves the choice.

    Raises
    ------
    RuntimeError
        The device is another one.

    >>> cpu("Linear", "cpu")
    """
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise RuntimeError(f"{op}: device is {device!r}, expected 'cpu', the only one that numgrad has")
