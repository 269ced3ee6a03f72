"""Rows of elements written by index, of diagonals and of sliding windows."""

from __future__ import annotations

from tests.ops.rows import bad, constant, good, integers, normal, off_zero, spread

# ---- elements ---------------------------------------------------------------------------------------------------

# Of several values at one place the last wins, and the gradient goes to all, as in torch: each place once, here.
_ONCE = constant([[0, 3, 1], [2, 0, 0]], "int64")
good("scatter", "rows", normal(4, 3), _ONCE, normal(2, 3))
good("scatter", "columns", normal(4, 3), constant([[2, 0], [1, 2]], "int64"), normal(2, 2), params={"dim": 1})
good("scatter", "the last wins", normal(4, 3), integers(0, 4, 6, 3), normal(6, 3), smooth=False)
good("scatter", "int64", integers(0, 9, 4, 3), _ONCE, integers(0, 9, 2, 3))
good("scatter", "nothing", normal(4, 3), integers(0, 4, 0, 3), normal(0, 3))

for name in ("scatter_prod", "scatter_amax", "scatter_amin"):
    good(name, "rows", spread(4, 3), integers(0, 4, 5, 3), off_zero(5, 3))
    good(name, "columns", spread(4, 3), integers(0, 3, 2, 4), off_zero(2, 4), params={"dim": 1})
    good(name, "int64", integers(-5, 5, 4, 3), integers(0, 4, 5, 3), integers(-5, 5, 5, 3))
good(
    "scatter_prod",
    "zeros",
    constant([0.0, 2.0, 3.0, 4.0]),
    constant([0, 1, 1, 3], "int64"),
    constant([5.0, 0.0, 7.0, 8.0]),
)

for name in ("scatter", "scatter_prod", "scatter_amax", "scatter_amin"):
    bad(
        name, "src", normal(4, 3), integers(0, 3, 3, 3), normal(2, 3), error=RuntimeError,
        match=r"expected index's shape \[3, 3\]",
    )  # fmt: skip
    bad(
        name, "index of floats", normal(4, 3), normal(2, 3), normal(2, 3), error=RuntimeError,
        match=rf"{name}\(\): Expected dtype int64 or int32 for index",
    )  # fmt: skip
    for error in (IndexError, RuntimeError):  # torch has one or the other
        bad(
            name, f"out of range, {error.__name__}", normal(4, 3), integers(4, 5, 2, 3), normal(2, 3), error=error,
            match="index out of range",
        )  # fmt: skip

good("index_put", "columns", normal(3, 5), constant([0, 3, 4], "int64"), normal(3, 3), params={"dim": 1})
good(
    "index_put", "added columns", normal(2, 5, 3), constant([0, 3, 3], "int64"), normal(2, 3, 3),
    params={"accumulate": True, "dim": 1},
)  # fmt: skip

good("index_put_", "columns", normal(3, 5), constant([0, 3, 4], "int64"), normal(3, 3), params={"dim": 1})
good("index_put_", "added", normal(5), constant([0, 3, 3], "int64"), normal(3), params={"accumulate": True})
good("index_put_", "int64", integers(0, 9, 4, 3), constant([2, 0], "int64"), integers(0, 9, 2, 3))
bad(
    "index_put_",
    "out of range",
    normal(4),
    constant([0, 4], "int64"),
    normal(2),
    error=IndexError,
    match="out of range",
)
bad("index_put_", "shape", normal(4), constant([0, 3], "int64"), normal(3), error=RuntimeError, match="expected shape")

good("flip", "rows", normal(3, 4))
good("flip", "columns", normal(3, 4), params={"dim": 1})
good("flip", "middle", normal(2, 3, 4), params={"dim": 1})
good("flip", "int64", integers(0, 9, 5))
good("flip", "empty", normal(2, 0))
bad("flip", "no such dim", normal(3), params={"dim": 1}, error=IndexError, match="expected one of the 1 dimensions")

good("roll", "rows", normal(3, 4), params={"shift": 1})
good("roll", "columns", normal(2, 4, 3), params={"shift": -3, "dim": 1})
good("roll", "int64", integers(0, 9, 5), params={"shift": 12})
good("roll", "empty", normal(2, 0), params={"shift": 1, "dim": 1})
bad("roll", "no such dim", normal(3), params={"dim": 1}, error=IndexError, match="expected one of the 1 dimensions")

# ---- views ------------------------------------------------------------------------------------------------------

