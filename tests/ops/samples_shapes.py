"""Rows of creation, views, copies and reductions."""

from __future__ import annotations

import numpy as np

import numgrad as ng
from tests.ops.rows import (
    LARGE,
    SPECIAL,
    Rng,
    bad,
    bools,
    constant,
    good,
    integers,
    normal,
    off_zero,
    ramp,
    spread,
    together,
)

# ---- views ------------------------------------------------------------------------------------------------------

good("tie_backward", "zeros", normal(3, 4), normal(2), params={"zeros": True})
good("tie_backward", "none", normal(3, 4), normal(2))
good("view", "flat", normal(3, 4), params={"size": (12,)})
good("view", "more dimensions", normal(3, 4), params={"size": (3, 2, 1, 2)})
good("view", "to a scalar", normal(1, 1), params={"size": ()})
good("view", "of a scalar", normal(), params={"size": (1, 1)})
good("view", "empty", normal(0, 3), params={"size": (5, 0)})
good("view", "int64", integers(0, 9, 6), params={"size": (2, 3)})
bad(
    "view",
    "count",
    normal(6),
    params={"size": (4,)},
    error=RuntimeError,
    match=r"shape '\[4\]' is invalid for input of size 6",
)
bad(
    "view",
    "strides",
    normal(2, 3),
    error=RuntimeError,
    match=r"view size is not compatible with input tensor's size and stride.*Use \.reshape\(\.\.\.\) instead",
    call=lambda x: x.t().view(6),
)
bad(
    "view",
    "two unknown",
    normal(6),
    error=RuntimeError,
    match="only one dimension can be inferred",
    call=lambda x: x.view(-1, -1),
)
bad(
    "view",
    "unknown does not fit",
    normal(6),
    error=RuntimeError,
    match=r"shape '\[4, -1\]' is invalid for input of size 6",
    call=lambda x: x.view(4, -1),
)

good("permute", "rotated", normal(2, 3, 4), params={"dims": (2, 0, 1)})
good("permute", "as it is", normal(2, 3), params={"dims": (0, 1)})
good("permute", "scalar", normal(), params={"dims": ()})
good("permute", "empty", normal(2, 0, 3), params={"dims": (1, 2, 0)})
bad("permute", "a dim twice", normal(2, 3), params={"dims": (0, 0)}, error=RuntimeError, match="permute: dims")
bad(
    "permute",
    "too few",
    normal(2, 3),
    error=RuntimeError,
    match="permute: 1 dims are given, expected 2",
    call=lambda x: x.permute(0),
)
bad(
    "permute",
    "out of range",
    normal(2, 3),
    error=IndexError,
    match=r"Dimension out of range.*\[-2, 1\], but got 5",
    call=lambda x: x.permute(0, 5),
)

good("transpose", "matrix", normal(2, 3))
good("transpose", "outer and inner", normal(2, 3, 4), params={"dim0": 0, "dim1": 2})
good("transpose", "empty", normal(2, 0), params={"dim0": 0, "dim1": 1})
bad(
    "transpose",
    "out of range",
    normal(2, 3),
    error=IndexError,
    match="Dimension out of range",
    call=lambda x: x.transpose(0, 2),
)

good("expand", "rows", normal(1, 3), params={"size": (4, 3)})
good("expand", "new dimensions", normal(3), params={"size": (2, 4, 3)})
good("expand", "scalar", normal(), params={"size": (2, 2)})
good("expand", "to nothing", normal(1, 3), params={"size": (0, 3)})
good("expand", "as it is", normal(2, 3), params={"size": (2, 3)})
bad(
    "expand",
    "other extent",
    normal(2, 3),
    params={"size": (4, 3)},
    error=RuntimeError,
    match=r"The expanded size of the tensor \(4\) must match the existing size \(2\) at non-singleton dimension 0",
)
bad(
    "expand",
    "too few",
    normal(2, 3),
    error=RuntimeError,
    match=r"number of sizes provided \(1\)",
    call=lambda x: x.expand(3),
)

good("unsqueeze", "front", normal(2, 3), params={"dim": 0})
good("unsqueeze", "middle", normal(2, 3), params={"dim": 1})
good("unsqueeze", "end", normal(2, 3), params={"dim": 2})
good("unsqueeze", "scalar", normal(), params={"dim": 0})
bad(
    "unsqueeze",
    "out of range",
    normal(2, 3),
    error=IndexError,
    match=r"\[-3, 2\], but got 3",
    call=lambda x: x.unsqueeze(3),
)

