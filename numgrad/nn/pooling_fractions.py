"""Layers of fractional max-pooling."""

from __future__ import annotations

from typing import Any

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.checked import several
from numgrad.tensor.tensor import Tensor

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPool(Module):
    """Windows of one size at places that are drawn."""

    _ndim: int
    _random_samples: Tensor | None

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = several(name, "kernel_size", kernel_size, self._ndim)
        if min(self.kernel_size) <= 0:
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else several(name, "output_size", output_size, self._ndim)
        self.output_ratio: tuple[float, ...] | None = None
        if output_ratio is not None:
            each = isinstance(output_ratio, (tuple, list))
            self.output_ratio = tuple(output_ratio) if each else (output_ratio,) * self._ndim
            if not all(0 < ratio < 1 for ratio in self.output_ratio):
                raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        pool = F.fractional_max_pool2d if self._ndim == 2 else F.fractional_max_pool3d
        size, ratio = self.output_size, self.output_ratio
        return pool(input, self.kernel_size, size, ratio, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest value in each window of [N, C, H, W] or [C, H, W]; see `functional.fractional_max_pool2d`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(ng.zeros(1, 1, 10, 20)).shape
    numgrad.Size([1, 1, 7, 14])
    """

    _ndim = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The same for volumes [N, C, D, H, W] or [C, D, H, W]; see `functional.fractional_max_pool3d`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.FractionalMaxPool3d(2, output_size=(3, 4, 5))(ng.zeros(1, 1, 6, 6, 6)).shape
    numgrad.Size([1, 1, 3, 4, 5])
    """

    _ndim = 3
