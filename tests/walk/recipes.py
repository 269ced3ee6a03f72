"""Arguments as recipes: what a call is given, in a form that can be printed, repeated, and made for numgrad and for torch."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

FLOATS, INTEGERS = ("float32", "float64"), ("int64", "int32", "int16", "int8", "uint8", "bool")
SHAPES = ((), (1,), (3,), (2, 3), (3, 2), (1, 4), (0,), (2, 0, 3), (2, 3, 4), (4, 3, 2, 2), (1, 2, 5, 5), (5, 5), (17,))
LAYOUTS = ("plain", "plain", "plain", "transposed", "stepped", "expanded", "offset", "private", "requires_grad")
FILLS = ("normal", "normal", "normal", "special", "huge", "zero", "extreme")
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, 1e-30, -1e30)
INTS = (0, 1, 2, 3, -1, -2, 5, 7, 100, -7)
HUGE = (2**31 - 1, 2**31, 2**33, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, -(2**31), -(2**63), -(2**63) - 1, 10**30)
ARRAYS = ("plain", "read-only", "unaligned", "big-endian", "negative", "complex", "object", "strings", "float16", "0-d")


class Recipe(NamedTuple):
    """One argument: its kind, and what it is made from."""

    kind: str
    value: Any = None

    def __repr__(self) -> str:
        if self.kind == "sequence":
            return f"{self.value[0].__name__}({list(self.value[1])})"
        return repr(self.value) if self.kind == "literal" else f"<{self.kind} {self.value}>"


def tensor(rng: random.Random, dtypes: tuple[str, ...] = (), shapes: tuple[tuple[int, ...], ...] = ()) -> Recipe:
    """A tensor of some dtype, shape, layout and content."""
    chosen = rng.choice(dtypes or (*FLOATS, *FLOATS, *INTEGERS))
    return Recipe(
        "tensor",
        (chosen, rng.choice(shapes or SHAPES), rng.choice(LAYOUTS), rng.choice(FILLS), rng.randrange(1 << 16)),
    )


def literal(value: Any) -> Recipe:
    """A Python object that is the same for both libraries."""
    return Recipe("literal", value)


def sequence(rng: random.Random, of: Any, count: int | None = None) -> Recipe:
    """A tuple or list of what ``of`` makes."""
    count = rng.randrange(4) if count is None else count
    return Recipe("sequence", (rng.choice((tuple, list)), tuple(of() for _ in range(count))))


def hostile(rng: random.Random) -> Recipe:
    """Anything at all."""
    kind = rng.randrange(14)
    if kind == 0:
        return literal(rng.choice(INTS))
    if kind == 1:
        return literal(rng.choice(HUGE))
    if kind == 2:
        return literal(rng.choice((0.5, 1.0, -1.0, 1e300, float("nan"), float("inf"), 3.0)))
    if kind == 3:
        return literal(None)
    if kind == 4:
        return literal(rng.choice((True, False)))
    if kind == 5:
        return literal(rng.choice(("", "mean", "none", "x", "float32", "relu")))
    if kind == 6:
        return Recipe("dtype", rng.choice((*FLOATS, *INTEGERS)))
    if kind == 7:
        return Recipe("array", (rng.choice(ARRAYS), rng.randrange(1 << 16)))
    if kind == 8:
        return Recipe(
            "scalar",
            (rng.choice(("float32", "float64", "int64", "int8", "uint8", "bool_", "float16")), rng.choice(INTS)),
        )
    if kind == 9:
        return sequence(rng, lambda: hostile(rng))
    if kind == 10:
        return sequence(rng, lambda: literal(rng.choice((*INTS, *HUGE[:4]))))
    if kind == 11:
        return literal(rng.choice((Fraction(4, 2), 1j, b"1", object, {}, slice(0, 2), Ellipsis)))
    return tensor(rng)


def content(dtype: str, shape: tuple[int, ...], fill: str, seed: int) -> np.ndarray:
    """The elements of a tensor recipe."""
    return np.asarray(_content(dtype, shape, fill, seed), dtype)  # NumPy's functions give scalars for the shape ()


def _content(dtype: str, shape: tuple[int, ...], fill: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if fill == "zero":
        return np.zeros(shape, kind)
    if kind.kind == "f":
        if fill == "special":
            return rng.choice(np.array(SPECIAL), shape).astype(kind)
        if fill in ("huge", "extreme"):
            with np.errstate(over="ignore"):
                return (rng.normal(size=shape) * 1e30).astype(kind)
        return rng.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    limits = np.iinfo(kind)
    if fill in ("extreme", "huge"):
        return rng.choice(np.array([limits.min, limits.max, 0, 1, limits.max - 1], kind), shape)
    return rng.integers(0 if kind.kind == "u" else -3, 5, shape).astype(kind)


def _array(kind: str, seed: int) -> Any:
    base = np.random.default_rng(seed).normal(size=(3, 2))
    if kind == "read-only":
        base.flags.writeable = False
        return base
    if kind == "unaligned":
        return np.frombuffer(bytearray(49), np.uint8)[1:].view(np.float64).reshape(3, 2)
    return {
        "plain": base, "big-endian": base.astype(">f8"), "negative": base[::-1], "complex": base.astype(complex),
        "object": base.astype(object), "strings": np.array(["a", "b"]), "float16": base.astype(np.float16),
        "0-d": np.array(2.5),
    }[kind]  # fmt: skip


def build(lib: Any, recipe: Recipe, keep: list[Any]) -> Any:
    """The argument for one of the libraries; tensors are also appended to ``keep``."""
    kind, value = recipe
    if kind == "literal":
        return value
    if kind == "dtype":
        return getattr(lib, value)
    if kind == "array":
        return _array(*value)
    if kind == "scalar":
        return getattr(np, value[0])(abs(value[1]) if value[0].startswith("u") else value[1])
    if kind == "sequence":
        return value[0](build(lib, each, keep) for each in value[1])
    dtype, shape, layout, fill, seed = value
    array = content(dtype, shape, fill, seed)
    if layout == "transposed" and len(shape) > 1:
        made = lib.from_numpy(np.ascontiguousarray(array.T)).permute(*reversed(range(len(shape))))
    elif layout == "stepped" and len(shape):
        wide = np.zeros((*shape[:-1], 2 * shape[-1] + 1), array.dtype)
        wide[..., 1::2] = array
        made = lib.from_numpy(wide)[..., 1::2]
    elif layout == "expanded" and len(shape) and shape[0]:
        made = lib.from_numpy(array[:1].copy()).expand(*shape)
    elif layout == "offset" and len(shape):
        made = lib.from_numpy(np.concatenate([array, array]))[shape[0] :]
    elif layout == "private" and hasattr(lib, "compile") and len(shape) > 1 and lib.__name__ == "numgrad":
        from numgrad.layout import private_strides, strides_in_order
        from numgrad.tensor import creation

        strides = strides_in_order(shape, tuple(reversed(range(len(shape)))))
        made = creation.uninitialized(getattr(lib, dtype), shape, private_strides(shape, strides))
        made.copy_(lib.from_numpy(array))
    else:
        made = lib.from_numpy(array.copy())
        if layout == "requires_grad" and dtype in FLOATS:
            made.requires_grad_()
    keep.append(made)
    return made
