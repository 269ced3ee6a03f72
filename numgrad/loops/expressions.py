"""Expressions of Python, read as numbers, arrays and tuples."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np

from numgrad.loops.elementwise import Elementwise
from numgrad.loops.expansions import EXPANSIONS, PLAIN, extreme
from numgrad.loops.language import (
    ONE,
    ZERO,
    Const,
    Expr,
    If,
    Load,
    Op,
    Var,
    arrays,
    assigned,
    op,
    product,
    scalars,
    written,
)
from numgrad.loops.scope import Scope
from numgrad.loops.values import Arrayed, Lazy, Row, Span, Static, View
from numgrad.loops.vocabulary import ARGUMENTS, EXPENSIVE, FUNCTIONS, OPERATORS, advice

_NUMBERS = (bool, int, float)


class Expressions(Elementwise):
    """The reader's part for expressions."""

    # ---- what surrounds the text --------------------------------------------------------------------------------------

    def known(self, value: Any, name: str, node: Any, scope: Scope) -> Any:
        """A value of the surroundings as a constant."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, np.ndarray) and value.ndim:
            return self.constant(name, value, node, scope)
        if isinstance(value, np.ndarray):
            value = value.item()
        if isinstance(value, _NUMBERS):
            return self.sized(value, node, scope)
        if isinstance(value, tuple):
            return Row(tuple(self.known(v, name, node, scope) for v in value))
        return Static(value)

    def sized(self, value: Any, node: Any, scope: Scope) -> Const:
        """A number that is known; integers have 64 bits."""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self.fail(node, scope, "the integer does not fit into 64 bits", "write it as a real number")
        return Const(value)

    def static(self, node: ast.expr, scope: Scope) -> Any:
        """The object that an expression names in the surroundings; None if it does not."""
        if isinstance(node, ast.Name):
            bound = scope.names.get(node.id)
            if isinstance(bound, Static):
                return bound.value
            if node.id in scope.locals:
                return None
            try:
                return scope.outer(node.id)
            except KeyError:
                return None
        if isinstance(node, ast.Attribute):
            owner = self.static(node.value, scope)
            if inspect.ismodule(owner) or inspect.isclass(owner):
                return scope.surroundings.keep(owner, node.attr, getattr(owner, node.attr, None))
        return None

    # ---- any value ------------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """What an expression is: an Expr, a View, a Lazy, a Row or a Static."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.fail(node, scope, f"`{type(node).__name__}` is not supported", advice(node))
        return method(node, scope, out)

    def expr(self, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """A number."""
        return self.number(self.value(node, scope, out), node, scope, out)

    def number(self, value: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """The value, which has to be a number."""
        if isinstance(value, Expr):
            return value
        if isinstance(value, Arrayed) and not value.shape:
            return value.element((), out)
        what = {View: "an array", Lazy: "an array", Row: "a tuple"}.get(type(value), "no number")
        raise self.fail(node, scope, f"it is {what}, where a number is expected", "write the loop over its elements")

    def _constant(self, node: ast.Constant, scope: Scope, out: list[Any]) -> Any:
        if isinstance(node.value, _NUMBERS):
            return self.sized(node.value, node, scope)
        if isinstance(node.value, complex):
            raise self.fail(node, scope, "complex numbers are not supported", "keep real and imaginary part apart")
        return Static(node.value)

    def _name(self, node: ast.Name, scope: Scope, out: list[Any]) -> Any:
        known = scope.names.get(node.id)
        if known is not None:
            return known
        if node.id in scope.locals:
            return Var(self.local(node.id, node, scope))
        try:
            value = scope.outer(node.id)
        except KeyError:
            raise self.fail(node, scope, f"{node.id} is not defined") from None
        return self.known(value, node.id, node, scope)

    def local(self, name: str, node: Any, scope: Scope) -> str:
        """The name of a local number."""
        known = scope.names.get(name)
        if known is None:
            unique = name if name not in self.unit.used else self.fresh(name)
            self.unit.used.add(unique)
            if scope.bound.get(name, 0) > 1:
                self.unstable.add(unique)
            scope.names[name] = known = Var(unique)
        if not isinstance(known, Var):
            raise self.fail(node, scope, f"{name} names a number here and something else elsewhere", "take two names")
        return known.name

    def _attribute(self, node: ast.Attribute, scope: Scope, out: list[Any]) -> Any:
        value = self.static(node, scope)
        if value is not None:
            return self.known(value, node.attr, node, scope)
        owner = self.value(node.value, scope, out)
        if isinstance(owner, Arrayed):
            if node.attr == "shape":
                return Row(owner.shape)
            if node.attr == "size":
                return product(owner.shape)
            if node.attr == "ndim":
                return Const(len(owner.shape))
            if node.attr == "T":
                return self.transposed(owner, tuple(reversed(range(len(owner.shape)))))
            if node.attr == "dtype":
                return Static(np.dtype(self.dtype(owner)).type)
        raise self.fail(node, scope, f"`.{node.attr}` is not supported", "give the function what it needs of it")

    def transposed(self, value: Any, order: tuple[int, ...]) -> Any:
        """An array with its axes in another order."""
        if isinstance(value, View):
            return View(value.array, value.axes, tuple(value.order[k] for k in order))

        def element(index: tuple[Expr, ...], out: list[Any]) -> Expr:
            table = dict(zip(order, index, strict=True))
            return value.element(tuple(table[k] for k in range(len(order))), out)  # type: ignore[no-any-return]

        return Lazy(tuple(value.shape[k] for k in order), value.dtype, element, value.reads)

    def _tuple(self, node: ast.Tuple, scope: Scope, out: list[Any]) -> Any:
        return Row(tuple(self.all(node.elts, scope, out)))

    _list = _tuple

    # ---- elements -------------------------------------------------------------------------------------------------------

    def _subscript(self, node: ast.Subscript, scope: Scope, out: list[Any]) -> Any:
        owner = self.value(node.value, scope, out)
        if isinstance(owner, Row):
            return self._item(owner, node, scope, out)
        if not isinstance(owner, Arrayed):
            raise self.fail(
                node,
                scope,
                "it is no array and no tuple",
                "give the function an array, or the number itself as an argument",
            )
        return self.part(owner, node.slice, node, scope, out)

    def _item(self, owner: Row, node: ast.Subscript, scope: Scope, out: list[Any]) -> Any:
        if isinstance(node.slice, ast.Slice):
            ends = [
                None if e is None else self.expr(e, scope, out)
                for e in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            if any(e is not None and not (isinstance(e, Const) and type(e.value) is int) for e in ends):
                raise self.fail(node, scope, "a part of a tuple needs bounds that are known")
            return Row(owner.items[slice(*[None if e is None else e.value for e in ends])])  # type: ignore[attr-defined]
        index = self.expr(node.slice, scope, out)
        if not (
            isinstance(index, Const)
            and type(index.value) is int
            and -len(owner.items) <= index.value < len(owner.items)
        ):
            raise self.fail(
                node, scope, f"a tuple of {len(owner.items)} needs an index that is known and in range", "take an array"
            )
        return owner.items[index.value]

    def part(self, owner: Any, node: ast.expr, whole: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """``owner[node]``: an element, or a view."""
        each = list(node.elts) if isinstance(node, ast.Tuple) else [node]
        dims = len(owner.shape)
        dots = [k for k, e in enumerate(each) if isinstance(e, ast.Constant) and e.value is ...]
        if len(dots) > 1 or len(each) - len(dots) > dims:
            raise self.fail(whole, scope, f"{len(each)} indices for an array with {dims} dimensions")
        full: ast.expr = ast.Slice()
        if dots:
            each[dots[0] : dots[0] + 1] = [full] * (dims - len(each) + 1)
        each += [full] * (dims - len(each))
        got: list[Any] = []
        for axis, e in enumerate(each):
            if isinstance(e, ast.Slice):
                got.append(self._span(owner.shape[axis], e, whole, scope, out))
                continue
            index = self.expr(e, scope, out)
            if self.kind(index) == "f":
                raise self.fail(whole, scope, "an index is a real number", "take int(...)")
            if isinstance(owner, Lazy) or not self.is_whole_axis(owner, axis):
                index = self.within(index, owner.shape[axis], self.line(whole, scope), out)
            elif isinstance(index, Const) and index.value < 0:
                index = op("+", owner.shape[axis], index)
            got.append(index)
        if isinstance(owner, View):
            return self._view(owner, got)
        free = [k for k, g in enumerate(got) if isinstance(g, Span)]

        def element(index: tuple[Expr, ...], out: list[Any]) -> Expr:
            table = dict(zip(free, index, strict=True))
            return owner.element(tuple(g.at(table[k]) if k in table else g for k, g in enumerate(got)), out)  # type: ignore[no-any-return]

        unique = Lazy(tuple(got[k].extent for k in free), owner.dtype, element, owner.reads)
        return unique if free else element((), out)

    def _view(self, owner: View, got: list[Any]) -> Any:
        axes = list(owner.axes)
        order = []
        for axis, g in enumerate(got):
            base = owner.span(axis)
            if isinstance(g, Span):
                axes[owner.order[axis]] = Span(base.at(g.start), op("*", base.step, g.step), g.extent)
                order.append(owner.order[axis])
            else:
                axes[owner.order[axis]] = base.at(g)
        if order:
            return View(owner.array, tuple(axes), tuple(order))
        return Load(owner.array, tuple(axes))  # type: ignore[arg-type]

    def _span(self, extent: Expr, node: ast.Slice, whole: ast.expr, scope: Scope, out: list[Any]) -> Span:
        """A slice of an axis, by Python's rules."""
        line = self.line(whole, scope)
        step = ONE if node.step is None else self.expr(node.step, scope, out)
        if not (isinstance(step, Const) and type(step.value) is int and step.value != 0):
            raise self.fail(whole, scope, "the step of a slice has to be an integer that is known")

        def end(given: ast.expr | None, default: Expr, low: Expr, high: Expr) -> Expr:
            if given is None:
                return default
            e = self.expr(given, scope, out)
            if isinstance(e, Const) and e.value < 0:
                e = op("+", extent, e)
            elif not isinstance(e, Const):
                e = self.named(e, "k", line, out)
                e = op("select", op("<", e, ZERO), op("+", extent, e), e)
            return op("max", low, op("min", high, e))

        if step.value > 0:
            start = end(node.lower, ZERO, ZERO, extent)
            stop = end(node.upper, extent, ZERO, extent)
            length = op("-", stop, start)
        else:
            last = op("-", extent, ONE)
            start = end(node.lower, last, Const(-1), last)
            stop = end(node.upper, Const(-1), Const(-1), last)
            length = op("-", start, stop)
        size = abs(step.value)
        if size > 1:
            length = op("//", op("+", length, Const(size - 1)), Const(size))
        if not (node.lower is None and node.upper is None):
            length = op("max", ZERO, length)
        return Span(self.named(start, "first", line, out), step, self.named(length, "n", line, out))

    # ---- operations -------------------------------------------------------------------------------------------------------

    def all(self, nodes: list[ast.expr], scope: Scope, out: list[Any]) -> list[Any]:
        """Values in order; a number is kept in a name of its own if what follows changes what it reads."""
        values: list[Any] = []
        marks = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.value(node.value, scope, out)
                if not isinstance(inner, Row):
                    raise self.fail(node, scope, "only a tuple can be unpacked")
                values += inner.items
                marks += [len(out)] * len(inner.items)
                continue
            values.append(self.value(node, scope, out))
            marks.append(len(out))
        for k in range(len(values) - 1):
            later = out[marks[k] :]
            if not later:
                continue
            if isinstance(values[k], Expr):
                if (scalars(values[k]) & assigned(later)) or (arrays(values[k]) & written(later)):
                    name = self.fresh("held")
                    held: list[Any] = []
                    self.put(name, values[k], self.line(nodes[0], scope), held)
                    out[marks[k] : marks[k]] = held
                    marks = [m + (n >= k) for n, m in enumerate(marks)]
                    values[k] = Var(name)
            elif isinstance(values[k], Lazy) and values[k].reads & written(later):
                raise self.fail(
                    nodes[0], scope, "what follows changes an array that is used here", "give it a name before"
                )
        return values

    def operation(self, name: str, values: list[Any], node: ast.expr, scope: Scope, out: list[Any]) -> Any:
        """An operation on numbers, or on arrays element by element."""
        if any(isinstance(v, Arrayed) and v.shape for v in values):
            return self.elementwise(
                lambda args, into: self.apply(name, args, node, scope, into), name, values, node, scope, out
            )
        return self.apply(name, [self.number(v, node, scope, out) for v in values], node, scope, out)

    def apply(self, name: str, args: list[Expr], node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """An operation on numbers."""
        if name in ("and", "or", "not"):
            args = [self.truth(a) for a in args]
        if name == "&" and all(self.kind(a) == "b" for a in args):
            return op("and", *args)
        if name == "|" and all(self.kind(a) == "b" for a in args):
            return op("or", *args)
        if name in ("&", "|", "^", "<<", ">>", "invert") and any(self.kind(a) == "f" for a in args):
            raise self.fail(node, scope, f"{name} takes integers")
        if name in PLAIN and all(self.kind(a) != "f" for a in args):
            name = PLAIN[name]
        if (name in PLAIN or name in EXPANSIONS) and not self.lazy:  # operands are read more than once
            line = self.line(node, scope)
            args = [a if isinstance(a, Var) else self.named(a, "v", line, out) for a in args]
        if name in PLAIN:
            return extreme(name, *args)
        if name in EXPANSIONS:
            return EXPANSIONS[name](lambda *given: self._expanded(*given, node=node, scope=scope, out=out), *args)
        if name == "float" and isinstance(args[0], Const):
            return Const(float(args[0].value))
        if name in ("int", "floor", "ceil", "trunc", "round") and self.kind(args[0]) == "i":
            return args[0]
        if name == "bool":
            return self.truth(args[0])
        if name == "neg" and isinstance(args[0], Const):
            return Const(-args[0].value)
        if name in ("max", "min"):
            total = args[0]
            for other in args[1:]:
                total = op(name, total, other)
            return total
        if name in FUNCTIONS:  # compiled words take floating-point numbers alone
            args = [self._as_float(a) for a in args]
        return self.kept(Op(name, tuple(args)) if name == "select" else op(name, *args), node, scope, out)

    def _expanded(self, name: str, *given: Any, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        args = [e if isinstance(e, Expr) else Const(e) for e in given]
        return self.apply("select" if name == "where" else name, args, node, scope, out)

    def _as_float(self, e: Expr) -> Expr:
        if isinstance(e, Const):
            return Const(float(e.value))
        return e if self.kind(e) == "f" else op("float", e)

    def truth(self, e: Expr) -> Expr:
        """Whether a number is not 0."""
        if isinstance(e, Const):
            return Const(bool(e.value))
        return e if self.kind(e) == "b" and not isinstance(e, Var) else e if self.kind(e) == "b" else op("!=", e, ZERO)

    def kept(self, result: Expr, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """Costly functions get a name of their own, so that their values can be kept."""
        if isinstance(result, Op) and (result.op in EXPENSIVE or result.op.startswith("call:")) and not self.lazy:
            return self.give(result.op.removeprefix("call:").rstrip("_") + "_v", result, self.line(node, scope), out)
        return result

    def _unaryop(self, node: ast.UnaryOp, scope: Scope, out: list[Any]) -> Any:
        value = self.value(node.operand, scope, out)
        if isinstance(node.op, ast.UAdd):
            return value
        return self.operation(OPERATORS[type(node.op)], [value], node, scope, out)

    def _binop(self, node: ast.BinOp, scope: Scope, out: list[Any]) -> Any:
        values = self.all([node.left, node.right], scope, out)
        if isinstance(node.op, ast.MatMult):
            return self.product(values, node, scope, out)  # type: ignore[attr-defined]
        if all(isinstance(v, Row) for v in values) and isinstance(node.op, ast.Add):
            return Row(values[0].items + values[1].items)
        if len(values) != 2:
            raise self.fail(node, scope, "a tuple cannot be unpacked here")
        name = OPERATORS[type(node.op)]
        return self.operation(name, self.divided(name, values, self.line(node, scope), out), node, scope, out)

    def _compare(self, node: ast.Compare, scope: Scope, out: list[Any]) -> Any:
        answer = self._compared_beforehand(node, scope)
        if answer is not None:
            return Const(answer)
        for o in node.ops:
            if type(o) not in OPERATORS:
                raise self.fail(node, scope, "this comparison is not supported", "compare numbers by < <= > >= == !=")
        values = self.all([node.left, *node.comparators], scope, out)
        if len(values) > 2:
            values = [self.number(v, node, scope, out) for v in values]
        total = None
        for k, o in enumerate(node.ops):
            one = self.operation(OPERATORS[type(o)], values[k : k + 2], node, scope, out)
            total = one if total is None else op("and", total, one)
        return total

    def _compared_beforehand(self, node: ast.Compare, scope: Scope) -> bool | None:
        """A comparison of one thing with a text or None that is known before anything runs; None for any other."""
        if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)):
            return None
        sides = [self.value(each, scope, []) for each in (node.left, node.comparators[0]) if _is_plain(each)]
        if len(sides) < 2 or not any(isinstance(each, Static) and _is_text(each.value) for each in sides):
            return None
        same = all(isinstance(each, Static) for each in sides) and sides[0].value == sides[1].value
        return same is isinstance(node.ops[0], (ast.Eq, ast.Is))

    def _boolop(self, node: ast.BoolOp, scope: Scope, out: list[Any]) -> Any:
        name = "and" if isinstance(node.op, ast.And) else "or"
        total = self.truth_of(node.values[0], scope, out)
        for each in node.values[1:]:
            extra: list[Any] = []
            value = self.truth_of(each, scope, extra)
            if not extra:
                total = op(name, total, value)
                continue
            line = self.line(node, scope)
            held = self.give("test", total, line, out)
            test = held if name == "and" else op("not", held)
            self.put(held.name, value, line, extra)
            out.append(If(line, test, extra, []))
            total = held
        return total

    def truth_of(self, node: ast.expr, scope: Scope, out: list[Any]) -> Expr:
        """An expression as a condition. As a value, `and` and `or` of numbers would be one of the numbers."""
        e = self.expr(node, scope, out)
        if self.kind(e) == "b" and not isinstance(e, Const):
            self.expect(e, "b", node, scope)
            return e
        return self.truth(e)

    def _ifexp(self, node: ast.IfExp, scope: Scope, out: list[Any]) -> Any:
        cond = self.truth(self.expr(node.test, scope, out))
        if isinstance(cond, Const):
            return self.value(node.body if cond.value else node.orelse, scope, out)
        self.lazy += 1
        one: list[Any] = []
        two: list[Any] = []
        a, b = self.expr(node.body, scope, one), self.expr(node.orelse, scope, two)
        self.lazy -= 1
        if not one and not two:
            return Op("select", (cond, a, b))
        line = self.line(node, scope)
        name = self.fresh("either")
        self.put(name, a, line, one)
        self.put(name, b, line, two)
        out.append(If(line, cond, one, two))
        return Var(name)

    def known_call(self, name: str, node: ast.Call, scope: Scope, out: list[Any]) -> Any:
        """A call of a function of numbers; arrays are taken element by element."""
        if node.keywords:
            raise self.fail(node, scope, "arguments are given by their places here")
        if (name == "float" and not node.args) or (name == "int" and len(node.args) != 1):
            raise self.fail(node, scope, "one number is expected")
        values = self.all(node.args, scope, out)
        if name in ("max", "min") and len(values) == 1 and isinstance(values[0], (Row, View, Lazy)):
            if isinstance(values[0], Row):
                values = list(values[0].items)
            else:
                return self.reduced(name, values[0], None, node, scope, out)  # type: ignore[attr-defined]
        count = ARGUMENTS.get(name, None if name in ("max", "min") else 1)
        if (count is None and not values) or (count is not None and len(values) != count):
            raise self.fail(node, scope, f"{len(values)} arguments, expected {count or 'one or more'}")
        if name == "where":
            if isinstance(values[0], Expr):
                values[0] = self.truth(values[0])
            name = "select"
        return self.operation(name, values, node, scope, out)


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, (ast.Name, ast.Constant))


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)