good("diagonal", "main", normal(3, 4))
good("diagonal", "above", normal(3, 4), params={"offset": 2})
good("diagonal", "below", normal(3, 4), params={"offset": -1})
good("diagonal", "beyond", normal(3, 4), params={"offset": 7})
good("diagonal", "of a batch", normal(2, 3, 4), params={"dim1": 2, "dim2": 0, "offset": 1})
good("diagonal", "empty", normal(0, 3))
good("diagonal_backward", "above", normal(2), params={"size": (3, 4), "offset": 2})
good("diagonal_backward", "of a batch", normal(3, 1), params={"size": (2, 3, 4), "dim1": 2, "dim2": 0, "offset": 1})
bad("diagonal", "one dim twice", normal(3, 4), params={"dim2": 0}, error=RuntimeError, match="cannot be identical")
bad("diagonal", "no such dim", normal(3), error=IndexError, match="expected one of the 1 dimensions")
bad(
    "diagonal_backward", "shape", normal(3), params={"size": (3, 4), "offset": 2}, error=RuntimeError,
    match=r"grad has shape \[3\], expected \[2\]",
)  # fmt: skip

good("unfold", "overlapping", normal(7), params={"size": 3, "step": 2})
good("unfold", "side by side", normal(2, 6, 3), params={"dim": 1, "size": 2, "step": 2})
good("unfold", "gaps", normal(7, 2), params={"size": 2, "step": 3})
bad(
    "unfold",
    "too large",
    normal(3),
    params={"size": 4},
    error=ValueError,
    match=r"size is 4, expected in range of \[0, 3\]",
)

# ---- masks ------------------------------------------------------------------------------------------------------

_MASK = constant([[True, False, True], [False, True, True]], "bool")
good("masked_select", "elements", normal(2, 3), _MASK, params={"count": 4})
good("masked_select", "rows", normal(3, 4), constant([True, False, True], "bool"), params={"count": 2})
good("masked_select", "planes, and room", normal(2, 3, 2), _MASK, params={"count": 6})
good("masked_select", "int64", integers(0, 9, 2, 3), _MASK, params={"count": 4})
good("masked_select", "nothing", normal(3), constant([False] * 3, "bool"), params={"count": 0})
good("masked_scatter", "elements", normal(2, 3), _MASK, normal(4))
good("masked_scatter", "rows, and more", normal(3, 4), constant([True, False, True], "bool"), normal(5, 4))
good("masked_scatter", "int64", integers(0, 9, 2, 3), _MASK, integers(0, 9, 4))
good("masked_scatter", "nothing", normal(3), constant([False] * 3, "bool"), normal(0))
good("nonzero", "bool", _MASK, params={"count": 4})
good("nonzero", "numbers", constant([[[0.0, 2.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, -1.0]]]), params={"count": 3})
good("begins", "elements", constant([1.0, 1.0, 2.0, 2.0, 1.0]))
good("begins", "rows", integers(0, 2, 9, 2))
good("linear_index", "one", integers(-4, 4, 3, 2), params={"extents": (4,)})
good("linear_index", "several", integers(-4, 4, 3, 1), integers(-5, 5, 2), params={"extents": (4, 5)})

for name in ("masked_select", "masked_scatter"):
    source = () if name == "masked_select" else (normal(1),)
    bad(
        name,
        "mask",
        normal(2, 3),
        integers(0, 2, 2, 3),
        *source,
        error=RuntimeError,
        match="expected BoolTensor for mask",
    )
    bad(name, "shape", normal(3, 2), _MASK, *source, error=RuntimeError, match=r"the mask has shape \[2, 3\]")
bad("masked_scatter", "too few", normal(2, 3), _MASK, normal(3), error=RuntimeError, match="expected at least as many")
bad("masked_scatter", "source", normal(2, 3), _MASK, integers(0, 9, 4), error=RuntimeError, match="expected rows")
bad("nonzero", "count", _MASK, params={"count": -1}, error=ValueError, match="count is -1")
bad("begins", "scalar", normal(), error=RuntimeError, match="expected at least one")
bad("linear_index", "out of range", integers(4, 5, 3), params={"extents": (4,)}, error=IndexError, match="out of range")
bad(
    "linear_index", "dtype", normal(3), params={"extents": (4,)}, error=RuntimeError,
    match="Expected dtype int64 or int32 for index",
)  # fmt: skip
bad("linear_index", "extents", integers(0, 4, 3), params={"extents": (4, 4)}, error=TypeError, match="tuple of 1 ints")
