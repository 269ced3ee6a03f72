"""Transforms that draw how far they go: colours, turns, and blurs."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from numgrad.nn.module import Module
from numgrad.tensor import random
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import functional as F
from numgrad.transforms.chance import drawn
from numgrad.transforms.checks import angles, check_length, two
from numgrad.transforms.modes import InterpolationMode, as_mode, dimensions

_Range = tuple[float, float] | None


class ColorJitter(Module):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    A number is how far a factor may be from 1 (the hue's from 0); a pair is the factor's range.

    Raises
    ------
    ValueError
        A number is negative, or a range beyond what the function takes.
    TypeError
        An argument is neither a number nor a pair.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.ColorJitter(brightness=0.4, hue=0.1)(ng.rand(3, 4, 4)).shape
    numgrad.Size([3, 4, 4])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        super().__init__()
        self.brightness = _jitter(brightness, "brightness")
        self.contrast = _jitter(contrast, "contrast")
        self.saturation = _jitter(saturation, "saturation")
        self.hue = _jitter(hue, "hue", centre=0, bounds=(-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: _Range, contrast: _Range, saturation: _Range, hue: _Range
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:
        """The order, and a factor for each that is not None.

        >>> sorted(ColorJitter.get_params(None, None, None, None)[0].tolist())
        [0, 1, 2, 3]
        """
        order = random.randperm(4)
        b, c, s, h = (
            None if each is None else drawn(each[0], each[1]) for each in (brightness, contrast, saturation, hue)
        )
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for index in order.tolist():
            factor = factors[index]
            if factor is not None:
                img = changes[index](img, factor)
        return img

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


def _jitter(value: Any, name: str, centre: float = 1, bounds: tuple[float, float] = (0, math.inf)) -> _Range:
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        low, high = centre - float(value), centre + float(value)  # type: ignore[arg-type]
        if centre:
            low = max(low, 0.0)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        low, high = float(value[0]), float(value[1])
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(f"{name} values should be between {bounds}, but got {[low, high]}.")
    return None if low == high == centre else (low, high)


def _fill(fill: Any) -> Any:
    if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return 0 if fill is None else fill


class RandomRotation(Module):
    """The image turned by random degrees: up to a number either way, or within a range; see `functional.rotate`.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomRotation((90, 90))(ng.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[int] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.interpolation = as_mode(interpolation)
        self.degrees = angles(degrees, "degrees")
        if center is not None:
            check_length(center, "center", (2,))
        self.center = center
        self.expand = expand
        self.fill = _fill(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """A random angle.

        >>> RandomRotation.get_params([5.0, 5.0])
        5.0
        """
        return drawn(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, self.fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{type(self).__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine(Module):
    """The image turned, moved, scaled and sheared at random; see `functional.affine`.

    Parameters
    ----------
    degrees
        A number of degrees either way, or a range.
    translate
        The largest parts of the width and of the height by which it is moved.
    scale
        A range of factors.
    shear
        A number of degrees either way or a range, along x; four numbers are a range along y as well.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5)(ng.zeros(3, 8, 8)).shape
    numgrad.Size([3, 8, 8])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.interpolation = as_mode(interpolation)
        self.degrees = angles(degrees, "degrees")
        if translate is not None:
            check_length(translate, "translate", (2,))
            if not all(0 <= each <= 1 for each in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            check_length(scale, "scale", (2,))
            if min(scale) <= 0:
                raise ValueError("scale values should be positive")
        if center is not None:
            check_length(center, "center", (2,))
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else angles(shear, "shear", (2, 4))
        self.fill = _fill(fill)
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Random angle, shift, scale and shear, for an image of this width and height.

        >>> RandomAffine.get_params([0.0, 0.0], None, None, None, [4, 4])
        (0.0, (0, 0), 1.0, (0.0, 0.0))
        """
        angle = drawn(float(degrees[0]), float(degrees[1]))
        shift = (0, 0)
        if translate is not None:
            across, down = (
                round(drawn(-float(part * extent), float(part * extent)))
                for part, extent in zip(translate, img_size, strict=True)
            )
            shift = (across, down)
        scale = 1.0 if scale_ranges is None else drawn(scale_ranges[0], scale_ranges[1])
        lean = tilt = 0.0
        if shears is not None:
            lean = drawn(shears[0], shears[1])
            if len(shears) == 4:
                tilt = drawn(shears[2], shears[3])
        return angle, shift, scale, (lean, tilt)

    def forward(self, img: Any) -> Any:
        _, height, width = dimensions(img)
        params = self.get_params(self.degrees, self.translate, self.scale, self.shear, [width, height])
        return F.affine(img, *params, interpolation=self.interpolation, fill=self.fill, center=self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={getattr(self, name)}" for name in ("translate", "scale", "shear") if getattr(self, name)]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"{type(self).__name__}({', '.join(parts)})"


class GaussianBlur(Module):
    """The image blurred by a bell of this many pixels, odd, with a random deviation from a range, or always this one.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.GaussianBlur(3, sigma=1.0)(ng.eye(3)[None])[0, 1]
    tensor([0.3715, 0.3544, 0.3715])
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = two(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(extent <= 0 or extent % 2 == 0 for extent in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Number):
            if sigma <= 0:  # type: ignore[operator]
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)  # type: ignore[assignment]
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        elif not 0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma: Any = sigma

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random deviation.

        >>> GaussianBlur.get_params(2.0, 2.0)
        2.0
        """
        return drawn(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"
