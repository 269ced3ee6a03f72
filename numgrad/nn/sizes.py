"""Arguments that are one int for height and width, or one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Pair: TypeAlias = int | Sequence[int]


def pair(name: str, value: Any) -> tuple[int, int]:
    """One int for both dimensions, or one for each.

    Raises
    ------
    RuntimeError
        There are not two.
    TypeError
        They are not ints.

    >>> pair("stride", 2)
    (2, 2)
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) == 1 and name != "kernel_size":
        values *= 2
    if len(values) != 2:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of 2 values, but got {name}={list(values)}"
        )
    for each in values:
        if isinstance(each, (bool, float, str)) or not hasattr(each, "__index__"):
            raise TypeError(f"{name} must be an int or a pair of ints, but got {value!r}")
    return int(values[0]), int(values[1])
