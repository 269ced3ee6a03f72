"""Numbers that carry their derivatives: an oracle that shares nothing with the transformation of programs.

A function's own text runs in plain Python, with `math` and `np` replaced by words that know `Dual` (`scope`). Nothing of the
library is imported here. A `Dual` carries its gradient by all inputs, and, where a direction was given, what the direction
does to value and gradient: so the derivative along it and the Hessian times it are exact, too.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import math as _math
import operator
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as _np

_TIES: list[Any] = []
Rule = Callable[..., tuple[float, tuple[float, ...], tuple[tuple[float, ...], ...]]]


class Dual:
    """A number with derivatives.

    Attributes
    ----------
    value
        The number.
    grad
        Its derivatives by all inputs, an array.
    along
        Its derivative along the direction; 0 if there is none.
    turned
        The derivatives of ``along`` by all inputs; None where no direction was given.
    """

    __slots__ = ("along", "grad", "turned", "value")

    def __init__(self, value: float, grad: _np.ndarray, along: float = 0.0, turned: _np.ndarray | None = None) -> None:
        self.value, self.grad, self.along, self.turned = value, grad, along, turned

    def __repr__(self) -> str:
        return f"Dual({self.value}, {self.grad})"

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __round__(self, digits: int | None = None) -> int:
        return round(self.value)

    def __floor__(self) -> int:
        return _math.floor(self.value)

    def __ceil__(self) -> int:
        return _math.ceil(self.value)

    def __floordiv__(self, other: Any) -> float:
        return self.value // plain(other)

    def __rfloordiv__(self, other: Any) -> float:
        return other // self.value

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __pos__(self) -> Dual:
        return self

    def __hash__(self) -> int:
        return id(self)


def ties() -> int:
    """How many comparisons were of equal numbers with different derivatives, since `forget_ties`."""
    return len(_TIES)


def forget_ties() -> None:
    """Count comparisons of equal numbers anew."""
    _TIES.clear()


def plain(x: Any) -> Any:
    """The number alone."""
    return x.value if isinstance(x, Dual) else x


def apply(rule: Rule, *operands: Any) -> Any:
    """The function with this rule: ``rule(*values)`` is its value, its slopes, and its second derivatives."""
    value, slopes, curves = rule(*[plain(x) for x in operands])
    inputs = [(k, x) for k, x in enumerate(operands) if isinstance(x, Dual)]
    if not inputs:
        return value
    grad = sum(slopes[k] * x.grad for k, x in inputs)
    if inputs[0][1].turned is None:
        return Dual(value, grad)
    along = sum(slopes[k] * x.along for k, x in inputs)
    turned = sum(slopes[k] * x.turned for k, x in inputs)
    for j, x in inputs:
        for k, y in inputs:
            if curves[j][k] and x.along:
                turned = turned + curves[j][k] * x.along * y.grad
    return Dual(value, grad, along, turned)


# ---- rules: value, slopes, second derivatives -------------------------------------------------------------------


def _power(x: float, y: float) -> Any:
    value = x**y
    log = _math.log(x) if x > 0 else 0.0  # a power of what is not positive has no derivative by its exponent
    slope = y * x ** (y - 1) if y else 0.0
    bend = y * (y - 1) * x ** (y - 2) if y not in (0, 1) else 0.0
    cross = x ** (y - 1) * (1 + y * log) if x > 0 else 0.0
    return value, (slope, value * log), ((bend, cross), (cross, value * log * log))


def _quotient(x: float, y: float) -> Any:
    return x / y, (1 / y, -x / y / y), ((0.0, -1 / y / y), (-1 / y / y, 2 * x / y / y / y))


def _arctan2(y: float, x: float) -> Any:
    r = x * x + y * y
    cross = (y * y - x * x) / r / r
    return _math.atan2(y, x), (x / r, -y / r), ((-2 * x * y / r / r, cross), (cross, 2 * x * y / r / r))


def _hypotenuse(x: float, y: float) -> Any:
    r = _math.hypot(x, y)
    return r, (x / r, y / r), ((y * y / r**3, -x * y / r**3), (-x * y / r**3, x * x / r**3))


_NONE = ((0.0, 0.0), (0.0, 0.0))
_BINARY: dict[str, Rule] = {
    "add": lambda x, y: (x + y, (1.0, 1.0), _NONE),
    "sub": lambda x, y: (x - y, (1.0, -1.0), _NONE),
    "mul": lambda x, y: (x * y, (y, x), ((0.0, 1.0), (1.0, 0.0))),
    "truediv": _quotient,
    "pow": _power,
    "mod": lambda x, y: (x % y, (1.0, -float(_math.floor(x / y))), _NONE),
}


def _one(f: Callable[[float], float], slope: Callable[[float], float], bend: Callable[[float], float]) -> Rule:
    return lambda x: (f(x), (slope(x),), ((bend(x),),))


def _sign(x: float) -> float:
    return float(x > 0) - float(x < 0)


_SQRT_PI = _math.sqrt(_math.pi)
_UNARY: dict[str, Rule] = {
    "neg": _one(operator.neg, lambda x: -1.0, lambda x: 0.0),
    "abs": _one(abs, _sign, lambda x: 0.0),
    "exp": _one(_math.exp, _math.exp, _math.exp),
    "expm1": _one(_math.expm1, _math.exp, _math.exp),
    "log": _one(_math.log, lambda x: 1 / x, lambda x: -1 / x / x),
    "log1p": _one(_math.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "sqrt": _one(_math.sqrt, lambda x: 0.5 / _math.sqrt(x), lambda x: -0.25 / x / _math.sqrt(x)),
    "sin": _one(_math.sin, _math.cos, lambda x: -_math.sin(x)),
    "cos": _one(_math.cos, lambda x: -_math.sin(x), lambda x: -_math.cos(x)),
    "tan": _one(_math.tan, lambda x: 1 + _math.tan(x) ** 2, lambda x: 2 * _math.tan(x) * (1 + _math.tan(x) ** 2)),
    "sinh": _one(_math.sinh, _math.cosh, _math.sinh),
    "cosh": _one(_math.cosh, _math.sinh, _math.cosh),
    "tanh": _one(_math.tanh, lambda x: 1 - _math.tanh(x) ** 2, lambda x: -2 * _math.tanh(x) * (1 - _math.tanh(x) ** 2)),
    "atan": _one(_math.atan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "asin": _one(_math.asin, lambda x: 1 / _math.sqrt(1 - x * x), lambda x: x / (1 - x * x) ** 1.5),
    "acos": _one(_math.acos, lambda x: -1 / _math.sqrt(1 - x * x), lambda x: -x / (1 - x * x) ** 1.5),
    "erf": _one(
        _math.erf,
        lambda x: 2 / _SQRT_PI * _math.exp(-x * x),
        lambda x: -4 * x / _SQRT_PI * _math.exp(-x * x),
    ),
}


def _operators() -> None:
    def both(rule: Rule) -> tuple[Any, Any]:
        def left(x: Dual, y: Any) -> Any:
            return NotImplemented if isinstance(y, _np.ndarray) else apply(rule, x, y)

        def right(x: Dual, y: Any) -> Any:
            return NotImplemented if isinstance(y, _np.ndarray) else apply(rule, y, x)

        return left, right

    def compared(name: str) -> Any:
        def compare(x: Dual, y: Any) -> Any:
            if isinstance(y, _np.ndarray):
                return NotImplemented
            if x.value == plain(y) and not _np.array_equal(x.grad, y.grad if isinstance(y, Dual) else 0 * x.grad):
                _TIES.append(x)
            return getattr(operator, name)(x.value, plain(y))

        return compare

    for name, rule in _BINARY.items():
        left, right = both(rule)
        setattr(Dual, f"__{name}__", left)
        setattr(Dual, f"__r{name}__", right)
    for name in ("neg", "abs"):
        setattr(Dual, f"__{name}__", lambda x, rule=_UNARY[name]: apply(rule, x))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Dual, f"__{name}__", compared(name))


_operators()


# ---- words: what a program's `math` and `np` are ----------------------------------------------------------------


def _each(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers, on arrays of them as well."""

    def word(*operands: Any) -> Any:
        if any(isinstance(x, _np.ndarray) for x in operands):
            return _np.frompyfunc(f, len(operands), 1)(*operands)
        return f(*operands)

    return word


