"""Pooling functions, which reduce each window of an image to one value. Images may come without a batch dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.tensor import arguments, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag, pair
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "functional", known=True)
def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window of [N, C, H, W] or [C, H, W]; NaN if the window has one.

    The stride is by default the window's size. With ``return_indices`` the result is a pair of the values and their
    row-major positions in the image.

    Raises
    ------
    RuntimeError
        The input is not an image, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> max_pool2d(ng.arange(16.0).reshape(1, 4, 4), 2, return_indices=True)
    (tensor([[[ 5.,  7.],
              [13., 15.]]]), tensor([[[ 5,  7],
              [13, 15]]]))
    """
    arguments.check_tensor("max_pool2d", "input", input)
    window, stride, padding = _window("max_pool2d", kernel_size, stride, padding)
    params = {
        "kernel_size": window,
        "stride": stride,
        "padding": padding,
        "dilation": pair("max_pool2d", "dilation", dilation),
        "ceil_mode": ceil_mode if ceil_mode is False else flag("max_pool2d", "ceil_mode", ceil_mode),
    }
    return largest(ops.pool.max_pool2d, ops.pool.max_pool2d_values, input, params, return_indices)


def largest(with_places: Any, values_alone: Any, input: Tensor, params: dict[str, Any], return_indices: bool) -> Any:
    """Max pooling by one of two ops: places are for those who ask for them, and for gradients."""
    if not return_indices and not input.requires_grad and input._spec.dtype.is_floating_point:
        return values_alone(input, **params)
    out, indices = with_places(input, **params)
    return (out, indices) if return_indices else out


def _window(name: str, kernel_size: Any, stride: Any, padding: Any) -> tuple[tuple[int, int], ...]:
    """Window, stride and padding of a pooling; a stride that is None or empty stands for the window's size."""
    window, pads = pair(name, "kernel_size", kernel_size), pair(name, "padding", padding)
    if stride is None or stride == () or stride == []:
        return window, window, pads
    return window, pair(name, "stride", stride), pads


@public("function", "functional", known=True)
def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of [N, C, H, W] or [C, H, W].

    The stride is by default the window's size. With ``count_include_pad`` padding counts as zeros. ``divisor_override``
    replaces the number of elements as the divisor of the sums.

    Raises
    ------
    RuntimeError
        The input is not a floating-point image, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> avg_pool2d(ng.arange(16.0).reshape(1, 4, 4), (2, 4))
    tensor([[[ 3.5000],
             [11.5000]]])
    """
    arguments.check_tensor("avg_pool2d", "input", input)
    window, stride, padding = _window("avg_pool2d", kernel_size, stride, padding)
    if divisor_override is not None:
        divisor_override = as_int("avg_pool2d", "divisor_override", divisor_override)
    return ops.pool_average.avg_pool2d(  # type: ignore[no-any-return]
        input,
        kernel_size=window,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode if ceil_mode is False else flag("avg_pool2d", "ceil_mode", ceil_mode),
        count_include_pad=count_include_pad is True or flag("avg_pool2d", "count_include_pad", count_include_pad),
        divisor_override=divisor_override,
    )


@public("function", "functional", known=True)
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that cut [N, C, H, W] or [C, H, W] into output_size parts; None keeps an extent.

    Raises
    ------
    RuntimeError
        The input is not a floating-point image, or ``output_size`` is neither one int nor two.

    >>> import numgrad as ng
    >>> adaptive_avg_pool2d(ng.arange(16.0).reshape(1, 4, 4), (1, 2))
    tensor([[[6.5000, 8.5000]]])
    """
    name = "adaptive_avg_pool2d"
    arguments.check_tensor(name, "input", input)
    if input.ndim not in (3, 4):
        raise ShapeError(f"{name}(): Expected 3D or 4D tensor, but got {list(input.shape)}")
    extents = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(extents) != 2:
        raise ShapeError(f"{name}: output_size must be 2, but it has {len(extents)} elements")
    size = tuple(
        [
            extent if extent.__class__ is int else n if extent is None else as_int(name, "output_size", extent)
            for extent, n in zip(extents, input._spec.shape[-2:], strict=True)
        ]
    )
    if input.ndim == 3 and input.shape[0] == 0:  # without channels: pool as an empty batch
        return shaping.squeeze(ops.pool_average.adaptive_avg_pool2d(shaping.unsqueeze(input, 1), output_size=size), 1)
    return ops.pool_average.adaptive_avg_pool2d(input, output_size=size)  # type: ignore[no-any-return]
