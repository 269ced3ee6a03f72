"""Layers that pad: one int for all sides, or (left, right), (left, right, top, bottom), ... from the last dimension on."""

from __future__ import annotations

from collections.abc import Sequence

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.checked import several
from numgrad.tensor.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """Margins of ``_ndim`` dimensions."""

    _ndim = 0
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        name = type(self).__name__
        if isinstance(padding, (tuple, list)) and len(padding) != 2 * self._ndim:
            raise TypeError(f"{name}: padding is {padding}, expected an int or {2 * self._ndim} of them")
        self.padding = several(name, "padding", padding, 2 * self._ndim)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class CircularPad1d(_Pad):
    """Margins that go on from the other side of the input [C, L] or [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CircularPad1d(1)(ng.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _ndim = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Margins that go on from the other side of the input [C, H, W] or [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CircularPad2d((1, 1, 0, 0))(ng.ones(1, 1, 3)).shape
    numgrad.Size([1, 1, 5])
    """

    _ndim = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Margins that go on from the other side of the input [C, D, H, W] or [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CircularPad3d((1, 1, 0, 0, 0, 0))(ng.ones(1, 1, 1, 3)).shape
    numgrad.Size([1, 1, 1, 5])
    """

    _ndim = 3
    _mode = "circular"


class ConstantPad1d(_ConstantPad):
    """Margins of a constant of the input [C, L] or [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConstantPad1d(1, 9.0)(ng.tensor([[1.0, 2.0, 3.0]]))
    tensor([[9., 1., 2., 3., 9.]])
    """

    _ndim = 1


class ConstantPad2d(_ConstantPad):
    """Margins of a constant of the input [C, H, W] or [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConstantPad2d((1, 1, 0, 0), 9.0)(ng.ones(1, 1, 3)).shape
    numgrad.Size([1, 1, 5])
    """

    _ndim = 2


class ConstantPad3d(_ConstantPad):
    """Margins of a constant of the input [C, D, H, W] or [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConstantPad3d((1, 1, 0, 0, 0, 0), 9.0)(ng.ones(1, 1, 1, 3)).shape
    numgrad.Size([1, 1, 1, 5])
    """

    _ndim = 3


class ReflectionPad1d(_Pad):
    """Margins that mirror the input without its edge of the input [C, L] or [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReflectionPad1d(1)(ng.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    _ndim = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Margins that mirror the input without its edge of the input [C, H, W] or [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReflectionPad2d((1, 1, 0, 0))(ng.ones(1, 1, 3)).shape
    numgrad.Size([1, 1, 5])
    """

    _ndim = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Margins that mirror the input without its edge of the input [C, D, H, W] or [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReflectionPad3d((1, 1, 0, 0, 0, 0))(ng.ones(1, 1, 1, 3)).shape
    numgrad.Size([1, 1, 1, 5])
    """

    _ndim = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Margins that repeat the edge of the input [C, L] or [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReplicationPad1d(1)(ng.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _ndim = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Margins that repeat the edge of the input [C, H, W] or [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReplicationPad2d((1, 1, 0, 0))(ng.ones(1, 1, 3)).shape
    numgrad.Size([1, 1, 5])
    """

    _ndim = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Margins that repeat the edge of the input [C, D, H, W] or [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ReplicationPad3d((1, 1, 0, 0, 0, 0))(ng.ones(1, 1, 1, 3)).shape
    numgrad.Size([1, 1, 1, 5])
    """

    _ndim = 3
    _mode = "replicate"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Margins of zeros of the input [C, L] or [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ZeroPad1d(1)(ng.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    _ndim = 1


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Margins of zeros of the input [C, H, W] or [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ZeroPad2d((1, 1, 0, 0))(ng.ones(1, 1, 3)).shape
    numgrad.Size([1, 1, 5])
    """

    _ndim = 2


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Margins of zeros of the input [C, D, H, W] or [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ZeroPad3d((1, 1, 0, 0, 0, 0))(ng.ones(1, 1, 1, 3)).shape
    numgrad.Size([1, 1, 1, 5])
    """

    _ndim = 3
