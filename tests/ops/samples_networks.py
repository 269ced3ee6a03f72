"""Rows of the ops of networks: products, convolutions, norms, pools, losses, indices, random numbers."""

from __future__ import annotations

import numgrad as ng
from tests.ops.rows import (
    bad,
    constant,
    good,
    integers,
    normal,
    positive,
    uniform,
)

# ---- products ---------------------------------------------------------------------------------------------------

ROUGH = 20.0  # sums of products in another order than NumPy's

good("mm", "small", normal(3, 4), normal(4, 5), tolerance=ROUGH)
good("mm", "one row", normal(1, 7), normal(7, 3), tolerance=ROUGH)
good("mm", "one column", normal(5, 7), normal(7, 1), tolerance=ROUGH)
good("mm", "nothing to add", normal(3, 0), normal(0, 2))
good("mm", "no rows", normal(0, 3), normal(3, 2))
good("mm", "large", normal(150, 210), normal(210, 130), tolerance=100, small=False)
bad(
    "mm",
    "shapes",
    normal(2, 3),
    normal(2, 3),
    error=RuntimeError,
    match=r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)",
)
bad(
    "mm",
    "dtypes",
    normal(2, 3),
    lambda rng: rng.normal(size=(3, 2)).astype("float32"),
    error=RuntimeError,
    match="mat1 and mat2 must have the same dtype, but got Double and Float",
)
bad("mm", "dimensions", normal(2, 3), normal(3), error=RuntimeError, match="mat2 must be a matrix", call=ng.mm)
bad(
    "mm",
    "not a tensor",
    normal(2, 3),
    error=TypeError,
    match=r"mm\(\): argument 'mat2' must be Tensor, not list",
    call=lambda x: ng.mm(x, [[1.0]]),
)

good("bmm", "small", normal(2, 3, 4), normal(2, 4, 5), tolerance=ROUGH)
good("bmm", "no batch", normal(0, 3, 4), normal(0, 4, 5))
good("bmm", "large", normal(7, 60, 70), normal(7, 70, 50), tolerance=100, small=False)
bad("bmm", "batches", normal(2, 3, 4), normal(3, 4, 5), error=RuntimeError, match=r"bmm: .*\[2, 4\] but got: \[3, 4\]")
bad("bmm", "inner", normal(2, 3, 4), normal(2, 3, 5), error=RuntimeError, match=r"bmm: .*\[2, 4\] but got: \[2, 3\]")

good("mv", "small", normal(3, 4), normal(4), tolerance=ROUGH)
good("mv", "nothing to add", normal(3, 0), normal(0))
good("mv", "large", normal(150, 203), normal(203), tolerance=100, small=False)
bad("mv", "lengths", normal(3, 4), normal(3), error=RuntimeError, match=r"mv: got shapes \[3, 4\] and \[3\]")
good("dot", "small", normal(4), normal(4), tolerance=ROUGH)
good("dot", "nothing to add", normal(0), normal(0))
good("dot", "several parts", normal(40000), normal(40000), tolerance=1000, small=False)
bad("dot", "lengths", normal(3), normal(4), error=RuntimeError, match=r"dot: expected two 1D tensors of one length")

good("cross", "rows", normal(4, 3), normal(4, 3), params={"dim": -1})
good("cross", "columns", normal(2, 3, 4), normal(2, 3, 4), params={"dim": 1})
bad(
    "cross",
    "extent",
    normal(4, 2),
    normal(4, 2),
    params={"dim": 1},
    error=RuntimeError,
    match="expected one shape with 3",
)

good("linear", "bias", normal(3, 4), normal(5, 4), normal(5), tolerance=ROUGH)
good("linear", "no bias", normal(3, 4), normal(5, 4), None, tolerance=ROUGH)
good("linear", "one row", normal(1, 8), normal(3, 8), normal(3), tolerance=ROUGH)
good("linear", "no rows", normal(0, 4), normal(5, 4), normal(5))
good("linear", "large", normal(40, 512), normal(100, 512), normal(100), tolerance=200, small=False)
bad(
    "linear",
    "features",
    normal(3, 4),
    normal(5, 6),
    None,
    error=RuntimeError,
    match=r"mat1 and mat2 shapes cannot be multiplied \(3x4 and 6x5\)",
)
bad(
    "linear",
    "bias",
    normal(3, 4),
    normal(5, 4),
    normal(4),
    error=RuntimeError,
    match=r"linear: bias has shape \[4\], expected \[5\]",
)
bad(
    "linear",
    "dtypes",
    normal(3, 4),
    lambda rng: rng.normal(size=(5, 4)).astype("float32"),
    None,
    error=RuntimeError,
    match="must have the same dtype, but got Double and Float",
)

