"""Where the pixels of an image go; public as `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.errors import warn
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import pictures, tensors
from numgrad.transforms.checks import margins, two
from numgrad.transforms.modes import InterpolationMode, as_mode, dimensions

_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def resized_shape(height: int, width: int, shorter: int, longest: int | None = None) -> tuple[int, int]:
    """Height and width after resizing the shorter side; the longer side keeps the ratio, rounded down.

    >>> resized_shape(300, 500, 256), resized_shape(300, 500, 256, longest=400)
    ((256, 426), (240, 400))
    """
    longer = int(shorter * max(height, width) / min(height, width))
    if longest is not None:
        if longest <= shorter:
            raise ValueError(
                f"max_size = {longest} must be strictly greater than the requested size for the smaller edge size = {[shorter]}"
            )
        if longer > longest:
            shorter, longer = int(longest * shorter / longer), longest
    return (shorter, longer) if height <= width else (longer, shorter)


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = _BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image with another height and width, or with ``size`` as its shorter side and no more than ``max_size``.

    Bilinear and bicubic are antialiased, unless that is switched off for a tensor.

    Raises
    ------
    TypeError
        ``interpolation`` or the image is none.
    ValueError
        Not one or two sizes, sizes that contradict ``max_size``, or a mode that tensors have not.

    >>> import numgrad as ng
    >>> resize(ng.zeros(3, 30, 50), 15).shape, resize(ng.zeros(30, 50), (5, 5)).shape
    (numgrad.Size([3, 15, 25]), numgrad.Size([5, 5]))
    """
    mode = as_mode(interpolation)
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list")
    if max_size is not None and len(sizes) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, i.e. size should be an int or "
            "a sequence of length 1 in torchscript mode."
        )
    _, height, width = dimensions(img)
    shape = resized_shape(height, width, sizes[0], max_size) if len(sizes) == 1 else (sizes[0], sizes[1])
    if shape == (height, width):
        return img
    if isinstance(img, Tensor):
        return tensors.resize(img, shape, mode, bool(antialias))
    if antialias is False:
        warn("Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.")
    return pictures.resize(img, shape, mode)


def pad(img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The image with margins: all alike, or left/right and top/bottom, or left, top, right, bottom. Negative ones cut off.

    They are filled with ``fill``, or by ``padding_mode``: 'edge' repeats the last pixel, 'reflect' what is before it,
    'symmetric' both.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or length, or the mode is none of these.
    RuntimeError
        A tensor has fewer pixels than 'reflect' asks for.

    >>> import numgrad as ng
    >>> pad(ng.tensor([[1, 2, 3]]), (2, 0), padding_mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2, 1]])
    """
    sides = margins(padding, fill, padding_mode)
    if isinstance(img, Tensor):
        if isinstance(fill, (list, tuple)):
            raise TypeError("Got inappropriate fill arg")
        return tensors.pad(img, sides, 0 if fill is None else fill, padding_mode)
    pictures.check_picture(img)
    return pictures.pad(img, sides, fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of the image; where it reaches beyond, there are zeros.

    >>> import numgrad as ng
    >>> crop(ng.tensor([[1, 2], [3, 4]]), 1, 1, 2, 2)
    tensor([[4, 0],
            [0, 0]])
    """
    if isinstance(img, Tensor):
        return tensors.crop(img, top, left, height, width)
    pictures.check_picture(img)
    return pictures.crop(img, top, left, height, width)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The centre of the image; one that is smaller gets margins of zeros.

    >>> import numgrad as ng
    >>> center_crop(ng.arange(4).expand(3, 4), (1, 2))
    tensor([[1, 2]])
    """
    height, width = two(output_size)
    _, rows, columns = dimensions(img)
    lacks = max(width - columns, 0), max(height - rows, 0)
    if any(lacks):
        img = pad(img, [lacks[0] // 2, lacks[1] // 2, (lacks[0] + 1) // 2, (lacks[1] + 1) // 2])
        _, rows, columns = dimensions(img)
    return crop(img, round((rows - height) / 2.0), round((columns - width) / 2.0), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = _BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of the image, resized.

    >>> import numgrad as ng
    >>> resized_crop(ng.zeros(3, 9, 9), 1, 1, 4, 6, (2, 2)).shape
    numgrad.Size([3, 2, 2])
    """
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The four corners and the centre: top left, top right, bottom left, bottom right.

    Raises
    ------
    ValueError
        The image is smaller.

    >>> import numgrad as ng
    >>> [part.item() for part in five_crop(ng.arange(9).reshape(3, 3), 1)]
    [0, 2, 6, 8, 4]
    """
    height, width = two(size)
    _, rows, columns = dimensions(img)
    if width > columns or height > rows:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(rows, columns)}")
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    return (*(crop(img, top, left, height, width) for top, left in corners), center_crop(img, (height, width)))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image, and of the image flipped.

    >>> import numgrad as ng
    >>> [part.item() for part in ten_crop(ng.arange(9).reshape(3, 3), 1)]
    [0, 2, 6, 8, 4, 2, 0, 8, 6, 4]
    """
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def hflip(img: Any) -> Any:
    """Left for right.

    >>> import numgrad as ng
    >>> hflip(ng.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    return _flipped(img, horizontal=True)


def vflip(img: Any) -> Any:
    """Top for bottom.

    >>> import numgrad as ng
    >>> vflip(ng.tensor([[1], [2]]))
    tensor([[2],
            [1]])
    """
    return _flipped(img, horizontal=False)


def _flipped(img: Any, horizontal: bool) -> Any:
    if isinstance(img, Tensor):
        dimensions(img)
        return img.flip(-1 if horizontal else -2)
    pictures.check_picture(img)
    return pictures.flip(img, horizontal)


def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode | int = _NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """The image turned counter-clockwise by degrees, around its centre or the point ``center`` (x, y).

    With ``expand`` it gets as large as the turned image is. What was outside is ``fill``: a number, or one for each channel.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or length, or the mode is neither nearest nor bilinear (nor bicubic, for pictures).

    >>> import numgrad as ng
    >>> rotate(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), 90)
    tensor([[2., 4.],
            [1., 3.]])
    """
    mode = as_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not isinstance(img, Tensor):
        pictures.check_picture(img)
        return pictures.rotate(img, angle, mode, expand, center, fill)
    matrix = tensors.turn(-angle, center=_from_middle(img, center))
    size = tensors.warped_size(matrix, *dimensions(img)[1:]) if expand else None
    return tensors.warp(img, matrix, mode, fill, size)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode | int = _NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """The image turned clockwise by degrees, sheared by degrees (x, y), scaled, and moved by pixels (x, y).

    What was outside is ``fill``: a number, or one for each channel.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, length or range, or the mode is neither nearest nor bilinear (nor bicubic, for
        pictures).

    >>> import numgrad as ng
    >>> affine(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), 0, (1, 0), 1, 0, fill=9)
    tensor([[9., 1.],
            [9., 3.]])
    """
    mode = as_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (int, float, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    leans = [shear, 0.0] if isinstance(shear, (int, float)) else list(shear)
    if len(leans) == 1:
        leans = leans * 2
    if len(leans) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {leans}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if isinstance(img, Tensor):
        return tensors.warp(img, tensors.turn(angle, leans, scale, translate, _from_middle(img, center)), mode, fill)
    _, height, width = dimensions(img)
    around = center or (width * 0.5, height * 0.5)
    return pictures.warp(img, tensors.turn(angle, leans, scale, translate, around), mode, fill)


def _from_middle(img: Tensor, center: Sequence[float] | None) -> tuple[float, float]:
    _, height, width = dimensions(img)
    return (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)
