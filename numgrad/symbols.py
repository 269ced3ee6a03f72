"""Symbols: numbers that note what is computed from them and what is decided by them.

A planning function that is run once on symbols in the place of sizes (`Trace`) leaves a straight line of arithmetic and a list
of guards: the decisions that it took. For other sizes that pass all guards it would take the same way, prove the same things
and arrive at the values of that arithmetic. So its plans for new sizes are made by evaluating the line (`Trace.function`), in
a few microseconds, without running it again.

A symbol is no int, so C code cannot read its digits unseen; each way by which its value leaves (an index, a hash, a text, a
truth value) is a guard that it is the same again. What has no rule here is an error, and the trace is given up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, NoReturn

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "/": operator.truediv,
    "%": operator.mod,
    "**": operator.pow,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_COMPARED: dict[str, tuple[Callable[[Any, Any], bool], str]] = {  # with the opposite, among ints
    "==": (operator.eq, "!="),
    "!=": (operator.ne, "=="),
    "<": (operator.lt, ">="),
    "<=": (operator.le, ">"),
    ">": (operator.gt, "<="),
    ">=": (operator.ge, "<"),
}
_NEUTRAL = {("+", 0), ("-", 0), ("*", 1), ("//", 1), ("<<", 0), (">>", 0)}  # (operator, right operand): nothing happens


class Trace:
    """The arithmetic and the guards of one run on symbols, for arguments with these values."""

    def __init__(self, values: Sequence[int]) -> None:
        self.arguments = [Symbol(self, f"a{position}", value) for position, value in enumerate(values)]
        self.globals: dict[str, Any] = {
            "inf": float("inf"),
            "nan": float("nan"),
        }  # what the text of `function` refers to
        self._lines: list[tuple[str, str, tuple[Symbol, ...]]] = []  # name, or '' for a guard; text; symbols in it
        self._known: dict[str, Symbol] = {}  # by text
        self._guarded: set[str] = set()

    def __enter__(self) -> Trace:
        traces.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Symbols that a cache has kept are constants from now on."""
        traces.remove(self)
        for symbol in (*self.arguments, *self._known.values()):
            symbol.is_fixed = True

    def call(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(*arguments)``, as a symbol if an argument is one; it must depend on nothing else."""
        values = [value_of(each) for each in arguments]
        self.globals[name] = function
        return self._computed(f"{name}({', '.join(map(self.text, arguments))})", function(*values), arguments)

    def text(self, value: Any) -> str:
        """A number as text: the name of a symbol of this trace, unless a guard says what it is; else its digits."""
        if type(value) is Symbol:
            if self._is_open(value):
                return value.name
            value = value.value
        if value.__class__ is bool or not isinstance(value, (int, float)):
            return repr(value)
        digits = repr(int(value) if isinstance(value, int) else float(value))
        return f"({digits})" if digits[0] == "-" else digits

    def binary(self, sign: str, left: Any, right: Any) -> Any:
        """The result of a binary operator."""
        values = value_of(left), value_of(right)
        if values[0].__class__ is int and values[1].__class__ is int:
            if not self._is_open(right) and (sign, values[1]) in _NEUTRAL:
                return left
            if not self._is_open(left) and sign in "+*" and (sign, values[0]) in _NEUTRAL:
                return right
        text = f"({self.text(left)} {sign} {self.text(right)})"
        return self._computed(text, _BINARY[sign](*values), (left, right))

    def _computed(self, text: str, value: Any, operands: Sequence[Any]) -> Any:
        symbols = tuple([each for each in operands if self._is_open(each)])
        if not symbols:
            return value
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = Symbol(self, f"t{len(self._known)}", value)
            self._lines.append((known.name, text, symbols))
        return known

    def _is_open(self, value: Any) -> bool:
        return type(value) is Symbol and value.trace is self and not value.is_fixed

    def compare(self, sign: str, left: Any, right: Any) -> bool:
        """The result of a comparison, which becomes a guard."""
        function, opposite = _COMPARED[sign]
        holds = bool(function(value_of(left), value_of(right)))
        symbols = tuple([each for each in (left, right) if self._is_open(each)])
        texts = self.text(left), self.text(right)
        ints = value_of(left).__class__ is not float and value_of(right).__class__ is not float
        if symbols and not (ints and texts[0] == texts[1]):
            if not holds and ints:
                sign = opposite
            text = f"{texts[0]} {sign} {texts[1]}"
            self._guard(text if holds or ints else f"not {text}", symbols)
        return holds

    def _guard(self, text: str, symbols: tuple[Symbol, ...]) -> None:
        if text not in self._guarded:
            self._guarded.add(text)
            self._lines.append(("", text, symbols))

    def fix(self, symbol: Symbol) -> Any:
        """The value of a symbol, which is a constant from now on."""
        if not symbol.is_fixed:
            self._guard(f"{symbol.name} == {symbol.value!r}", (symbol,))
            symbol.is_fixed = True
        return symbol.value

    def function(self, name: str, ending: Sequence[str], results: Iterable[Any]) -> Callable[..., Any]:
        """``name(*arguments)``: None where a guard fails, else what the lines of the ``ending`` return.

        ``results`` are the values whose `text` the ending has; the ending may refer to `globals`.
        """
        needed = {each.name for each in results if self._is_open(each)}
        kept: list[str] = []
        for target, text, symbols in reversed(self._lines):
            if target and target not in needed:
                continue
            needed.update(each.name for each in symbols)
            kept.append(f"    {target} = {text}" if target else f"    if not ({text}): return None")
        source = [f"def {name}({', '.join(each.name for each in self.arguments)}):", *reversed(kept)]
        namespace = dict(self.globals)
        exec("\n".join([*source, *(f"    {line}" for line in ending)]), namespace)
        function: Callable[..., Any] = namespace[name]
        return function


traces: list[Trace] = []  # that are open, of all threads


def are_in(numbers: Iterable[Any]) -> bool:
    """Whether one of the numbers is a symbol."""
    return any(type(number) is Symbol for number in numbers)


def value_of(value: Any) -> Any:
    """The number behind a symbol, for what is noted in another way; any other value as it is."""
    return value.value if type(value) is Symbol else value


def _binary(sign: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    def forward(self: Symbol, other: Any) -> Any:
        return _trace_of(self, other).binary(sign, self, other) if isinstance(other, (int, float)) else NotImplemented

    def reflected(self: Symbol, other: Any) -> Any:
        return self.trace.binary(sign, other, self) if isinstance(other, (int, float)) else NotImplemented

    return forward, reflected


def _compared(sign: str) -> Callable[[Any, Any], Any]:
    def comparison(self: Symbol, other: Any) -> Any:
        return _trace_of(self, other).compare(sign, self, other) if isinstance(other, (int, float)) else NotImplemented

    return comparison


def _trace_of(symbol: Symbol, other: Any) -> Trace:
    """The trace that notes an operation: of two, that which is open."""
    if type(other) is not Symbol or other.is_fixed or other.trace is symbol.trace:
        return symbol.trace
    if not symbol.is_fixed:
        raise TypeError("symbols of two traces meet")
    return other.trace


class Symbol:
    """A number in a trace: ``isinstance(symbol, int)`` holds as for its value, and so do the tests of proofs."""

    __slots__ = ("is_fixed", "name", "trace", "value")
    __array_ufunc__ = None  # NumPy's numbers leave operators to symbols
    __class__ = property(lambda self: self.value.__class__)  # type: ignore[assignment]

    def __init__(self, trace: Trace, name: str, value: Any) -> None:
        self.trace, self.name, self.value = trace, name, value
        self.is_fixed = False

    __add__, __radd__ = _binary("+")
    __sub__, __rsub__ = _binary("-")
    __mul__, __rmul__ = _binary("*")
    __floordiv__, __rfloordiv__ = _binary("//")
    __truediv__, __rtruediv__ = _binary("/")
    __mod__, __rmod__ = _binary("%")
    __pow__, __rpow__ = _binary("**")
    __lshift__, __rlshift__ = _binary("<<")
    __rshift__, __rrshift__ = _binary(">>")
    __and__, __rand__ = _binary("&")
    __or__, __ror__ = _binary("|")
    __xor__, __rxor__ = _binary("^")
    __eq__, __ne__ = _compared("=="), _compared("!=")
    __lt__, __le__, __gt__, __ge__ = (_compared(sign) for sign in ("<", "<=", ">", ">="))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __neg__(self) -> Any:
        return 0 - self

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __bool__(self) -> bool:
        return bool(self != 0)

    def bit_length(self) -> Any:
        """As of an int."""
        return self.trace.call("bit_length", int.bit_length, self)

    def _fixed(self) -> Any:
        return self.trace.fix(self)

    __index__ = _fixed

    def __trunc__(self) -> int:
        return math.trunc(self._fixed())

    def __ceil__(self) -> int:
        return math.ceil(self._fixed())

    def __floor__(self) -> int:
        return math.floor(self._fixed())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._fixed(), digits)

    def __int__(self) -> int:
        return int(self._fixed())

    def __float__(self) -> float:
        return float(self._fixed())

    def __hash__(self) -> int:
        return hash(self._fixed())

    def __repr__(self) -> str:
        return repr(self._fixed())

    def __format__(self, specification: str) -> str:
        return format(self._fixed(), specification)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a symbol is not copied")
