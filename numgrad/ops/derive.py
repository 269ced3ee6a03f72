"""Derivatives of scalar functions, by their text: `elementwise(f)` takes one function and finds its backward.

A function is first *read*: its syntax is executed on names instead of numbers, which gives a `Program`, a straight line of
single operations. Helpers that it calls are read in place, loops over constant ranges unrolled, and branches become
``where``, of which both sides are computed. A program's derivative by one of its parameters is a program again, so there
are derivatives of any order, each compiled to one kernel. A derivative chooses between branches as the function does, and
never multiplies what it does not choose: where a branch is not defined, its NaN does no harm.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from numgrad.errors import KernelError
from numgrad.kernels import scalar
from numgrad.kernels.elementwise import function_of_definition
from numgrad.runtime.kernel import Device

Atom = str | int | float | bool
Step = tuple[str, str, tuple[Atom, ...]]  # the name that it defines, the operation, what it is applied to

_MOST_STEPS = 4000
_CONDITIONS = {"<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "isnan"}
WORDS = {name: value for name, value in vars(scalar).items() if isinstance(value, Device)}


class Program:
    """A scalar function as single operations in a row.

    Attributes
    ----------
    parameters
        Names of the arguments.
    steps
        What is computed, in order.
    result
        The name, or the number, that is returned.
    """

    def __init__(self, name: str, parameters: tuple[str, ...]) -> None:
        self.name, self.parameters = name, parameters
        self.steps: list[Step] = []
        self.result: Atom = 0
        self._known: dict[tuple[str, tuple[Any, ...]], Atom] = {}

    # ---- writing one --------------------------------------------------------------------------------------------

    def do(self, operation: str, *args: Atom) -> Atom:
        """Add a step, or find the number or the step that it is the same as."""
        simple = _simplified(operation, args)
        if simple is not None:
            return simple
        key = operation, tuple((type(arg), arg) for arg in args)
        found = self._known.get(key)
        if found is None:
            if len(self.steps) >= _MOST_STEPS:
                raise KernelError(
                    f"elementwise {self.name}: the formula has more than {_MOST_STEPS} steps; write its backward"
                )
            found = self._known[key] = f"v{len(self.steps)}"
            self.steps.append((str(found), operation, args))
        return found

    def word(self, name: str, args: list[Atom]) -> Atom:
        """A function of a known name."""
        do = self.do
        if name == "same":
            return args[0]
        if name == "square":
            return do("*", args[0], args[0])
        if name == "hypot":
            return do("sqrt", do("+", do("*", args[0], args[0]), do("*", args[1], args[1])))
        if name == "tan":
            return do("/", do("sin", args[0]), do("cos", args[0]))
        if name in ("sinh", "cosh"):
            ahead, behind = do("exp", args[0]), do("exp", do("neg", args[0]))
            return do("*", 0.5, do("-" if name == "sinh" else "+", ahead, behind))
        if name in ("log2", "log10"):
            return do("*", 1 / math.log(2 if name == "log2" else 10), do("log", args[0]))
        if name in ("max", "min"):
            total = args[0]
            for other in args[1:]:
                ahead = do(">=" if name == "max" else "<=", total, other)
                total = do("where", do("or", ahead, do("isnan", total)), total, other)
            return total
        return do("**" if name == "power" else name, *args)

    # ---- derivatives --------------------------------------------------------------------------------------------

    def derivative(self, number: int) -> Program:
        """The program that computes the derivative by a parameter, of the parameters that it reads."""
        made = Program(f"{self.name}_by_{self.parameters[number]}", self.parameters)
        made.steps, made._known = list(self.steps), dict(self._known)
        tangents: dict[Atom, Atom] = {self.parameters[number]: 1}
        for name, operation, args in self.steps:
            slopes = [tangents.get(arg, 0) if isinstance(arg, str) else 0 for arg in args]
            if operation == "where":
                tangents[name] = made.do("where", args[0], slopes[1], slopes[2])
            elif operation not in _CONDITIONS and any(slope != 0 or slope is False for slope in slopes):
                tangents[name] = _slope(made.do, operation, name, args, slopes)
        made.result = tangents.get(self.result, 0) if isinstance(self.result, str) else 0
        return made._needed()

    def _needed(self) -> Program:
        """Without the steps and parameters that the result does not depend on."""
        reads = {self.result}
        kept = []
        for step in reversed(self.steps):
            if step[0] in reads:
                reads.update(arg for arg in step[2] if isinstance(arg, str))
                kept.append(step)
        made = Program(self.name, tuple(p for p in self.parameters if p in reads))
        names: dict[Atom, Atom] = {p: p for p in made.parameters}
        for name, operation, args in reversed(kept):
            names[name] = made.do(operation, *[names[arg] if isinstance(arg, str) else arg for arg in args])
        made.result = names[self.result] if isinstance(self.result, str) else self.result
        return made

    # ---- as functions -------------------------------------------------------------------------------------------

    def function(self) -> Callable[..., Any]:
        """The program as a scalar function for kernels."""
        return _made(self.name, self.parameters, self.steps, [self.result])

    def backward(self) -> tuple[Callable[..., Any], tuple[Program, ...]]:
        """The scalar backward ``(g, *parameters read)``, and the derivatives that it multiplies ``g`` with."""
        derivatives = tuple(self.derivative(number) for number in range(len(self.parameters)))
        whole = Program(f"{self.name}_backward", self.parameters)
        results: list[Atom] = []
        for each in derivatives:
            names: dict[Atom, Atom] = {p: p for p in self.parameters}
            for name, operation, args in each.steps:
                names[name] = whole.do(operation, *[names[arg] if isinstance(arg, str) else arg for arg in args])
            slope = names[each.result] if isinstance(each.result, str) else each.result
            results.append(whole.do("*", "g", slope))
        reads = tuple(p for p in self.parameters if any(p in each.parameters for each in derivatives))
        return _made(whole.name, ("g", *reads), whole.steps, results), derivatives


def _made(name: str, parameters: tuple[str, ...], steps: list[Step], results: list[Atom]) -> Callable[..., Any]:
    lines = [f"def {name}({', '.join(parameters)}):"]
    lines += [f"    {target} = {_text(operation, args)}" for target, operation, args in steps]
    lines.append(f"    return {', '.join(_atom(result) for result in results)}")
    tree = ast.parse("\n".join(lines)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return function_of_definition(tree, dict(WORDS))


def _atom(atom: Atom) -> str:
    if isinstance(atom, str):
        return atom
    if isinstance(atom, float) and not math.isfinite(atom):
        return "log(0.0)" if atom < 0 else "-log(0.0)" if atom > 0 else "log(-1.0)"
    return repr(atom) if atom >= 0 else f"({atom!r})"


def _text(operation: str, args: tuple[Atom, ...]) -> str:
    given = [_atom(arg) for arg in args]
    if operation == "neg":
        return f"-{given[0]}"
    if operation == "not":
        return f"not {given[0]}"
    if operation == "**" and not (type(args[1]) is int and abs(args[1]) <= 64):
        return f"power({given[0]}, {given[1]})"
    if operation in WORDS:
        return f"{operation}({', '.join(given)})"
    return f"{given[0]} {operation} {given[1]}"


_FOLDED: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b, "**": pow,
    "neg": lambda a: -a, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "not": lambda a: not a,
    "and": lambda a, b: a and b, "or": lambda a, b: a or b,
}  # fmt: skip


def _simplified(operation: str, args: tuple[Atom, ...]) -> Atom | None:
    """What needs no step: operations on numbers, and with 0 and 1."""
    if not any(isinstance(arg, str) for arg in args):
        try:
            return _FOLDED[operation](*args) if operation in _FOLDED else WORDS[operation](*args).__float__()  # type: ignore[no-any-return]
        except (ArithmeticError, ValueError):
            return None
    first, second = args[0], args[1] if len(args) > 1 else None
    if operation == "where":
        if not isinstance(first, str):
            return args[1] if first else args[2]
        return args[1] if args[1] == args[2] and type(args[1]) is type(args[2]) else None
    if operation in ("+", "*"):
        for one, other in ((first, second), (second, first)):
            if not isinstance(one, str) and one == (0 if operation == "+" else 1):
                return other
            if operation == "*" and not isinstance(one, str) and one == 0:
                return 0
    if operation == "-" and second == 0:
        return first
    if operation == "/" and (first == 0 or second == 1):
        return first
    if operation == "**" and not isinstance(second, str) and second in (0, 1):
        return 1 if second == 0 else first
    return None


def _slope(do: Callable[..., Atom], operation: str, out: Atom, args: tuple[Atom, ...], d: list[Atom]) -> Atom:
    """The derivative of one step, from those of what it is applied to."""
    x, y = args[0], args[1] if len(args) > 1 else 0
    if operation in ("+", "-"):
        return do("neg", d[1]) if operation == "-" and d[0] == 0 else do(operation, d[0], d[1])
    if operation == "*":
        return do("+", do("*", d[0], y), do("*", d[1], x))
    if operation == "/":
        first = do("/", d[0], y)
        return first if d[1] == 0 else do("-", first, do("/", do("*", d[1], out), y))
    if operation == "neg":
        return do("neg", d[0])
    if operation == "**":
        return _power_slope(do, out, x, y, d)
    if operation in ("floor", "ceil", "trunc", "round", "sign", "floor_divide"):
        return 0
    inner: Callable[[], Atom] | None = {
        "exp": lambda: out,
        "expm1": lambda: do("+", out, 1),
        "log": lambda: do("/", 1, x),
        "log1p": lambda: do("/", 1, do("+", 1, x)),
        "sqrt": lambda: do("/", 0.5, out),
        "sin": lambda: do("cos", x),
        "cos": lambda: do("neg", do("sin", x)),
        "tanh": lambda: do("-", 1, do("*", out, out)),
        "sigmoid": lambda: do("*", out, do("-", 1, out)),
        "erf": lambda: do("*", 1.1283791670955126, do("exp", do("neg", do("*", x, x)))),
        "absolute": lambda: do("sign", x),
    }.get(operation)
    if inner is None:
        raise KernelError(f"elementwise: the derivative of {operation} is not known; write the backward yourself")
    return do("*", d[0], inner())


def _power_slope(do: Callable[..., Atom], out: Atom, x: Atom, y: Atom, d: list[Atom]) -> Atom:
    total: Atom = 0
    if d[0] != 0:
        if isinstance(y, str):
            slope = do("where", do("==", y, 0), 0, do("*", y, do("**", x, do("-", y, 1))))
        else:
            slope = do("*", y, do("**", x, y - 1))
        total = do("*", d[0], slope)
    if d[1] != 0:
        flat = do("and", do("==", x, 0), do(">=", y, 0))
        total = do("+", total, do("*", d[1], do("where", flat, 0, do("*", out, do("log", x)))))
    return total
