"""Pooling of images that lie channels-last, vectorised over the channels; contiguous N C H W is N * C images of one.

A backward gathers: each input pixel adds up the gradients of the windows over it. So no two work items write the same
element, and the order of the additions is fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.pool_planes import (
    Axis,
    Means,
    Windows,
    avg_pool_backward_planes,
    avg_pool_planes,
    max_pool_backward_planes,
    max_pool_planes,
    window_count,
)
from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_kernels import (
    choose,
)
from numgrad.layout import Spec, channels_last_strides
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array


@dataclass(frozen=True)
class Window:
    """Extents of a pooling window, row and column."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def record(self) -> Windows:
        """The window as kernels take it."""
        rows, columns = zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return Windows(Axis(*rows), Axis(*columns))

    def output_extents(self, height: int, width: int, ceil_mode: bool) -> tuple[int, int]:
        """Extents of the output; with ceil_mode windows may reach over the far edge, but must start before it."""
        result = []
        for axis, extent in enumerate((height, width)):
            pad, step = self.padding[axis], self.stride[axis]
            room = extent + 2 * pad - self.dilation[axis] * (self.kernel_size[axis] - 1) - 1
            out = (room + (step - 1 if ceil_mode else 0)) // step + 1
            if ceil_mode and (out - 1) * step >= extent + pad:
                out -= 1
            result.append(out)
        return result[0], result[1]


ENOUGH_PLANES = 16
_ADAPTIVE = Axis(0, 1, 0, 1)


def _offsets_fit(image: tuple[int, ...], window: Window) -> bool:
    """Whether the distance between two pixels under one window is an int32."""
    reach = [d * k for d, k in zip(window.dilation, window.kernel_size, strict=True)]
    return reach[0] * image[2] + reach[1] < 1 << 31


def _taps(image: tuple[int, ...], r: int, s: int) -> int:
    """The most taps of a window inside of an image."""
    return min(r, image[1]) * min(s, image[2])


def _by_planes(image: tuple[int, ...], pooled: tuple[int, ...], window: Window) -> bool:
    """Whether to pool by planes, tap by tap: if a row of the window has not many more taps than pixels."""
    return image[3] == 1 and window.kernel_size[1] <= 2 * (image[2] + pooled[2])


# ---- max --------------------------------------------------------------------------------------------------------


