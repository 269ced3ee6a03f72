"""Rows of the elementwise ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    off_integers,
    off_zero,
    positive,
    spread,
    together,
    uniform,
)

Maker = Callable[..., Callable[[Rng], np.ndarray]]
SMALLEST, SPECIAL_POSITIVE = 1e-300, [0.0, 1.0, np.inf, np.nan, 4.0]


def _above(low: float) -> Maker:
    return lambda *shape: uniform(low + 0.1, low + 3.0, *shape)


# ---- of one input -----------------------------------------------------------------------------------------------

UNARY: dict[str, tuple[Maker, bool]] = {  # where it is smooth; whether integers are taken
    "neg": (normal, True),
    "abs": (off_zero, True),
    "sign": (off_zero, True),
    "reciprocal": (off_zero, False),
    "square": (normal, True),
    "cube": (normal, True),
    "inverse_square": (off_zero, False),
    "sqrt": (positive, False),
    "rsqrt": (positive, False),
    "exp": (normal, False),
    "expm1": (normal, False),
    "log": (positive, False),
    "log1p": (_above(-1.0), False),
    "sin": (normal, False),
    "cos": (normal, False),
    "erf": (normal, False),
    "relu": (off_zero, True),
    "tanh": (normal, False),
    "sigmoid": (normal, False),
    "silu": (normal, False),
    "softplus": (normal, False),
    "log_sigmoid": (normal, False),
    "gelu": (normal, False),
    "gelu_tanh": (normal, False),
    "floor": (off_integers, False),
    "ceil": (off_integers, False),
    "trunc": (off_integers, False),
    "round": (off_integers, False),
    "clone": (normal, True),
    "isfinite": (normal, False),
    "isnan": (normal, True),
    "logical_not": (normal, True),
}

for name, (make, takes_integers) in UNARY.items():
    good(name, "matrix", make(3, 4))
    good(name, "scalar", make())
    good(name, "empty", make(0, 3))
    good(name, "large", make(LARGE), small=False)
    good(name, "special", constant(SPECIAL), smooth=False)
    if takes_integers:
        good(name, "int64", integers(-5, 6, 3, 4))
        bad(
            name,
            "a list",
            error=TypeError,
            match=f"{name}.*(Tensor.*list|list.*Tensor)",
            call=lambda op=name: _function(op)([1.0]),
        )
    else:
        bad(name, "int64", integers(0, 3, 2), error=RuntimeError, match=f"\"{name}\" not implemented for 'Long'")

good("logical_not", "bool", bools(3, 4))
good("clone", "bool", bools(3, 4))
good("isnan", "bool", bools(3))
good("relu", "uint8", integers(0, 9, 5, dtype="uint8"))
good("exp", "overflow", constant([700.0, 710.0, -745.0, -746.0, 88.0, 89.0]), smooth=False)
good("expm1", "near 0", constant([1e-9, -1e-9, 1e-17]))
good("log1p", "near 0", constant([1e-9, -1e-9, 1e-17]))
good("tanh", "far", constant([-1000.0, 20.0, 1000.0]), smooth=False)
good("softplus", "around the threshold", constant([19.0, 20.5, 30.0, -800.0]), smooth=False)
good("round", "halves", constant([0.5, 1.5, 2.5, -0.5, -1.5]), smooth=False)
good("square", "large ints", integers(-(2**20), 2**20, 6))


def _function(op: str) -> Callable[..., Any]:
    return getattr(ng, op, None) or ng.registry.OPS[op]


# ---- of two -----------------------------------------------------------------------------------------------------


def _different(*shapes: tuple[int, ...]) -> together:
    """Two inputs that are nowhere equal, also after broadcasting."""

    def make(rng: Rng) -> tuple[np.ndarray, ...]:
        return spread(*shapes[0])(rng), spread(*shapes[1])(rng) + 0.025

    return together(make)


def _off_multiples(*shapes: tuple[int, ...]) -> together:
    """Two inputs whose quotient is not near an integer."""

    def make(rng: Rng) -> tuple[np.ndarray, ...]:
        divisor = rng.choice([-2.0, -1.0, 1.0, 2.0], shapes[1])
        fraction = rng.uniform(0.15, 0.35, shapes[0]) + rng.choice([0.0, 0.5], shapes[0])
        return np.asarray(rng.integers(-4, 4, shapes[0]) * 2 + 2 * fraction), np.asarray(divisor)

    return together(make)


def _pair(first: Maker, second: Maker) -> Callable[..., Any]:
    def make(*shapes: tuple[int, ...]) -> together:
        return together(lambda rng: (first(*shapes[0])(rng), second(*shapes[1])(rng)))

    return make


def _rounded(*shape: int) -> Callable[[Rng], np.ndarray]:
    return lambda rng: np.asarray(rng.integers(-2, 3, shape).astype(float))


BINARY: dict[str, tuple[Callable[..., Any], str]] = {  # inputs for two shapes; categories of dtype that are taken
    "add": (_pair(normal, normal), "bif"),
    "sub": (_pair(normal, normal), "if"),
    "mul": (_pair(normal, normal), "bif"),
    "div": (_pair(normal, off_zero), "f"),
    "floor_divide": (_off_multiples, "if"),
    "remainder": (_off_multiples, "if"),
    "pow": (_pair(positive, normal), "if"),
    "maximum": (_different, "bif"),
    "minimum": (_different, "bif"),
    "clamp_min": (_different, "if"),
    "leaky_relu": (_pair(off_zero, normal), "f"),
    "elu": (_pair(off_zero, normal), "f"),
    "clamp_max": (_different, "if"),
    "eq": (_pair(_rounded, _rounded), "bif"),
    "ne": (_pair(_rounded, _rounded), "bif"),
    "lt": (_pair(_rounded, _rounded), "bif"),
    "le": (_pair(_rounded, _rounded), "bif"),
    "gt": (_pair(_rounded, _rounded), "bif"),
    "ge": (_pair(_rounded, _rounded), "bif"),
    "bitwise_and": (_pair(_rounded, _rounded), "bi"),
    "bitwise_or": (_pair(_rounded, _rounded), "bi"),
    "bitwise_xor": (_pair(_rounded, _rounded), "bi"),
    "bitwise_left_shift": (_pair(_rounded, _rounded), "i"),
    "bitwise_right_shift": (_pair(_rounded, _rounded), "i"),
}

# One generator makes all elementwise kernels: these ops show its every form of broadcasting and layout, for all.
EVERY_FORM = ("add", "div", "maximum", "eq", "where", "exp")

_SPECIAL_PAIRS = constant(np.repeat(SPECIAL, len(SPECIAL))), constant(np.tile(SPECIAL, len(SPECIAL)))

for name, (inputs, kinds) in BINARY.items():
    if "f" in kinds:
        good(name, "matrices", inputs((3, 4), (3, 4)))
        good(name, "row and column", inputs((4,), (3, 1)))
        if name in EVERY_FORM:
            good(name, "scalar and matrix", inputs((), (2, 3)))
            good(name, "matrix and scalar", inputs((2, 3), ()))
            good(name, "ones and rows", inputs((2, 1, 3), (4, 1)))
        good(name, "scalars", inputs((), ()))
        good(name, "empty", inputs((0, 3), (3,)))
        good(name, "empty by broadcast", inputs((0,), (1,)))
        good(name, "large", inputs((LARGE,), (LARGE,)), small=False)
        good(name, "special", *_SPECIAL_PAIRS, smooth=False)
        bad(
            name,
            "float32 and float64",
            normal(2),
            lambda rng: rng.normal(size=2).astype("float32"),
            error=RuntimeError,
            match=f"{name}: dtype of .* is .*float32, expected .*float64",
        )
    if "i" in kinds:
        divides = name in ("floor_divide", "remainder")
        second = integers(1, 4, 3, 4) if divides or name == "pow" else integers(-3, 4, 3, 4)
        good(name, "int64", integers(-4, 5, 3, 4), second)
        if name in EVERY_FORM:
            good(name, "uint8 broadcast", integers(0, 5, 3, 1, dtype="uint8"), integers(1, 4, 4, dtype="uint8"))
        if divides:
            good(name, "uint8", integers(0, 5, 3, 4, dtype="uint8"), integers(1, 4, 3, 4, dtype="uint8"))
    if "b" in kinds:
        good(name, "bool", bools(3, 4), bools(4) if name in EVERY_FORM else bools(3, 4))
    else:
        bad(name, "bools", bools(2), bools(2), error=RuntimeError, match=f"\"{name}\" not implemented for 'Bool'")
    if "f" not in kinds:
        good(name, "empty", integers(0, 2, 0, 3), integers(0, 2, 3))
        bad(
            name,
            "floats",
            normal(2),
            normal(2),
            error=RuntimeError,
            match=f"\"{name}\" not implemented for 'Float|Double'",
        )
    whole = "f" not in kinds
    bad(
        name,
        "shapes",
        *((integers(0, 2, 2, 3), integers(0, 2, 4)) if whole else (normal(2, 3), normal(4))),
        error=RuntimeError,
        match=rf"{name}: The size of tensor a \(3\) must match the size of tensor b \(4\) at non-singleton dimension 1",
    )

good("floor_divide", "signs", constant([7, -7, 7, -7], "int64"), constant([2, 2, -2, -2], "int64"))
good("remainder", "signs", constant([7, -7, 7, -7], "int64"), constant([2, 2, -2, -2], "int64"))
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    for dtype in ("uint8", "int8", "int16", "int32", "int64"):
        low, bits = (0 if dtype == "uint8" else -128), 8 * np.dtype(dtype).itemsize
        shifts = [0, 1, bits - 2, bits - 1, bits, bits + 1, 65, 127, *([] if dtype == "uint8" else [-1, -128])]
        numbers = integers(low, 127, 40, len(shifts), dtype=dtype)
        good(name, f"{dtype} by up to all bits", numbers, constant([shifts] * 40, dtype))
good("pow", "of negatives by integers", constant([-2.0, -0.5, 3.0]), constant([2.0, 3.0, -2.0]), smooth=False)
good("maximum", "ties", constant([1.0, 2.0, -0.0]), constant([1.0, 3.0, 0.0]), smooth=False)
good("minimum", "ties", constant([1.0, 2.0, -0.0]), constant([1.0, 3.0, 0.0]), smooth=False)

# ---- of three ---------------------------------------------------------------------------------------------------

good("where", "matrices", bools(3, 4), normal(3, 4), normal(3, 4))
good("where", "broadcast", bools(3, 1), normal(4), normal())
good("where", "condition alone has the shape", bools(2, 3), normal(), normal())
good("where", "empty", bools(0, 3), normal(3), normal(1, 3))
good("where", "large", bools(LARGE), normal(LARGE), normal(LARGE), small=False)
good("where", "special", bools(len(SPECIAL)), constant(SPECIAL), constant(SPECIAL), smooth=False)
good("where", "int64", bools(3, 4), integers(0, 9, 4), integers(0, 9, 3, 1))
good("where", "bool", bools(3), bools(3), bools(3))
bad("where", "shapes", bools(2, 3), normal(4), normal(3), error=RuntimeError, match="where: The size of tensor a")
bad("where", "dtypes", bools(2), normal(2), integers(0, 2, 2), error=RuntimeError, match="where: dtype of other is")
bad(
    "where",
    "condition is a float",
    normal(2),
    normal(2),
    normal(2),
    error=RuntimeError,
    match="where expected condition to be a boolean tensor",
    call=lambda c, x, y: ng.where(c, x, y),
)

# ---- losses of single elements ----------------------------------------------------------------------------------


def _halves(*shape: int) -> Callable[[Rng], np.ndarray]:
    return lambda rng: np.asarray(rng.integers(0, 3, shape) + 0.5)


for name in ("huber", "smooth_l1"):
    good(name, "matrices", _rounded(3, 4), constant(0.25), _halves(3, 4), fixed=(2,))
    good(name, "number", _rounded(3, 4), constant(0.0), constant(1.5), fixed=(2,))
    good(name, "broadcast", _rounded(4), constant([[0.25], [-0.25], [5.25]]), _halves(3, 1), fixed=(2,))
    good(name, "empty", normal(0, 3), normal(3), _halves(3), fixed=(2,))
    good(name, "large", _rounded(LARGE), constant(0.25), constant(1.5), small=False, fixed=(2,))
    good(name, "special", constant(SPECIAL), constant(0.0), constant(1.0), smooth=False, fixed=(2,))
    ints = (integers(0, 3, 2), integers(0, 3, 2), integers(1, 3, 2))
    bad(name, "ints", *ints, error=RuntimeError, match=f'"{name}" not implemented for')
    bad(name, "shapes", normal(2, 3), normal(4), normal(), error=RuntimeError, match=f"{name}: The size of tensor a")
good("squared_error", "matrices", normal(3, 4), normal(3, 4))
good("squared_error", "broadcast", normal(4), normal(3, 1))
good("squared_error", "empty", normal(0, 3), normal(3))
good("squared_error", "large", normal(LARGE), normal(LARGE), small=False)
good("squared_error", "special", constant(SPECIAL), constant(0.25), smooth=False)
bad("squared_error", "shapes", normal(2, 3), normal(4), error=RuntimeError, match="The size of tensor a")
good("bce_with_logits", "matrices", off_zero(3, 4), uniform(0.0, 1.0, 3, 4), positive(4))
good("bce_with_logits", "number", off_zero(3, 4), uniform(0.0, 1.0, 3, 4), constant(1.0))
good("bce_with_logits", "at 0", constant([0.0, 0.0]), uniform(0.0, 1.0, 2), positive(2), smooth=False)
good("bce_with_logits", "empty", normal(0, 3), normal(0, 3), constant(1.0))
good("bce_with_logits", "large", off_zero(LARGE), uniform(0.0, 1.0, LARGE), constant(1.0), small=False)
good("bce_with_logits", "far", constant([-700.0, -40.0, 40.0, 700.0]), constant([0.0, 0.5, 1.0, 1.0]), constant(2.0))
good("bce_with_logits", "special", constant(SPECIAL), constant(0.25), constant(1.0), smooth=False)
bad("bce_with_logits", "shapes", normal(2, 3), normal(4), normal(), error=RuntimeError, match="The size of tensor a")
bad("bce_with_logits", "dtypes", normal(2), integers(0, 2, 2), normal(), error=RuntimeError, match="dtype of target is")

# ---- conversion -------------------------------------------------------------------------------------------------

for target in (ng.float64, ng.float32, ng.int64, ng.int32, ng.uint8, ng.bool):
    good("cast", f"to {target.name}", uniform(0.0, 100.0, 3, 4), params={"dtype": target}, smooth=target is ng.float64)
    good("cast", f"int64 to {target.name}", integers(0, 100, 3, 4), params={"dtype": target})
    good("cast", f"bool to {target.name}", bools(5), params={"dtype": target})
good("cast", "negative to int64", constant([-1.5, -0.5, 0.5, 1.5]), params={"dtype": ng.int64}, smooth=False)
good("cast", "negative to int8", integers(-100, 100, 6), params={"dtype": ng.int8})
good(
    "cast",
    "special to float32",
    constant([0.0, -0.0, np.inf, -np.inf, np.nan]),
    params={"dtype": ng.float32},
    smooth=False,
)
good("cast", "special to bool", constant([0.0, -0.0, np.inf, np.nan, 1e-30]), params={"dtype": ng.bool}, smooth=False)
good("cast", "empty", normal(0, 2), params={"dtype": ng.float32}, smooth=False)
bad("cast", "no dtype", normal(2), error=TypeError, match="must be a dtype", call=lambda x: x.to(dtype="float64"))