def _word(rule: Rule) -> Callable[..., Any]:
    return _each(lambda *operands: apply(rule, *operands))


def _filled(value: float) -> Callable[..., Any]:
    def make(shape: Any, dtype: Any = None) -> _np.ndarray:
        if dtype is not None and _np.dtype(dtype).kind in "ib":
            return _np.full(shape, int(value), dtype)
        return _np.full(shape, value, object)

    return make


def _like(value: float) -> Callable[..., Any]:
    return lambda a: _np.full(a.shape, value, a.dtype)


def _largest(a: _np.ndarray) -> Any:
    found = a.reshape(-1)[0]
    for x in a.reshape(-1)[1:]:
        found = x if x > found else found
    return found


def _smallest(a: _np.ndarray) -> Any:
    found = a.reshape(-1)[0]
    for x in a.reshape(-1)[1:]:
        found = x if x < found else found
    return found


def _place(better: Callable[[Any, Any], bool]) -> Callable[[_np.ndarray], int]:
    def find(a: _np.ndarray) -> int:
        best = 0
        for k in range(1, a.size):
            best = k if better(a.reshape(-1)[k], a.reshape(-1)[best]) else best
        return best

    return find


math = SimpleNamespace(
    **{name: _word(rule) for name, rule in _UNARY.items() if name not in ("neg", "abs")},
    pi=_math.pi, e=_math.e, inf=_math.inf, atan2=_word(_arctan2), hypot=_word(_hypotenuse), pow=_word(_power),
    fabs=_word(_UNARY["abs"]), floor=lambda x: _math.floor(plain(x)), ceil=lambda x: _math.ceil(plain(x)),
)  # fmt: skip
np = SimpleNamespace(
    **{name: word for name, word in vars(math).items() if name not in ("atan", "asin", "acos", "atan2", "pow")},
    arctan=math.atan, arcsin=math.asin, arccos=math.acos, arctan2=math.atan2, power=math.pow, abs=math.fabs,
    square=_each(lambda x: x * x), sign=_each(lambda x: _sign(plain(x))),
    maximum=_each(lambda x, y: x if x >= y else y), minimum=_each(lambda x, y: x if x <= y else y),
    where=_each(lambda c, x, y: x if c else y),
    zeros=_filled(0.0), ones=_filled(1.0), empty=_filled(0.0), full=lambda shape, v: _np.full(shape, v, object),
    zeros_like=_like(0.0), ones_like=_like(1.0), empty_like=_like(0.0), copy=lambda a: a.copy(),
    sum=lambda a: a.sum(), mean=lambda a: a.sum() / a.size, dot=lambda a, b: a @ b, cumsum=lambda a: a.cumsum(),
    max=_largest, min=_smallest, argmax=_place(operator.gt), argmin=_place(operator.lt),
    arange=lambda *a: _np.arange(*a), int64=_np.int64, float64=lambda x: x, float32=lambda x: x, bool_=_np.bool_,
)  # fmt: skip
WORDS: dict[str, Any] = {"math": math, "np": np, "float": lambda x: x, "prange": range}