# ---- convolution ------------------------------------------------------------------------------------------------


def _conv(stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> dict[str, object]:
    return {"stride": (stride,) * 2, "padding": (padding,) * 2, "dilation": (dilation,) * 2, "groups": groups}


_CONVOLUTIONS = {  # input, weight, parameters
    "3x3": ((2, 3, 6, 5), (4, 3, 3, 3), _conv(padding=1)),
    "1x1": ((2, 3, 4, 4), (5, 3, 1, 1), _conv()),
    "strided": ((1, 2, 7, 8), (3, 2, 3, 3), _conv(stride=2, padding=1)),
    "dilated": ((1, 2, 7, 7), (3, 2, 3, 3), _conv(dilation=2, padding=2)),
    "groups": ((2, 4, 5, 5), (6, 2, 3, 3), _conv(groups=2, padding=1)),
    "depthwise": ((1, 3, 5, 5), (3, 1, 3, 3), _conv(groups=3)),
    "7x7 stride 2": ((1, 3, 11, 11), (4, 3, 7, 7), _conv(stride=2, padding=3)),
    "unlike in rows and columns": (
        (1, 2, 8, 7),
        (3, 2, 2, 3),
        {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2), "groups": 1},
    ),
    "large": ((2, 33, 20, 19), (35, 33, 3, 3), _conv(padding=1)),
}


def _outputs(x: tuple[int, ...], w: tuple[int, ...], p: dict[str, object]) -> tuple[int, ...]:
    extents = [
        (x[2 + a] + 2 * p["padding"][a] - p["dilation"][a] * (w[2 + a] - 1) - 1) // p["stride"][a] + 1  # type: ignore[index]
        for a in range(2)
    ]
    return (x[0], w[0], *extents)


for label, (x, w, params) in _CONVOLUTIONS.items():
    rough = {"tolerance": 200.0, "small": label != "large"}
    good("conv2d", label, normal(*x), normal(*w), normal(w[0]), params=params, **rough)
    back = _outputs(x, w, params)
    good("conv2d_backward_input", label, normal(*back), normal(*w), params={"size": x, **params}, **rough)
    good("conv2d_backward_weight", label, normal(*back), normal(*x), params={"size": w, **params}, **rough)
    good("conv2d_backward", label, normal(*back), normal(*x), normal(*w), params=params, **rough)
good("conv2d", "no bias", normal(1, 2, 4, 4), normal(3, 2, 2, 2), None, tolerance=ROUGH)
good("conv2d", "no images", normal(0, 2, 4, 4), normal(3, 2, 2, 2), normal(3))

