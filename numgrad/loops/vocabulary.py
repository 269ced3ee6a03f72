"""Functions that a program may call, by what they are in the language of statements."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.kernels import formula_words, scalar
from numgrad.runtime.kernel import Device

# Words of formulas, by name: what the texts call for everything that is no operator.
WORDS: dict[str, Device] = {
    name: value
    for module in (scalar, formula_words)
    for name, value in vars(module).items()
    if isinstance(value, Device)
}

# Python's operators, by their syntax.
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**", ast.BitAnd: "&",
    ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.USub: "neg", ast.Not: "not", ast.Invert: "invert",
}  # fmt: skip

# What to write instead of what is not in the language, by the kind of the syntax.
ADVICE = {
    "Await": "leave it outside of the function", "Dict": "take a tuple, or names of their own", "DictComp": "write the loop",
    "GeneratorExp": "write the loop", "Global": "return the value", "JoinedStr": "leave texts outside of the function",
    "Lambda": "define a function outside of this one, and call it by its name", "ListComp": "write the loop into an array",
    "Match": "write it by `if` and `elif`", "NamedExpr": "assign the value in a statement of its own",
    "Nonlocal": "return the value",
    "Set": "compare with each of them, joined by `or`", "SetComp": "write the loop", "With": "leave it outside of the function",
    "FunctionDef": "define the function outside of this one, and call it by its name",
    "ClassDef": "define it outside of the function",
    "Delete": "leave it out", "Try": "look at the condition before, by `if`", "Yield": "store the values in an array and return it",
    "YieldFrom": "store the values in an array and return it", "Import": "import at the top of the module",
    "ImportFrom": "import at the top of the module", "Starred": "name each of them", "Slice": "write the slice into the brackets",
}  # fmt: skip


# The same for functions of Python, by their names.
INSTEAD = {
    "print": "leave it outside, or debug what `source` gives", "zip": "loop over a range, and read both by the index",
    "list": "take an array or a tuple", "dict": "take a tuple, or names of their own", "set": "compare with each of them",
    "map": "write the loop", "filter": "write the loop", "sorted": "write the loop", "reversed": "take `a[::-1]`",
    "isinstance": "leave it outside of the function", "str": "leave texts outside of the function",
}  # fmt: skip


def instead_of(name: str) -> str:
    """What to do instead of calling a function that is not known."""
    return INSTEAD.get(name, "write it in numbers and loops, or declare its derivative by a rule")


def advice(node: Any) -> str:
    """What to do instead of some syntax."""
    return ADVICE.get(type(node).__name__, "write it by numbers, arrays and loops")


# One number from numbers. Names that end in _f give reals, as NumPy's functions do.
KNOWN: dict[Any, str] = {
    abs: "absolute", math.fabs: "absolute", np.abs: "absolute", np.fabs: "absolute", max: "max", min: "min",
    np.maximum: "max", np.minimum: "min", np.fmax: "max", np.fmin: "min", int: "int", float: "float", bool: "bool", pow: "**",
    math.pow: "**", np.power: "**", np.float_power: "**", np.sign: "sign", np.square: "square", round: "round", np.rint: "round_f",
    math.floor: "floor", math.ceil: "ceil", math.trunc: "trunc", np.floor: "floor_f", np.ceil: "ceil_f", np.trunc: "trunc_f",
    np.where: "where", np.float64: "float", np.float32: "float32", np.int64: "int", np.int32: "int", np.bool_: "bool",
    np.clip: "clip",
    math.isnan: "isnan", np.isnan: "isnan", math.isinf: "isinf", np.isinf: "isinf", math.isfinite: "isfinite",
    np.isfinite: "isfinite", np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.negative: "neg",
    np.floor_divide: "//", np.mod: "%", np.logical_and: "and", np.logical_or: "or", np.logical_not: "not",
    math.radians: "radians", math.degrees: "degrees", np.deg2rad: "radians", np.rad2deg: "degrees", np.reciprocal: "reciprocal",
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==", np.not_equal: "!=",
}  # fmt: skip
_SAME = "exp log sqrt sin cos tan sinh cosh tanh expm1 log1p log2 log10 exp2 hypot erf erfc fmod copysign".split()
FUNCTIONS = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
} | dict(zip(_SAME, _SAME, strict=True))
for _name, _in_numpy in FUNCTIONS.items():
    for _module, _attribute in ((math, _name), (np, _in_numpy)):
        if hasattr(_module, _attribute):
            KNOWN[getattr(_module, _attribute)] = _name
KNOWN |= {WORDS[n]: n for n in FUNCTIONS if n in WORDS} | {WORDS["sigmoid"]: "sigmoid", WORDS["where"]: "where"}
ARGUMENTS = {"where": 3, "clip": 3} | dict.fromkeys(
    "** hypot atan2 fmod copysign + - * / // % and or < <= > >= == !=".split(), 2
)  # fmt: skip
EXPENSIVE = frozenset(FUNCTIONS) - {"sqrt", "copysign", "fmod"} | {"sigmoid", "tanh_slope"}

# What the texts of sweeps call: no name of the user's may hide it.
RESERVED = frozenset(WORDS) | frozenset(FUNCTIONS) | frozenset(
    "math np abs bool float int len max min range round fork_parts add_in_any_order independent_turns tape_ahead".split()
    + [f"room{ndim}" for ndim in range(1, 7)]
)  # fmt: skip


def safe_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names that parameters have in the texts of sweeps: their own, but for those that would hide a function."""
    safe: list[str] = []
    for name in names:
        while name in RESERVED or name in safe or (safe and name in names[len(safe) + 1 :]):
            name += "_"
        safe.append(name)
    return tuple(safe)