good("squeeze", "one", normal(2, 1, 3), params={"dims": (1,)})
good("squeeze", "all", normal(1, 2, 1), params={"dims": (0, 1, 2)})
good("squeeze", "extent is not 1", normal(2, 3), params={"dims": (0,)})
good("squeeze", "empty", normal(0, 1), params={"dims": (0, 1)})
bad(
    "squeeze",
    "out of range",
    normal(2, 3),
    error=IndexError,
    match="Dimension out of range",
    call=lambda x: x.squeeze(2),
)

good("slice", "every second", normal(5, 6), params={"starts": (1, 0), "steps": (2, 3), "sizes": (2, 2)})
good("slice", "one element", normal(5), params={"starts": (3,), "steps": (1,), "sizes": (1,)})
good("slice", "one row", normal(5, 2), params={"starts": (3, 0), "steps": (1, 1), "sizes": (1, 2), "dropped": (0,)})
good("slice", "nothing", normal(5, 2), params={"starts": (0, 0), "steps": (1, 1), "sizes": (0, 2)})
bad(
    "slice",
    "too long",
    normal(5),
    params={"starts": (3,), "steps": (1,), "sizes": (3,)},
    error=RuntimeError,
    match="slice: 3 elements",
)
bad(
    "slice",
    "index",
    normal(5),
    error=IndexError,
    match="index 5 is out of bounds for dimension 0 with size 5",
    call=lambda x: x[5],
)
bad(
    "slice", "step", normal(5, 2), error=ValueError, match="step must be greater than zero", call=lambda x: x[::-1, [0]]
)
bad(
    "slice",
    "indices",
    normal(5),
    error=IndexError,
    match="too many indices for tensor of dimension 1",
    call=lambda x: x[0, 0],
)

_BACK = {"size": (5, 6), "starts": (1, 0), "steps": (2, 3)}
good("slice_backward", "every second", normal(2, 2), params=_BACK)
good("slice_backward", "one row", normal(2), params=_BACK | {"dropped": (0,)})
good("slice_backward", "empty", normal(0, 2), params=_BACK)
bad(
    "slice_backward",
    "too large",
    normal(4, 2),
    params=_BACK,
    error=RuntimeError,
    match="reach beyond dimension 0 of extent 5",
)


_WINDOW = {"size": (2, 2), "strides": (12, 2), "offset": 7}
good("as_strided", "every second", normal(5, 6), params=_WINDOW)
good("as_strided", "repeated", normal(6), params={"size": (3, 2), "strides": (0, 2), "offset": 1})
good("as_strided", "scalar", normal(6), params={"size": (), "strides": (), "offset": 5})
good(
    "as_strided_backward", "every second", normal(2, 2), params={"base_size": (5, 6), "base_strides": (6, 1), **_WINDOW}
)
good(
    "as_strided_backward",
    "repeated",
    normal(3, 2),
    params={"base_size": (6,), "base_strides": (1,), "size": (3, 2), "strides": (0, 2), "offset": 1},
)
bad(
    "as_strided",
    "too far",
    normal(5, 6),
    params={"size": (3, 2), "strides": (12, 2), "offset": 7},
    error=RuntimeError,
    match="reaches beyond 30",
)
bad(
    "as_strided",
    "lengths",
    normal(6),
    params={"size": (3,), "strides": (), "offset": 0},
    error=RuntimeError,
    match="different lengths",
)


def _base_and_window(rng: Rng) -> tuple[np.ndarray, ...]:
    base = rng.normal(size=(5, 6))
    return base, base[1:4:2, 1:4:2].copy()


# The window holds already what the base holds there: the op only joins their histories.
good("copy_slices", "every second", together(_base_and_window), params=_WINDOW, smooth=False)
bad(
    "copy_slices",
    "too far",
    normal(5, 6),
    normal(3, 2),
    params={"size": (3, 2), "strides": (12, 2), "offset": 7},
    error=RuntimeError,
    match="reaches beyond 30",
)

# ---- creation, copies -------------------------------------------------------------------------------------------

