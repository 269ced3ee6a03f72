"""Rows of the table of samples: scans along a dimension, sorting, and searching in what is sorted."""

from __future__ import annotations

from tests.ops.rows import LARGE, SPECIAL, bad, bools, constant, good, integers, normal, off_zero, ramp, spread, uniform

# ---- scans ------------------------------------------------------------------------------------------------------

for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"):
    factory = spread if name in ("cummax", "cummin") else off_zero
    good(name, "rows", factory(3, 4), params={"dim": 0})
    good(name, "columns", factory(3, 4), params={"dim": 1})
    good(name, "middle", factory(2, 3, 4), params={"dim": 1})
    good(name, "vector", factory(5), params={"dim": 0})
    good(name, "empty", normal(0, 3), params={"dim": 0})
    good(name, "no rows", normal(3, 0), params={"dim": 0})
    if name != "logcumsumexp":
        good(name, "int64", integers(-3, 4, 3, 4), params={"dim": 1})
        good(name, "bool", bools(3, 4), params={"dim": 0})
    bad(name, "dim", normal(3), params={"dim": 1}, error=IndexError, match=f"{name}: dim is 1, expected one of the 1")
for name in ("cummax", "cummin"):
    good(name, "ties", constant([[1.0, 1.0, 0.0], [3.0, 0.0, 3.0]]), params={"dim": 1}, smooth=False)
    good(name, "special", constant([SPECIAL, [0.0] * len(SPECIAL)]), params={"dim": 1}, smooth=False)
    good(name, "many columns", normal(5, 70), params={"dim": 0}, small=False)
    good(name, "large", ramp(-1.0, 1.0, LARGE), params={"dim": 0}, small=False)
good("cumsum", "from the end", normal(3, 4), params={"dim": 1, "reverse": True})
good("cumsum", "many columns from the end", normal(5, 70), params={"dim": 0, "reverse": True}, small=False)
WHOLE = integers(-9, 10, LARGE, dtype="float64")  # whose sums are exact in any order
good("cumsum", "large", WHOLE, params={"dim": 0}, small=False)
good("cumsum", "large, from the end", WHOLE, params={"dim": 0, "reverse": True}, small=False)
good("cumprod", "zeros", constant([[2.0, 0.0, 3.0, 0.0, -1.0], [1.0, -2.0, 0.5, 3.0, 0.0]]), params={"dim": 1})
good("cumprod", "many columns", uniform(0.9, 1.1, 5, 70), params={"dim": 0}, small=False)
good("logcumsumexp", "many columns", normal(5, 70), params={"dim": 0}, small=False)
good("logcumsumexp", "of large numbers", ramp(-400.0, 400.0, 7), params={"dim": 0})
bad(
    "logcumsumexp",
    "int64",
    integers(0, 3, 4),
    error=RuntimeError,
    match="\"logcumsumexp_out_cpu\" not implemented for 'Long'",
)
for reverse in (False, True):
    end = ", from the end" if reverse else ""
    good("recurrence", f"rows{end}", normal(3, 4), normal(3, 4), params={"dim": 0, "reverse": reverse})
    good("recurrence", f"columns{end}", normal(3, 4), normal(3, 4), params={"dim": 1, "reverse": reverse})
good("recurrence", "empty", normal(0, 3), normal(0, 3))
bad("recurrence", "shape", normal(3, 4), normal(4), error=RuntimeError, match="recurrence: factor is")
bad("recurrence", "int64", integers(0, 3, 4), integers(0, 3, 4), error=RuntimeError, match="not implemented for 'Long'")

# ---- sorting ----------------------------------------------------------------------------------------------------