MAKERS: dict[Any, float | None] = {
    np.zeros: 0.0, np.empty: None, np.ones: 1.0, np.zeros_like: 0.0, np.empty_like: None, np.ones_like: 1.0, np.full: None,
    np.full_like: None,
}  # fmt: skip
LIKE = {np.zeros_like, np.empty_like, np.ones_like, np.full_like}
# Functions of whole arrays, and methods with the same names.
WHOLE_ARRAY: dict[Any, str] = {
    np.sum: "sum", sum: "sum", np.mean: "mean", np.prod: "prod", np.max: "max", np.amax: "max", np.min: "min", np.amin: "min",
    np.argmax: "argmax", np.argmin: "argmin", np.dot: "dot", np.matmul: "dot", np.vdot: "dot", np.inner: "dot", np.cumsum: "cumsum",
    np.copy: "copy", np.asarray: "same", np.array: "copy", np.ascontiguousarray: "copy", np.transpose: "transpose",
    np.linalg.norm: "norm", np.outer: "outer", np.any: "any", np.all: "all", np.trace: "trace", np.diag: "diag", np.var: "var",
    np.std: "std", np.arange: "arange", np.linspace: "linspace", np.eye: "eye", np.identity: "eye", np.ravel: "ravel",
}  # fmt: skip
METHODS = {
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "argmax",
    "argmin",
    "dot",
    "cumsum",
    "copy",
    "transpose",
    "any",
    "all",
    "var",
    "std",
}

# Opaque functions, by what is called: the function itself, and that of its partial derivatives.
RULES: dict[Any, tuple[Callable[..., Any], Callable[..., Any]]] = {}


def declare_rule(function: Callable[..., Any], slopes: Callable[..., Any]) -> None:
    """Say what the partial derivatives of a function of numbers are, whose own text is not read.

    ``slopes(*args)`` returns one number for a function of one number, else a tuple with one for each argument.
    """
    RULES[getattr(function, "py_func", function)] = (function, slopes)


def find(table: dict[Any, Any], value: Any) -> Any:
    """The entry of a value, or None; values that have no hash have none."""
    try:
        return table.get(value)
    except TypeError:
        return None