def scope(text: str, name: str, words: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a program's text defines, its `import` statements left out, and these words in their place.

    Tracebacks and `inspect` find its lines.
    """
    tree = ast.parse(text)
    kept = "\n".join(
        "" if any(isinstance(s, ast.Import | ast.ImportFrom) and s.lineno == n for s in tree.body) else line
        for n, line in enumerate(text.splitlines(), 1)
    )
    file = f"<{name}>"
    linecache.cache[file] = (len(kept), None, kept.splitlines(keepends=True), file)
    made = {"__name__": name, **(WORDS if words is None else words)}
    exec(compile(kept, file, "exec"), made)
    return made


def twin(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a module as one of duals: the module's text, run again with the words above."""
    module = inspect.getmodule(function)
    assert isinstance(module, ModuleType)
    found: Callable[..., Any] = scope(inspect.getsource(module), f"{module.__name__} of duals")[function.__name__]
    return found


# ---- arguments and results --------------------------------------------------------------------------------------


def lift(args: Sequence[Any], wrt: Sequence[int], way: Sequence[Any] | None = None) -> tuple[list[Any], int]:
    """Copies of arguments whose numbers are inputs, and how many of these there are.

    ``wrt`` are the places of the arguments that count; ``way`` has the direction, one thing for each of these.
    """
    total = sum(_np.size(args[k]) for k in wrt)
    ways = _np.concatenate([_np.ravel(w) for w in way]) if way is not None else None
    unit = _np.eye(total)
    zero = _np.zeros(total)
    count = iter(range(total))

    def one(value: float) -> Dual:
        k = next(count)
        return Dual(float(value), unit[k]) if ways is None else Dual(float(value), unit[k], float(ways[k]), zero)

    made: list[Any] = [a.copy() if isinstance(a, _np.ndarray) else a for a in args]
    for k in sorted(wrt):
        if isinstance(args[k], _np.ndarray):
            made[k] = _np.empty(args[k].shape, object)
            for index in _np.ndindex(args[k].shape):
                made[k][index] = one(args[k][index])
        else:
            made[k] = one(args[k])
    return made, total


def flat(result: Any) -> list[Any]:
    """All numbers in a result, in order."""
    if isinstance(result, tuple | list):
        return [x for each in result for x in flat(each)]
    if isinstance(result, _np.ndarray):
        return list(result.reshape(-1))
    return [] if result is None else [result]


def weighted(
    numbers: Sequence[Any], weights: Sequence[float], total: int
) -> tuple[float, _np.ndarray, float, _np.ndarray]:
    """Value, gradient, derivative along the direction and its gradient, of a weighted sum."""
    value, grad, along, turned = 0.0, _np.zeros(total), 0.0, _np.zeros(total)
    for x, w in zip(numbers, weights, strict=True):
        value += w * plain(x)
        if isinstance(x, Dual):
            grad += w * x.grad
            if x.turned is not None:
                along += w * x.along
                turned += w * x.turned
    return value, grad, along, turned
