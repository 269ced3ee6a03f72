"""Convolutional layers of one and three dimensions, and transposed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn.conv import PADDING_MODES, _Convolution
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import Pair, flag, several
from numgrad.tensor.tensor import Tensor

__all__ = ["Conv1d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _General(_Convolution):
    """A convolution of any number of dimensions, transposed or not."""

    _transposed = False

    def _build(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair | str,
        dilation: Pair,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Dtype | None,
    ) -> None:
        name = type(self).__name__
        on_cpu(name, device)
        self.groups = as_int(name, "groups", groups)
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        self.in_channels = as_int(name, "in_channels", in_channels)
        self.out_channels = as_int(name, "out_channels", out_channels)
        for word, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{word} must be divisible by groups")
        self.kernel_size = several(name, "kernel_size", kernel_size, self._ndim)
        self.stride = several(name, "stride", stride, self._ndim)
        self.dilation = several(name, "dilation", dilation, self._ndim)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding: tuple[int, ...] | str = padding
        else:
            self.padding = several(name, "padding", padding, self._ndim)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode='{padding_mode}'")
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        shape = creation.checked_size(name, (first, second // self.groups, *self.kernel_size))
        self.weight = Parameter(creation.empty(*shape, dtype=dtype))
        learnt = flag(name, "bias", bias)
        self.register_parameter("bias", Parameter(creation.empty(self.out_channels, dtype=dtype)) if learnt else None)
        self.reset_parameters()


class _Conv(_General):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )  # fmt: skip


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

    def forward(self, input: Tensor) -> Tensor:
        return self._convolved(F.conv1d, input)


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

    def forward(self, input: Tensor) -> Tensor:
        return self._convolved(F.conv3d, input)


class _Transposed(_General):
    _transposed = True

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
        self.output_padding = several(name, "output_padding", output_padding, self._ndim)
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )  # fmt: skip

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
