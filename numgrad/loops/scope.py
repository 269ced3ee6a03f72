"""What all parts of the reader share: names of functions, places in the text, new names and arrays, refusals."""

from __future__ import annotations

import ast
import builtins
import copy
from typing import Any

import numpy as np

from numgrad.errors import KernelError, TranslationError
from numgrad.kernels.source import definition
from numgrad.loops.aliases import Mark
from numgrad.loops.kinds import kind_of
from numgrad.loops.language import (
    KINDS,
    ONE,
    ZERO,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    Fail,
    If,
    Op,
    Unit,
    Var,
    op,
    text,
)
from numgrad.loops.sweeps import Line
from numgrad.loops.values import Lazy, View, whole

DTYPES = ("f8", "f4", "i8", "i4", "i2", "i1", "u1", "b1")


class Surroundings:
    """What names outside of functions stand for, as it was when each was read first.

    A function is translated again for other kinds of arguments, other needs and second derivatives, at any time later. All of
    these are of one function only if they see the same constants.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[Any, str], Any] = {}

    def keep(self, owner: Any, name: str, value: Any) -> Any:
        """The value that the name of a function, module or class had first; it is ``value`` if this is the first time."""
        key = owner, name
        if key not in self._first:
            self._first[key] = _apart(value)
        return self._first[key]


def _apart(value: Any) -> Any:
    """The value, with copies of arrays, which may change."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return tuple([_apart(each) for each in value]) if type(value) is tuple else value


class Scope:
    """Names of one function, or of one call that is read in place."""

    def __init__(self, function: Any, tree: ast.FunctionDef, surroundings: Surroundings) -> None:
        self.function, self.tree, self.surroundings = function, tree, surroundings
        self.file = function.__code__.co_filename
        self.names: dict[str, Any] = {}  # an Expr, a View, a Row or a Static for each name that is bound
        self.exits: dict[int, str] = {}
        self.locals = {a.arg for a in tree.args.args}
        self.bound: dict[str, int] = {}  # how often a name is given a value
        in_place = {id(n.target) for n in ast.walk(tree) if isinstance(n, ast.AugAssign)}
        self.renamed: set[str] = set()  # names that are given a value, and not by `+=`
        for each in ast.walk(tree):
            if isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del)):
                self.locals.add(each.id)
                self.bound[each.id] = self.bound.get(each.id, 0) + 1
                if id(each) not in in_place:
                    self.renamed.add(each.id)

    def outer(self, name: str) -> Any:
        """The value of a name that is not local; raises KeyError."""
        return self.surroundings.keep(self.function, name, outer(self.function, name))


def outer(function: Any, name: str) -> Any:
    """What a name that is not local to a function stands for now.

    Raises
    ------
    KeyError
        It is not defined, or not yet.
    """
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    if name in cells:
        try:
            return cells[name].cell_contents
        except ValueError:
            raise KeyError(name) from None
    space = function.__globals__
    return space[name] if name in space else vars(builtins)[name]


def plain_function(function: Any) -> Any:
    """The function of Python behind what compiles it or makes it differentiable."""
    for _ in range(8):
        inner = getattr(function, "py_func", None)
        if inner is None:
            break
        function = inner
    return function


def tree_of(function: Any) -> ast.FunctionDef:
    """The syntax of a function, which may be changed.

    Raises
    ------
    TranslationError
        It is not known.
    """
    try:
        return copy.deepcopy(definition(function))
    except KernelError as error:
        raise TranslationError(f"differentiable: {error}") from error


def shown_text(node: Any) -> str:
    """The first line of what stands at a node, for a refusal; '' for a whole function."""
    if not isinstance(node, ast.AST) or isinstance(node, (ast.FunctionDef, ast.arguments)):
        return ""
    return f": `{ast.unparse(node).splitlines()[0]}`"


