"""Derivatives of scalar functions, by their text: `elementwise(f)` takes one function and finds its backward.

A function is first *read*: its syntax is executed on names instead of numbers, which gives a `Program`, a straight line of
single operations. Helpers are inlined, loops over constant ranges are unrolled, and branches become ``where``, with both sides
computed. A program's derivative by one of its parameters is a program again, so there are derivatives of any order, each
compiled to one kernel. A derivative chooses between branches as the function does, and never multiplies the branch that it
does not choose: where a branch is undefined, its NaN does no harm.

Programs compute in float64 for every floating dtype, so that intermediate values in the range of float32 do not overflow.
Exponentials may overflow all the same: 1 / (1 + exp(-x)) is 0 at -1000, and by the quotient rule its slope would be infinity
over infinity. So steps that are never 0 and contain exponentials carry their *relative* slope (slope / value), which is finite:
that of exp(u) is u's slope, that of a sum the mean of its terms', weighted by their shares.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from numgrad.errors import KernelError
from numgrad.kernels.source import LITERALS, function_of_definition
from numgrad.loops.slopes import PAIRS, SLOPES
from numgrad.loops.vocabulary import WORDS


class Symbol(str):
    """The name of a parameter or of a step."""

    __slots__ = ()


Atom = Symbol | int | float | bool
Step = tuple[Symbol, str, tuple[Atom, ...]]  # the name that it defines, the operation, its arguments

_MOST_STEPS = 4000
_CONDITIONS = {"<", "<=", ">", ">=", "==", "!=", "and", "or", "not", "isnan"}
_FLAT = {"floor", "ceil", "trunc", "round", "sign", "//"}


class Program:
    """A scalar function as single operations in a row.

    Attributes
    ----------
    name
        The function's.
    parameters
        Unique names of the arguments.
    labels
        Their names in the function.
    steps
        The operations, in order.
    result
        The returned name or number.
    """

    def __init__(self, name: str, parameters: tuple[Symbol, ...], labels: tuple[str, ...]) -> None:
        self.name, self.parameters, self.labels = name, parameters, labels
        self.steps: list[Step] = []
        self.result: Atom = 0
        self._symbols: dict[tuple[str, ...], Symbol] = {}
        self._operations: dict[Symbol, Step] = {}
        self._conditions: set[Symbol] = set()

    # ---- writing one --------------------------------------------------------------------------------------------

    def do(self, operation: str, *args: Atom) -> Atom:
        """Add a step, unless an equal step or number exists; its name or the number."""
        simple = _simplified(operation, args)
        if simple is not None:
            return simple
        key = operation, *[arg if isinstance(arg, Symbol) else repr(arg) for arg in args]  # repr tells -0.0 from 0.0
        symbol = self._symbols.get(key)
        if symbol is None:
            if len(self.steps) >= _MOST_STEPS:
                raise KernelError(
                    f"elementwise {self.name}: the formula has more than {_MOST_STEPS} steps; write its backward"
                )
            symbol = self._symbols[key] = Symbol(f"v{len(self.steps)}")
            self.steps.append((symbol, operation, args))
            self._operations[symbol] = self.steps[-1]
            if operation in _CONDITIONS:
                self._conditions.add(symbol)
        return symbol

    def is_condition(self, atom: Any) -> bool:
        """Whether an atom is true or false, and not a number."""
        return atom in self._conditions if isinstance(atom, Symbol) else isinstance(atom, bool)

    def number(self, atom: Atom) -> Atom:
        """A condition as 1 or 0; numbers as they are."""
        if isinstance(atom, Symbol):
            return self.do("where", atom, 1, 0) if atom in self._conditions else atom
        return int(atom) if isinstance(atom, bool) else atom

    def condition(self, atom: Atom) -> Atom:
        """Whether a number is not 0; conditions as they are."""
        if not isinstance(atom, Symbol):
            return bool(atom)
        return atom if atom in self._conditions else self.do("!=", atom, 0)

    def choose(self, condition: Atom, one: Atom, two: Atom) -> Atom:
        """``one`` where the condition holds, else ``two``: a condition if both are conditions, else a number."""
        if not isinstance(condition, Symbol):
            return one if condition else two
        if self.is_condition(one) and self.is_condition(two):
            return self.do("or", self.do("and", condition, one), self.do("and", self.do("not", condition), two))
        return self.do("where", condition, self.number(one), self.number(two))

    # ---- derivatives --------------------------------------------------------------------------------------------

    def derivative(self, number: int) -> Program:
        """The program of the derivative by a parameter; its parameters are those that it reads."""
        program = Program(f"{self.name}_by_{self.labels[number]}", self.parameters, self.labels)
        program.steps, program._symbols = list(self.steps), dict(self._symbols)
        program._operations, program._conditions = dict(self._operations), set(self._conditions)
        slopes = _Slopes(program, self.parameters[number])
        for step in self.steps:
            slopes.take(*step)
        slope = slopes.of(self.result)
        program.result = 0 if slope is None else slope
        return program._needed()

    def _needed(self) -> Program:
        """Without the steps and parameters that the result does not depend on."""
        steps = self._needed_steps()
        reads = {self.result, *[arg for _, _, args in steps for arg in args]}
        left = [(p, label) for p, label in zip(self.parameters, self.labels, strict=True) if p in reads]
        program = Program(self.name, tuple(p for p, _ in left), tuple(label for _, label in left))
        program.result = program._append(steps, self.result)
        return program

    def _needed_steps(self) -> list[Step]:
        reads = {self.result}
        needed = []
        for step in reversed(self.steps):
            if step[0] in reads:
                reads.update(arg for arg in step[2] if isinstance(arg, Symbol))
                needed.append(step)
        return needed[::-1]

    def _append(self, steps: list[Step], result: Atom) -> Atom:
        """Add steps of another program with the same parameters; the atom of its result here."""
        names: dict[Atom, Atom] = {}
        for name, operation, args in steps:
            names[name] = self.do(operation, *[names.get(arg, arg) if isinstance(arg, Symbol) else arg for arg in args])
        return names.get(result, result) if isinstance(result, Symbol) else result

    # ---- as functions -------------------------------------------------------------------------------------------

    def function(self) -> Callable[..., Any]:
        """The program as a scalar function for kernels."""
        return _written(self.name, self.parameters, self._needed_steps(), [self.result])

    def backward(self) -> tuple[Callable[..., Any], tuple[Program, ...]]:
        """The scalar backward ``(g, *parameters read)``, and the derivatives that it multiplies ``g`` with."""
        derivatives = tuple(self.derivative(number) for number in range(len(self.parameters)))
        whole = Program(f"{self.name}_backward", self.parameters, self.labels)
        results: list[Atom] = []
        for each in derivatives:
            slope = whole._append(each.steps, each.result)
            flat = not isinstance(slope, Symbol) and slope == 0
            results.append(0 if flat else whole.do("*", Symbol("g"), slope))
        reads = tuple(p for p in self.parameters if any(p in each.parameters for each in derivatives))
        return _written(whole.name, (Symbol("g"), *reads), whole.steps, results), derivatives


def _written(name: str, parameters: tuple[Symbol, ...], steps: list[Step], results: list[Atom]) -> Callable[..., Any]:
    """A function of these steps, which computes in the dtype of its literals."""
    reads = {arg for _, _, args in steps for arg in args if isinstance(arg, Symbol)}
    wide: dict[Any, str] = {p: f"wide_{p}" for p in parameters if p in reads and p != "g"}
    lines = [f"def formula_{name}({', '.join(parameters)}):"]
    lines += [f"    {own} = {LITERALS}({p})" for p, own in wide.items()]
    lines += [
        f"    {target} = {_text(operation, [_atom(wide.get(a, a)) for a in args])}" for target, operation, args in steps
    ]
    lines.append(f"    return {', '.join(_atom(result) for result in results)}")
    tree = ast.parse("\n".join(lines)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return function_of_definition(tree, dict(WORDS))


def _atom(atom: Any) -> str:
    if isinstance(atom, str):
        return atom
    if isinstance(atom, float) and not math.isfinite(atom):
        return "(1e999 - 1e999)" if atom != atom else "1e999" if atom > 0 else "(-1e999)"
    return repr(atom) if math.copysign(1, atom) > 0 else f"({atom!r})"


def _text(operation: str, args: list[str]) -> str:
    if operation == "neg":
        return f"-{args[0]}"
    if operation == "not":
        return f"not {args[0]}"
    if operation == "**":
        return f"{args[0]} ** {args[1]}" if _is_small_int(args[1]) else f"power({args[0]}, {args[1]})"
    if operation in ("and", "or"):
        return f"{args[0]} {'&' if operation == 'and' else '|'} {args[1]}"
    if operation in WORDS:
        return f"{operation}({', '.join(args)})"
    return f"{args[0]} {operation} {args[1]}"


def _is_small_int(text: str) -> bool:
    return text.strip("(-)").isdigit() and abs(int(text.strip("()"))) <= 64


_FOLDED: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b, "**": pow,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "neg": lambda a: -a, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "not": lambda a: not a, "and": lambda a, b: a and b, "or": lambda a, b: a or b,
}  # fmt: skip


def _simplified(operation: str, args: tuple[Atom, ...]) -> Atom | None:
    """The result of an operation that needs no step; else None.

    These are operations on numbers, and those that change nothing, not even NaN or the sign of 0.
    """
    if not any(isinstance(arg, Symbol) for arg in args):
        try:
            value = _FOLDED[operation](*args) if operation in _FOLDED else WORDS[operation](*args).__float__()
        except (ArithmeticError, ValueError):
            return None
        return None if isinstance(value, complex) else value  # type: ignore[no-any-return]
    first, second = args[0], args[1] if len(args) > 1 else None
    if operation == "where":
        if not isinstance(first, Symbol):
            return args[1] if first else args[2]
        return args[1] if _is_same(args[1], args[2]) else None
    if operation in ("and", "or"):
        for one, other in ((first, second), (second, first)):
            if not isinstance(one, Symbol):  # a constant condition
                return other if bool(one) is (operation == "and") else bool(one)
        return first if first == second else None
    if operation == "*":
        return second if _is_number(first, 1) else first if _is_number(second, 1) else None
    if operation in ("/", "**") and _is_number(second, 1):
        return first
    if operation == "**" and _is_number(second, 0):
        return 1
    return None


def _is_number(atom: Any, value: float) -> bool:
    return not isinstance(atom, Symbol) and atom == value


def _is_same(one: Any, two: Any) -> bool:
    return type(one) is type(two) and repr(one) == repr(two)


class _Slopes:
    """The slopes of a program's steps by one parameter, as further steps of it; None where there is none.

    Attributes
    ----------
    signs
        1 or -1, for steps that are never 0 (but by underflow) and contain exponentials.
    """

    def __init__(self, program: Program, parameter: Symbol) -> None:
        self.program, self.do = program, program.do
        self.absolute: dict[Symbol, Atom | None] = {parameter: 1}
        self.relative: dict[Any, Atom | None] = {}
        self.signs: dict[Symbol, int] = {}

    def of(self, atom: Atom) -> Atom | None:
        """The slope of a step, of a parameter, or of a number, which has none."""
        if not isinstance(atom, Symbol):
            return None
        if atom not in self.absolute and atom in self.relative:
            ratio = self.relative[atom]
            self.absolute[atom] = None if ratio is None else self.faded(atom, ratio)
        return self.absolute.get(atom)

    def take(self, name: Symbol, operation: str, args: tuple[Atom, ...]) -> None:
        """Find the slope of one step, from those of its arguments."""
        if operation in _CONDITIONS or operation in _FLAT:
            return
        if self._exponential(name, operation, args):
            return
        slope = self._slope(name, operation, args)
        if slope is not None:
            self.absolute[name] = slope

    # ---- relative slopes ----------------------------------------------------------------------------------------

    def _exponential(self, name: Symbol, operation: str, args: tuple[Atom, ...]) -> bool:
        """Note a step's sign and relative slope, if it has one."""
        do, ratios = self.do, self.relative
        x, y = args[0], args[1] if len(args) > 1 else None
        sign: int | None = None
        ratio: Atom | None = None
        if operation == "exp":
            sign, ratio = 1, self.of(x)
        elif operation == "cosh":
            sign, ratio = 1, self.times(do("tanh", x), self.of(x))
        elif operation == "tanh_slope":
            sign, ratio = 1, self.times(do("*", -2, do("tanh", x)), self.of(x))
        elif operation == "neg" and self.sign(x) and x in ratios:
            sign, ratio = -(self.sign(x) or 0), ratios[x]
        elif operation in ("*", "/") and self._grows(args):
            sign = (self.sign(x) or 0) * (self.sign(y) or 0)
            ratio = self._sum(ratios.get(x), ratios.get(y), "+" if operation == "*" else "-")
        elif operation in ("+", "-") and self._grows(args):
            second = (self.sign(y) or 0) * (1 if operation == "+" else -1)
            if second == self.sign(x):
                sign = self.sign(x)
                other = y if operation == "+" else self._negative(y)
                ratio = self._sum(self._weighted(x, other), self._weighted(other, x))
        elif operation in ("**", "sqrt") and self.sign(x) == 1 and x in ratios and not isinstance(y, Symbol):
            sign, base = 1, ratios[x]
            ratio = self.times(0.5 if y is None else y, base)
        elif operation == "where" and self._grows(args[1:]) and self.sign(args[1]) == self.sign(args[2]):
            sign = self.sign(args[1])
            ratio = self._chosen(x, ratios.get(args[1]), ratios.get(args[2]))
        if not sign:
            return False
        self.signs[name], ratios[name] = sign, ratio
        return True

    def sign(self, atom: Any) -> int | None:
        """1 or -1 for atoms that are certainly positive or negative, else None."""
        if isinstance(atom, Symbol):
            return self.signs.get(atom)
        return 1 if atom > 0 else -1 if atom < 0 else None

    def _grows(self, args: Any) -> bool:
        return all(self.sign(arg) for arg in args) and any(arg in self.relative for arg in args)

    def _negative(self, atom: Any) -> Atom:
        negative = self.do("neg", atom)
        if isinstance(negative, Symbol):
            self.take(negative, "neg", (atom,))
        return negative

    def _weighted(self, part: Any, rest: Any) -> Atom | None:
        """The relative slope of one term of a sum, times its share of the sum."""
        ratio = self.relative.get(part)
        return None if ratio is None else self.faded(self._share(part, rest), ratio)

    def _share(self, part: Any, rest: Any) -> Atom:
        """part / (part + rest), for two values of one sign, either of which may be infinite or have underflowed."""
        do, operations = self.do, self.program._operations
        one, two = operations.get(part), operations.get(rest)
        if one is not None and two is not None and one[1] == two[1] == "exp":
            quotient = do("exp", do("-", two[2][0], one[2][0]))
        else:
            quotient = do("/", rest, part)
        return do("/", 1, do("+", 1, quotient))

    # ---- arithmetic with slopes that may be missing ----------------------------------------------------------------

    def _sum(self, one: Atom | None, two: Atom | None, operation: str = "+") -> Atom | None:
        if two is None:
            return one
        if one is None:
            return two if operation == "+" else self.do("neg", two)
        return self.do(operation, one, two)

    def _chosen(self, condition: Atom, one: Atom | None, two: Atom | None) -> Atom | None:
        if one is None and two is None:
            return None
        return self.do("where", condition, 0 if one is None else one, 0 if two is None else two)

    def times(self, factor: Any, slope: Atom | None) -> Atom | None:
        """A slope times a factor."""
        return None if slope is None else self.do("*", slope, factor)

    def faded(self, factor: Atom, slope: Atom) -> Atom:
        """A slope times a factor that is 0 only by underflow; then the product is 0, even for an infinite slope."""
        product = self.do("*", factor, slope)
        return product if not isinstance(slope, Symbol) else self.do("where", self.do("==", factor, 0), 0, product)

    # ---- slopes -------------------------------------------------------------------------------------------------

    def _slope(self, out: Symbol, operation: str, args: tuple[Atom, ...]) -> Atom | None:
        do, x, y = self.do, args[0], args[1] if len(args) > 1 else 0
        if operation == "where":
            return self._chosen(x, self.of(args[1]), self.of(args[2]))
        if operation in ("log", "log2", "log10") and x in self.relative:
            return self.times(_LOGARITHMS[operation], self.relative[x])
        if operation == "log1p" and self.sign(x) == 1 and x in self.relative:
            ratio = self.relative[x]
            return None if ratio is None else self.faded(self._share(x, 1), ratio)
        if operation == "*":
            return self._product(out, x, y)
        if operation == "/" and y in self.relative:
            ratio, first = self.relative[y], self.of(x)
            return self._sum(None if first is None else do("/", first, y), self.times(out, ratio), "-")
        dx, dy = self.of(x), self.of(y)
        if dx is None and dy is None:
            return None
        if operation in ("+", "-"):
            return self._sum(dx, dy, operation)
        if operation == "/":
            total = self._sum(dx, self.times(out, dy), "-")
            return None if total is None else do("/", total, y)
        if operation == "**":
            return self._sum(self._of_base(x, y, dx), self._of_exponent(out, x, y, dy))
        if operation in PAIRS:
            one, two = PAIRS[operation](do, x, y, out)
            return self._sum(self.times(one, dx), None if two is None else self.times(two, dy))
        assert dx is not None
        return self._of_function(out, operation, x, dx)

    def _product(self, out: Symbol, x: Atom, y: Atom) -> Atom | None:
        for one, other in ((x, y), (y, x)):
            if other in self.relative and one not in self.relative:
                ratio = self.relative[other]
                return self._sum(self.times(other, self.of(one)), self.times(out, ratio))
        return self._sum(self.times(y, self.of(x)), self.times(x, self.of(y)))

    def _of_base(self, x: Atom, y: Atom, dx: Atom | None) -> Atom | None:
        do = self.do
        if dx is None:
            return None
        if isinstance(y, Symbol):
            return self.times(do("where", do("==", y, 0), 0, do("*", y, do("**", x, do("-", y, 1)))), dx)
        return self.times(do("*", y, do("**", x, y - 1)), dx)

    def _of_exponent(self, out: Symbol, x: Atom, y: Atom, dy: Atom | None) -> Atom | None:
        do = self.do
        if dy is None:
            return None
        flat = do("and", do("==", x, 0), do(">=", y, 0))
        return self.times(do("where", flat, 0, self.faded(out, do("log", x))), dy)

    def _of_function(self, out: Symbol, operation: str, x: Atom, dx: Atom) -> Atom:
        do = self.do
        if operation == "neg":
            return do("neg", dx)
        slope = SLOPES.get(operation)
        if slope is None:
            raise KernelError(f"elementwise: the derivative of {operation} is not known; write the backward yourself")
        total = dx
        if slope.times is not None:
            factor = slope.times(do, x, out)
            total = self.faded(factor, dx) if slope.fades else do("*", dx, factor)
        return total if slope.over is None else do("/", total, slope.over(do, x, out))


_LOGARITHMS: dict[str, Atom] = {"log": 1, "log2": 1 / math.log(2), "log10": 1 / math.log(10)}
