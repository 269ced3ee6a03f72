"""Random statements over tensors, as Python text that means the same in numgrad and in torch.

A `Writer` runs what it writes in torch, so that it knows the shapes and dtypes that the next statement can use. Names:
``lib`` is the library, ``F`` its ``nn.functional``; t0, t1 ... are tensors, n0, n1 ... arrays over their memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng

INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float32", "float64")
DTYPES = ("bool", *INTEGERS, *FLOATS)
MOST_ELEMENTS = 400
SPECIAL = [
    "nan",
    "inf",
    "-inf",
    "0.0",
    "-0.0",
    "1e30",
    "-1e30",
    "1e-30",
    "3e38",
    "100.0",
    "-100.0",
    "16777217.0",
    "0.5",
]


class Statement(NamedTuple):
    """A line of a program, the name that it defines ('' if none), and the template that it is from."""

    text: str
    defines: str
    kind: str


# What statements of the whole surface call.
HELPERS = """\
def fit(t, shape):
    t = t.reshape(-1)[lib.from_numpy(np.resize(np.arange(t.numel()), shape))].nan_to_num(0.25, 2.0, -2.0).clamp(-8, 8)
    return t + lib.arange(t.numel(), dtype=t.dtype).reshape(shape) / 128
def well(m): return m * 0.1 + lib.arange(1.0, m[0].numel() + 1, dtype=m.dtype).cos().reshape(m.shape[1:]) + \\
    3 * lib.eye(m.shape[-2], m.shape[-1], dtype=m.dtype)
def definite(m): return m @ m.T / 9 + lib.diag(lib.arange(1.0, len(m) + 1, dtype=m.dtype))
def parts(r): return [p for each in r for p in parts(each)] if isinstance(r, (tuple, list)) and r else [r]
def part(r, k): return parts(r)[k % len(parts(r))]
def told(r): return str([(str(p.dtype).rpartition(".")[2], list(p.shape)) for p in parts(r)])
"""


class Names(dict[str, Any]):
    """The names that a program in one library has."""

    def __init__(self, lib: ModuleType) -> None:
        super().__init__(lib=lib, F=lib.nn.functional, np=np, inf=float("inf"), nan=float("nan"))
        self.run(HELPERS)

    def run(self, text: str) -> None:
        """Run a statement."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            exec(compile(text, "<program>", "exec"), self)


Template = Callable[["Writer", str], "str | None"]
EXPRESSIONS: dict[
    str, tuple[str, Template]
] = {}  # by name: the group, and what writes an expression of a tensor's name
ACTIONS: dict[str, tuple[str, Template]] = {}  # the same for statements that define nothing


def expression(group: str, name: str, template: Template) -> None:
    EXPRESSIONS[name] = group, template


def action(group: str, name: str, template: Template) -> None:
    ACTIONS[name] = group, template