good("full", "floats", params={"size": (2, 3), "value": 1.5, "dtype": ng.float64})
good("full", "infinity", params={"size": (3,), "value": float("inf"), "dtype": ng.float32})
good("full", "scalar", params={"size": (), "value": -2, "dtype": ng.int64})
good("full", "bools", params={"size": (3,), "value": True, "dtype": ng.bool})
good("full", "nothing", params={"size": (0, 2), "value": 1.0, "dtype": ng.float32})
good("full", "large", params={"size": (LARGE,), "value": 0.1, "dtype": ng.float32})
bad("full", "negative extent", error=RuntimeError, match="negative dimension", call=lambda: ng.full((2, -1), 0.0))
good("full", "a fraction as bool", params={"size": (3,), "value": 0.5, "dtype": ng.bool})
bad("full", "extent is a float", error=TypeError, match="must be tuple of ints", call=lambda: ng.full((2, 1.5), 0.0))

good("zeros_like", "floats", normal(2, 3))
good("zeros_like", "int64", integers(1, 5, 3))
good("zeros_like", "empty", normal(0, 3))
bad("zeros_like", "a list", error=(AttributeError, TypeError), match="list", call=lambda: ng.zeros_like([1.0]))

for _lower in (True, False):
    for _shift in (-5, -2, 0, 1, 3, 9):
        good(
            "triangle_places", f"{'lower' if _lower else 'upper'} {_shift}",
            params={"rows": 4, "columns": 5, "shift": _shift, "lower": _lower, "dtype": ng.int64},
        )  # fmt: skip
good("triangle_places", "tall", params={"rows": 7, "columns": 2, "shift": 1, "lower": True, "dtype": ng.int32})
good("triangle_places", "nothing", params={"rows": 0, "columns": 2, "shift": 1, "lower": True, "dtype": ng.int64})
good("triangle_places", "large", params={"rows": 700, "columns": 600, "shift": 3, "lower": False, "dtype": ng.int64})
bad(
    "triangle_places",
    "float32",
    error=NotImplementedError,
    match="int32",
    call=lambda: ng.tril_indices(2, 2, dtype=ng.float32),
)

good("eye", "wide", params={"rows": 3, "columns": 5, "dtype": ng.float64})
good("eye", "tall", params={"rows": 7, "columns": 3, "dtype": ng.int64})
good("eye", "nothing", params={"rows": 0, "columns": 3, "dtype": ng.float32})
good("eye", "no column", params={"rows": 3, "columns": 0, "dtype": ng.bool})
good("eye", "large", params={"rows": 600, "columns": 300, "dtype": ng.float32})
bad("eye", "rows", params={"rows": -1, "columns": 3}, error=RuntimeError, match="negative dimension -1")
good("arange", "ints", params={"start": 3, "step": 2, "count": 5, "dtype": ng.int64})
good("arange", "floats", params={"start": 0.5, "step": -0.25, "count": 7, "dtype": ng.float64})
good("arange", "float32", params={"start": 0.0, "step": 0.1, "count": 100, "dtype": ng.float32})
good("arange", "nothing", params={"start": 0, "step": 1, "count": 0, "dtype": ng.int64})
good("arange", "large", params={"start": 0, "step": 1, "count": LARGE, "dtype": ng.int64})
bad("arange", "step 0", error=RuntimeError, match="step must be nonzero", call=lambda: ng.arange(0, 3, 0))
bad(
    "arange",
    "away from the end",
    error=RuntimeError,
    match="upper bound and lower bound inconsistent with step sign",
    call=lambda: ng.arange(0, 3, -1),
)

bad(
    "arange",
    "bools",
    error=RuntimeError,
    match="\"arange\" not implemented for 'Bool'",
    call=lambda: ng.arange(3, dtype=ng.bool),
)
for _shape, _numbers in {"sine": (0.08, 0.92, 0.5), "triangle": (), "kaiser": (12.0,)}.items():
    _how = {"shape": _shape, "numbers": _numbers}
    good("signal_window", _shape, params={**_how, "count": 301, "period": 300, "dtype": ng.float64})
    good("signal_window", f"{_shape} periodic", params={**_how, "count": 64, "period": 64, "dtype": ng.float32})