@kernel("T[:, :, :, :], T[:, :, :, :], i8[:, :, :, :], Windows, T", Windows)
def max_pool_forward(x, out, indices, windows, lowest, start, stop):
    """Work: rows of the output. Of equal values the first wins, and the last NaN over all others, as in torch."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        top, bottom = taps_inside(p * step_h - pad_h, dil_h, r, height)
        for q in range(out_width):
            best, where = out[n, p, q], indices[n, p, q]
            fresh = True
            first, end = taps_inside(q * step_w - pad_w, dil_w, s, width)
            for i in range(top, bottom):
                h = p * step_h - pad_h + i * dil_h
                for j in range(first, end):
                    w = q * step_w - pad_w + j * dil_w
                    v, pixel = x[n, h, w], h * width + w
                    if fresh:
                        fresh = False
                        for c in range(best.shape[0]):
                            best[c] = v[c]
                            where[c] = pixel
                    else:
                        for c in range(best.shape[0]):
                            new, old, before = v[c], best[c], where[c]
                            take = (new > old) | (new != new)
                            best[c] = new if take else old
                            where[c] = pixel if take else before
            if fresh:
                for c in range(best.shape[0]):
                    best[c] = lowest
                    where[c] = 0


@device
def taps_inside(at, step, count, extent):
    """The first of ``count`` taps, ``step`` apart from ``at`` on, that is not before the plane, and the first behind it."""
    first = 0 if at >= 0 else min(count, (-at + step - 1) // step)
    return first, first if at >= extent else max(first, min(count, (extent - 1 - at) // step + 1))


@device
def first_window(row, pad, extent, step):
    """The first window that may cover an input row, where a window spans ``extent`` rows."""
    return max(0, (row + pad - extent + step) // step)


@kernel("T[:, :, :, :], i8[:, :, :, :], T[:, :, :, :], T[:, :], Windows", Windows)
def max_pool_backward(grad, indices, grad_input, lines, windows, start, stop):
    """Work: rows of the input; windows over a row come in order. ``lines`` are grad_input's rows."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = grad_input.shape[1], grad_input.shape[2]
    zero = grad.dtype.type(0)
    for row in range(start, stop):
        n = row // height
        h = row - n * height
        line = lines[row]
        for c in range(line.shape[0]):
            line[c] = zero
        p_last = min(grad.shape[1] - 1, (h + pad_h) // step_h)
        for p in range(first_window(h, pad_h, dil_h * (r - 1) + 1, step_h), p_last + 1):
            if (h + pad_h - p * step_h) % dil_h:
                continue
            for q in range(grad.shape[2]):
                g, where = grad[n, p, q], indices[n, p, q]
                first, end = taps_inside(q * step_w - pad_w, dil_w, s, width)
                for j in range(first, end):
                    w = q * step_w - pad_w + j * dil_w
                    y, pixel = grad_input[n, h, w], h * width + w
                    for c in range(y.shape[0]):
                        y[c] += choose(where[c] == pixel, g[c], zero)


# ---- average ----------------------------------------------------------------------------------------------------
# A window of average pooling is [begin, end) cut at the padded edge; an adaptive one is marked by a kernel extent of 0.


@device
def window_begin(p, extent, outputs, k, step, pad):
    return p * step - pad if k else p * extent // outputs


@device
def window_end(p, extent, outputs, k, step, pad):
    return min(p * step - pad + k, extent + pad) if k else ((p + 1) * extent + outputs - 1) // outputs


@kernel("T[:, :, :, :], T[:, :, :, :], Windows, Means", Windows, Means)
def avg_pool_forward(x, out, windows, means, start, stop):
    """Work: rows of the output."""
    r, step_h, pad_h, _ = windows.rows
    s, step_w, pad_w, _ = windows.columns
    count_pad, divisor = means
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    zero = x.dtype.type(0)
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        top, bottom = (
            window_begin(p, height, out_height, r, step_h, pad_h),
            window_end(p, height, out_height, r, step_h, pad_h),
        )
        rows = window_count(top, bottom, height, count_pad)
        for q in range(out_width):
            left, right = (
                window_begin(q, width, out_width, s, step_w, pad_w),
                window_end(q, width, out_width, s, step_w, pad_w),
            )
            y = out[n, p, q]
            for c in range(y.shape[0]):
                y[c] = zero
            for h in range(max(top, 0), min(bottom, height)):
                for w in range(max(left, 0), min(right, width)):
                    v = x[n, h, w]
                    for c in range(y.shape[0]):
                        y[c] += v[c]
            share = y.dtype.type(divisor if divisor else rows * window_count(left, right, width, count_pad))
            if divisor or share > zero:
                for c in range(y.shape[0]):
                    y[c] /= share


@kernel("T[:, :, :, :], T[:, :, :, :], T[:, :], T[:], Windows, Means", Windows, Means)
def avg_pool_backward(grad, grad_input, lines, shares, windows, means, start, stop, worker):
    """Work: rows of the input; windows over a row come in order. ``lines`` are grad_input's rows."""
    r, step_h, pad_h, _ = windows.rows
    s, step_w, pad_w, _ = windows.columns
    count_pad, divisor = means
    height, width, channels = grad_input.shape[1], grad_input.shape[2], grad_input.shape[3]
    out_height, out_width = grad.shape[1], grad.shape[2]
    zero = grad.dtype.type(0)
    shares = shares[worker * channels : (worker + 1) * channels]
    for row in range(start, stop):
        n = row // height
        h = row - n * height
        line = lines[row]
        for c in range(line.shape[0]):
            line[c] = zero
        p_first = first_window(h, pad_h, r, step_h) if r else h * out_height // height
        p_last = (h + pad_h) // step_h if r else ((h + 1) * out_height + height - 1) // height - 1
        for p in range(p_first, min(p_last, out_height - 1) + 1):
            top, bottom = (
                window_begin(p, height, out_height, r, step_h, pad_h),
                window_end(p, height, out_height, r, step_h, pad_h),
            )
            rows = window_count(top, bottom, height, count_pad)
            for q in range(out_width):
                left = window_begin(q, width, out_width, s, step_w, pad_w)
                right = window_end(q, width, out_width, s, step_w, pad_w)
                share = shares.dtype.type(divisor if divisor else rows * window_count(left, right, width, count_pad))
                g = grad[n, p, q]
                for c in range(shares.shape[0]):
                    shares[c] = g[c] / share
                for w in range(max(left, 0), min(right, width)):
                    y = grad_input[n, h, w]
                    for c in range(y.shape[0]):
                        y[c] += shares[c]


# ---- planning ---------------------------------------------------------------------------------------------------


def image_view(spec: Spec) -> tuple[bool, tuple[int, int, int, int]] | None:
    """Whether memory is channels-last, and its extents as (images, H, W, channels of one pixel)."""
    n, c, h, w = (1, *spec.shape) if spec.ndim == 3 else spec.shape
    strides = (0, *spec.strides) if spec.ndim == 3 else spec.strides
    channels_last = channels_last_strides((n, c, h, w))
    if all(extent == 1 or own == last for extent, own, last in zip((n, c, h, w), strides, channels_last, strict=True)):
        return True, (n, h, w, c)
    return (False, (n * c, h, w, 1)) if spec.is_contiguous else None


def _views(name: str, *operands: Operand) -> list[tuple[int, int, int, int]]:
    """Views of operands that must all have the same layout."""
    views = [image_view(operand.spec) for operand in operands]
    for view in views:
        if view is None or view[0] != views[0][0]:  # type: ignore[index]
            # If an extent is 1, both layouts may fit; then the other one is tried.
            break
    else:
        return [view[1] for view in views if view]
    if all(operand.spec.is_contiguous for operand in operands):
        return [_contiguous_view(operand.spec) for operand in operands]
    specs = ", ".join(repr(operand.spec) for operand in operands)
    raise ProofError(f"{name}: operands are {specs}, expected all contiguous or all channels-last")


def _contiguous_view(spec: Spec) -> tuple[int, int, int, int]:
    n, c, h, w = (1, *spec.shape) if spec.ndim == 3 else spec.shape
    return n * c, h, w, 1


def _launch_rows(b: PlanBuilder, kernel_, arrays, scalars, rows: int, row_cost: int) -> None:
    b.launch(kernel_, *arrays, *scalars, work=rows, grain=max(1, GRAIN_COST // max(row_cost, 1)), cost=rows * row_cost)


def plan_max_pool2d(b: PlanBuilder, x: Operand, out: Operand, indices: Operand, window: Window) -> None:
    """Max pooling.

    x
        [N, C, H, W] or [C, H, W], any dtype with an order; channels-last or contiguous, as out and indices.
    out, indices
        [N, C, P, Q]; indices are int64, flat in H * W. Padding counts as -inf.
    """
    image, pooled, _ = _views("max_pool2d", x, out, indices)
    (r, s), floating = window.kernel_size, x.spec.dtype.is_floating_point
    lowest = -math.inf if floating else 0
    if floating and _by_planes(image, pooled, window) and _offsets_fit(image, window):
        offsets = b.scratch(dtypes.int32, pooled[2], per_worker=True)
        _launch_rows(
            b, max_pool_planes, (x.array(*image[:3]), out.array(*pooled[:3]), indices.array(*pooled[:3]), offsets.flat),
            (window.record, lowest),
            pooled[0] * pooled[1], pooled[2] * (_taps(image, r, s) + 8),
        )  # fmt: skip
        return
    _launch_rows(
        b, max_pool_forward, (x.array(*image), out.array(*pooled), indices.array(*pooled)),
        (window.record, lowest),
        pooled[0] * pooled[1], pooled[2] * (pooled[3] * 2 + 8) * _taps(image, r, s),
    )  # fmt: skip


def _windows_over(span: tuple[int, ...], window: Window, pooled: tuple[int, ...]) -> int:
    """The most windows of this span over a pixel."""
    rows, columns = (
        max(1, min(-(-n // step), out)) for n, step, out in zip(span, window.stride, pooled[1:3], strict=True)
    )
    return rows * columns


def plan_max_pool2d_backward(
    b: PlanBuilder, grad_output: Operand, indices: Operand, grad_input: Operand, window: Window
) -> None:
    """Gradient of `plan_max_pool2d`: [N, C, P, Q] and its indices to [N, C, H, W], all of one layout."""
    pooled, _, image = _views("max_pool2d_backward", grad_output, indices, grad_input)
    span = tuple(d * (k - 1) + 1 for k, d in zip(window.kernel_size, window.dilation, strict=True))
    taps = _windows_over(span, window, pooled)
    # Plane by plane, which is less work, if there are enough planes for all threads.
    if image[3] == 1 and image[0] >= ENOUGH_PLANES:
        pixels, outputs = image[1] * image[2], pooled[1] * pooled[2]
        _launch_rows(
            b, max_pool_backward_planes,
            (grad_output.array(image[0], outputs), indices.array(image[0], outputs), grad_input.array(image[0], pixels)),
            (), image[0], pixels + 4 * outputs,
        )  # fmt: skip
        return
    _launch_rows(
        b, max_pool_backward,
        (grad_output.array(*pooled), indices.array(*pooled), grad_input.array(*image), _lines(grad_input, image)),
        (window.record,),
        image[0] * image[1], image[2] * (image[3] * 2 + 8) * taps,
    )  # fmt: skip


def plan_avg_pool2d(
    b: PlanBuilder,
    x: Operand,
    out: Operand,
    window: Window | None,
    *,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> None:
    """Average pooling [N, C, H, W] to [N, C, P, Q], both of one layout; window None: adaptive to P x Q."""
    image, pooled = _views("avg_pool2d", x, out)
    if window is None:
        if pooled[1] == pooled[2] == 1:
            plan_reduce(b, "mean", x, out, (-2, -1))
            return
        window = _even_window(image, pooled)
    r, s = window.kernel_size if window else _adaptive_extents(image, pooled)
    if window and _by_planes(image, pooled, window):
        _launch_rows(
            b, avg_pool_planes, (x.array(*image[:3]), out.array(*pooled[:3])),
            _average(window, count_include_pad, divisor_override),
            pooled[0] * pooled[1], pooled[2] * (_taps(image, r, s) + 8),
        )  # fmt: skip
        return
    _launch_rows(
        b, avg_pool_forward, (x.array(*image), out.array(*pooled)),
        _average(window, count_include_pad, divisor_override),
        pooled[0] * pooled[1], pooled[2] * (pooled[3] + 8) * _taps(image, r, s),
    )  # fmt: skip


def plan_avg_pool2d_backward(
    b: PlanBuilder,
    grad_output: Operand,
    grad_input: Operand,
    window: Window | None,
    *,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> None:
    """Gradient of `plan_avg_pool2d`: [N, C, P, Q] to [N, C, H, W], both of one layout."""
    pooled, image = _views("avg_pool2d_backward", grad_output, grad_input)
    window = window or _even_window(image, pooled)
    taps = 1
    if window and _by_planes(image, pooled, window):
        sums = b.scratch(grad_output.spec.dtype, pooled[2], per_worker=True)
        _launch_rows(
            b, avg_pool_backward_planes, (grad_output.array(*pooled[:3]), grad_input.array(*image[:3]), sums.flat),
            _average(window, count_include_pad, divisor_override), image[0] * image[1], 4 * image[2],
        )  # fmt: skip
        return
    if window:
        taps = _windows_over(window.kernel_size, window, pooled)
    shares = b.scratch(grad_output.spec.dtype, image[3], per_worker=True)
    _launch_rows(
        b, avg_pool_backward, (grad_output.array(*pooled), grad_input.array(*image), _lines(grad_input, image), shares.flat),
        _average(window, count_include_pad, divisor_override),
        image[0] * image[1], image[2] * (image[3] * 2 + 16) * taps,
    )  # fmt: skip


def _lines(images: Operand, extents: tuple[int, ...]) -> Array:
    n, height, width, channels = extents
    return images.array(n * height, width * channels)


def _even_window(image: tuple[int, ...], pooled: tuple[int, ...]) -> Window | None:
    """The window of adaptive pooling, if all are of one size."""
    if 0 in pooled or image[1] % pooled[1] or image[2] % pooled[2]:
        return None
    size = image[1] // pooled[1], image[2] // pooled[2]
    return Window(size, size)


def _adaptive_extents(image: tuple[int, ...], pooled: tuple[int, ...]) -> tuple[int, int]:
    return -(-image[1] // max(1, pooled[1])), -(-image[2] // max(1, pooled[2]))


def _average(window: Window | None, count_include_pad: bool, divisor_override: int | None) -> tuple[Windows, Means]:
    if window is None:
        return Windows(_ADAPTIVE, _ADAPTIVE), Means(1, 0)
    return window.record, Means(int(count_include_pad), divisor_override or 0)
