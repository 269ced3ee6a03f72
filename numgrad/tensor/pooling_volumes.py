"""Pooling in one and three dimensions, and by p-norms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.tensor import arguments, comparison, pointwise, pooling, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag, real, several
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.elementwise


def checked(name: str, input: Tensor, ndim: int) -> tuple[int, ...]:
    """The shape of an input whose channels ``ndim`` extents follow, with a batch or without.

    Raises
    ------
    RuntimeError
        It has another number of dimensions, or one of them is empty.
    """
    shape: tuple[int, ...] = arguments.check_tensor(name, "input", input)._spec.shape
    if len(shape) not in (ndim + 1, ndim + 2) or 0 in shape[-ndim - 1 :]:
        raise ShapeError(
            f"{name}: Expected {ndim + 1}D or {ndim + 2}D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got: {list(shape)}"
        )
    return shape


def batched(name: str, input: Tensor, ndim: int) -> tuple[Tensor, bool]:
    """The input with a batch, and whether it came without; errors as `checked`."""
    return (input, False) if len(checked(name, input, ndim)) == ndim + 2 else (shaping.unsqueeze(input, 0), True)


def unbatched(out: Any, alone: bool) -> Any:
    """The result, or each of several, without its batch of one where the input came alone."""
    if not alone:
        return out
    return tuple(shaping.squeeze(part, 0) for part in out) if isinstance(out, tuple) else shaping.squeeze(out, 0)


def windows_of(name: str, ndim: int, kernel_size: Any, stride: Any, *others: tuple[str, Any]) -> list[tuple[int, ...]]:
    """Window, stride (by default the window) and the other arguments, each of ``ndim`` ints.

    Raises
    ------
    RuntimeError, TypeError
        One has another number of them, or is none.
    """
    window = several(name, "kernel_size", kernel_size, ndim)
    steps = window if stride is None or stride == () or stride == [] else several(name, "stride", stride, ndim)
    return [window, steps, *(several(name, word, value, ndim) for word, value in others)]


# ---- windows ----------------------------------------------------------------------------------------------------


@public("function", "functional", known=True)
def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window of [N, C, L] or [C, L]; NaN if the window has one.

    The stride is by default the window's size. With ``return_indices`` the result is a pair of the values and their
    positions.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.nn.functional.max_pool1d(ng.tensor([[1.0, 3.0, 2.0, 0.0]]), 2, return_indices=True)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    name = "max_pool1d"
    shape = checked(name, input, 1)
    (window,), (step,), (pad,), (spread,) = windows_of(
        name, 1, kernel_size, stride, ("padding", padding), ("dilation", dilation)
    )
    # The channels are rows, and stay, if there are images.
    if len(shape) == 3 and shape[0] and not return_indices and not input.requires_grad:
        return pooling.max_pool2d(input, (1, window), (1, step), (0, pad), (1, spread), ceil_mode)
    images, alone = batched(name, input, 1)
    out = pooling.max_pool2d(
        shaping.unsqueeze(images, 2), (1, window), (1, step), (0, pad), (1, spread), ceil_mode, return_indices
    )
    out = tuple(shaping.squeeze(part, 2) for part in out) if return_indices else shaping.squeeze(out, 2)
    return unbatched(out, alone)


@public("function", "functional", known=True)
def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of [N, C, L] or [C, L]; with ``count_include_pad`` padding counts as zeros.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions or is not of floating point, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.nn.functional.avg_pool1d(ng.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    name = "avg_pool1d"
    shape = checked(name, input, 1)
    (window,), (step,), (pad,) = windows_of(name, 1, kernel_size, stride, ("padding", padding))
    if len(shape) == 3 and shape[0]:  # the channels are rows, and stay, if there are images
        return pooling.avg_pool2d(input, (1, window), (1, step), (0, pad), ceil_mode, count_include_pad)
    dim = len(shape) - 1 if len(shape) == 3 else 0
    rows = shaping.unsqueeze(input, dim)
    out = pooling.avg_pool2d(rows, (1, window), (1, step), (0, pad), ceil_mode, count_include_pad)
    return shaping.squeeze(out, dim)


@public("function", "functional", known=True)
def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window of [N, C, D, H, W] or [C, D, H, W]; NaN if the window has one.

    The stride is by default the window's size. With ``return_indices`` the result is a pair of the values and their
    row-major positions in the volume.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.nn.functional.max_pool3d(ng.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    name = "max_pool3d"
    checked(name, input, 3)
    window, steps, pads, spread = windows_of(name, 3, kernel_size, stride, ("padding", padding), ("dilation", dilation))
    params = {
        "kernel_size": window,
        "stride": steps,
        "padding": pads,
        "dilation": spread,
        "ceil_mode": flag(name, "ceil_mode", ceil_mode),
    }
    return pooling.largest(ops.pool.max_pool3d, ops.pool.max_pool3d_values, input, params, return_indices)


@public("functional", known=True)
def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of [N, C, D, H, W] or [C, D, H, W].

    With ``count_include_pad`` padding counts as zeros. ``divisor_override`` replaces the number of elements as the divisor.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions or is not of floating point, or the window does not fit.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.nn.functional.avg_pool3d(ng.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    name = "avg_pool3d"
    checked(name, input, 3)
    window, steps, pads = windows_of(name, 3, kernel_size, stride, ("padding", padding))
    if divisor_override is not None:
        divisor_override = as_int(name, "divisor_override", divisor_override)
    return ops.pool_average.avg_pool3d(  # type: ignore[no-any-return]
        input,
        kernel_size=window,
        stride=steps,
        padding=pads,
        ceil_mode=flag(name, "ceil_mode", ceil_mode),
        count_include_pad=flag(name, "count_include_pad", count_include_pad),
        divisor_override=divisor_override,
    )


@public("functional", known=True)
def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The sum of input ** norm_type in each window of [N, C, L] or [C, L], to the power 1 / norm_type.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or the window does not fit.

    >>> import numgrad as ng
    >>> ng.nn.functional.lp_pool1d(ng.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    powers = pointwise.pow(
        arguments.check_tensor("lp_pool1d", "input", input), real("lp_pool1d", "norm_type", norm_type)
    )
    (count,) = several("lp_pool1d", "kernel_size", kernel_size, 1)
    return _root(avg_pool1d(powers, kernel_size, stride, 0, ceil_mode), count, norm_type)


@public("functional", known=True)
def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The sum of input ** norm_type in each window of [N, C, H, W], to the power 1 / norm_type.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or the window does not fit.

    >>> import numgrad as ng
    >>> ng.nn.functional.lp_pool2d(ng.tensor([[[3.0, 4.0]]]), 2, (1, 2))
    tensor([[[5.]]])
    """
    powers = pointwise.pow(
        arguments.check_tensor("lp_pool2d", "input", input), real("lp_pool2d", "norm_type", norm_type)
    )
    count = math.prod(several("lp_pool2d", "kernel_size", kernel_size, 2))
    return _root(pooling.avg_pool2d(powers, kernel_size, stride, 0, ceil_mode), count, norm_type)


@public("functional", known=True)
def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The sum of input ** norm_type in each window of [N, C, D, H, W], to the power 1 / norm_type.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or the window does not fit.

    >>> import numgrad as ng
    >>> ng.nn.functional.lp_pool3d(ng.tensor([[[[3.0, 4.0]]]]), 2, (1, 1, 2))
    tensor([[[[5.]]]])
    """
    powers = pointwise.pow(
        arguments.check_tensor("lp_pool3d", "input", input), real("lp_pool3d", "norm_type", norm_type)
    )
    count = math.prod(several("lp_pool3d", "kernel_size", kernel_size, 3))
    return _root(avg_pool3d(powers, kernel_size, stride, 0, ceil_mode), count, norm_type)


def _root(means: Tensor, count: int, norm_type: float) -> Tensor:
    sums = pointwise.mul(means, count)
    if not norm_type > 0:
        return pointwise.pow(sums, 1.0 / norm_type)
    is_nothing = comparison.eq(sums, 0)  # where the root's slope is infinite, and 0 of the powers: the gradient is 0
    root = pointwise.pow(pointwise.where(is_nothing, 1, sums), 1.0 / norm_type)
    return pointwise.where(is_nothing, 0, root)  # type: ignore[no-any-return]