good("signal_window", "nothing", params={"count": 0, "period": 1, "dtype": ng.float32})
bad(
    "signal_window",
    "ints",
    params={"count": 3, "period": 3, "dtype": ng.int64},
    error=RuntimeError,
    match="not implemented for 'Long'",
)
bad(
    "signal_window",
    "numbers",
    params={"numbers": (1.0,), "count": 3, "period": 3},
    error=RuntimeError,
    match="expected one of",
)
good("linspace", "floats", params={"start": -1.5, "end": 2.0, "steps": 7, "dtype": ng.float64})
good("linspace", "float32", params={"start": 0.1, "end": -3.0, "steps": 100, "dtype": ng.float32})
good("linspace", "ints", params={"start": 0, "end": 7, "steps": 4, "dtype": ng.int64})
good("linspace", "uint8", params={"start": 255, "end": 0, "steps": 9, "dtype": ng.uint8})
good("linspace", "one", params={"start": 3, "end": 9, "steps": 1, "dtype": ng.int32})
good("linspace", "nothing", params={"start": 0.0, "end": 1.0, "steps": 0, "dtype": ng.float32})
good("linspace", "large", params={"start": -1.0, "end": 1.0, "steps": LARGE, "dtype": ng.float64})
bad(
    "linspace",
    "an end beyond the dtype",
    error=RuntimeError,
    match="cannot be converted to type uint8 without overflow",
    params={"start": -1, "end": 5, "steps": 3, "dtype": ng.uint8},
)
bad(
    "linspace",
    "integers that are no floats",
    error=RuntimeError,
    match="expected within 2\\*\\*53",
    params={"start": 0, "end": 2**60, "steps": 3, "dtype": ng.int64},
)
bad(
    "linspace",
    "bools",
    error=RuntimeError,
    match="\"linspace\" not implemented for 'Bool'",
    params={"start": 0, "end": 1, "steps": 3, "dtype": ng.bool},
)

good("to_strides", "columns", normal(2, 3), params={"strides": (1, 2)})
good("to_strides", "channels last", normal(2, 3, 4, 5), params={"strides": (60, 1, 15, 3)})
good("to_strides", "rows", normal(2, 3), params={"strides": (3, 1)})
good("to_strides", "int64", integers(0, 9, 2, 3), params={"strides": (1, 2)})
bad(
    "to_strides",
    "gaps",
    normal(2, 3),
    params={"strides": (6, 2)},
    error=RuntimeError,
    match="to_strides: strides .* are not dense",
)

good("copy_", "same shape", normal(2, 3), normal(2, 3))
good("copy_", "broadcast", normal(2, 3), normal(3))
good("copy_", "scalar", normal(2, 3), normal())
good("copy_", "empty", normal(0, 3), normal(3))
good("copy_", "int64", integers(0, 9, 2, 3), integers(0, 9, 2, 1))
good("copy_", "ints to floats", normal(2, 3), integers(0, 9, 3), smooth=False)
bad("copy_", "shapes", normal(2, 3), normal(4), error=RuntimeError, match="copy_: .*(4|must match)")
bad("copy_", "too many rows", normal(3), normal(2, 3), error=RuntimeError, match=r"copy_: src has shape \[2, 3\]")
bad(
    "copy_",
    "not a tensor",
    normal(3),
    error=TypeError,
    match=r"copy_\(\): argument 'src' must be Tensor, not list",
    call=lambda x: x.copy_([1.0, 2.0, 3.0]),
)

good("cat", "rows", normal(2, 3), normal(1, 3), normal(4, 3))
good("cat", "columns", normal(2, 1), normal(2, 3), params={"dim": 1})
good("cat", "one", normal(2, 3))
good("cat", "with an empty one", normal(2, 3), normal(0, 3))
good("cat", "int64", integers(0, 9, 2), integers(0, 9, 3))
good("cat", "bools", bools(2), bools(3))
bad("cat", "other extents", normal(2, 3), normal(2, 4), error=RuntimeError, match=r"cat: tensor 1 has shape \[2, 4\]")
bad("cat", "nothing", error=ValueError, match="expected a non-empty list of Tensors", call=lambda: ng.cat([]))
bad(
    "cat",
    "scalars",
    normal(),
    normal(),
    error=RuntimeError,
    match="zero-dimensional tensor .* cannot be concatenated",
    call=lambda x, y: ng.cat([x, y]),
)
bad(
    "cat",
    "not tensors",
    error=TypeError,
    match=r"argument 'tensors\[0\]' must be Tensor, not int",
    call=lambda: ng.cat([1, 2]),
)

