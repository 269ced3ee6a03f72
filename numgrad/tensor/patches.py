"""Patches of images as columns, and back; sampling of images where a grid says."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import ops
from numgrad.errors import DtypeError, ShapeError, warn
from numgrad.tensor import arguments, creation, layers, shaping
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import pair
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


def _window(name: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, tuple[int, int]]:
    return {
        "kernel_size": pair(name, "kernel_size", kernel_size),
        "dilation": pair(name, "dilation", dilation),
        "padding": pair(name, "padding", padding),
        "stride": pair(name, "stride", stride),
    }


@public("functional", known=True)
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The patches of images [N, C, H, W] (or [C, H, W]) as columns [N, C * R * S, L], L being the number of patches.

    Raises
    ------
    RuntimeError
        The input is not an image, or the patches do not fit.

    >>> import numgrad as ng
    >>> ng.nn.functional.unfold(ng.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    arguments.check_tensor("unfold", "input", input)
    return ops.patches.im2col(input, **_window("unfold", kernel_size, dilation, padding, stride))  # type: ignore[no-any-return]


@public("functional", known=True)
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns [N, C * R * S, L] (or [C * R * S, L]) added where `unfold` took them, into images [N, C, *output_size].

    Raises
    ------
    RuntimeError
        The columns are not those of such images.

    >>> import numgrad as ng
    >>> columns = ng.nn.functional.unfold(ng.ones(1, 1, 1, 3), (1, 2))
    >>> ng.nn.functional.fold(columns, (1, 3), (1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    arguments.check_tensor("fold", "input", input)
    size = pair("fold", "output_size", output_size)
    window = _window("fold", kernel_size, dilation, padding, stride)
    return ops.patches.col2im(input, size=size, **window)  # type: ignore[no-any-return]


# ---- grids ------------------------------------------------------------------------------------------------------


def _corners(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warn(
            f"{name}: Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired."
        )
    return bool(align_corners)


@public("functional", known=True)
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The grid [N, H, W, 2] (or [N, D, H, W, 3]) of an affine map, for `grid_sample`; theta [N, 2, 3] (or [N, 3, 4]).

    ``size`` is the shape [N, C, H, W] (or [N, C, D, H, W]) of the images to come. Coordinates go from -1 to 1, between the
    centres of the corner pixels with ``align_corners``, else between their outer edges.

    Raises
    ------
    ValueError
        theta is not of floating point or has another shape, or a size is not positive.
    NotImplementedError
        ``size`` is neither that of images nor of volumes.

    >>> import numgrad as ng
    >>> theta = ng.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> ng.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    aligned = _corners("affine_grid", align_corners)
    if not arguments.check_tensor("affine_grid", "theta", theta).is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    shape = tuple(as_int("affine_grid", "size", extent) for extent in size)
    if len(shape) not in (4, 5):
        raise NotImplementedError(
            f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {list(shape)}."
        )
    dims = len(shape) - 2
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size {list(shape)}. Got "
            f"{list(theta.shape)}."
        )
    if min(shape) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(shape)}")
    axes = []
    for extent in shape[2:]:
        whole = np.linspace(-1, 1, extent) if extent > 1 else np.zeros(1)
        axes.append(whole if aligned else whole * (extent - 1) / extent)
    points = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(shape[2:])], -1).reshape(-1, dims + 1)
    base = creation.tensor(points, dtype=theta.dtype)
    grid = layers.matmul(base, shaping.transpose(theta, 1, 2))
    return shaping.drop_base_of_copy(shaping.reshape(grid, (shape[0], *shape[2:], dims)), theta)


@public("functional", known=True)
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images [N, C, H, W] (or volumes [N, C, D, H, W]) at the points [N, P, Q, 2] (or [N, O, P, Q, 3]) of a grid, (x, y, z).

    Coordinates go from -1 to 1, between the centres of the corner pixels with ``align_corners``, else between their outer
    edges. Beyond them there are zeros, the 'border', or the image's 'reflection'.

    Parameters
    ----------
    mode
        'bilinear' (of volumes trilinear), 'nearest', or for images 'bicubic'.

    Raises
    ------
    ValueError
        There is no such mode.
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> image = ng.tensor([[[[1.0, 2.0, 4.0]]]])
    >>> ng.nn.functional.grid_sample(image, ng.tensor([[[[0.0, 0.0], [0.5, 0.0]]]]), align_corners=True)
    tensor([[[[2., 3.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    aligned = _corners("grid_sample", align_corners)
    image = arguments.check_tensor("grid_sample", "input", input)._spec
    points = arguments.check_tensor("grid_sample", "grid", grid)._spec
    dims = image.ndim - 2
    shape, extents = image.shape, points.shape
    if dims not in (2, 3) or points.ndim != image.ndim or extents[-1] != dims or extents[0] != shape[0]:
        raise ShapeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions and batch size, and the grid to have "
            f"size {dims} in last dimension, but got input with sizes {list(shape)} and grid with sizes {list(extents)}"
        )
    if mode == "bicubic" and dims == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if image.dtype is not points.dtype or not image.dtype.is_floating_point:
        raise DtypeError(
            f"grid_sampler(): expected input and grid to have same dtype, of floating point, but input has {image.dtype} and grid "
            f"{points.dtype}"
        )
    if 0 in shape[1:]:
        raise ShapeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(shape)}"
        )
    return ops.grid_sample.grid_sample(input, grid, mode=mode, padding=padding_mode, aligned=aligned)  # type: ignore[no-any-return]
