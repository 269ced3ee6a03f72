"""Pooling to given extents, and max pooling undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import int64
from numgrad.errors import DtypeError, ShapeError
from numgrad.tensor import arguments, pooling, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import flag
from numgrad.tensor.pooling_volumes import checked, windows_of
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


# ---- to given extents -------------------------------------------------------------------------------------------


def _extents(name: str, output_size: Any, image: tuple[int, ...]) -> tuple[int, ...]:
    """The extents of the output; None keeps one.

    Raises
    ------
    RuntimeError
        There is another number of them, or one is negative.
    """
    if output_size.__class__ is int and output_size >= 0:
        return (output_size,) * len(image)
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * len(image)
    if len(given) != len(image):
        raise ShapeError(f"{name}: output_size must be {len(image)}, but it has {len(given)} elements")
    size = tuple(
        extent if each is None else as_int(name, "output_size", each) for each, extent in zip(given, image, strict=True)
    )
    if min(size) < 0:
        raise ShapeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {list(size)}"
        )
    return size


@public("function", "functional", known=True)
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that cut [N, C, L] or [C, L] into output_size parts.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, is not of floating point, or ``output_size`` is not one int.

    >>> import numgrad as ng
    >>> ng.adaptive_avg_pool1d(ng.arange(4.0).reshape(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """
    name = "adaptive_avg_pool1d"
    (length,) = _extents(name, output_size, checked(name, input, 1)[-1:])
    if input._spec.ndim == 3:  # the channels are rows, and stay
        return ops.pool_average.adaptive_avg_pool2d(input, output_size=(input._spec.shape[1], length))  # type: ignore[no-any-return]
    return shaping.squeeze(pooling.adaptive_avg_pool2d(shaping.unsqueeze(input, 1), (1, length)), 1)


@public("functional", known=True)
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means over windows that cut [N, C, D, H, W] or [C, D, H, W] into output_size parts; None keeps an extent.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, is not of floating point, or ``output_size`` is neither one int nor three.

    >>> import numgrad as ng
    >>> ng.nn.functional.adaptive_avg_pool3d(ng.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])
    """
    name = "adaptive_avg_pool3d"
    size = _extents(name, output_size, checked(name, input, 3)[-3:])
    if input.ndim == 4 and input.shape[0] == 0:  # without channels: pool as an empty batch
        return shaping.squeeze(ops.pool_average.adaptive_avg_pool3d(shaping.unsqueeze(input, 1), output_size=size), 1)
    return ops.pool_average.adaptive_avg_pool3d(input, output_size=size)  # type: ignore[no-any-return]


def _adaptive_max(name: str, input: Tensor, output_size: Any, ndim: int) -> tuple[Tensor, Tensor]:
    """The largest value of each part, and its row-major position."""
    size = _extents(name, output_size, checked(name, input, ndim)[-ndim:])
    dtype = input._spec.dtype
    if not dtype.is_floating_point:
        raise DtypeError(f"{name}: not implemented for '{dtype.torch_name}'; convert with .float() first")
    return ops.pool_boxes.max_boxes(input, None, output_size=size)  # type: ignore[no-any-return]


@public("functional", known=True)
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of windows that cut [N, C, L] or [C, L] into output_size parts; with their positions if asked for.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or ``output_size`` is not one int.

    >>> import numgrad as ng
    >>> ng.nn.functional.adaptive_max_pool1d(ng.arange(4.0).reshape(1, 4), 2)
    tensor([[1., 3.]])
    """
    out, places = _adaptive_max("adaptive_max_pool1d", input, output_size, 1)
    return (out, places) if flag("adaptive_max_pool1d", "return_indices", return_indices) else out


@public("function", name="adaptive_max_pool1d", known=True)
def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """`nn.functional.adaptive_max_pool1d` with the positions, as ``torch.adaptive_max_pool1d`` returns both.

    Raises
    ------
    RuntimeError
        As there.

    >>> import numgrad as ng
    >>> ng.adaptive_max_pool1d(ng.arange(4.0).reshape(1, 4), 2)
    (tensor([[1., 3.]]), tensor([[1, 3]]))
    """
    return _adaptive_max("adaptive_max_pool1d", input, output_size, 1)


