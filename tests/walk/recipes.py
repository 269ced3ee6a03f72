"""Arguments as recipes: what a call is given, in a form that can be printed, repeated, and made for numgrad and for torch."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
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
WIDTHS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class OwnError(LookupError):
    """What an object that stands for an argument raises: it has to reach the caller as it is, if it is raised at all."""


class Index:
    """An int by ``__index__`` alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        if self.value is OwnError:
            raise OwnError("no index")
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value!r})"


class Whole(int):
    """A class of ints of somebody's own."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Whole({int(self)})"


class Recipe(NamedTuple):
    """One argument: its kind, and what it is made from."""

    kind: str
    value: Any = None

    def __repr__(self) -> str:
        if self.kind == "sequence":
            return f"{self.value[0].__name__}({list(self.value[1])})"
        if self.kind == "mapping":
            return repr(dict(self.value))
        if self.kind == "slice":
            return f"slice{self.value}"
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


def mapping(**members: Recipe) -> Recipe:
    """A dict with these members."""
    return Recipe("mapping", tuple(members.items()))


def number(dtype: str, value: Any) -> Recipe:
    """A tensor without dimensions that holds this."""
    return Recipe("number", (dtype, value))


def like_an_integer(rng: random.Random, value: int) -> Recipe:
    """What may stand where an int is expected: the same number in other clothes, or another number altogether."""
    kind = rng.randrange(18)
    if kind < 4:
        return literal(rng.choice((*HUGE, *INTS)))
    if kind < 8:
        dtype = rng.choice(WIDTHS)
        limits = np.iinfo(dtype)
        chosen = rng.choice((value, value, -value, limits.min, limits.max, limits.max // 2 + 1))
        return Recipe("scalar", (dtype, chosen if limits.min <= chosen <= limits.max else limits.max))
    if kind == 8:
        return Recipe("scalar", (rng.choice(("float16", "float32", "float64", "bool_")), value))
    if kind == 9:
        return literal(rng.choice((float(value), value + 0.5, float("nan"), float("inf"), -float("inf"), 1e300)))
    if kind == 10:
        dtype = rng.choice((*WIDTHS[:5], "float32", "float64", "bool"))
        return number(dtype, max(0, min(value, 100)) if dtype in INTEGERS else float(value))
    if kind == 11:
        return literal(rng.choice((Fraction(value), Fraction(2 * value + 1, 2), Decimal(value), complex(value))))
    if kind == 12:
        return literal(rng.choice((str(value), "", b"1", None, None)))
    if kind == 13:
        return literal(rng.choice((True, False)))
    if kind == 14:
        return literal(Index(rng.choice((value, value, value, 2**63, 10**30, OwnError, "1", 1.0, None))))
    if kind == 15:
        return literal(Whole(value))
    if kind == 16:
        return Recipe("array", (rng.choice(("0-d", "0-d int", "1 int")), value))
    return literal(rng.choice(((value,), [value], (value, value), (), [[value]], {value}, range(value % 5))))


def changed(rng: random.Random, recipe: Recipe, bold: float) -> Recipe:
    """An argument of which each part is with some chance another than it was: an int what may stand for one."""
    kind, value = recipe
    if kind == "sequence":
        if rng.random() < bold / 4:
            return hostile(rng)
        return Recipe(kind, (value[0], tuple(changed(rng, each, bold) for each in value[1])))
    if kind == "mapping":
        if rng.random() < bold / 8:
            return hostile(rng)
        members = [(name, changed(rng, each, bold)) for name, each in value if rng.random() > bold / 8]
        return Recipe(kind, tuple(members))
    if kind == "literal" and type(value) in (tuple, list) and all(isinstance(each, int) for each in value):
        return changed(rng, Recipe("sequence", (type(value), tuple(literal(each) for each in value))), bold)
    if rng.random() >= bold:
        return recipe
    if kind == "literal" and isinstance(value, int) and rng.random() < 0.8:
        return like_an_integer(rng, value)
    if kind in ("tensor", "sample") and rng.random() < 0.6:
        return tensor(rng)
    return hostile(rng)


def hostile(rng: random.Random) -> Recipe:
    """Anything at all."""
    kind = rng.randrange(18)
    if kind < 3:
        return like_an_integer(rng, rng.choice(INTS))
    if kind == 3:
        return literal(rng.choice((0.5, 1.0, -1.0, 1e300, float("nan"), float("inf"), 3.0)))
    if kind == 4:
        return literal(None)
    if kind == 5:
        return literal(rng.choice((True, False)))
    if kind == 6:
        return literal(rng.choice(("", "mean", "none", "x", "float32", "relu", "cpu", "\ud800", "0", "weight")))
    if kind == 7:
        return Recipe("attribute", rng.choice((*FLOATS, *INTEGERS, "channels_last", "contiguous_format")))
    if kind == 8:
        return Recipe("array", (rng.choice(ARRAYS), rng.randrange(1 << 16)))
    if kind == 9:
        dtype = rng.choice(("float32", "float64", "int64", "int8", "uint8", "bool_", "float16"))
        value = rng.choice(INTS)
        return Recipe("scalar", (dtype, abs(value) if dtype == "uint8" else value))
    if kind == 10:
        return sequence(rng, lambda: hostile(rng))
    if kind == 11:
        return sequence(rng, lambda: literal(rng.choice((*INTS, *HUGE[:4]))))
    if kind == 12:
        return literal(rng.choice((1j, b"1", object, {}, {"a": 1}, {1}, Ellipsis, range(3), NotImplemented, print)))
    if kind == 13:
        return Recipe("callable", rng.choice(CALLABLES))
    if kind == 14:
        return index(rng)
    return tensor(rng)


def index(rng: random.Random) -> Recipe:
    """What may stand between square brackets."""
    kind = rng.randrange(8)
    if kind == 0:
        return literal(rng.choice((slice(None), slice(1, None, 2), slice(-1, 5), None, Ellipsis, 0, -1, True, False)))
    if kind == 1:
        part = lambda: like_an_integer(rng, rng.choice((0, 1, 2, -1))) if rng.random() < 0.4 else literal(None)  # noqa: E731
        return Recipe("slice", (part(), part(), part()))
    if kind == 2:
        return like_an_integer(rng, rng.choice((0, 1, -1, 2)))
    if kind == 3:
        return tensor(rng, ("int64", "int64", "int32", "bool", "uint8", "float32"))
    if kind == 4:
        return Recipe("array", (rng.choice((*ARRAYS, "0-d int", "1 int", "mask")), rng.randrange(1 << 16)))
    if kind == 5:
        return Recipe("sequence", (list, tuple(literal(rng.choice((0, 1, -1, 2, True, 2**40))) for _ in range(2))))
    return Recipe("sequence", (rng.choice((tuple, tuple, list)), tuple(index(rng) for _ in range(rng.randrange(4)))))


# ---- functions that are arguments ---------------------------------------------------------------------------------


def _raises(*_: Any, **__: Any) -> Any:
    raise OwnError("the function says no")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "square_sum": lambda x, *others: (x * x).sum() + sum((other * 2.0).sum() for other in others),
    "cube": lambda x, *_: x * x * x,
    "sine": lambda x, *_: x.sin(),
    "two": lambda x, *_: (x.sin().sum(), x.cos()),
    "same": lambda x, *_: x,
    "mixed": lambda x, y=2.0, *_: (x * y).sum(),
    "outer": lambda x, *_: x.reshape(-1, 1) @ x.reshape(1, -1),
    "detached": lambda x, *_: x.detach(),
    "in place": lambda x, *_: x.mul_(2.0),
    "assigned": lambda x, *_: x.clone().fill_(1.0) + x,
    "dict": lambda x, *_: {"a": x * 2.0, "b": [x]},
    "integers": lambda x, *_: x.long(),
    "item": lambda x, *_: x * x.sum().item(),
    "size": lambda x, *_: x * float(x.numel()),
    "nothing": lambda *_: None,
    "number": lambda *_: 1.5,
    "text": lambda *_: "text",
    "empty": lambda *_: (),
    "no arguments": lambda: 0.0,
    "raises": _raises,
}  # fmt: skip
CALLABLES = tuple(_FUNCTIONS)


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
    base = np.random.default_rng(abs(seed)).normal(size=(3, 2))
    if kind == "read-only":
        base.flags.writeable = False
        return base
    if kind == "unaligned":
        return np.frombuffer(bytearray(49), np.uint8)[1:].view(np.float64).reshape(3, 2)
    return {
        "plain": base, "big-endian": base.astype(">f8"), "negative": base[::-1], "complex": base.astype(complex),
        "object": base.astype(object), "strings": np.array(["a", "b"]), "float16": base.astype(np.float16),
        "0-d": np.array(2.5), "0-d int": np.array(seed % 7), "1 int": np.array([seed % 7]), "mask": base > 0,
    }[kind]  # fmt: skip


_SIMPLE_MODULES: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda nn: nn.Linear(3, 3),
    "ReLU": lambda nn: nn.ReLU(),
    "TransformerEncoderLayer": lambda nn: nn.TransformerEncoderLayer(4, 2, 8),
    "TransformerDecoderLayer": lambda nn: nn.TransformerDecoderLayer(4, 2, 8),
    "BatchNorm1d": lambda nn: nn.BatchNorm1d(3),
    "Sequential": lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Sequential(nn.BatchNorm1d(3))),
    "Module": lambda nn: nn.Module(),
    "class": lambda nn: nn.Linear,
}
MODULES = tuple(_SIMPLE_MODULES)


def filled(lib: Any, module: Any) -> Any:
    """A module whose parameters are the same numbers in both libraries."""
    with lib.no_grad():
        for parameter in module.parameters() if isinstance(module, lib.nn.Module) else ():
            if lib.nn.parameter.is_lazy(parameter):
                continue
            numbers = np.linspace(-1.0, 1.0, parameter.numel()).reshape(tuple(parameter.shape))
            parameter.copy_(lib.from_numpy(numbers))
    return module


def build(lib: Any, recipe: Recipe, keep: list[Any]) -> Any:
    """The argument for one of the libraries; tensors are also appended to ``keep``."""
    kind, value = recipe
    if kind == "literal":
        return value
    if kind == "attribute":
        return getattr(lib, value)
    if kind == "array":
        return _array(*value)
    if kind == "scalar":
        return getattr(np, value[0])(value[1])
    if kind == "sequence":
        return value[0](build(lib, each, keep) for each in value[1])
    if kind == "mapping":
        return {name: build(lib, each, keep) for name, each in value}
    if kind == "slice":
        return slice(*[build(lib, each, keep) for each in value])
    if kind == "callable":
        return _FUNCTIONS[value]
    if kind == "module":
        return filled(lib, _SIMPLE_MODULES[value](lib.nn))
    if kind == "number":
        made = lib.tensor(value[1], dtype=getattr(lib, value[0]))
    elif kind == "sample":
        from tests.ops.samples import SAMPLES

        op, position, place, dtype, layout = value
        made = _laid_out(lib, np.array(SAMPLES[op][position].arrays(dtype)[place]), layout)
    else:
        dtype, shape, layout, fill, seed = value
        made = _laid_out(lib, content(dtype, shape, fill, seed), layout)
    keep.append(made)
    return made


def _laid_out(lib: Any, array: np.ndarray, layout: str) -> Any:
    """A tensor of these elements in some layout."""
    shape = array.shape
    if layout == "transposed" and len(shape) > 1:
        return lib.from_numpy(np.ascontiguousarray(array.T)).permute(*reversed(range(len(shape))))
    if layout == "stepped" and len(shape):
        wide = np.zeros((*shape[:-1], 2 * shape[-1] + 1), array.dtype)
        wide[..., 1::2] = array
        return lib.from_numpy(wide)[..., 1::2]
    if layout == "expanded" and len(shape) and shape[0]:
        return lib.from_numpy(array[:1].copy()).expand(*shape)
    if layout == "offset" and len(shape):
        return lib.from_numpy(np.concatenate([array, array]))[shape[0] :]
    if layout == "private" and len(shape) > 1 and lib.__name__ == "numgrad":
        from numgrad.layout import private_strides, strides_in_order
        from numgrad.tensor import creation

        plain = lib.from_numpy(array.copy())
        strides = strides_in_order(shape, tuple(reversed(range(len(shape)))))
        return creation.uninitialized(plain.dtype, shape, private_strides(shape, strides)).copy_(plain)
    made = lib.from_numpy(array.copy())
    if layout == "requires_grad" and array.dtype.name in FLOATS:
        made.requires_grad_()
    return made
