"""Samples of pooling: over windows, to given extents, over boxes that numbers place."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import bad, constant, good, normal, spread, uniform

ROUGH = 20.0  # sums in another order than NumPy's


def _window(size: int, stride: int, padding: int = 0, ndim: int = 2, **more: object) -> dict[str, object]:
    return {"kernel_size": (size,) * ndim, "stride": (stride,) * ndim, "padding": (padding,) * ndim, **more}


_POOLS = {
    "2x2": ((2, 3, 6, 4), _window(2, 2)),
    "3x3 stride 2": ((1, 2, 7, 8), _window(3, 2, 1)),
    "overlapping": ((1, 2, 5, 5), _window(3, 1, 1)),
    "rounded up": ((1, 2, 6, 7), _window(3, 2, 0, ceil_mode=True)),
    "large": ((2, 17, 40, 41), _window(3, 2, 1)),
}
for name in ("max_pool2d", "avg_pool2d"):
    for label, (shape, params) in _POOLS.items():
        good(name, label, spread(*shape), params=params, small=label != "large")
    bad(name, "dimensions", normal(4, 4), params=_window(2, 2), error=RuntimeError, match=f"{name}: Expected 3D or 4D")
    bad(
        name,
        "padding",
        normal(1, 1, 4, 4),
        params=_window(2, 2, 2),
        error=RuntimeError,
        match="pad should be at most half",
    )
    bad(
        name,
        "too small",
        normal(1, 1, 2, 2),
        params=_window(3, 1),
        error=RuntimeError,
        match="Output size is too small",
    )
    bad(name, "stride", normal(1, 1, 4, 4), params=_window(2, 0), error=RuntimeError, match="must be greater than zero")
good("max_pool2d", "dilated", spread(1, 2, 7, 7), params=_window(2, 2, 0, dilation=(2, 2)))
good(
    "max_pool2d",
    "special",
    constant([[[[0.0, np.nan, 1.0, 2.0], [-np.inf, 1.0, -np.inf, -np.inf]]]]),
    params=_window(2, 2),
    smooth=False,
)
good(
    "max_pool2d_backward",
    "2x2",
    normal(1, 2, 2, 2),
    constant([[[[0, 3], [9, 14]], [[5, 2], [8, 15]]]], "int64"),
    params={"size": (1, 2, 4, 4), **_window(2, 2)},
)
good("avg_pool2d", "padding not counted", normal(1, 2, 5, 5), params=_window(3, 2, 1, count_include_pad=False))
good("avg_pool2d", "own divisor", normal(1, 2, 5, 5), params=_window(3, 2, 1, divisor_override=5))
good("avg_pool2d_backward", "3x3", normal(1, 2, 3, 3), params={"size": (1, 2, 5, 5), **_window(3, 2, 1)})
for label, size in {"to one": (1, 1), "to parts": (2, 3), "to more": (7, 4), "as it is": (5, 4)}.items():
    good("adaptive_avg_pool2d", label, normal(2, 3, 5, 4), params={"output_size": size}, tolerance=ROUGH)
good(
    "adaptive_avg_pool2d", "large", normal(3, 65, 20, 21), params={"output_size": (1, 1)}, small=False, tolerance=ROUGH
)
good("adaptive_avg_pool2d_backward", "parts", normal(2, 3, 2, 3), params={"size": (2, 3, 5, 4)})
bad("adaptive_avg_pool2d", "dimensions", normal(3, 4), error=RuntimeError, match="Expected 3D or 4D tensor")

# ---- volumes ----------------------------------------------------------------------------------------------------

_VOLUMES = {
    "2x2x2": ((2, 2, 4, 4, 2), _window(2, 2, ndim=3)),
    "3x3x3 stride 2": ((1, 2, 5, 4, 7), _window(3, 2, 1, ndim=3)),
    "rounded up": ((1, 1, 4, 5, 6), _window(3, 2, 0, ndim=3, ceil_mode=True)),
    "large": ((2, 5, 9, 20, 41), _window(3, 2, 1, ndim=3)),
}
for name in ("max_pool3d", "avg_pool3d", "max_pool3d_values"):
    for label, (shape, params) in _VOLUMES.items():
        good(name, label, spread(*shape), params=params, small=label != "large")
    bad(
        name,
        "too small",
        normal(1, 1, 2, 2, 2),
        params=_window(3, 1, ndim=3),
        error=RuntimeError,
        match="Output size is too small",
    )
good("max_pool3d", "dilated", spread(1, 2, 5, 7, 7), params=_window(2, 2, 0, ndim=3, dilation=(2, 1, 3)))
good(
    "max_pool3d_backward",
    "2x2x2",
    normal(1, 2, 1, 2, 1),
    constant([[[[[0], [12]]], [[[3], [15]]]]], "int64"),
    params={"size": (1, 2, 2, 4, 2), **_window(2, 2, ndim=3)},
)
good(
    "avg_pool3d", "padding not counted", normal(1, 2, 3, 5, 4), params=_window(3, 2, 1, ndim=3, count_include_pad=False)
)
good("avg_pool3d", "own divisor", normal(1, 2, 3, 5, 4), params=_window(3, 2, 1, ndim=3, divisor_override=-5))
good(
    "avg_pool3d_backward", "3x3x3", normal(1, 2, 2, 3, 2), params={"size": (1, 2, 4, 5, 3), **_window(3, 2, 1, ndim=3)}
)
for label, size in {"to one": (1, 1, 1), "to parts": (2, 3, 2), "to more": (3, 7, 4), "as it is": (2, 5, 4)}.items():
    good("adaptive_avg_pool3d", label, normal(2, 3, 2, 5, 4), params={"output_size": size}, tolerance=ROUGH)
good(
    "adaptive_avg_pool3d",
    "large",
    normal(3, 5, 6, 20, 21),
    params={"output_size": (2, 3, 2)},
    small=False,
    tolerance=ROUGH,
)
good("adaptive_avg_pool3d_backward", "parts", normal(2, 3, 1, 2, 3), params={"size": (2, 3, 3, 5, 4)})
for name in ("adaptive_avg_pool3d", "max_pool3d", "avg_pool3d"):
    bad(name, "dimensions", normal(3, 4), error=RuntimeError, match="Expected 4D or 5D")

# ---- boxes ------------------------------------------------------------------------------------------------------

_PARTS = {"output_size": (1, 2, 3)}
good("max_boxes", "parts", normal(2, 2, 3, 5), None, params=_PARTS)
_FAR = {**_PARTS, "window": (1, 2, 2)}
good("max_boxes", "placed", normal(2, 2, 4, 5), uniform(0, 1, 2, 3), params=_FAR)
_PLACES = constant([[0, 2, 2], [4, 0, 1]], "int64")
good("max_boxes_backward", "rows", normal(2, 3), _PLACES, params={"size": (5,)})
good("max_boxes", "line", normal(3, 40), None, params={"output_size": (3,)})
good("max_boxes", "long line", normal(2, 2, 150), None, params={"output_size": (2,)})
good("max_boxes", "plane", normal(2, 2, 4, 5), uniform(0, 1, 2, 2, 2), params={"output_size": (2, 3), "window": (2, 2)})
bad(
    "max_boxes",
    "extents",
    normal(1, 1, 2, 2),
    normal(1, 3),
    params=_FAR,
    error=RuntimeError,
    match="do not fit",
)
bad(
    "max_boxes_backward",
    "shapes",
    normal(2, 3),
    constant([[0]], "int64"),
    params={"size": (5,)},
    error=RuntimeError,
    match="have shapes",
)
_pooling = {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 1)}
good("max_pool2d_values", "window", normal(2, 3, 5, 6), params=_pooling)
bad(
    "max_pool2d_values",
    "window",
    normal(2, 3, 1, 1),
    params={"kernel_size": (2, 2)},
    error=RuntimeError,
    match="too small",
)
