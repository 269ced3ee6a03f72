"""Rows of the ops of activations with corners, of losses of probabilities, and of interpolation."""

from __future__ import annotations

from typing import Any

from tests.ops.rows import bad, constant, good, integers, normal, off_integers, off_zero, positive, uniform

ROUGH = 20.0  # sums in another order than NumPy's

# ---- activations ------------------------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[float, ...]] = {
    "selu": (),
    "celu": (1.5,),
    "mish": (),
    "softsign": (),
    "hardsigmoid": (),
    "hardswish": (),
    "clamp": (-1.31, 0.97),
    "hardtanh": (-1.05, 0.97),
    "softshrink": (0.47,),
    "hardshrink": (1.2,),
    "threshold": (0.3, -4.0),
}
FAR = [-800.0, -40.0, -20.5, 19.5, 20.5, 60.0, 800.0]

for name, numbers in NUMBERS.items():
    beside = [constant(number) for number in numbers]
    fixed = tuple(range(1, len(numbers) + 1))
    good(name, "matrix", off_integers(3, 4), *beside, fixed=fixed)
    good(name, "far", constant(FAR), *beside, fixed=fixed, small=False, tolerance=30.0)  # differences of 800
    good(name, "empty", normal(0, 3), *beside, fixed=fixed)
    kind = {"error": RuntimeError, "match": "not implemented for 'Long'"}
    if name in ("clamp", "hardtanh", "threshold"):
        bad(name, "dtypes", normal(2), *[integers(0, 2) for _ in numbers], error=RuntimeError, match="dtype of")
    else:
        bad(name, "int64", integers(0, 3, 2), *[integers(1, 2) for _ in numbers], **kind)
good("clamp", "integers", integers(-5, 5, 3, 4), constant(-2, "int64"), constant(2, "int64"), smooth=False)
good("hardtanh", "integers", integers(-5, 5, 3, 4), constant(-2, "int64"), constant(2, "int64"), smooth=False)

# ---- losses -----------------------------------------------------------------------------------------------------

good("binary_cross_entropy", "matrices", uniform(0.1, 0.9, 3, 4), uniform(0.1, 0.9, 3, 4))
good("binary_cross_entropy", "broadcast", uniform(0.1, 0.9, 3, 4), uniform(0.1, 0.9, 4))
good("binary_cross_entropy", "edges", constant([0.0, 1.0, 0.0, 1.0]), constant([0.0, 1.0, 1.0, 0.0]), smooth=False)
good("binary_cross_entropy", "empty", normal(0, 3), normal(0, 3))
bad(
    "binary_cross_entropy",
    "no probability",
    constant([0.5, 1.5]),
    constant([0.5, 0.5]),
    error=RuntimeError,
    match="all elements of input should be between 0 and 1",
)
for name in ("kl_divergence", "kl_divergence_of_logs"):
    good(name, "matrices", normal(3, 4), positive(3, 4))
    good(name, "broadcast", normal(3, 1), positive(4))
    good(name, "empty", normal(0, 4), positive(4))
    bad(name, "int64", integers(0, 2, 3), integers(0, 2, 3), error=RuntimeError, match="not implemented for 'Long'")
good("kl_divergence", "target 0", normal(3), constant([0.0, 0.5, 0.0]), smooth=False)

# ---- interpolation ----------------------------------------------------------------------------------------------


def _way(dim: int, size: int, mode: str, step: float, aligned: bool = False) -> dict[str, Any]:
    return {"dim": dim, "size": size, "mode": mode, "step": step, "aligned": aligned}


for label, shape, way in (
    ("nearest", (2, 3, 5), _way(2, 8, "nearest", 5 / 8)),
    ("nearest-exact", (2, 3, 5), _way(2, 8, "nearest-exact", 5 / 8)),
    ("linear", (2, 3, 5), _way(2, 8, "linear", 5 / 8)),
    ("linear, fewer", (2, 3, 5), _way(2, 2, "linear", 5 / 2)),
    ("linear, aligned", (2, 3, 4, 2), _way(2, 7, "linear", 0.5, True)),
    ("cubic", (2, 2, 3, 4), _way(2, 5, "cubic", 3 / 5)),
    ("cubic, aligned", (2, 5), _way(1, 3, "cubic", 2.0, True)),
    ("first dimension", (4, 3), _way(0, 6, "linear", 4 / 6)),
    ("one element", (2, 1), _way(1, 3, "linear", 1 / 3)),
    ("nothing", (0, 3), _way(1, 4, "linear", 3 / 4)),
):
    good("resample", label, normal(*shape), params=way)
    whole = tuple(way["size"] if axis == way["dim"] else extent for axis, extent in enumerate(shape))
    good("resample_backward", label, normal(*whole), params={**way, "size": shape[way["dim"]]})
