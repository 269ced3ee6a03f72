"""Reading a scalar function: its syntax, executed on names instead of numbers, writes a `derive.Program`."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.errors import KernelError
from numgrad.kernels.source import definition
from numgrad.ops.derive import WORDS, Atom, Program

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}

# Functions that a formula may call, by the word for them, or by a rule made of others.
_KNOWN: dict[Any, str] = {
    **{word: name for name, word in WORDS.items()},
    abs: "absolute", math.fabs: "absolute", np.abs: "absolute", np.fabs: "absolute", pow: "**", math.pow: "**", np.power: "**",
    max: "max", min: "min", np.maximum: "max", np.minimum: "min", np.where: "where", np.sign: "sign", np.rint: "round",
    round: "round", math.isnan: "isnan", np.isnan: "isnan", float: "same", np.square: "square", math.hypot: "hypot",
    np.hypot: "hypot", math.tan: "tan", np.tan: "tan", math.sinh: "sinh", np.sinh: "sinh", math.cosh: "cosh", np.cosh: "cosh",
    math.log2: "log2", np.log2: "log2", math.log10: "log10", np.log10: "log10", math.exp: "exp", np.exp: "exp",
}  # fmt: skip
for _name in ("expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "floor", "ceil", "trunc"):
    for _module in (math, np):
        if hasattr(_module, _name):
            _KNOWN[getattr(_module, _name)] = _name


def read(function: Callable[..., Any]) -> Program:
    """The program of a scalar function; parameters that have defaults are constants.

    Raises
    ------
    KernelError
        It does something that has no derivative here; the message says what, and in which line.
    """
    plain = getattr(function, "py_func", function)
    tree = definition(plain)
    constants = _defaults(plain)
    parameters = tuple(a.arg for a in tree.args.args if a.arg not in constants)
    if not parameters or tree.args.vararg or tree.args.kwarg or tree.args.kwonlyargs:
        raise KernelError(f"elementwise {tree.name}: expected one parameter or more, each by its name and place")
    program = Program(tree.name, tuple(f"{p}_" if p in WORDS or p == "g" else p for p in parameters))
    reader = _Reader(program, plain, 0)
    names: dict[str, Any] = dict(zip(parameters, program.parameters, strict=True)) | constants
    program.result = reader.run(tree.body, names)
    return program


def _defaults(function: Any) -> dict[str, Any]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


class _Undefined:
    """In the place of a name that only one branch defines."""


class _Reader:
    """Executes the syntax of one function; names stand for atoms, or for constants of Python."""

    def __init__(self, program: Program, function: Any, depth: int) -> None:
        self.program, self.function, self.depth = program, function, depth

    def fail(self, node: ast.AST, what: str) -> KernelError:
        name = getattr(self.function, "__name__", "?")
        return KernelError(
            f"elementwise {self.program.name}: {what}, in {name}: `{ast.unparse(node).splitlines()[0]}`. Formulas are made of "
            "arithmetic, comparisons, if, where, loops over constant ranges, and numgrad.scalar's, math's and NumPy's functions; "
            "for others give forward and backward by elementwise('name', ...)"
        )

    def run(self, body: list[ast.stmt], names: dict[str, Any]) -> Atom:
        """What the statements return."""
        result = self._block(body, names)
        if result is None:
            raise self.fail(body[-1] if body else ast.Pass(), "there is a way through that returns nothing")
        return result

    def _block(self, body: list[ast.stmt], names: dict[str, Any]) -> Atom | None:
        for place, statement in enumerate(body):
            if isinstance(statement, ast.Return):
                if statement.value is None:
                    raise self.fail(statement, "it returns nothing")
                return self.atom(statement.value, names)
            if isinstance(statement, ast.If):
                found = self._branch(statement, body[place + 1 :], names)
                if found is not None:
                    return found[0]
            else:
                self._statement(statement, names)
        return None

    def _branch(self, node: ast.If, rest: list[ast.stmt], names: dict[str, Any]) -> tuple[Atom | None] | None:
        condition = self.value(node.test, names)
        if not isinstance(condition, str):  # known beforehand
            taken = node.body if condition else node.orelse
            if _returns(node):
                return (self._block([*taken, *rest], names),)
            self._block(taken, names)
            return None
        ahead, other = dict(names), dict(names)
        if _returns(node):
            results = [self._block([*part, *rest], each) for part, each in ((node.body, ahead), (node.orelse, other))]
            if results[0] is None or results[1] is None:
                raise self.fail(node, "one of its branches returns, and the other returns nothing")
            return (self.program.do("where", condition, results[0], results[1]),)
        self._block(node.body, ahead)
        self._block(node.orelse, other)
        for name in {*ahead, *other}:
            one, two = ahead.get(name, _Undefined), other.get(name, _Undefined)
            if one is _Undefined or two is _Undefined:
                names[name] = _Undefined
            elif one is two or (type(one) is type(two) and one == two):
                names[name] = one
            else:
                names[name] = self.program.do("where", condition, one, two)
        return None

    def _statement(self, node: ast.stmt, names: dict[str, Any]) -> None:
        if isinstance(node, ast.Assign):
            value = self.value(node.value, names)
            for target in node.targets:
                self._assign(target, value, names)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._assign(node.target, self.value(node.value, names), names)
        elif isinstance(node, ast.AugAssign):
            whole = ast.BinOp(ast.Name(getattr(node.target, "id", "?"), ast.Load()), node.op, node.value)
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
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple) and len(target.elts) == len(value):
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

    def atom(self, node: ast.expr, names: dict[str, Any]) -> Atom:
        """The value of an expression that is a number."""
        value = self.value(node, names)
        if isinstance(value, np.generic):
            value = value.item()
        if not isinstance(value, (str, bool, int, float)):
            raise self.fail(node, f"expected a number, got {type(value).__name__}")
        return value

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """An atom, or an object of Python: a function, a module, a range."""
        do = self.program.do
        if isinstance(node, ast.Constant) and not isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name):
            return self._named(node, names)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value, names)
            if inspect.ismodule(owner) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        if isinstance(node, ast.Tuple):
            return tuple(self.value(each, names) for each in node.elts)
        if isinstance(node, ast.UnaryOp):
            operand = self.atom(node.operand, names)
            if isinstance(node.op, ast.UAdd):
                return operand
            return do("not" if isinstance(node.op, (ast.Not, ast.Invert)) else "neg", operand)
        if isinstance(node, ast.BinOp):
            return self._binary(node, names)
        if isinstance(node, ast.Compare):
            return self._comparison(node, names)
        if isinstance(node, ast.BoolOp):
            total, *others = [self.atom(each, names) for each in node.values]
            for other in others:
                total = do("and" if isinstance(node.op, ast.And) else "or", total, other)
            return total
        if isinstance(node, ast.IfExp):
            condition = self.atom(node.test, names)
            if not isinstance(condition, str):
                return self.value(node.body if condition else node.orelse, names)
            return do("where", condition, self.atom(node.body, names), self.atom(node.orelse, names))
        if isinstance(node, ast.Call):
            return self._call(node, names)
        raise self.fail(node, f"`{type(node).__name__}` is not supported")

    def _named(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id in names:
            if names[node.id] is _Undefined:
                raise self.fail(node, f"{node.id} is defined in one branch only")
            return names[node.id]
        closure = inspect.getclosurevars(self.function)
        for scope in (closure.nonlocals, self.function.__globals__, vars(builtins)):
            if node.id in scope:
                value = scope[node.id]
                return value.item() if isinstance(value, np.generic) else value
        raise self.fail(node, f"{node.id} is not defined")

    def _binary(self, node: ast.BinOp, names: dict[str, Any]) -> Atom:
        do, x, y = self.program.do, self.atom(node.left, names), self.atom(node.right, names)
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            return do("and" if isinstance(node.op, ast.BitAnd) else "or", x, y)
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            floor = do("floor", do("/", x, y))
            return floor if isinstance(node.op, ast.FloorDiv) else do("-", x, do("*", y, floor))
        operation = _BINARY.get(type(node.op))
        if operation is None:
            raise self.fail(node, f"`{type(node.op).__name__}` is not supported")
        return do(operation, x, y)

    def _comparison(self, node: ast.Compare, names: dict[str, Any]) -> Atom:
        values = [self.atom(each, names) for each in (node.left, *node.comparators)]
        total: Atom | None = None
        for place, operator in enumerate(node.ops):
            if type(operator) not in _COMPARE:
                raise self.fail(node, f"`{type(operator).__name__}` is not supported")
            one = self.program.do(_COMPARE[type(operator)], values[place], values[place + 1])
            total = one if total is None else self.program.do("and", total, one)
        assert total is not None
        return total

    def _call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        function = self.value(node.func, names)
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise self.fail(node, "functions are called with arguments by their places")
        if function is range:
            bounds = [self.value(arg, names) for arg in node.args]
            if not all(type(bound) is int for bound in bounds):
                raise self.fail(node, "the range of a loop has to be constant")
            return range(*bounds)
        try:
            known = _KNOWN.get(function)
        except TypeError:
            known = None
        if known is not None:
            return self.program.word(known, [self.atom(arg, names) for arg in node.args])
        plain = getattr(function, "py_func", function)
        if not inspect.isfunction(plain):
            raise self.fail(node, f"{getattr(function, '__name__', function)!r} has no derivative that is known")
        if self.depth > 50:
            raise self.fail(node, "functions call each other more than 50 deep")
        tree = definition(plain)
        given = [self.value(arg, names) for arg in node.args]
        wanted = [a.arg for a in tree.args.args]
        inner = _defaults(plain) | dict(zip(wanted, given, strict=False))
        if len(given) > len(wanted) or any(name not in inner for name in wanted):
            raise self.fail(node, f"{plain.__name__} takes {len(wanted)} arguments, got {len(given)}")
        return _Reader(self.program, plain, self.depth + 1).run(tree.body, inner)


def _returns(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Return) for each in ast.walk(node))
