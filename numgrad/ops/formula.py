"""Reading a scalar function: its syntax, executed on names instead of numbers, writes a `derive.Program`.

Expressions that do not depend on the arguments are computed by Python itself; all others become steps. Words, operators, names
outside of the function and what a refusal shows are those of loops (`numgrad.loops`). The reader of loops is another one: it keeps
statements as they are, joins the ways through a function by flags, and knows the dtype of each number, where a formula's ways are
joined by values (an exponential's relative slope passes through them) and one text serves every dtype.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.errors import KernelError
from numgrad.kernels.source import definition, location_of
from numgrad.loops.expansions import EXPANSIONS
from numgrad.loops.scope import outer, shown_text
from numgrad.loops.vocabulary import ARGUMENTS, KNOWN, OPERATORS
from numgrad.ops.derive import WORDS, Atom, Program, Symbol

# What Python computes from constants.
_COMPUTED: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: operator.pow,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.MatMult: operator.matmul, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Not: operator.not_, ast.Invert: operator.invert, ast.Lt: operator.lt,
    ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.Is: operator.is_, ast.IsNot: operator.is_not, ast.In: lambda x, y: x in y, ast.NotIn: lambda x, y: x not in y,
}  # fmt: skip
_BITS: dict[type[ast.AST], str] = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "!="}
# Operators that a formula has not: numbers in it are real.
_WHOLE = (ast.LShift, ast.RShift, ast.Invert)

# Functions that a formula may call, those of loops: each is a word, or a rule made of words. Python's `max` and `min` keep the
# first of what compares neither way; NumPy's pass NaN.
_REAL = {"floor_f": "floor", "ceil_f": "ceil", "trunc_f": "trunc", "round_f": "round", "float": "same"}
_LEFT_OUT = {np.fmax, np.fmin, np.float32, int, np.int64, np.int32}  # a formula has one dtype, and passes NaN
_KNOWN: dict[Any, str] = {
    **{function: _REAL.get(name, name) for function, name in KNOWN.items() if function not in _LEFT_OUT},
    **{word: "//" if name == "floor_divide" else name for name, word in WORDS.items()},
    max: "first max", min: "first min", np.round: "round", sum: "sum", divmod: "divmod",
}  # fmt: skip
_ARGUMENTS = ARGUMENTS | {"power": 2, "divmod": 2}
# Functions that Python may evaluate beforehand: they have no state and no effects.
_PURE = {
    abs, max, min, round, float, int, bool, pow, len, sum, divmod, range, enumerate, zip, reversed, np.where, np.clip, np.round,
}  # fmt: skip
_LISTED = (enumerate, zip, reversed)


def read(function: Callable[..., Any]) -> Program:
    """The program of a scalar function; parameters with defaults are constants.

    Raises
    ------
    KernelError
        It does something without a known derivative; the message says what, and in which line.
    """
    plain = getattr(function, "py_func", function)
    tree = definition(plain)
    constants = _defaults(plain)
    labels = tuple(a.arg for a in tree.args.args if a.arg not in constants)
    if not labels or tree.args.vararg or tree.args.kwarg or tree.args.kwonlyargs:
        raise KernelError(
            f"elementwise {tree.name}: expected one parameter or more, each by its name and place ({location_of(plain)})"
        )
    parameters = tuple(Symbol(f"x{number}") for number in range(len(labels)))
    program = Program(tree.name, parameters, labels)
    reader = _Reader(program, plain, 0)
    names: dict[str, Any] = dict(zip(labels, parameters, strict=True)) | constants
    program.result = program.number(reader.as_atom(tree, reader.run(tree.body, names)))
    return program


def _defaults(function: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


class _Undefined:
    """Stands for a name that only one branch defines."""


class _Nothing:
    """Stands for a result if no return is reached."""


def _is_constant(value: Any) -> bool:
    """Whether a value contains no step."""
    return all(map(_is_constant, value)) if isinstance(value, (tuple, list)) else not isinstance(value, Symbol)


class _Reader:
    """Executes the syntax of one function; names stand for atoms, or for constants of Python."""

    def __init__(self, program: Program, function: Any, depth: int) -> None:
        self.program, self.function, self.depth = program, function, depth
        self.line = function.__code__.co_firstlineno
        code = function.__code__
        self.local = {*code.co_varnames, *code.co_cellvars}

    def fail(self, node: ast.AST, what: str) -> KernelError:
        text, line = shown_text(node), getattr(node, "lineno", self.line)
        return KernelError(
            f"elementwise {self.program.name}: {what}, in {self.function.__name__}{text} "
            f"({self.function.__code__.co_filename}:{line}). Formulas are made of "
            "arithmetic, comparisons, if, where, loops over constant ranges, and numgrad.scalar's, math's and NumPy's functions; "
            "for others give forward and backward by elementwise('name', ...)"
        )

    def run(self, body: list[ast.stmt], names: dict[str, Any]) -> Any:
        """The value that the statements return."""
        result = self._block(body, names)
        if result is _Nothing:
            raise self.fail(body[-1] if body else ast.Pass(), "one path returns nothing")
        return result

    def _block(self, body: list[ast.stmt], names: dict[str, Any]) -> Any:
        for index, statement in enumerate(body):
            self.line = getattr(statement, "lineno", self.line)
            if isinstance(statement, ast.Return):
                if statement.value is None:
                    raise self.fail(statement, "it returns nothing")
                return self.value(statement.value, names)
            if isinstance(statement, ast.If):
                result = self._branch(statement, body[index + 1 :], names)
                if result is not _Undefined:
                    return result
            else:
                self._statement(statement, names)
        return _Nothing

    def _branch(self, node: ast.If, rest: list[ast.stmt], names: dict[str, Any]) -> Any:
        """The value that an ``if`` and the statements after it return; `_Undefined` if it only assigns names."""
        condition = self.truth(node.test, names)
        if not isinstance(condition, Symbol):  # a constant
            taken = node.body if condition else node.orelse
            if _returns(node):
                return self._block([*taken, *rest], names)
            self._block(taken, names)
            return _Undefined
        ahead, other = dict(names), dict(names)
        if _returns(node):
            results = [self._block([*part, *rest], each) for part, each in ((node.body, ahead), (node.orelse, other))]
            if _Nothing in results:
                raise self.fail(node, "one of its branches returns, and the other returns nothing")
            return self.choose(node, condition, *results)
        self._block(node.body, ahead)
        self._block(node.orelse, other)
        for name in dict.fromkeys((*ahead, *other)):
            one, two = ahead.get(name, _Undefined), other.get(name, _Undefined)
            names[name] = _Undefined if _Undefined in (one, two) else self.choose(node, condition, one, two)
        return _Undefined

    def choose(self, node: ast.AST, condition: Atom, one: Any, two: Any) -> Any:
        """A value that depends on a condition."""
        if one is two:
            return one
        if isinstance(one, tuple) and isinstance(two, tuple) and len(one) == len(two):
            return tuple([self.choose(node, condition, *pair) for pair in zip(one, two, strict=True)])
        return self.program.choose(condition, self.as_atom(node, one), self.as_atom(node, two))

    def _statement(self, node: ast.stmt, names: dict[str, Any]) -> None:
        if isinstance(node, ast.Assign):
            value = self.value(node.value, names)
            for target in node.targets:
                self._assign(target, value, names)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self.value(node.value, names), names)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            whole = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
            self._assign(node.target, self.value(whole, names), names)
        elif isinstance(node, ast.For):
            self._loop(node, names)
        elif isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            pass
        else:
            raise self.fail(node, f"`{type(node).__name__.lower()}` is not supported")

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif (
            isinstance(target, (ast.Tuple, ast.List))
            and isinstance(value, (tuple, list))
            and len(target.elts) == len(value)
            and not any(isinstance(each, ast.Starred) for each in target.elts)
        ):
            for each, part in zip(target.elts, value, strict=True):
                self._assign(each, part, names)
        else:
            raise self.fail(target, "values can be given to names only")

    def _loop(self, node: ast.For, names: dict[str, Any]) -> None:
        steps = self.value(node.iter, names)
        if not isinstance(steps, (range, tuple, list)) or node.orelse or _returns(node):
            raise self.fail(node, "a loop goes over a range of constants, and has neither return nor else")
        for step in steps:
            self._assign(node.target, step, names)
            self._block(node.body, names)

    # ---- expressions ----------------------------------------------------------------------------------------------

    def as_atom(self, node: ast.AST, value: Any) -> Atom:
        """A value that is a number, or a step."""
        if isinstance(value, np.generic):
            value = value.item()
        if not isinstance(value, (Symbol, bool, int, float)):
            raise self.fail(node, f"expected a number, got {type(value).__name__}")
        if isinstance(value, int) and abs(value) > 1 << 53:
            try:
                return float(value)
            except OverflowError as error:
                raise self.fail(node, str(error)) from None
        return value

    def number(self, node: ast.expr, names: dict[str, Any]) -> Atom:
        """The value of an expression that is a number."""
        return self.program.number(self.as_atom(node, self.value(node, names)))

    def truth(self, node: ast.expr, names: dict[str, Any]) -> Atom:
        """Whether an expression is true, as a condition."""
        value = self.value(node, names)
        return self.program.condition(value) if isinstance(value, Symbol) else bool(value)

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """An atom, or an object of Python: a function, a module, a range."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._named(node, names)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value, names)
            if inspect.ismodule(owner) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        if isinstance(node, (ast.Tuple, ast.List)) and not any(isinstance(each, ast.Starred) for each in node.elts):
            return tuple([self.value(each, names) for each in node.elts])
        if isinstance(node, ast.Subscript):
            owner, index = self.value(node.value, names), self.value(node.slice, names)
            if not isinstance(owner, Symbol) and _is_constant(index):
                return self._computed(node, operator.getitem, owner, index)
        if isinstance(node, (ast.UnaryOp, ast.BinOp)):
            operands = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
            return self._operation(node, node.op, [self.value(each, names) for each in operands])
        if isinstance(node, ast.Compare):
            return self._comparison(node, names)
        if isinstance(node, ast.BoolOp):
            return self._logic(node, node.values, names)
        if isinstance(node, ast.IfExp):
            condition = self.truth(node.test, names)
            if not isinstance(condition, Symbol):
                return self.value(node.body if condition else node.orelse, names)
            return self.choose(node, condition, self.value(node.body, names), self.value(node.orelse, names))
        if isinstance(node, ast.Call):
            return self._call(node, names)
        raise self.fail(node, f"`{type(node).__name__}` is not supported")

    def _computed(self, node: ast.expr, function: Callable[..., Any], *args: Any) -> Any:
        """The value that Python computes from constants."""
        try:
            return function(*args)
        except Exception as error:
            raise self.fail(node, f"{type(error).__name__}: {error}") from error

    def _named(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id in names:
            if names[node.id] is _Undefined:
                raise self.fail(node, f"{node.id} is defined in one branch only")
            return names[node.id]
        if node.id in self.local:
            raise self.fail(node, f"{node.id} is read before it is given a value")
        try:
            return outer(self.function, node.id)
        except KeyError:
            raise self.fail(node, f"{node.id} is not defined") from None

    def _operation(self, node: ast.expr, kind: ast.AST, values: list[Any]) -> Any:
        if all(map(_is_constant, values)):
            return self._computed(node, _COMPUTED[type(kind)], *values)
        word = "same" if isinstance(kind, ast.UAdd) else OPERATORS.get(type(kind))
        if word is None or isinstance(kind, _WHOLE):
            hint = ", write `not`" if isinstance(kind, ast.Invert) else ""
            raise self.fail(node, f"`{type(kind).__name__}` is not supported{hint}")
        atoms = [self.as_atom(node, value) for value in values]
        if isinstance(kind, ast.Not):
            return self._negated(atoms[0])
        if type(kind) in _BITS:
            if not all(map(self.program.is_condition, atoms)):
                raise self.fail(node, "only constants have bits; conditions may be combined")
            return self._bits(_BITS[type(kind)], *atoms)
        numbers = [self.program.number(atom) for atom in atoms]
        return numbers[0] if word == "same" else self.program.do(word, *numbers)

    def _negated(self, atom: Atom) -> Atom:
        """``not``."""
        return self.program.do("not", atom) if self.program.is_condition(atom) else self.program.do("==", atom, 0)

    def _bits(self, word: str, one: Atom, two: Atom) -> Atom:
        do = self.program.do
        if word != "!=":
            return do(word, one, two)
        return do("or", do("and", one, do("not", two)), do("and", do("not", one), two))

    def _logic(self, node: ast.BoolOp, parts: list[ast.expr], names: dict[str, Any]) -> Any:
        """``and``, ``or``: the last value that Python would evaluate."""
        first = self.value(parts[0], names)
        if len(parts) == 1:
            return first
        both = isinstance(node.op, ast.And)
        if not isinstance(first, Symbol):
            return self._logic(node, parts[1:], names) if bool(first) is both else first
        later, condition = self._logic(node, parts[1:], names), self.program.condition(first)
        if self.program.is_condition(first) and self.program.is_condition(later):
            return self.program.do("and" if both else "or", first, later)
        return self.choose(node, condition, later, first) if both else self.choose(node, condition, first, later)

    def _comparison(self, node: ast.Compare, names: dict[str, Any]) -> Any:
        left = self.value(node.left, names)
        total: Any = None
        for kind, part in zip(node.ops, node.comparators, strict=True):
            right = self.value(part, names)
            one = self._operation(node, kind, [left, right])
            if total is None:
                total = one
            elif isinstance(total, Symbol) or isinstance(one, Symbol):
                total = self.program.do("and", self.program.condition(total), self.program.condition(one))
            else:
                total = total and one
            left = right
        return total

    # ---- calls ------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        function = self.value(node.func, names)
        if any(isinstance(arg, ast.Starred) for arg in node.args) or any(each.arg is None for each in node.keywords):
            raise self.fail(node, "functions are called with arguments by their places or names")
        given = [self.value(arg, names) for arg in node.args]
        named = {each.arg: self.value(each.value, names) for each in node.keywords if each.arg is not None}
        try:
            known, pure = _KNOWN.get(function), function in _PURE
        except TypeError:  # it has no hash
            known, pure = None, False
        if pure and function in _LISTED:
            return self._computed(node, lambda *args: list(function(*args)), *given)
        if _is_constant([*given, *named.values()]) and (pure or known is not None or _is_mathematics(function)):
            return self._computed(node, lambda *args: function(*args, **named), *given)
        if function is range:
            raise self.fail(node, "the range of a loop has to be constant")
        if function is len and not isinstance(given[0], Symbol):
            return len(given[0])
        plain = getattr(function, "py_func", function)
        if known is None and inspect.isfunction(plain):
            return self._inlined(node, plain, given, named)
        if known is None:
            raise self.fail(node, f"{getattr(function, '__name__', function)!r} has no derivative that is known")
        if named:
            raise self.fail(node, "functions of this kind are called with arguments by their places")
        return self._word(node, known, given)

    def _inlined(self, node: ast.Call, plain: types.FunctionType, given: list[Any], named: dict[str, Any]) -> Any:
        """A call of a Python function, inlined."""
        if self.depth > 50:
            raise self.fail(node, "functions call each other more than 50 deep")
        try:
            bound = inspect.signature(plain, follow_wrapped=False).bind(*given, **named)
        except TypeError as error:
            raise self.fail(node, f"{plain.__name__}(): {error}") from None
        bound.apply_defaults()
        if plain.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            raise self.fail(node, f"{plain.__name__} is not a plain function")
        return _Reader(self.program, plain, self.depth + 1).run(definition(plain).body, dict(bound.arguments))

    def _word(self, node: ast.Call, name: str, given: list[Any]) -> Any:
        """A function of a known name."""
        do = self.program.do
        if name in ("first max", "first min", "sum") and len(given) == 1 and isinstance(given[0], (tuple, list)):
            given = list(given[0]) if name != "sum" else [0, *given[0]]
        elif name == "sum":
            raise self.fail(node, "a sum is of a tuple")
        if name in ("log", "round") and len(given) == 2:
            return self._with_second(node, name, given)
        atoms = [self.as_atom(node, each) for each in given]
        if name == "where":
            return self.program.choose(self.program.condition(atoms[0]), *self._counted(node, name, atoms)[1:])
        if name in ("bool", "not"):
            condition = self.program.condition(*self._counted(node, name, atoms))
            return condition if name == "bool" else self._negated(condition)
        if name in ("and", "or"):
            return do(name, *[self.program.condition(atom) for atom in self._counted(node, name, atoms)])
        atoms = [self.program.number(atom) for atom in atoms]
        if name in ("first max", "first min") and len(atoms) > 1:
            total = atoms[0]
            for other in atoms[1:]:
                total = do("where", do(">" if name == "first max" else "<", other, total), other, total)
            return total
        if name == "sum":
            total = atoms[0]
            for other in atoms[1:]:
                total = do("+", total, other)
            return total
        self._counted(node, name, atoms)
        x, y = atoms[0], atoms[1] if len(atoms) > 1 else 0
        if name == "same":
            return x
        if name == "square":
            return do("*", x, x)
        if name == "divmod":
            return do("//", x, y), do("%", x, y)
        if name in EXPANSIONS:
            return EXPANSIONS[name](lambda name, *args: self._word(node, name, list(args)), *atoms)
        if name in ("maximum", "minimum"):
            return self._extreme(name, x, y)
        if name == "isinf":
            return do("==", do("absolute", x), math.inf)
        if name == "isfinite":
            return do("<", do("absolute", x), math.inf)
        return do("**" if name == "power" else name, *atoms)

    def _extreme(self, name: str, x: Atom, y: Atom) -> Atom:
        """NumPy's maximum and minimum, which pass NaN."""
        do = self.program.do
        return do("where", do("or", do(">=" if name == "maximum" else "<=", x, y), do("isnan", x)), x, y)

    def _counted(self, node: ast.Call, name: str, atoms: list[Atom]) -> list[Atom]:
        count = _ARGUMENTS.get(name, 1)
        if len(atoms) != count:
            raise self.fail(node, f"expected {count} argument{'s' * (count > 1)}, got {len(atoms)}")
        return atoms

    def _with_second(self, node: ast.Call, name: str, given: list[Any]) -> Any:
        """The base of a logarithm; digits of a rounding are refused."""
        if name == "round":
            raise self.fail(node, "rounding to digits has no derivative that is known")
        x, base = (self.program.number(self.as_atom(node, each)) for each in given)
        return self.program.do("/", self.program.do("log", x), self.program.do("log", base))


def _is_mathematics(function: Any) -> bool:
    """Whether it is a function of numbers from Python or NumPy."""
    return (
        isinstance(function, np.ufunc)
        or (isinstance(function, types.BuiltinFunctionType) and function.__module__ == "math")
        or (isinstance(function, type) and issubclass(function, np.generic))
    )


def _returns(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Return) for each in ast.walk(node))