@public("functional", known=True)
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of windows that cut [N, C, H, W] or [C, H, W] into output_size parts; None keeps an extent.

    With ``return_indices`` the result is a pair of the values and their row-major positions in the image.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or ``output_size`` is neither one int nor two.

    >>> import numgrad as ng
    >>> ng.nn.functional.adaptive_max_pool2d(ng.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[[4., 5.]]])
    """
    out, places = _adaptive_max("adaptive_max_pool2d", input, output_size, 2)
    return (out, places) if flag("adaptive_max_pool2d", "return_indices", return_indices) else out


@public("functional", known=True)
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of windows that cut [N, C, D, H, W] or [C, D, H, W] into output_size parts; None keeps an extent.

    With ``return_indices`` the result is a pair of the values and their row-major positions in the volume.

    Raises
    ------
    RuntimeError
        The input has another number of dimensions, or ``output_size`` is neither one int nor three.

    >>> import numgrad as ng
    >>> ng.nn.functional.adaptive_max_pool3d(ng.arange(8.0).reshape(1, 2, 2, 2), (1, 1, 2))
    tensor([[[[6., 7.]]]])
    """
    out, places = _adaptive_max("adaptive_max_pool3d", input, output_size, 3)
    return (out, places) if flag("adaptive_max_pool3d", "return_indices", return_indices) else out


# ---- undone -----------------------------------------------------------------------------------------------------


def _unpooled(
    name: str, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any, ndim: int
) -> Tensor:
    """Zeros with each value at its position; of several for one position the last counts."""
    window, steps, pads = windows_of(name, ndim, kernel_size, stride, ("padding", padding))
    if arguments.check_tensor(name, "indices", indices).dtype is not int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64 but got: {indices.dtype}")
    shape = checked(name, input, ndim)
    if indices.shape != input.shape:
        raise ShapeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices tensor with "
            f"shape: {list(indices.shape)}"
        )
    size = tuple(
        (extent - 1) * step + taps - 2 * pad
        for extent, step, taps, pad in zip(shape[-ndim:], steps, window, pads, strict=True)
    )
    if output_size is not None:
        given = tuple(output_size)[-ndim:]
        if len(tuple(output_size)) not in (ndim, ndim + 1, ndim + 2):
            raise ValueError(
                f"{name}: output_size should be a sequence containing {ndim} elements, but it is {output_size}"
            )
        for each, extent, step in zip(given, size, steps, strict=True):
            if not extent - step < each < extent + step:
                raise ValueError(
                    f'{name}: invalid output_size "{list(given)}": each must be within a stride of {list(size)}'
                )
        size = tuple(as_int(name, "output_size", each) for each in given)
    return ops.patches.max_unpool(input, indices, size=size)  # type: ignore[no-any-return]


@public("functional", known=True)
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros with the values of `max_pool1d` at their positions, which ``return_indices`` gave.

    Raises
    ------
    RuntimeError
        The shapes do not fit, or an index is out of range.
    ValueError
        ``output_size`` is further than a stride from what the window gives.

    >>> import numgrad as ng
    >>> ng.nn.functional.max_unpool1d(ng.tensor([[3.0, 2.0]]), ng.tensor([[1, 2]]), 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _unpooled("max_unpool1d", input, indices, kernel_size, stride, padding, output_size, 1)


@public("functional", known=True)
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros with the values of `max_pool2d` at their positions, which ``return_indices`` gave.

    Raises
    ------
    RuntimeError
        The shapes do not fit, or an index is out of range.
    ValueError
        ``output_size`` is further than a stride from what the window gives.

    >>> import numgrad as ng
    >>> ng.nn.functional.max_unpool2d(ng.tensor([[[3.0]]]), ng.tensor([[[1]]]), 2)
    tensor([[[0., 3.],
             [0., 0.]]])
    """
    return _unpooled("max_unpool2d", input, indices, kernel_size, stride, padding, output_size, 2)


@public("functional", known=True)
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros with the values of `max_pool3d` at their positions, which ``return_indices`` gave.

    Raises
    ------
    RuntimeError
        The shapes do not fit, or an index is out of range.
    ValueError
        ``output_size`` is further than a stride from what the window gives.

    >>> import numgrad as ng
    >>> ng.nn.functional.max_unpool3d(ng.tensor([[[[3.0]]]]), ng.tensor([[[[1]]]]), (1, 1, 2))
    tensor([[[[0., 3.]]]])
    """
    return _unpooled("max_unpool3d", input, indices, kernel_size, stride, padding, output_size, 3)
