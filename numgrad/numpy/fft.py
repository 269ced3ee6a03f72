"""``numgrad.numpy.fft``: the parts that have real results. Transforms are refused: they are complex."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy import table
from numgrad.numpy.arrays import as_floats, axes_of, ng, tensor
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


@implements("fft.fftshift")
def fftshift(x: Any, axes: Any = None) -> Tensor:
    """The elements with the middle ones first at the middle."""
    value = tensor(x)
    dims = axes_of(axes, value.ndim)
    return ng.roll(value, [value.shape[n] // 2 for n in dims], list(dims))  # type: ignore[no-any-return]


@implements("fft.ifftshift")
def ifftshift(x: Any, axes: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    value = tensor(x)
    dims = axes_of(axes, value.ndim)
    return ng.roll(value, [-(value.shape[n] // 2) for n in dims], list(dims))  # type: ignore[no-any-return]


@implements("fft.fftfreq")
def fftfreq(n: int, d: Any = 1.0, device: Any = None) -> Tensor:
    """The frequencies of a transform, differentiable by the spacing."""
    return tensor(np.fft.fftfreq(n)) / as_floats(d)


@implements("fft.rfftfreq")
def rfftfreq(n: int, d: Any = 1.0, device: Any = None) -> Tensor:
    """The frequencies of a transform of real numbers."""
    return tensor(np.fft.rfftfreq(n)) / as_floats(d)


__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]

globals().update({name: table.BY_NAME[f"fft.{name}"] for name in __all__})


def __getattr__(name: str) -> Any:
    return table.refused("fft", name)