class Writer:
    """Writes a program of one of three flavours: of mixed dtypes, of special values, of images."""

    def __init__(self, torch: ModuleType, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.names = Names(torch)
        self.statements: list[Statement] = []
        self.tensors: list[str] = []
        self.arrays: list[str] = []
        self.flavour = self.choice(["mixed", "mixed", "special", "images", "images", "floats"])

    # ---- drawing ------------------------------------------------------------------------------------------------

    def choice(self, options: Any) -> Any:
        options = list(options)
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def below(self, count: int) -> int:
        return int(self.rng.integers(count))

    def __getitem__(self, name: str) -> Any:
        return self.names[name] if name in self.names else eval(name, self.names)

    def pick(self, fits: Callable[[Any], bool] = lambda t: True) -> str | None:
        """A tensor's name; the later it was made the likelier."""
        fitting = [name for name in self.tensors if fits(self[name])]
        if not fitting:
            return None
        return fitting[max(-1 - int(self.rng.exponential(2.5)), -len(fitting))]

    def value(self, dtype: str) -> str:
        """A number as an element of this dtype, as text."""
        if dtype == "bool":
            return self.choice(["True", "False"])
        if dtype in INTEGERS:
            info = np.iinfo(dtype)
            if self.flavour == "special" and self.chance(0.3):
                return str(self.choice([info.min, info.max, info.max - 1, 0]))
            return str(int(self.rng.integers(0 if info.min == 0 else -4, 6)))
        if self.flavour == "special" and self.chance(0.4):
            return self.choice(SPECIAL)
        return str(int(self.rng.integers(-160, 160)) / 64)

    def literal(self, dtype: str, shape: tuple[int, ...]) -> str:
        """Nested lists of values."""
        if not shape:
            return self.value(dtype)
        return "[" + ", ".join(self.literal(dtype, shape[1:]) for _ in range(shape[0])) + "]"

    def dtype(self) -> str:
        if self.flavour in ("images", "floats"):
            return self.choice(["float32"] * 4 + ["float64"] * 3 + ["int64", "bool"])
        return self.choice(
            [*DTYPES, *["float32"] * 6, *["float64"] * 4, *["int64"] * 4, "bool", "bool", "uint8", "int32"]
        )

    def number(self, dtype: str | None = None) -> str:
        """A Python number or NumPy's, of any dtype."""
        dtype = dtype or self.dtype()
        text = self.value(dtype)
        if self.chance(0.35):
            return f"np.{'bool_' if dtype == 'bool' else dtype}({text})"
        if text.startswith("-"):
            return f"({text})"
        return text

    def operand(self, x: str) -> str:
        """Something that broadcasts with a tensor: a tensor or a number."""
        shape = self[x].shape
        if self.chance(0.45):
            return self.number()

        def fits(t: Any) -> bool:
            pairs = zip(reversed(t.shape), reversed(shape), strict=False)
            return all(n in (1, m) for n, m in pairs) and t.ndim <= len(shape)

        name = self.pick(fits)
        return self.number() if name is None or self.chance(0.05) else name

    def small(self) -> str:
        """A number near 1, of Python."""
        return self.choice(["0.5", "2.0", "-1.5", "2", "-1", "1", "True", "0"])

    def dim(self, x: str) -> int:
        ndim = self[x].ndim
        return int(self.rng.integers(-ndim, ndim)) if ndim else self.choice([0, -1])

    def dims(self, x: str) -> str:
        """The dimensions of a reduction: none, one, or some."""
        ndim = self[x].ndim
        if ndim == 0 or self.chance(0.3):
            return ""
        if ndim == 1 or self.chance(0.5):
            return str(self.dim(x))
        some = self.rng.permutation(ndim)[: int(self.rng.integers(1, ndim + 1))]
        return str(tuple(int(d) - (ndim if self.chance(0.5) else 0) for d in some))

    def index(self, extent: int, count: int) -> str:
        """A tensor of indices of a dimension, some of them negative; seldom one that is out of range, or of few bits."""
        if extent == 0:
            return "lib.tensor([0])"
        low = 0 if self.chance(0.3) else -extent
        numbers = [int(n) for n in self.rng.integers(low, extent, count)]
        if self.chance(0.06):
            numbers[0] = self.choice([extent, -extent - 1])
        dtype = self.choice(["int64"] * 5 + ["int32", "int16", "int8", "uint8"])
        if dtype == "uint8":
            numbers = [abs(n) for n in numbers]
        return f"lib.tensor({numbers}, dtype=lib.{dtype})"

    def mask(self, x: str) -> str:
        name = self.pick(lambda t: str(t.dtype) == "torch.bool" and t.shape == self[x].shape)
        return name if name and self.chance(0.5) else f"({x}.detach() > {self.choice(['0', '0.5', '2', '1', '2.0'])})"

    # ---- writing ------------------------------------------------------------------------------------------------

    def say(self, text: str, defines: str = "", kind: str = "") -> Exception | None:
        """Run a statement in torch and keep it, unless its result is too large; the error that it raised."""
        try:
            self.names.run(text)
        except Exception as error:  # which the other library has to raise, too
            self.statements.append(Statement(text, defines, kind))
            return error
        if defines:
            made = self[defines]
            if isinstance(made, np.ndarray):
                self.arrays.append(defines)
            elif hasattr(made, "stride"):
                if made.numel() > MOST_ELEMENTS:
                    del self.names[defines]
                    return None
                if defines not in self.tensors:
                    self.tensors.append(defines)
        self.statements.append(Statement(text, defines, kind))
        return None

    def say_if(self, text: str, defines: str, kind: str) -> bool:
        """As `say`, but of what torch refuses most is dropped; whether it took it."""
        before = len(self.statements)
        if self.say(text, defines, kind) is None:
            return len(self.statements) > before
        if not self.chance(0.2) or sum(1 for s in self.statements if s.kind == kind) > 3:
            del self.statements[before:]
        return False

    def fresh(self) -> str:
        return f"t{sum(1 for s in self.statements if s.defines)}"

    def start(self) -> None:
        """Write the leaves."""
        shapes: list[tuple[int, ...]] = [(3, 4), (4,), (), (3, 1), (2, 3, 4), (3, 4)]
        if self.flavour == "images":
            shapes = [(2, 3, 5, 6), (4, 3, 2, 2), (4,), (3, 5), (2, 3, 4, 4)]
        if self.chance(0.08):
            shapes[3] = (0, 4)
        float_dtype = self.choice(FLOATS)
        for k, shape in enumerate(shapes):
            same = self.flavour == "images" and self.chance(0.93)
            dtype = float_dtype if same else self.dtype()
            needs = dtype in FLOATS and self.chance(0.6)
            text = f"lib.tensor({self.literal(dtype, shape)}, dtype=lib.{dtype}"
            layout = self.below(10)
            if needs and layout > 1:
                text += ", requires_grad=True"
            text += ")"
            if layout == 0 and len(shape) > 1:
                order = [int(d) for d in self.rng.permutation(len(shape))]
                text += f".permute{tuple(order)}.contiguous().permute{tuple(int(d) for d in np.argsort(order))}"
            elif layout == 1 and len(shape) > 0 and shape[0] > 0:
                text += f".expand(3, {'-1, ' * len(shape)})" if len(shape) < 3 else "[..., ::2]"
            if needs and layout <= 1:
                text += ".requires_grad_()"
            self.say(f"t{k} = {text}", f"t{k}", "leaf")

    def write(self) -> list[Statement]:
        self.start()
        groups = {**{n: g for n, (g, _) in EXPRESSIONS.items()}, **{n: g for n, (g, _) in ACTIONS.items()}}
        weights = WEIGHTS["images" if self.flavour == "images" else "other"]
        by_group: dict[str, list[str]] = {}
        for name, group in groups.items():
            by_group.setdefault(group, []).append(name)
        drawn = [group for group in by_group for _ in range(weights.get(group, 4))]
        refused = 0
        count = int(self.rng.integers(3, 16))
        while len(self.statements) < count + 6:
            kind = self.choice(by_group[self.choice(drawn)])
            x = self.pick()
            if x is None:
                break
            defines = ""
            if kind in EXPRESSIONS:
                text = EXPRESSIONS[kind][1](self, x)
                if text is None:
                    continue
                defines = self.fresh()
                if ".numpy()" in text:
                    defines = f"n{defines[1:]}"
                text = f"{defines} = {text}"
            else:
                text = ACTIONS[kind][1](self, x)
                if text is None:
                    continue
                name, _, _ = text.partition(" ")
                if text.startswith(f"{x} ") and name == x:
                    defines = x  # an operator in place binds the name anew
            if (
                defines in ("",)
                or kind in ACTIONS
                or not self.chance(0.06)
                or groups[kind] in ("view", "gradient", "numpy")
            ):
                pass
            else:
                text = f"with lib.no_grad(): {text}"
            before = len(self.statements)
            error = self.say(text, defines, kind)
            if error is not None:
                refused += 1
                if refused > 3:  # a program of errors says little
                    del self.statements[before:]
                    refused -= 1
        return self.statements


# Other groups have a weight of 4.
WEIGHTS = {
    "images": {"layer": 14, "activation in place": 6, "view": 9, "data": 6, "numpy": 5, "gradient": 6, "bits": 1},
    "other": {"layer": 3, "binary": 9, "operator in place": 9, "method in place": 9, "view": 7, "index": 7, "write": 6},
}


def has(name: str) -> bool:
    """Whether numgrad has this method."""
    return hasattr(ng.Tensor, name)


def programs_of(torch: ModuleType, seed: int) -> list[Statement]:
    """The program of this seed."""
    return Writer(torch, seed).write()
