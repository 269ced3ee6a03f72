"""Arguments that several transforms take."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def two(size: Any, message: str = "Please provide only two dimensions (h, w) for size.") -> tuple[int, int]:
    """A height and a width, of one number or two."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if len(size) not in (1, 2):
        raise ValueError(message)
    return size[0], size[-1]


def margins(padding: Any, fill: Any, padding_mode: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, of one number, two or four."""
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if fill is not None and not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(padding_mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if padding_mode not in _PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    sides: list[Any] = [padding] if isinstance(padding, numbers.Number) else list(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(sides)} element tuple")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def check_length(value: Any, name: str, lengths: tuple[int, ...]) -> None:
    """Refuse what is no sequence of one of these lengths."""
    text = f"{name} should be a sequence of length {' or '.join(map(str, lengths))}."
    if not isinstance(value, Sequence):
        raise TypeError(text)
    if len(value) not in lengths:
        raise ValueError(text)


def angles(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> list[float]:
    """A range of degrees, of its ends or of one number, which is both."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]  # type: ignore[operator]
    else:
        check_length(value, name, lengths)
    return [float(each) for each in value]
