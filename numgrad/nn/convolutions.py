"""Convolutional layers of one and three dimensions, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn.conv import _Conv, _Convolution
from numgrad.tensor.checked import Pair, several
from numgrad.tensor.tensor import Tensor

__all__ = ["Conv1d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class Conv1d(_Conv):
    """Cross-correlation of input [N, C, L] (or [C, L]) with learnt weights [K, C/groups, R]; the arguments are `Conv2d`'s.

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding or its mode is unknown.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Conv1d(2, 4, 3, padding=1)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 4, 8])
    """

    _ndim = 1
    _function = staticmethod(F.conv1d)


class Conv3d(_Conv):
    """Cross-correlation of input [N, C, D, H, W] with learnt weights [K, C/groups, T, R, S]; the arguments are `Conv2d`'s.

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding or its mode is unknown.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Conv3d(2, 4, 3, padding=1)(ng.ones(1, 2, 4, 4, 4)).shape
    numgrad.Size([1, 4, 4, 4, 4])
    """

    _ndim = 3
    _function = staticmethod(F.conv3d)


class _Transposed(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}')
        padding = several(name, "padding", padding, self._ndim)
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )  # fmt: skip
        self.output_padding = several(name, "output_padding", output_padding, self._ndim)

    def _longer_by(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output padding that gives the output this size, with or without batch and channels.

        Raises
        ------
        ValueError
            No output padding does.
        """
        if output_size is None:
            return self.output_padding
        size = tuple(output_size)
        lead = input.ndim - self._ndim
        if len(size) == input.ndim:
            size = size[lead:]
        if len(size) != self._ndim:
            raise ValueError(
                f"ConvTranspose{self._ndim}D: for {input.ndim}D input, output_size must have {self._ndim} or {input.ndim} elements "
                f"(got {len(tuple(output_size))})"
            )
        assert not isinstance(self.padding, str)
        least = [
            (extent - 1) * step - 2 * pad + gap * (taps - 1) + 1
            for extent, step, pad, gap, taps in zip(
                input.shape[lead:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True
            )
        ]
        most = [low + step - 1 for low, step in zip(least, self.stride, strict=True)]
        if any(not low <= extent <= high for low, extent, high in zip(least, size, most, strict=True)):
            raise ValueError(
                f"requested an output size of {list(size)}, but valid sizes range from {least} to {most} (for an input of "
                f"{list(input.shape[lead:])})"
            )
        return tuple(extent - low for extent, low in zip(size, least, strict=True))

    def _spread(self, function: Any, input: Tensor, output_size: Sequence[int] | None) -> Tensor:
        longer = self._longer_by(input, output_size)
        return function(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, self.padding, longer, self.groups, self.dilation
        )


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d` (its gradient by the input), with learnt weights [C, K/groups, R].

    ``output_padding`` lengthens the result; so does ``output_size``, given to the call, which chooses it.

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding's mode is not 'zeros'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConvTranspose1d(2, 4, 2, stride=2)(ng.ones(1, 2, 4)).shape
    numgrad.Size([1, 4, 8])
    """

    _ndim = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self._spread(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d` (its gradient by the input), with learnt weights [C, K/groups, R, S].

    ``output_padding`` enlarges the result; so does ``output_size``, given to the call, which chooses it.

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding's mode is not 'zeros'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1)(ng.ones(1, 2, 4, 4), output_size=(8, 8)).shape
    numgrad.Size([1, 4, 8, 8])
    """

    _ndim = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self._spread(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d` (its gradient by the input), with learnt weights [C, K/groups, T, R, S].

    ``output_padding`` enlarges the result; so does ``output_size``, given to the call, which chooses it.

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding's mode is not 'zeros'.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ConvTranspose3d(2, 4, 2, stride=2)(ng.ones(1, 2, 2, 2, 2)).shape
    numgrad.Size([1, 4, 4, 4, 4])
    """

    _ndim = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self._spread(F.conv_transpose3d, input, output_size)