class Names:
    """The base of the reader."""

    def __init__(self, name: str) -> None:
        self.unit = Unit(name, [], {}, [], [], [], {}, set())
        self.kinds: dict[str, str] = {}
        self.nest: list[Any] = []  # the loops and branches round the statement that is read
        self.depth = 0  # of calls that are read in place
        self.lazy = 0  # more than 0 where an expression may not be evaluated
        self.makings: list[tuple[str, tuple[Any, ...], Line]] = []  # arrays, and the loops they are made in
        self.namings: list[tuple[str, str, tuple[Any, ...], Line, bool]] = []  # views with names; whether read before
        self.assignments: dict[str, list[Expr]] = {}
        self.expected: list[tuple[Expr, str, Any, Scope]] = []
        self.before: set[str] = set()  # arrays that there were before the statement that is read
        self.constants: dict[int, str] = {}  # arrays of the surroundings, by identity
        self.turns_below: dict[str, Expr] = {}  # variables of loops from 0 or more, and what they stay below
        self.unstable: set[str] = set()  # numbers that are given several values

    def line(self, node: Any, scope: Scope) -> Line:
        """The place of a node in the user's text."""
        return Line(
            scope.function.__name__, scope.file, getattr(node, "lineno", scope.function.__code__.co_firstlineno)
        )

    def fail(self, node: Any, scope: Scope, what: str, advice: str = "") -> TranslationError:
        """The refusal of what stands at a node."""
        at = self.line(node, scope)
        shown = shown_text(node)
        advice = f"; {advice}" if advice else ""
        return TranslationError(f"differentiable {at.function}, {at.file}:{at.number}{shown}: {what}{advice}")

    def fresh(self, stem: str) -> str:
        """A name that is not taken."""
        return self.unit.fresh(stem)

    # ---- numbers ------------------------------------------------------------------------------------------------------

    def named(self, e: Expr, stem: str, line: Line, out: list[Any]) -> Expr:
        """A number or a name with the expression's present value, which later statements do not change."""
        if isinstance(e, (Const, Dim)):
            return e
        if isinstance(e, Op) and all(isinstance(a, (Const, Dim)) for a in e.args):
            return e
        return self.give(stem, e, line, out)

    def give(self, stem: str, e: Expr, line: Line, out: list[Any]) -> Var:
        """A new name for an expression's value."""
        name = self.fresh(stem)
        self.put(name, e, line, out)
        return Var(name)

    def put(self, name: str, e: Expr, line: Line, out: list[Any]) -> None:
        """``name = e``."""
        out.append(Assign(line, name, e))
        self.assignments.setdefault(name, []).append(e)
        self.kinds[name] = max(self.kinds.get(name, "b"), self.kind(e), key=KINDS.index)

    def expect(self, e: Expr, kind: str, node: Any, scope: Scope) -> None:
        """Note that reading took a number for one of this kind; looked at when all is read."""
        self.expected.append((e, kind, node, scope))

    # ---- failures at run time ------------------------------------------------------------------------------------------

    def check(self, cond: Expr, error: type[Exception], message: str, line: Line, out: list[Any]) -> None:
        """End the run with an exception if a condition holds."""
        if cond != Const(False):
            out.append(If(line, cond, [self.failure(error, message, line)], []))

    def failure(self, error: type[Exception], message: str, line: Line) -> Fail:
        """The statement that ends the run with an exception."""
        self.unit.failures.append((line, error, message))
        return Fail(line, len(self.unit.failures) - 1)

    def same(self, one: Expr, two: Expr, what: str, line: Line, out: list[Any]) -> None:
        """Two extents have to be equal; looked up at run time if it is not known."""
        if self.resolve(one) == self.resolve(two):
            return
        message = f"{what}: extents {text(self.resolve(one))} and {text(self.resolve(two))} differ"
        self.check(op("!=", one, two), ValueError, message, line, out)

    def is_whole_axis(self, view: View, axis: int) -> bool:
        """Whether a view's indices are the array's, so that the array's own check is the view's."""
        span, extent = view.span(axis), self.unit.arrays[view.array].shape[view.order[axis]]
        return span.start == ZERO and span.step == ONE and self.resolve(span.extent) == self.resolve(extent)

    def within(self, index: Expr, extent: Expr, line: Line, out: list[Any]) -> Expr:
        """The index of a part of an array, by Python's rules; the array itself would take more."""
        if isinstance(index, Const):
            inside = index if index.value >= 0 else op("+", extent, index)
            outside = op(">=", inside, extent) if index.value >= 0 else op("<", inside, Const(0))
        elif isinstance(index, Var) and self.turns_below.get(index.name) == self.resolve(extent):
            return index
        else:
            held = self.give("k", index, line, out)
            inside = self.give("k", Op("select", (op("<", held, Const(0)), op("+", extent, held), held)), line, out)
            outside = op("or", op("<", inside, Const(0)), op(">=", inside, extent))
        self.check(outside, IndexError, "index out of range", line, out)
        return inside

    def divided(self, name: str, values: list[Any], line: Line, out: list[Any]) -> list[Any]:
        """The operands of an operator; if it divides integers, the divisor is looked at, as Python does."""
        if name not in ("//", "%") or not all(isinstance(v, Expr) and self.kind(v) != "f" for v in values):
            return values
        divisor = self.named(values[1], "divisor", line, out)
        if not isinstance(divisor, Const) or divisor.value == 0:
            is_zero = Const(True) if isinstance(divisor, Const) else op("==", divisor, ZERO)
            self.check(is_zero, ZeroDivisionError, "integer division or modulo by zero", line, out)
        return [values[0], divisor]

    # ---- extents --------------------------------------------------------------------------------------------------------

    def resolve(self, e: Expr) -> Expr:
        """An extent by what it is made of, where that is always the same."""
        entry = self._resolved(e)
        return e if entry is None else entry

    def _resolved(self, e: Expr) -> Expr | None:
        if isinstance(e, (Const, Dim)):
            return e
        if isinstance(e, Var):
            if e.name in self.unstable or self.kinds.get(e.name) == "f":  # of arguments, integers alone are known
                return None
            entry = self.assignments.get(e.name)
            if entry is None:
                return None
            return e if not entry else self._resolved(entry[0]) if len(entry) == 1 else None
        if isinstance(e, Op) and not e.op.startswith("call:"):
            parts = [self._resolved(a) for a in e.args]
            return None if None in parts else op(e.op, *parts)  # type: ignore[arg-type]
        return None

    # ---- arrays ---------------------------------------------------------------------------------------------------------

    def new_array(
        self, stem: str, dtype: str, shape: tuple[Expr, ...], node: Any, scope: Scope, out: list[Any]
    ) -> View:
        """A local array; its contents are not defined."""
        line = self.line(node, scope)
        if len(shape) > 6:
            raise self.fail(node, scope, "arrays have at most 6 dimensions here")
        extents = []
        for e in shape:
            got = self.named(e, "n", line, out)
            extents.append(got)
        name = stem if stem.isidentifier() and stem not in self.unit.used else self.fresh(stem)
        self.unit.used.add(name)
        self.unit.arrays[name] = Array(dtype, tuple(extents))
        self.unit.locals.append(name)
        self.makings.append((name, self.loops(), line))
        out.append(Mark(line, "made", name))
        return whole(name, tuple(extents))

    def same_as(self, mine: str, array: str, name: str, node: Any, scope: Scope, out: list[Any]) -> None:
        """Note that a name's array holds a copy of another one, which in NumPy it would be."""
        out.append(Mark(self.line(node, scope), "same", mine, array, (name, scope, node)))

    def loops(self) -> tuple[Any, ...]:
        """The loops round the statement that is read."""
        return tuple(self.nest)

    def constant(self, name: str, value: np.ndarray[Any, Any], node: Any, scope: Scope) -> View:
        """An array of the surroundings."""
        dtype = value.dtype.str[1:]
        if dtype not in DTYPES or value.ndim == 0:
            raise self.fail(node, scope, f"{name} is an array of {value.dtype} with {value.ndim} dimensions")
        known = self.constants.get(id(value))
        if known is None:
            known = self.constants[id(value)] = self.fresh(f"const_{name}")
            self.unit.scope[known] = np.array(value, order="C")  # what it holds now
            self.unit.arrays[known] = Array(dtype, tuple(Const(n) for n in value.shape))
        return whole(known, self.unit.arrays[known].shape)

    def dtype(self, value: Any) -> str:
        """Of the elements of an array, or the one that a number has."""
        if isinstance(value, View):
            return self.unit.arrays[value.array].dtype
        if isinstance(value, Lazy):
            return value.dtype
        return {"f": "f8", "i": "i8", "b": "b1"}[self.kind(value)]

    def kind(self, e: Expr) -> str:
        """What a number is, as far as it is known while the text is read: ``f``, ``i`` or ``b``."""
        return kind_of(e, self.kinds, self.unit.arrays)

    def reads(self, *values: Any) -> frozenset[str]:
        """Arrays whose elements arrays read."""
        return frozenset().union(*[
            v.reads if isinstance(v, Lazy) else {v.array} if isinstance(v, View) else () for v in values
        ])  # fmt: skip