bad(
    "conv2d",
    "channels",
    normal(1, 4, 8, 8),
    normal(4, 3, 3, 3),
    None,
    error=RuntimeError,
    match=r"weight of size \[4, 3, 3, 3\], expected input\[1, 4, 8, 8\] to have 3 channels, but got 4 channels instead",
)
bad(
    "conv2d",
    "dimensions",
    normal(4, 8),
    normal(4, 3, 3, 3),
    None,
    error=RuntimeError,
    match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d, but got input of size: \[4, 8\]",
)
bad(
    "conv2d",
    "kernel too large",
    normal(1, 1, 4, 4),
    normal(1, 1, 9, 9),
    None,
    error=RuntimeError,
    match=r"Calculated padded input size per channel: \(4 x 4\)\. Kernel size: \(9 x 9\)\. Kernel size can't be greater",
)
bad(
    "conv2d",
    "bias",
    normal(1, 1, 4, 4),
    normal(2, 1, 3, 3),
    normal(3),
    error=RuntimeError,
    match="expected bias to be 1-dimensional with 2 elements",
)
bad(
    "conv2d",
    "groups",
    normal(1, 4, 4, 4),
    normal(3, 2, 3, 3),
    None,
    params=_conv(groups=2),
    error=RuntimeError,
    match="expected weight to be divisible by 2",
)
bad(
    "conv2d",
    "stride",
    normal(1, 1, 4, 4),
    normal(1, 1, 3, 3),
    None,
    params=_conv(stride=0),
    error=RuntimeError,
    match="must be positive",
)
bad(
    "conv2d",
    "dtypes",
    normal(1, 1, 4, 4),
    lambda rng: rng.normal(size=(1, 1, 3, 3)).astype("float32"),
    None,
    error=RuntimeError,
    match="Input type .* and weight type .* should be the same",
)
bad(
    "conv2d",
    "padding",
    normal(1, 1, 4, 4),
    normal(1, 1, 3, 3),
    error=RuntimeError,
    match="'same' is not supported for strided",
    call=lambda x, w: ng.conv2d(x, w, stride=2, padding="same"),
)
bad(
    "conv2d",
    "not a tensor",
    normal(1, 1, 4, 4),
    error=TypeError,
    match="argument 'weight' must be Tensor, not list",
    call=lambda x: ng.conv2d(x, [1.0]),
)

# ---- softmax, losses --------------------------------------------------------------------------------------------

for name in ("softmax", "log_softmax"):
    good(name, "rows", normal(3, 4), params={"dim": 1}, tolerance=4)
    good(name, "columns", normal(3, 4), params={"dim": 0}, tolerance=4)
    good(name, "channels", normal(2, 3, 2, 2), params={"dim": 1}, tolerance=4)
    good(
        name,
        "far apart",
        constant([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0]]),
        params={"dim": 1},
        smooth=False,
    )
    good(name, "large", normal(71, 1001), params={"dim": 1}, small=False, tolerance=ROUGH)
    good(f"{name}_backward", "rows", normal(3, 4), uniform(0.1, 0.4, 3, 4), params={"dim": 1}, tolerance=ROUGH)
    bad(
        name,
        "ints",
        integers(0, 3, 2, 2),
        params={"dim": 0},
        error=RuntimeError,
        match=f"\"{name}\" not implemented for 'Long'",
    )
    bad(
        name,
        "out of range",
        normal(2, 3),
        error=IndexError,
        match="Dimension out of range",
        call=lambda x, f=getattr(ng, name): f(x, 2),
    )

for reduction in ("mean", "sum", "none"):
    good("nll_loss", reduction, normal(5, 3), integers(0, 3, 5), None, params={"reduction": reduction})
    good(
        "nll_loss",
        f"weighted {reduction}",
        normal(5, 3),
        integers(0, 3, 5),
        positive(3),
        params={"reduction": reduction},
        fixed=(2,),
    )
good("nll_loss", "one row", normal(3), constant(2, "int64"), None)
good("nll_loss", "images", normal(2, 3, 2, 4), integers(0, 3, 2, 2, 4), None)
good("nll_loss", "ignored", normal(4, 3), constant([0, -100, 2, -100], "int64"), None)
good(
    "nll_loss",
    "ignored class",
    normal(4, 3),
    constant([0, 1, 2, 1], "int64"),
    positive(3),
    params={"ignore_index": 1},
    fixed=(2,),
)
good("nll_loss", "large", normal(3001, 30), integers(0, 30, 3001), None, small=False, tolerance=ROUGH)
bad(
    "nll_loss",
    "target dtype",
    normal(2, 3),
    normal(2),
    None,
    error=RuntimeError,
    match="expected target dtype to be Long, but got Double",
)
bad(
    "nll_loss",
    "batch",
    normal(2, 3),
    integers(0, 3, 3),
    None,
    error=RuntimeError,
    match=r"Expected input batch_size \(2\) to match target batch_size",
)
bad(
    "nll_loss",
    "class",
    normal(2, 3),
    constant([0, 5], "int64"),
    error=IndexError,
    match="Target 5 is out of bounds",
    call=ng.nll_loss,
)
bad(
    "nll_loss",
    "negative class",
    normal(2, 3),
    constant([-1, 0], "int64"),
    error=IndexError,
    match="Target -1 is out of bounds",
    call=ng.nll_loss,
)
bad(
    "nll_loss",
    "weight",
    normal(2, 3),
    integers(0, 3, 2),
    normal(2),
    error=RuntimeError,
    match="weight tensor should be defined",
)
bad(
    "nll_loss",
    "reduction",
    normal(2, 3),
    integers(0, 3, 2),
    None,
    params={"reduction": "median"},
    error=ValueError,
    match="median is not a valid value for reduction",
)
good("nll_loss_backward", "mean", normal(), integers(0, 3, 5), None, constant(5.0), params={"size": (5, 3)}, fixed=(3,))
good(
    "nll_loss_backward",
    "none, weighted",
    normal(5),
    integers(0, 3, 5),
    positive(3),
    constant(1.0),
    params={"size": (5, 3), "reduction": "none"},
    fixed=(2, 3),
)