SIXTY = 60  # elements: more than are sorted by insertion
# A line is sorted by insertion, by counts of what is smaller, or by its bytes; one element of it is found by counts, or by digits.
for length in (11, 29, 64, 65, 131, 230, 300):
    equals = integers(0, length // 3, 2, length, dtype="float64")
    good("sort", f"equals, {length}", equals, params={"dim": 1}, smooth=False, small=False)
    good("topk", f"equals, {length}", equals, params={"dim": 1, "k": 5}, smooth=False, small=False)
    good("kthvalue", f"equals, {length}", equals, params={"dim": 1, "k": length // 2}, smooth=False, small=False)
    good("nanmedian", f"equals, {length}", equals, params={"dim": 1}, smooth=False, small=False)
for name, params in {
    "sort": {"descending": False},
    "topk": {"k": 2, "largest": True},
    "kthvalue": {"k": 2},
}.items():
    good(name, "rows", spread(3, 4), params={"dim": 0, **params})
    good(name, "columns", spread(3, 4), params={"dim": 1, **params})
    good(name, "middle", spread(2, 3, 4), params={"dim": 1, **params})
    good(name, "no rows", normal(3, 0), params={"dim": 0, **params})
    good(name, "sixty", spread(SIXTY, 2), params={"dim": 0, **params}, small=False)
    good(name, "ties", constant([[1.0, 1.0, 0.0], [3.0, 0.0, 3.0]]), params={"dim": 1, **params}, smooth=False)
    good(name, "special", constant([SPECIAL, [0.0] * len(SPECIAL)]), params={"dim": 1, **params}, smooth=False)
    good(name, "int64", integers(-3, 4, SIXTY), params={"dim": 0, **params})
    good(name, "bool", bools(3, 4), params={"dim": 1, **params})
    bad(
        name,
        "dim",
        normal(3),
        params={"dim": 1, **params},
        error=IndexError,
        match=f"{name}: dim is 1, expected one of",
    )
good("sort", "descending", spread(3, 4), params={"dim": 1, "descending": True})
good("sort", "special, descending", constant([SPECIAL]), params={"dim": 1, "descending": True}, smooth=False)
good("sort", "uint8", integers(0, 256, SIXTY, dtype="uint8"), params={"dim": 0})
good("sort", "empty", normal(0, 3), params={"dim": 0})
good("sort", "large", ramp(-1.0, 1.0, LARGE), params={"dim": 0}, small=False)
good("topk", "smallest", spread(3, 4), params={"dim": 1, "largest": False, "k": 3})
good("topk", "all", spread(3, 4), params={"dim": 0, "k": 3})
good("topk", "none", spread(3, 4), params={"dim": 1, "k": 0})
good("topk", "large", ramp(-1.0, 1.0, LARGE), params={"dim": 0, "k": 3}, small=False)
good("topk", "thirty of many", ramp(-1.0, 1.0, 600), params={"dim": 0, "k": 30}, small=False)
good(
    "topk",
    "few of long lines",
    spread(3, 300),
    params={"dim": 1, "k": 5},
    small=False,
)
good(
    "topk",
    "few of short lines",
    spread(3, 70),
    params={"dim": 1, "k": 2},
    small=False,
)
good(
    "kthvalue",
    "small of long lines",
    spread(2, 300),
    params={"dim": 1, "k": 7},
    small=False,
)
good("topk", "few of equals", integers(0, 4, 2, 300), params={"dim": 1, "k": 5}, small=False)
bad("topk", "k", normal(3), params={"k": 4}, error=RuntimeError, match="selected index k out of range")
_EDGES = constant([-1.0, -0.5, 0.0, 0.5, 1.0])
good("find_bins", "edges", spread(7, 2), _EDGES, params={"column": 1})
good("find_bins", "even", constant([[-0.5], [-1.0], [0.7], [1.0], [3.0]]), _EDGES, params={"scale": 2.0})
bad("find_bins", "one edge", normal(3, 2), normal(1), error=RuntimeError, match="at least two edges")
bad("find_bins", "int64", integers(0, 9, 3, 2), normal(3), error=RuntimeError, match="expected floating point")
good(
    "kthvalue",
    "nans",
    constant([[3.0, float("nan"), 1.0], [2.0, 0.5, 7.0]]),
    params={"dim": 1, "k": 2, "nans": True},
    smooth=False,
)
_GAPS = [
    [3.0, float("nan"), 1.0, float("nan")],
    [2.0, 0.5, 7.0, -1.0],
    [float("nan")] * 4,
    [float("nan"), float("nan"), float("nan"), 5.0],
    [2.0, float("nan"), 2.0, 1.0],
]
good("nanmedian", "nans", constant(_GAPS), params={"dim": 1}, smooth=False)
good("nanmedian", "kept", constant(_GAPS), params={"dim": 0, "keepdim": True}, smooth=False)
good("nanmedian", "long", spread(2, 3, 90), params={"dim": 2}, small=False)
good("nanmedian", "one of several axes", spread(3, 4, 2), params={"dim": 1})
bad("nanmedian", "int64", integers(0, 9, 3), error=RuntimeError, match="expected floating point")
bad("nanmedian", "empty", normal(2, 0), params={"dim": 1}, error=RuntimeError, match="dimension 1 has no elements")
good("kthvalue", "kept", spread(3, 4), params={"dim": 1, "k": 3, "keepdim": True})
bad(
    "kthvalue",
    "k",
    normal(3),
    params={"k": 0},
    error=RuntimeError,
    match="selected number k out of range for dimension 0",
)

# ---- searching --------------------------------------------------------------------------------------------------

STEPS = constant([-1.0, 0.0, 0.0, 0.5, 2.0])
for right in (False, True):
    side = "right" if right else "left"
    good("searchsorted", side, STEPS, constant([[0.0, 3.0, -2.0], [0.5, 0.25, -1.0]]), params={"right": right})
    good(
        "searchsorted",
        f"lines, {side}",
        constant([[0.0, 1.0], [1.0, 1.0]]),
        constant([[1.0], [1.0]]),
        params={"right": right},
    )
good("searchsorted", "a number", STEPS, normal())
good("searchsorted", "in nothing", normal(0), normal(3))
good("searchsorted", "int64", constant([1, 3, 3, 7], "int64"), integers(0, 9, 2, 5))
bad("searchsorted", "dtypes", STEPS, integers(0, 3, 4), error=RuntimeError, match="searchsorted: boundaries are of")
bad(
    "searchsorted",
    "shapes",
    normal(2, 3),
    normal(3, 3),
    error=RuntimeError,
    match="should be 1 dimension or the first N-1",
)