good("resample", "large", normal(40, 50, 60), params=_way(1, 100, "linear", 0.5), small=False)
good("resample", "squares of rows", normal(2, 19, 21), params=_way(2, 33, "linear", 21 / 33), small=False)
good("resample", "squares of rows, cubic", normal(35, 17), params=_way(1, 9, "cubic", 17 / 9), small=False)
good("resample_backward", "squares of rows", normal(2, 19, 33), params=_way(2, 21, "linear", 21 / 33), small=False)
for name in ("resample", "resample_backward"):
    bad(name, "mode", normal(2, 3), params=_way(1, 4, "round", 1.0), error=ValueError, match="mode is 'round'")
    bad(name, "step", normal(2, 3), params=_way(1, 4, "linear", -1.0), error=ValueError, match="step is -1.0")
    bad(name, "int64", integers(0, 3, 2, 3), params=_way(1, 4, "linear", 1.0), error=RuntimeError, match="'Long'")

good("selu", "off 0", off_zero(5))

_classes = constant([2, 0, 3], "int64")
for _reduction in ("none", "mean", "sum"):
    for _power in (1, 2):
        _form = {"p": _power, "margin": 0.7, "reduction": _reduction}
        good("multi_margin_loss", f"{_reduction} {_power}", normal(3, 4), _classes, params=_form, tolerance=ROUGH)
    _labels = constant([[2, 0, -1, 1], [-1, 3, 0, 0], [1, 3, 0, 2]], "int64")
    good("multilabel_margin_loss", _reduction, normal(3, 4), _labels, params={"reduction": _reduction}, tolerance=ROUGH)
good("multi_margin_loss", "one row", normal(4), constant([1], "int64"), tolerance=ROUGH)
good("multilabel_margin_loss", "one row", normal(4), constant([1, 1, -1, 2], "int64"), tolerance=ROUGH)
for _power in (1, 2):
    _form = {"p": _power, "reduction": "none"}
    good(
        "multi_margin_loss_backward", f"none {_power}", normal(3), normal(3, 4), _classes, params=_form, tolerance=ROUGH
    )
good("multi_margin_loss_backward", "mean", normal(), normal(3, 4), _classes, tolerance=ROUGH)
good("multilabel_margin_loss_backward", "mean", normal(), normal(3, 4), _labels, tolerance=ROUGH)
good(
    "multilabel_margin_loss_backward",
    "none",
    normal(3),
    normal(3, 4),
    _labels,
    params={"reduction": "none"},
    tolerance=ROUGH,
)
for _name in ("multi_margin_loss", "multilabel_margin_loss"):
    _far = constant([4], "int64") if _name == "multi_margin_loss" else constant([4, 0, 0, 0], "int64")
    bad(_name, "class", normal(4), _far, error=IndexError, match="out of range")
    bad(_name, "targets", normal(3, 4), constant([0], "int64"), error=RuntimeError, match="target has shape")
bad("multi_margin_loss", "negative", normal(4), constant([-1], "int64"), error=IndexError, match="out of range")

good("nearest", "image", normal(2, 3, 3, 4), params={"extents": (6, 8), "steps": (0.5, 0.5)})
good(
    "nearest",
    "volume",
    normal(1, 2, 2, 3, 4),
    params={"extents": (3, 2, 7), "mode": "nearest-exact", "steps": (0.7, 1.5, 0.6)},
)
good("nearest", "line", normal(2, 2, 5), params={"extents": (15,), "steps": (1 / 3,)})
good(
    "nearest",
    "bytes",
    integers(0, 9, 1, 2, 2, 2, dtype="uint8"),
    params={"extents": (2, 6), "steps": (1.0, 1 / 3)},
    smooth=False,
)
bad(
    "nearest",
    "extents",
    normal(1, 1, 3),
    params={"extents": (2, 2), "steps": (1.0, 1.0)},
    error=RuntimeError,
    match="shape",
)
bad(
    "nearest",
    "mode",
    normal(1, 1, 3),
    params={"extents": (2,), "steps": (1.0,), "mode": "linear"},
    error=ValueError,
    match="mode",
)