# ---- by index ---------------------------------------------------------------------------------------------------

good("index_select", "rows", normal(4, 3), integers(0, 4, 5))
good("index_select", "columns", normal(2, 4, 3), integers(0, 4, 3), params={"dim": 1})
good("index_select", "int32", normal(4, 3), integers(0, 4, 5, dtype="int32"))
good("index_select", "table", normal(7, 3), integers(0, 7, 2, 2))
good("index_select", "nothing", normal(4, 3), integers(0, 4, 0))
good("index_select", "int64", integers(0, 9, 4, 3), integers(0, 4, 5))
_from, _to = constant([0, 2, 2, 3, 0, 1, 1], "int64"), constant([0, 0, 2, 2, 1, 2, 0], "int64")
good("move_rows", "rows", normal(4, 3), _from, _to, params={"count": 3})
good("move_rows", "int32", normal(4, 3), integers(0, 4, 5, dtype="int32"), integers(0, 2, 5), params={"count": 2})
good("move_rows", "nothing", normal(4, 3), integers(0, 4, 0), integers(0, 2, 0), params={"count": 2})
bad("move_rows", "index", normal(2, 3), _from, _to, params={"count": 3}, error=IndexError, match="out of range")
bad("move_rows", "goals", normal(4, 3), _from, _to, params={"count": 2}, error=IndexError, match="out of range")
bad(
    "move_rows",
    "lengths",
    normal(4, 3),
    _from,
    constant([0], "int64"),
    params={"count": 2},
    error=RuntimeError,
    match="of one length",
)
good("index_select_backward", "rows", normal(5, 3), constant([0, 2, 2, 3, 0], "int64"), params={"size": (4, 3)})
good(
    "index_select_backward",
    "columns",
    normal(2, 3, 3),
    constant([0, 2, 2], "int64"),
    params={"size": (2, 4, 3), "dim": 1},
)
good("gather", "rows", normal(4, 3), integers(0, 4, 2, 3))
good("gather", "columns", normal(4, 3), integers(0, 3, 4, 5), params={"dim": 1})
good("gather", "int32", normal(4, 3), integers(0, 4, 2, 3, dtype="int32"))
good("scatter_add", "rows", normal(4, 3), integers(0, 4, 5, 3), normal(5, 3))
good("scatter_add", "columns", normal(4, 3), integers(0, 3, 2, 4), normal(3, 5), params={"dim": 1})
good("scatter_add", "int32", normal(4, 3), integers(0, 4, 5, 3, dtype="int32"), normal(5, 3))
_TAPS = constant([[0, 2, -1, 1, 3], [3, 3, 0, 1, 2]], "int64")
good("sum_rows", "five taps", normal(4, 3), normal(2, 5), _TAPS, tolerance=ROUGH)
good("sum_rows", "nothing", normal(4, 3), normal(0, 2), integers(0, 4, 0, 2))
good("sum_rows", "no taps", normal(4, 3), normal(2, 0), integers(0, 4, 2, 0))
good("add_rows", "five taps", normal(2, 3), normal(2, 5), _TAPS, params={"size": 4}, tolerance=ROUGH)
good("row_products", "five taps", normal(2, 3), normal(4, 3), _TAPS, tolerance=ROUGH)
bad("sum_rows", "weights", normal(4, 3), normal(2, 4), _TAPS, error=RuntimeError, match=r"weights has shape \[2, 4\]")
bad(
    "add_rows",
    "grad",
    normal(3, 3),
    normal(2, 5),
    _TAPS,
    params={"size": 4},
    error=RuntimeError,
    match="grad has shape",
)
bad("row_products", "grad", normal(2, 4), normal(4, 3), _TAPS, error=RuntimeError, match="grad has shape")
for _number in (-2, 4):
    _far = constant([[0, _number]], "int64")
    bad("sum_rows", f"index {_number}", normal(4, 3), normal(1, 2), _far, error=IndexError, match="out of range")
