"""`interpolate` and its older forms: images and volumes in other extents."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import uint8
from numgrad.errors import DtypeError, warn
from numgrad.tensor import arguments, pooling, pooling_extents
from numgrad.tensor.arguments import as_int, as_number
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

# For each mode what is done along each dimension, and the numbers of dimensions that it is for.
_MODES = {
    "nearest": ("nearest", (3, 4, 5)),
    "nearest-exact": ("nearest-exact", (3, 4, 5)),
    "area": ("area", (3, 4, 5)),
    "linear": ("linear", (3,)),
    "bilinear": ("linear", (4,)),
    "trilinear": ("linear", (5,)),
    "bicubic": ("cubic", (4,)),
}
_WITHOUT_CORNERS = ("nearest", "nearest-exact", "area")


@public("functional", known=True)
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """The input [N, C, ...] with one to three spatial dimensions in other extents.

    Parameters
    ----------
    size, scale_factor
        One of them: the new extents, or the factors of the old ones; one for all dimensions or one for each.
    mode
        'nearest', which cuts fractions off, 'nearest-exact', which rounds; 'linear' [N, C, L], 'bilinear' and 'bicubic'
        [N, C, H, W], 'trilinear' [N, C, D, H, W]; 'area': the means of adaptive pooling.
    align_corners
        Of the linear and cubic modes: whether the centres of the corner elements lie on each other, else their outer edges.
    recompute_scale_factor
        Whether positions follow from the extents, which are whole, and not from the given factors.

    Raises
    ------
    ValueError
        Neither or both of ``size`` and ``scale_factor`` are given, or not one for each dimension; ``align_corners`` is given
        for a mode that has none.
    NotImplementedError
        There is no such mode for this number of dimensions, or ``antialias`` is asked for.
    RuntimeError
        An extent is not positive, or the dtype is not floating point (or uint8, for the nearest modes).

    >>> import numgrad as ng
    >>> x = ng.tensor([[[[1.0, 2.0]]]])
    >>> ng.nn.functional.interpolate(x, scale_factor=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    >>> ng.nn.functional.interpolate(x, size=(1, 3), mode="bilinear", align_corners=True)
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """
    arguments.check_tensor("interpolate", "input", input)
    if mode in _WITHOUT_CORNERS and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    way, ranks = _MODES.get(mode, ("", ()))
    if input.ndim not in ranks:
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{input.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got "
            f"{mode}); linear is for 3D, bilinear and bicubic for 4D, trilinear for 5D"
        )
    if antialias:
        raise NotImplementedError("interpolate: antialias is not implemented; leave it False")
    image = tuple(input.shape[2:])
    size, factors = _extents(image, size, scale_factor, recompute_scale_factor)
    if min(size) < 1 or 0 in image or 0 in input.shape[1:2]:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {list(input.shape)} and output {list(size)}"
        )
    if way == "area":
        return _AREA[len(image)](input, size)
    is_bytes = input.dtype is uint8 and way.startswith("nearest")
    if not (input.is_floating_point() or is_bytes):
        raise DtypeError(f"\"interpolate\" not implemented for '{input.dtype.torch_name}'; convert with .float() first")
    aligned = bool(align_corners)
    steps = tuple(
        [_step(way, n, count, aligned, factor) for n, count, factor in zip(image, size, factors, strict=True)]
    )
    if way.startswith("nearest"):
        return ops.resample.nearest(input, extents=size, mode=way, steps=steps)  # type: ignore[no-any-return]
    out = input
    for dim in ops.resample.in_order(image, size):
        if steps[dim] != 1 or size[dim] != image[dim]:
            out = ops.resample.resample(out, dim=dim + 2, size=size[dim], mode=way, step=steps[dim], aligned=aligned)
    return ops.elementwise.clone(input) if out is input else out  # type: ignore[no-any-return]


_AREA = {
    1: pooling_extents.adaptive_avg_pool1d,
    2: pooling.adaptive_avg_pool2d,
    3: pooling_extents.adaptive_avg_pool3d,
}


def _extents(
    image: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The new extents, and the factors by which positions are found; None where the extents say it."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale_factor
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(image)
    word = "output_size" if size is not None else "scale_factor"
    if len(values) != len(image):
        raise ValueError(
            f"Input and {word} must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{list(image)} and {word} of {given}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and {word} in "
            "(o1, o2, ...,oK) format."
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return tuple(as_int("interpolate", "size", value) for value in values), (None,) * len(image)
    factors = []
    for value in values:
        number = as_number(value)
        if number is None or isinstance(number, bool):
            raise TypeError(f"interpolate(): argument 'scale_factor' must be float, not {type(value).__name__}")
        if not 0 < number < math.inf:
            raise RuntimeError(f"interpolate: scale_factor is {number}, expected a finite number above 0")
        factors.append(float(number))
    whole = tuple(math.floor(extent * factor) for extent, factor in zip(image, factors, strict=True))
    return whole, tuple(None if recompute else factor for factor in factors)


def _step(way: str, extent: int, count: int, aligned: bool, factor: float | None) -> float:
    """The distance of the result's elements in the input, by torch's rules."""
    if aligned:
        return (extent - 1) / (count - 1) if count > 1 else 0.0
    if way == "linear" and count == extent:
        return 1.0
    return extent / count if factor is None else 1.0 / factor


@public("functional", known=True)
def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """`interpolate`, by its older name, with a warning.

    Raises
    ------
    ValueError, NotImplementedError, RuntimeError
        As `interpolate`.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.nn.functional.upsample(ng.ones(1, 1, 2), 3).shape
    numgrad.Size([1, 1, 3])
    """
    warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.")
    return interpolate(input, size, scale_factor, mode, align_corners)


@public("functional", known=True)
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` by the nearest element, by its older name, with a warning.

    Raises
    ------
    ValueError, NotImplementedError, RuntimeError
        As `interpolate`.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.nn.functional.upsample_nearest(ng.ones(1, 1, 2), 3).shape
    numgrad.Size([1, 1, 3])
    """
    warn("`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.")
    return interpolate(input, size, scale_factor)


@public("functional", known=True)
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode 'bilinear' and aligned corners, by its older name, with a warning.

    Raises
    ------
    ValueError, NotImplementedError, RuntimeError
        As `interpolate`.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.nn.functional.upsample_bilinear(ng.ones(1, 1, 2, 2), 3).shape
    numgrad.Size([1, 1, 3, 3])
    """
    warn("`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.")
    return interpolate(input, size, scale_factor, "bilinear", True)
