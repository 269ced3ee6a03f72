"""What the charts share: axes to draw on, made when none are given, and values as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.dtypes import bfloat16
from numgrad.tensor.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes(caller: str, ax: Axes | None, size: tuple[float, float] = (6.0, 3.6)) -> Axes:
    """``ax``, or those of a new figure of that size in inches.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        ``ax`` is something else.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError(
            f"viz.{caller} draws by matplotlib, which is not installed; "
            "install it with: python -m pip install 'numgrad[viz]'"
        ) from error
    if ax is None:
        return pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"viz.{caller}: ax must be one matplotlib Axes, got {type(ax).__name__}")
    return ax


def array(caller: str, name: str, value: Any) -> np.ndarray:
    """Numbers as an array: of a tensor, with or without a history, or of whatever NumPy takes.

    Raises
    ------
    TypeError
        They are no numbers.
    """
    if isinstance(value, Tensor):
        value = value.detach()
        return (value.float() if value.dtype is bfloat16 else value).numpy()
    if isinstance(value, (list, tuple)):
        value = [item.detach().numpy() if isinstance(item, Tensor) else item for item in value]
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"viz.{caller}: {name} must be numbers of one shape: {error}") from None
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"viz.{caller}: {name} must be real numbers, got {numbers.dtype} ({type(value).__name__})")
    return numbers