for _mode in ("bilinear", "bicubic", "nearest"):
    for _padding, _aligned in (("zeros", False), ("border", True), ("reflection", False)):
        _form = {"size": (4, 5), "mode": _mode, "padding": _padding, "aligned": _aligned}
        _grid = constant([[-1.3, 0.21], [0.11, -0.63], [0.87, 1.27], [-0.39, 0.43]], "float64")
        good("grid_weights", f"{_mode} {_padding}", _grid, params={**_form, "orders": (0, 0)}, tolerance=ROUGH)
        good("grid_index", f"{_mode} {_padding}", _grid, params={**_form, "points": 2})
        _form = {key: value for key, value in _form.items() if key != "size"}
        _points = constant([[[[-1.3, 0.21], [0.11, -0.63]]], [[[0.87, 1.27], [-0.39, 0.43]]]], "float64")
        _name = f"{_mode} {_padding}"
        good("grid_sample", _name, normal(2, 3, 4, 5), _points, params=_form, tolerance=ROUGH)
        _sized = {**_form, "size": (4, 5)}
        good("grid_sample_backward", _name, normal(2, 3, 1, 2), _points, params=_sized, tolerance=ROUGH)
        good(
            "grid_sample_backward_grid",
            _name,
            normal(2, 3, 1, 2),
            normal(2, 3, 4, 5),
            _points,
            params=_form,
            tolerance=ROUGH,
        )
good("grid_sample", "volume", normal(1, 2, 2, 3, 4), normal(1, 1, 2, 2, 3), tolerance=ROUGH)
good("grid_sample", "channels", normal(1, 9, 2, 3), normal(1, 2, 2, 2), tolerance=ROUGH)
good(
    "grid_sample_backward", "channels", normal(1, 9, 1, 2), normal(1, 1, 2, 2), params={"size": (2, 3)}, tolerance=ROUGH
)
good(
    "grid_sample_backward",
    "blocks of channels",
    normal(2, 35, 1, 2),
    normal(2, 1, 2, 2),
    params={"size": (2, 3)},
    small=False,
)
good("grid_sample", "nothing", normal(1, 2, 3, 4), normal(1, 0, 2, 2))
bad("grid_sample", "axes", normal(1, 2, 3, 4), normal(1, 2, 2, 3), error=RuntimeError, match="expected")
bad("grid_sample", "dtypes", normal(1, 2, 3, 4), integers(0, 2, 1, 2, 2, 2), error=RuntimeError, match="dtype")
bad("grid_sample_backward", "grid", normal(1, 2, 3, 4), normal(1, 2, 2, 2), error=RuntimeError, match="grid has shape")
good("grid_weights", "volume", normal(6, 3), params={"size": (2, 3, 4), "orders": (0, 0, 0)}, tolerance=ROUGH)
good("grid_index", "volume", normal(6, 3), params={"size": (2, 3, 4), "points": 3})
bad("grid_weights", "axes", normal(4, 3), params={"size": (2, 3)}, error=RuntimeError, match=r"expected \[P, 2\]")
bad("grid_index", "axes", normal(4, 3), params={"size": (2, 3)}, error=RuntimeError, match=r"expected \[P, 2\]")
for _mode, _before, _after in (
    ("reflect", (1, 2, 3), (0, 1, 2)),
    ("replicate", (0, 5, -1), (2, 0, 3)),
    ("circular", (0, 3, 2), (0, -1, 4)),
):
    _form = {"mode": _mode, "before": _before, "after": _after}
    good("continued", _mode, normal(2, 2, 3, 4), params=_form)
    _shape = tuple(n + first + last for n, first, last in zip((2, 3, 4), _before, _after, strict=True))
    good("continued_backward", _mode, normal(2, *_shape), params={**_form, "size": (2, 2, 3, 4)}, tolerance=ROUGH)