good("cat", "many", *[normal(2, n % 3) for n in range(40)], params={"dim": 1})
good("cat", "many, and a large one", *[normal(3, 2) for _ in range(20)], normal(20_000, 2), small=False)
bad("cat", "dim", normal(2, 3), normal(2, 3), error=IndexError, match="cat: dim is 2", params={"dim": 2})
bad("cat", "dtypes", normal(2), integers(0, 9, 2), error=RuntimeError, match="tensor 1 is of numgrad.int64")
good("stack", "rows", normal(2, 3), normal(2, 3), normal(2, 3))
good("stack", "last", normal(2, 3), normal(2, 3), params={"dim": 2})
good("stack", "scalars", *[normal() for _ in range(20)])
good("stack", "many in the middle", *[normal(2, 3) for _ in range(20)], params={"dim": 1})
good("stack", "empty", normal(0, 3), normal(0, 3), params={"dim": 1})
good("stack", "bools", bools(2), bools(2))
bad(
    "stack",
    "other extents",
    normal(2, 3),
    normal(2, 4),
    error=RuntimeError,
    match=r"stack: tensor 1 has shape \[2, 4\]",
)
bad("stack", "dim", normal(2), normal(2), error=IndexError, match="stack: dim is 2", params={"dim": 2})
bad("stack", "nothing", error=RuntimeError, match="stack expects a non-empty TensorList", call=lambda: ng.stack([]))
good("split", "rows", normal(5, 3), params={"sizes": (2, 0, 3)})
good("split", "columns", normal(2, 4), params={"sizes": (1, 3), "dim": 1})
good("split", "one", normal(2, 3), params={"sizes": (2,)})
good("split", "int64", integers(0, 9, 4), params={"sizes": (1, 3)})
bad(
    "split",
    "sum",
    normal(4),
    error=RuntimeError,
    match="split: the sizes sum to 3, expected 4",
    params={"sizes": (1, 2)},
)
bad("split", "negative", normal(4), error=ValueError, match="split: sizes", params={"sizes": (-1, 5)})
bad("split", "dim", normal(4), error=IndexError, match="split: dim is 1", params={"sizes": (4,), "dim": 1})
good("unbind", "rows", normal(3, 2))
good("unbind", "columns", normal(2, 3), params={"dim": 1})
good("unbind", "vector", normal(4))
good("unbind", "bools", bools(3, 2))
bad("unbind", "dim", normal(4), error=IndexError, match="unbind: dim is 1", params={"dim": 1})

# ---- reductions over dims ---------------------------------------------------------------------------------------

for name in ("sum", "nansum", "mean", "prod", "amax", "amin", "any", "all", "squares", "norm"):
    make = off_zero if name in ("prod", "norm") else spread
    integral = name not in ("nansum", "mean", "squares", "norm")
    good(name, "all dims", make(3, 4), params={"dims": (0, 1)})
    good(name, "rows", make(3, 4), params={"dims": (0,)})
    good(name, "columns, kept", make(3, 4), params={"dims": (1,), "keepdim": True})
    good(name, "middle", make(2, 3, 4), params={"dims": (1,)})
    good(name, "outer and inner", make(2, 3, 4), params={"dims": (0, 2)})
    good(name, "no dims", make(3, 2), params={"dims": ()})
    good(name, "scalar", make(), params={"dims": ()})
    good(name, "empty result", make(0, 3), params={"dims": (1,)})
    good(name, "large", ramp(0.999, 1.001, LARGE), params={"dims": (0,)}, small=False, smooth=name in ("sum", "mean"))
    good(name, "narrow", ramp(0.99, 1.01, 1300, 3), params={"dims": (0,)}, small=False, smooth=False)
    good(name, "short rows", ramp(0.9, 1.1, 300, 3), params={"dims": (1,)}, small=False, smooth=False)
    good(name, "rows of a few vectors", ramp(0.9, 1.1, 300, 37), params={"dims": (1,)}, small=False, smooth=False)
    good(name, "short rows far apart", ramp(0.9, 1.1, 19, 5, 31), params={"dims": (0, 2)}, small=False, smooth=False)
    good(
        name, "large rows", ramp(0.9, 1.1, 300, 301), params={"dims": (0,)}, small=False, smooth=name in ("sum", "mean")
    )
    good(name, "special", constant([SPECIAL, SPECIAL[::-1]]), params={"dims": (0,)}, smooth=False)
    if integral:
        good(name, "int64", integers(-3, 4, 3, 4), params={"dims": (1,)})
        good(name, "uint8", integers(0, 4, 3, 4, dtype="uint8"), params={"dims": (0,)})
        good(name, "bool", bools(3, 4), params={"dims": (0,)})
    if name in ("amax", "amin"):
        good(name, "ties", constant([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]), params={"dims": (1,)}, smooth=False)
        bad(
            name,
            "nothing to choose from",
            normal(3, 0),
            params={"dims": (1,)},
            error=IndexError,
            match=rf"{name}\(\): Expected reduction dim 1 to have non-zero size",
        )
    else:
        good(name, "over nothing", normal(3, 0), params={"dims": (1,)}, smooth=name not in ("mean",))
    function = {"squares": ng.var, "norm": ng.std}.get(name) or getattr(ng, name)
    bad(
        name,
        "out of range",
        normal(2, 3),
        error=IndexError,
        match=r"Dimension out of range.*\[-2, 1\], but got 2",
        call=lambda x, f=function: f(x, 2),
    )
    bad(
        name,
        "a dim twice",
        normal(2, 3),
        error=RuntimeError,
        match="appears multiple times in the list of dims",
        call=lambda x, f=function: f(x, (0, -2)),
    )

