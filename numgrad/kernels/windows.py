"""Windows and boxes on volumes: what pooling, patches and their gradients have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from numgrad.runtime.kernel import device


class Axis(NamedTuple):
    """The boxes along one axis: windows of ``size`` taps; parts into which it is cut (size 0); or placed by a number (step 0)."""

    size: int
    step: int
    pad: int
    dilation: int


class Boxes(NamedTuple):
    """The boxes of a pooling; of images the depth is one tap, of lines the rows as well."""

    depth: Axis
    rows: Axis
    columns: Axis


ONE = Axis(1, 1, 0, 1)
PARTS = Axis(0, 1, 0, 1)


def boxes_of(*axes: Axis) -> Boxes:
    """The boxes of one to three axes."""
    return Boxes(*(ONE,) * (3 - len(axes)), *axes)


@dataclass(frozen=True)
class Window:
    """A pooling window, each of one to three axes."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The window by axes."""
        return tuple(map(Axis, self.kernel_size, self.stride, self.padding, self.dilation))

    @property
    def record(self) -> Boxes:
        """The window as kernels take it."""
        return boxes_of(*self.axes)

    def output_extents(self, image: tuple[int, ...], ceil_mode: bool) -> tuple[int, ...]:
        """Extents of the output; with ceil_mode windows may reach over the far edge, but must start before it."""
        result = []
        for extent, (size, step, pad, dilation) in zip(image, self.axes, strict=True):
            room = extent + 2 * pad - dilation * (size - 1) - 1
            out = (room + (step - 1 if ceil_mode else 0)) // step + 1
            if ceil_mode and (out - 1) * step >= extent + pad:
                out -= 1
            result.append(out)
        return tuple(result)


@device
def taps_inside(at, step, count, extent):
    """The first of ``count`` taps, ``step`` apart from ``at`` on, that is not before the plane, and the first behind it."""
    first = 0 if at >= 0 else min(count, (-at + step - 1) // step)
    return first, first if at >= extent else max(first, min(count, (extent - 1 - at) // step + 1))


@device
def first_inside(at, step):
    """The first output whose tap is not before the plane; for output 0 the tap lies at ``at``."""
    return 0 if at >= 0 else (-at + step - 1) // step


@device
def end_inside(at, step, extent, outputs):
    """One after the last output whose tap is not behind the plane."""
    return 0 if at >= extent else min(outputs, (extent - 1 - at) // step + 1)


@device
def windows_over(at, extent, outputs, axis):
    """The first window that may cover an element, and the first behind; parts of an axis in the same way."""
    size, step, pad, dilation = axis
    if size:
        first = max(0, (at + pad - dilation * (size - 1) - 1 + step) // step)
        return first, max(first, min(outputs - 1, (at + pad) // step) + 1)
    return at * outputs // extent, ((at + 1) * outputs + extent - 1) // extent


@device
def held_until(at, extent, outputs, axis, first, end):
    """The first element after ``at`` that other windows cover than those from ``first`` up to ``end``, which cover ``at``."""
    size, step, pad, _ = axis
    until = extent
    if end < outputs:
        until = end * step - pad if size else end * extent // outputs
    if first < end:
        last = first * step - pad + size if size else ((first + 1) * extent + outputs - 1) // outputs
        until = min(until, last)
    return max(at + 1, min(until, extent))


@device
def counted_in(p, extent, outputs, axis, count_pad):
    """Elements of a box along an axis that the mean's divisor counts."""
    size, step, pad, _ = axis
    if size == 0:
        return ((p + 1) * extent + outputs - 1) // outputs - p * extent // outputs
    begin = p * step - pad
    end = min(begin + size, extent + pad)
    return end - begin if count_pad else min(end, extent) - max(begin, 0)