_form = {"mode": "reflect", "before": (1, 2, 0), "after": (2, 1, 0)}
good("continued", "channels last", normal(2, 4, 5, 3), params=_form)
good("continued_backward", "channels last", normal(2, 7, 8, 3), params={**_form, "size": (2, 4, 5, 3)}, tolerance=ROUGH)
bad(
    "continued",
    "too far",
    normal(1, 1, 3, 4),
    params={"before": (0, 3, 0)},
    error=RuntimeError,
    match="do not fit 3 elements",
)
bad(
    "continued_backward",
    "grad",
    normal(1, 1, 3, 4),
    params={"size": (1, 1, 3, 3)},
    error=RuntimeError,
    match="grad has shape",
)
good("glu", "columns", normal(3, 4), params={"dim": 1})
good("glu", "rows", normal(4, 2, 3))
good("glu", "nothing", normal(0, 2), params={"dim": 1})
good("glu_backward", "columns", normal(3, 2), normal(3, 4), params={"dim": 1})
good("glu_backward", "rows", normal(2, 5), normal(4, 5))
bad("glu", "odd", normal(3, 4), error=RuntimeError, match="has no halves")
bad("glu_backward", "odd", normal(1, 4), normal(3, 4), error=RuntimeError, match="has no halves")
bad("glu_backward", "grad", normal(3, 4), normal(4, 4), error=RuntimeError, match="glu_backward: grad is")
_patches = {"kernel_size": (2, 3), "dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
good("im2col", "window", normal(2, 3, 5, 6), params=_patches)
good("im2col", "one image", normal(3, 4, 4), params={"kernel_size": (2, 2), "stride": (2, 2)})
good("im2col", "no images", normal(0, 3, 4, 4), params={"kernel_size": (2, 2)})
good("col2im", "window", normal(2, 18, 18), params={**_patches, "size": (5, 6)}, tolerance=ROUGH)
good("col2im", "one image", normal(8, 9), params={"kernel_size": (2, 2), "size": (4, 4)}, tolerance=ROUGH)
bad(
    "im2col",
    "too large",
    normal(1, 1, 2, 2),
    params={"kernel_size": (3, 3)},
    error=RuntimeError,
    match="sliding blocks",
)
bad(
    "im2col",
    "no window",
    normal(1, 1, 2, 2),
    params={"kernel_size": (0, 3)},
    error=RuntimeError,
    match="greater than zero",
)
bad(
    "col2im",
    "columns",
    normal(1, 4, 3),
    params={"kernel_size": (2, 2), "size": (3, 3)},
    error=RuntimeError,
    match="blocks 4",
)
good("max_unpool", "line", normal(2, 3, 2), constant([[[1, 4], [0, 2], [3, 1]]] * 2, "int64"), params={"size": (5,)})
good("max_unpool", "image", normal(2, 1, 2), constant([[[5, 0]], [[1, 3]]], "int64"), params={"size": (2, 3)})
bad(
    "max_unpool", "index", normal(1, 2), constant([[0, 5]], "int64"), params={"size": (5,)}, error=RuntimeError,
    match="invalid max index",
)  # fmt: skip
bad(
    "max_unpool",
    "shape",
    normal(1, 2),
    constant([[0]], "int64"),
    params={"size": (5,)},
    error=RuntimeError,
    match="shape",
)
good("index_put", "replaced", normal(5, 3), constant([0, 3, 4], "int64"), normal(3, 3))
good("index_put", "added", normal(5, 3), constant([0, 3, 3], "int64"), normal(3, 3), params={"accumulate": True})
for name, rest in {
    "index_select": (),
    "gather": (),
    "scatter_add": (normal(2, 3),),
    "index_put": (normal(2, 3),),
}.items():
    rows = (2,) if name in ("index_select", "index_put") else (2, 3)
    bad(
        name,
        "index of floats",
        normal(4, 3),
        normal(*rows),
        *rest,
        error=RuntimeError,
        match=rf"{name}\(\): Expected dtype int64 or int32 for index",
    )
    for label, low, high in (("out of range", 4, 5), ("negative index", -1, 0)):
        for error in (IndexError, RuntimeError):  # torch has one or the other
            indices = integers(low, high, *rows)
            bad(
                name,
                f"{label}, {error.__name__}",
                normal(4, 3),
                indices,
                *rest,
                error=error,
                match="index out of range",
            )
bad(
    "gather",
    "shape",
    normal(4, 3),
    integers(0, 3, 2, 4),
    error=RuntimeError,
    match="gather: Size does not match at dimension",
)
bad(
    "scatter_add",
    "src",
    normal(4, 3),
    integers(0, 3, 3, 3),
    normal(2, 3),
    error=RuntimeError,
    match="is larger than src",
)
bad(
    "index_put",
    "values",
    normal(4, 3),
    integers(0, 3, 2),
    normal(3, 3),
    error=RuntimeError,
    match=r"expected shape \[2, 3\]",
)

# ---- random numbers ---------------------------------------------------------------------------------------------


def _seed(seed: int) -> object:
    return constant([seed, 0], "int64")


for dtype in (ng.float32, ng.float64):
    facts = {"changes": (0,), "moments": True}
    good(
        "uniform", dtype.name, _seed(1), params={"size": (200, 301), "low": -1.0, "high": 3.0, "dtype": dtype}, **facts
    )
    good("normal", dtype.name, _seed(2), params={"size": (200, 301), "mean": 1.0, "std": 2.0, "dtype": dtype}, **facts)
    good(
        "uniform_",
        dtype.name,
        normal(200, 301),
        _seed(7),
        params={"low": -1.0, "high": 3.0},
        changes=(0, 1),
        moments=True,
    )
    good(
        "normal_",
        dtype.name,
        normal(200, 301),
        _seed(8),
        params={"mean": 1.0, "std": 2.0},
        changes=(0, 1),
        moments=True,
    )
good(
    "randint",
    "float32",
    _seed(3),
    params={"size": (60_001,), "low": -3, "high": 8, "dtype": ng.float32},
    changes=(0,),
    moments=True,
)
good("randint", "int64", _seed(3), params={"size": (60_001,), "low": -3, "high": 8}, changes=(0,), moments=True)
good("randperm", "many", _seed(4), params={"n": 60_001}, changes=(0,), moments=True)
good("bernoulli", "many", uniform(0.3, 0.3, 60_001), _seed(5), changes=(1,), moments=True)
good("dropout", "many", uniform(0.9, 1.1, 60_001), _seed(6), params={"p": 0.3}, changes=(1,), moments=True)
for name in ("uniform_", "normal_"):
    bad(name, "dtype", integers(0, 9, 3), _seed(0), error=RuntimeError, match=f"{name}: dtype is .*int64, expected")
bad(
    "uniform",
    "dtype",
    _seed(0),
    params={"dtype": ng.int64},
    error=RuntimeError,
    match="uniform: dtype is .*int64, expected",
)
bad(
    "normal",
    "dtype",
    _seed(0),
    params={"dtype": ng.int64},
    error=RuntimeError,
    match="normal: dtype is .*int64, expected",
)
bad(
    "randint",
    "dtype",
    _seed(0),
    params={"dtype": ng.bool},
    error=RuntimeError,
    match="randint: dtype is .*bool, expected",
)
bad("bernoulli", "ints", integers(0, 2, 3), _seed(0), error=RuntimeError, match="bernoulli: dtype is .*int64, expected")
bad("dropout", "ints", integers(0, 2, 3), _seed(0), error=RuntimeError, match="dropout: dtype is .*int64, expected")
bad("randperm", "negative", error=RuntimeError, match="n|negative", call=lambda: ng.randperm(-1))