for name in ("squares", "norm"):
    good(name, "divided", normal(3, 4), params={"dims": (1,), "divisor": 3.0})
    good(name, "in parts", normal(300, 301), params={"dims": (0, 1), "divisor": 7.0}, small=False)
    good(name, "columns in parts", normal(70_000, 3), params={"dims": (0,)}, small=False)
    good(name, "strided", normal(3, 4, 5), params={"dims": (0, 2), "keepdim": True})
    bad(
        name, "ints", integers(0, 3, 2), params={"dims": (0,)}, error=RuntimeError,
        match=f"{name}: expected a floating point tensor",
    )  # fmt: skip
good("norm", "zeros", constant([[0.0, 0.0], [3.0, 4.0]]), params={"dims": (1,)}, smooth=False)
good("prod", "one zero", constant([[2.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), params={"dims": (1,)})
good("prod", "two zeros", constant([[2.0, 0.0, 0.0], [1.0, 2.0, 3.0]]), params={"dims": (1,)})
good("prod", "zeros in two dims", constant([[[2.0, 0.0], [1.0, 3.0]]]), params={"dims": (0, 2)})
bad(
    "mean",
    "ints",
    integers(0, 3, 2),
    params={"dims": (0,)},
    error=RuntimeError,
    match=r"mean\(\): could not infer output dtype.*Got: Long",
)

good("sum_to_size", "rows", normal(4, 3), params={"size": (1, 3)})
good("sum_to_size", "new dimensions", normal(2, 4, 3), params={"size": (4, 1)})
good("sum_to_size", "to a scalar", normal(2, 3), params={"size": ()})
good("sum_to_size", "as it is", normal(2, 3), params={"size": (2, 3)})
good("sum_to_size", "of nothing", normal(0, 3), params={"size": (1, 3)})
good("sum_to_size", "large", normal(301, 300), params={"size": (1, 300)}, small=False)
bad(
    "sum_to_size",
    "no broadcast",
    normal(4, 3),
    params={"size": (2, 3)},
    error=RuntimeError,
    match=r"sum_to_size: size is \[2, 3\]",
)

# ---- reductions along one dim -----------------------------------------------------------------------------------

for name in ("max", "min", "argmax", "argmin"):
    good(name, "rows", spread(3, 4), params={"dim": 0})
    good(name, "columns, kept", spread(3, 4), params={"dim": 1, "keepdim": True})
    good(name, "middle", spread(2, 3, 4), params={"dim": 1})
    good(name, "empty result", spread(0, 3), params={"dim": 1})
    good(name, "large", ramp(-1.0, 1.0, LARGE), params={"dim": 0}, small=False)
    good(name, "ties", constant([[1.0, 1.0, 0.0], [3.0, 0.0, 3.0]]), params={"dim": 1}, smooth=False)
    good(name, "special", constant([SPECIAL, [0.0] * len(SPECIAL)]), params={"dim": 1}, smooth=False)
    good(name, "int64", integers(-3, 4, 3, 4), params={"dim": 1})
    good(name, "uint8", integers(0, 4, 3, 4, dtype="uint8"), params={"dim": 0})
    good(name, "bool", bools(3, 4), params={"dim": 0})
    bad(
        name,
        "nothing to choose from",
        normal(3, 0),
        params={"dim": 1},
        error=IndexError,
        match=rf"{name}\(\): Expected reduction dim 1 to have non-zero size",
    )
    bad(
        name,
        "out of range",
        normal(2, 3),
        error=IndexError,
        match="Dimension out of range",
        call=lambda x, f=getattr(ng, name): f(x, 2),
    )
