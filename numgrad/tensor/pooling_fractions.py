"""Fractional max-pooling: windows of one size whose places are drawn, so that any extent can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import DtypeError, ShapeError
from numgrad.tensor import arguments, comparison, pointwise, random, shaping
from numgrad.tensor.checked import several
from numgrad.tensor.pooling_volumes import checked
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_SIDES = {2: ("height", "width"), 3: ("time", "height", "width")}


def _output_size(name: str, extents: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if output_size is not None:
        return several(name, "output_size", output_size, len(extents))
    if output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    ratios = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * len(extents)
    if len(ratios) != len(extents):
        raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
    return tuple(int(extent * float(ratio)) for extent, ratio in zip(extents, ratios, strict=True))


def _pooled(
    name: str, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any, ndim: int
) -> tuple[Tensor, Tensor]:
    """The largest values and their places in the flattened image."""
    shape = input._spec.shape
    if len(shape) in (ndim + 1, ndim + 2) and 0 in shape[-ndim - 1 :]:
        dim = next(axis for axis in range(len(shape) - ndim - 1, len(shape)) if not shape[axis])
        raise ShapeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got {list(shape)} with "
            f"dimension {dim} being empty."
        )
    extents, dtype = tuple(checked(name, input, ndim)[-ndim:]), input._spec.dtype
    counts = _output_size(name, extents, output_size, output_ratio)
    windows = several(name, "kernel_size", kernel_size, ndim)
    for side, extent, count, window in zip(_SIDES[ndim], extents, counts, windows, strict=True):
        if window < 1 or count < 1:
            raise ShapeError(f"{name}(): kernel_size {windows} and output_size {counts} must be greater than 0")
        if count + window - 1 > extent:
            raise ShapeError(f"{name}(): pool {side} {window} too large relative to input {side} {extent}")
    if not dtype.is_floating_point:
        raise DtypeError(f"{name}: not implemented for '{dtype.torch_name}'; convert with .float() first")
    n, c = shape[:2] if len(shape) == ndim + 2 else (1, shape[0])
    if samples is None:
        samples = random.rand(n, c, ndim, dtype=dtype)
    elif arguments.check_tensor(name, "_random_samples", samples).dtype is not dtype:
        raise DtypeError("Expect _random_samples to have the same dtype as input")
    elif samples.ndim != 3 or samples.shape[0] < n or samples.shape[1] < c or samples.shape[2] != ndim:
        raise ShapeError(f"{name}: _random_samples has shape {list(samples.shape)}, expected {[n, c, ndim]}")
    elif not bool(pointwise.mul(comparison.ge(samples, 0), comparison.lt(samples, 1)).all()):
        raise RuntimeError(f"{name}: _random_samples has numbers that are not between 0 and 1")
    else:
        samples = shaping.narrow(shaping.narrow(samples.detach(), 0, 0, n), 1, 0, c)
    return ops.pool_boxes.max_boxes(input, samples, output_size=counts, window=windows)  # type: ignore[no-any-return]


@public("functional", known=True)
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest value in each of output_size windows of [N, C, H, W] or [C, H, W], which are placed at random.

    ``output_ratio`` gives the output's extents as parts of the input's. With ``return_indices`` the result is a pair of the
    values and their positions. The places are drawn from the default generator, unless ``_random_samples`` [N, C, 2] has numbers
    from 0 to 1.

    Raises
    ------
    ValueError
        There is neither ``output_size`` nor ``output_ratio``.
    RuntimeError
        The input has another number of dimensions or is not of floating point, or the windows do not fit.

    >>> import numgrad as ng
    >>> image = ng.arange(16.0).view(1, 4, 4)
    >>> ng.nn.functional.fractional_max_pool2d(image, 2, output_size=1)
    tensor([[[15.]]])
    """
    arguments.check_tensor("fractional_max_pool2d", "input", input)
    pooled = _pooled("fractional_max_pool2d", input, kernel_size, output_size, output_ratio, _random_samples, 2)
    return pooled if return_indices else pooled[0]


@public("functional", known=True)
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """`fractional_max_pool2d` of volumes [N, C, D, H, W] or [C, D, H, W]; ``_random_samples`` is [N, C, 3].

    Raises
    ------
    ValueError, RuntimeError
        As `fractional_max_pool2d`.

    >>> import numgrad as ng
    >>> ng.nn.functional.fractional_max_pool3d(ng.arange(8.0).view(1, 2, 2, 2), 2, output_size=1)
    tensor([[[[7.]]]])
    """
    arguments.check_tensor("fractional_max_pool3d", "input", input)
    pooled = _pooled("fractional_max_pool3d", input, kernel_size, output_size, output_ratio, _random_samples, 3)
    return pooled if return_indices else pooled[0]
