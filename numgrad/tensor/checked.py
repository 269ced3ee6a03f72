"""Arguments of one kind: an int is no bool, a flag no number; torch's class for what is of another."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase


def _refusal(op: str, name: str, value: Any, kind: str) -> TypeError:
    return TypeError(f"{op}(): argument '{name}' must be {kind}, not {type(value).__name__}")


def integer(op: str, name: str, value: Any) -> int:
    """An int, also one of NumPy or in a tensor of one element.

    A bool would pass for 0 or 1 and stand in a plan's shapes, which are found again by a key that takes 1 for True.

    Raises
    ------
    TypeError
        It is something else.

    >>> integer("conv2d", "groups", 2)
    2
    """
    if value.__class__ is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise _refusal(op, name, value, "int")
    return int(value.__index__())


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
