"""From a function's text to a `Unit`: functions that it calls are read in place, views resolved, array expressions made loops.

Names of arrays stand for one array each, whatever way the program takes. A name that is bound several times has an array of
its own, into which each binding copies; where a copy could be told from another name for the same array, the program is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from numgrad.adjoint.calls import Calls
from numgrad.adjoint.expressions import OPERATORS
from numgrad.adjoint.language import (
    ONE,
    ZERO,
    Array,
    Const,
    Dim,
    Expr,
    For,
    If,
    Load,
    Permute,
    Store,
    Unit,
    Var,
    While,
    arrays,
    assigned,
    op,
    scalars,
    written,
)
from numgrad.adjoint.scope import Scope, plain_function, tree_of
from numgrad.adjoint.sweeps import Kind
from numgrad.adjoint.values import Arrayed, Lazy, Row, Static, View, whole
from numgrad.adjoint.vocabulary import advice
from numgrad.errors import TranslationError


def is_parallel_range(value: Any) -> bool:
    """Whether it is `numba.prange`."""
    return getattr(value, "__name__", "") == "prange" and getattr(value, "__module__", "").partition(".")[0] == "numba"


class Rewrite(Exception):
    """An argument's array is written to, or its name is given to another array: reading begins again with a copy of it."""

    def __init__(self, name: str, changed: bool) -> None:
        super().__init__(name)
        self.name, self.changed = name, changed


class Reader(Calls):
    """Reads one function for arguments of given kinds; `unit` is the result."""

    def __init__(
        self, function: Any, kinds: Sequence[Kind], checkpoint: Sequence[str], changed: set[str], private: set[str]
    ) -> None:
        plain = plain_function(function)
        super().__init__(getattr(plain, "__name__", "function"))
        self.checkpoint = tuple(checkpoint)
        self.swaps: set[str] = set()
        self.given_changed, self.given_private = changed, private
        self.changed: dict[str, str] = {}  # arrays that stand for arguments which the function writes to
        self.private: dict[
            str, str
        ] = {}  # arrays of names that stand for an argument first and for another array later
        self.before: set[str] = set()  # arrays that there were before the statement that is read
        tree = tree_of(plain)
        scope = Scope(plain, tree)
        names = [a.arg for a in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs)]
        if tree.args.vararg or tree.args.kwarg:
            raise self.fail(tree, scope, "it takes any number of arguments", "name each argument")
        if len(names) != len(kinds):
            raise self.fail(tree, scope, f"{len(kinds)} arguments are given, it takes {len(names)}: {', '.join(names)}")
        self.scope = scope
        for name, kind in zip(names, kinds, strict=True):
            self._parameter(name, kind, tree)
        result = self.inline(tree, scope, tree, scope, self.unit.body)
        self.depth = 0
        self._results(result, tree)
        self._finish()

    # ---- arguments and results ------------------------------------------------------------------------------------------

    def _parameter(self, name: str, kind: Kind, tree: ast.FunctionDef) -> None:
        scope, unit = self.scope, self.unit
        unit.used.add(name)
        if kind.constant:
            value = self.known(kind.value, name, tree, scope)
            if isinstance(value, Const) and name in scope.bound:
                self.put(name, value, self.line(tree, scope), unit.body)
                value = Var(name)
            scope.names[name] = value
            return
        unit.params.append((name, kind))
        if not kind.ndim:
            self.kinds[name] = "i" if kind.dtype[0] == "u" else kind.dtype[0]
            self.assignments[name] = []
            if name in scope.bound:
                self.unstable.add(name)
            scope.names[name] = Var(name)
            return
        unit.arrays[name] = Array(kind.dtype, tuple(Dim(name, k) for k in range(kind.ndim)))
        scope.names[name] = whole(name, unit.arrays[name].shape)
        if name in self.given_changed | self.given_private:  # the sweeps work on a copy
            line = self.line(tree, scope)
            fresh = self.new_array(f"{name}_now", kind.dtype, unit.arrays[name].shape, tree, scope, unit.body)
            self.fill(fresh, scope.names[name], line, unit.body)
            scope.names[name] = fresh
            (self.changed if name in self.given_changed else self.private)[fresh.array] = name

    def _results(self, value: Any, tree: ast.FunctionDef) -> None:
        unit, scope = self.unit, self.scope
        line = self.line(tree, scope)
        items = value.items if isinstance(value, Row) else (value,)
        unit.single = not isinstance(value, Row)
        for each in items:
            if isinstance(each, (Row, Static)):
                raise self.fail(tree, scope, "it returns something else than numbers and arrays")
            if isinstance(each, Arrayed) and each.shape:
                fresh: Any = each
                outer = isinstance(each, View) and (each.array in dict(unit.params) or each.array in unit.scope)
                if outer or not (isinstance(each, View) and each.is_whole):
                    fresh = self.stored(each, "returned", tree, scope, unit.body)  # type: ignore[arg-type]
                unit.results.append(("array", fresh.array))
            else:
                name = self.give("returned", self.number(each, tree, scope, unit.body), line, unit.body).name  # type: ignore[arg-type]
                unit.results.append(("scalar", name))

    # ---- statements -----------------------------------------------------------------------------------------------------

    def stmts(self, body: list[Any], scope: Scope, out: list[Any]) -> None:
        """Statements in a row."""
        for s in body:
            method = getattr(self, f"_do_{type(s).__name__.lower()}", None)
            if method is None:
                raise self.fail(s, scope, f"`{type(s).__name__.lower()}` is not supported", advice(s))
            method(s, scope, out)

    def _do_pass(self, s: ast.Pass, scope: Scope, out: list[Any]) -> None:
        pass

    def _do_expr(self, s: ast.Expr, scope: Scope, out: list[Any]) -> None:
        if isinstance(s.value, ast.Constant):
            return
        if not isinstance(s.value, ast.Call):
            if isinstance(s.value, ast.Yield | ast.YieldFrom | ast.Await):
                raise self.fail(s, scope, f"`{type(s.value).__name__.lower()}` is not supported", advice(s.value))
            raise self.fail(s, scope, "this statement does nothing", "leave it out")
        self.value(s.value, scope, out)

    def _do_assert(self, s: ast.Assert, scope: Scope, out: list[Any]) -> None:
        cond = self.truth(self.expr(s.test, scope, out))
        message = s.msg.value if isinstance(s.msg, ast.Constant) else ast.unparse(s.test)
        self.check(op("not", cond), AssertionError, str(message), self.line(s, scope), out)

    def _do_raise(self, s: ast.Raise, scope: Scope, out: list[Any]) -> None:
        node = s.exc.func if isinstance(s.exc, ast.Call) else s.exc
        error = self.static(node, scope) if node is not None else None
        args = s.exc.args if isinstance(s.exc, ast.Call) else []
        if not (isinstance(error, type) and issubclass(error, Exception)) or any(
            not isinstance(a, ast.Constant) for a in args
        ):
            raise self.fail(s, scope, "only an exception with a constant message can be raised")
        message = " ".join(str(a.value) for a in args) or error.__name__  # type: ignore[attr-defined]
        out.append(self.failure(error, message, self.line(s, scope)))

    def _do_if(self, s: ast.If, scope: Scope, out: list[Any]) -> None:
        cond = self.truth(self.expr(s.test, scope, out))
        if isinstance(cond, Const):
            self.stmts(s.body if cond.value else s.orelse, scope, out)
            return
        parts: list[list[Any]] = []
        for body in (s.body, s.orelse):
            parts.append([])
            self.stmts(body, scope, parts[-1])
        out.append(If(self.line(s, scope), cond, *parts))

    def _leaving(self, s: Any, scope: Scope) -> str | None:
        flag = scope.exits.get(id(s))
        return self.local(flag, s, scope) if flag else None

    def _do_for(self, s: ast.For, scope: Scope, out: list[Any]) -> None:
        line = self.line(s, scope)
        call = s.iter
        maker = self.static(call.func, scope) if isinstance(call, ast.Call) else None
        parallel = is_parallel_range(maker)
        if maker is not range and not parallel:
            self._each(s, maker, scope, out)
            return
        assert isinstance(call, ast.Call)
        bounds = [self.number(v, call, scope, out) for v in self.all(call.args, scope, out)]
        if not 1 <= len(bounds) <= 3 or call.keywords or any(self.kind(b) != "i" for b in bounds):
            raise self.fail(call, scope, "a range takes one to three integers", "convert by int(...)")
        start, stop, step = (
            (ZERO, bounds[0], ONE) if len(bounds) == 1 else (*bounds, ONE) if len(bounds) == 2 else bounds
        )
        if not isinstance(s.target, ast.Name):
            raise self.fail(s, scope, "the variable of a loop over a range is one name")
        if step == ZERO:
            raise self.fail(call, scope, "the step is 0")
        var = self.local(s.target.id, s, scope)
        self.kinds[var] = max(self.kinds.get(var, "b"), "i", key="bif".index)
        self.unstable.add(var)
        body = self._turn(s, s.body, scope)
        leaving = self._leaving(s, scope)
        out.append(For(line, var, start, stop, step, body, leaving, parallel))
        if self.depth == 1 and s.target.id in self.checkpoint:
            if self.nest or leaving:
                raise self.fail(
                    s, scope, "only a loop of the function's own level, without a way out, can be checkpointed"
                )
            out[-1].checkpoint = True

    def _turn(self, s: Any, stmts: list[Any], scope: Scope, before: list[Any] | None = None) -> list[Any]:
        """The body of a loop."""
        body = [] if before is None else before
        self.nest.append(s)
        self.stmts(stmts, scope, body)
        self.nest.pop()
        return body

    def _each(self, s: ast.For, maker: Any, scope: Scope, out: list[Any]) -> None:
        """A loop over the rows or elements of an array, or over a tuple that is known."""
        line = self.line(s, scope)
        target, node, counted = s.target, s.iter, None
        if maker is enumerate and len(s.iter.args) == 1 and isinstance(target, ast.Tuple) and len(target.elts) == 2:  # type: ignore[attr-defined]
            counted, target, node = target.elts[0], target.elts[1], s.iter.args[0]  # type: ignore[attr-defined]
        value = self.value(node, scope, out)
        if isinstance(value, Row):
            if scope.exits.get(id(s)):
                raise self.fail(s, scope, "a loop over a tuple cannot be left", "loop over a range")
            for k, item in enumerate(value.items):
                if counted is not None:
                    self.bind(counted, Const(k), scope, out, s)
                self.bind(target, item, scope, out, s)
                self.stmts(s.body, scope, out)
            return
        if not isinstance(value, Arrayed) or not value.shape:
            raise self.fail(s, scope, "a loop goes over `range(...)`, an array or a tuple")
        value = self.view_of(value, "whole", node, scope, out)
        name = self.fresh("row")
        self.kinds[name] = "i"
        self.unstable.add(name)
        first: list[Any] = []
        self.nest.append(s)
        if counted is not None:
            self.bind(counted, Var(name), scope, first, s)
        at = value.order[0]
        span = value.span(0)
        axes = tuple(span.at(Var(name)) if k == at else a for k, a in enumerate(value.axes))
        row: Any = Load(value.array, axes) if len(value.shape) == 1 else View(value.array, axes, value.order[1:])  # type: ignore[arg-type]
        self.bind(target, row, scope, first, s)
        self.nest.pop()
        body = self._turn(s, s.body, scope, first)
        out.append(For(line, name, ZERO, span.extent, ONE, body, self._leaving(s, scope)))

    def _do_while(self, s: ast.While, scope: Scope, out: list[Any]) -> None:
        line = self.line(s, scope)
        leaving = self._leaving(s, scope)
        before: list[Any] = []
        self.nest.append(s)
        cond = self.truth(self.expr(s.test, scope, before))
        self.nest.pop()
        if not before:
            out.append(While(line, cond, self._turn(s, s.body, scope), leaving))
            return
        # the condition needs statements: they run first in each turn
        if leaving is None:
            leaving = self.fresh("leave")
        ended: list[Any] = []
        self.put(leaving, Const(False), line, out)
        self.put(leaving, Const(True), line, ended)
        inner = self._turn(s, s.body, scope)
        out.append(While(line, Const(True), [*before, If(line, cond, inner, ended)], leaving))

    # ---- assignments ----------------------------------------------------------------------------------------------------

    def _do_assign(self, s: ast.Assign, scope: Scope, out: list[Any]) -> None:
        target = s.targets[0]
        self.before = set(self.unit.arrays)
        if len(s.targets) == 1 and isinstance(target, ast.Tuple) and isinstance(s.value, ast.Tuple):
            if self._permute(target, s.value, scope, out, s):
                return
        if len(s.targets) == 1 and isinstance(target, ast.Name) and isinstance(s.value, ast.Call):
            maker = self.static(s.value.func, scope)
            if maker is not None and self._is_maker(maker) and target.id not in scope.names:
                scope.names[target.id] = self.make(maker, target.id, s.value, scope, out)
                return
        value = self.value(s.value, scope, out)
        if len(s.targets) > 1:
            if isinstance(value, Expr):
                value = self.named(value, "v", self.line(s, scope), out)
            elif not isinstance(value, Static):
                raise self.fail(s, scope, "two names for one array or tuple", "write two statements")
        for target in s.targets:
            self.bind(target, value, scope, out, s)

    def _do_annassign(self, s: ast.AnnAssign, scope: Scope, out: list[Any]) -> None:
        self.before = set(self.unit.arrays)
        if s.value is not None:
            self.bind(s.target, self.value(s.value, scope, out), scope, out, s)

    def bind(self, target: ast.expr, value: Any, scope: Scope, out: list[Any], s: Any) -> None:
        """Give a value to a name, to several, or to elements of an array."""
        line = self.line(s, scope)
        if isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, View) and isinstance(value.shape[0], Const):
                rest = [value.span(k) for k in range(1, len(value.order))]
                value = Row(tuple(self._view(value, [Const(k), *rest]) for k in range(value.shape[0].value)))
            if (
                not isinstance(value, Row)
                or len(value.items) != len(target.elts)
                or any(isinstance(t, ast.Starred) for t in target.elts)
            ):
                count = len(value.items) if isinstance(value, Row) else "an unknown number of"
                raise self.fail(s, scope, f"{count} values for {len(target.elts)} names")
            held = [self.named(v, "held", line, out) if isinstance(v, Expr) else v for v in value.items]
            for t, v in zip(target.elts, held, strict=True):
                self.bind(t, v, scope, out, s)
        elif isinstance(target, ast.Name):
            self._name_value(target, value, scope, out, s)
        elif isinstance(target, ast.Subscript):
            mark = len(out)
            spot = self.value(target, scope, out)
            if isinstance(value, Expr) and (
                arrays(value) & written(out[mark:]) or scalars(value) & assigned(out[mark:])
            ):
                raise self.fail(
                    s, scope, "finding the place changes what is stored there", "give the value a name before"
                )
            self._store(spot, value, scope, out, s, target)
        else:
            raise self.fail(s, scope, "this cannot be assigned to")

    def _name_value(self, target: ast.Name, value: Any, scope: Scope, out: list[Any], s: ast.stmt) -> None:
        name, line = target.id, self.line(s, scope)
        bound = scope.names.get(name)
        if isinstance(value, Arrayed) and not value.shape:
            value = value.element((), out)
        if isinstance(value, Expr):
            self.put(self.local(name, s, scope), value, line, out)
        elif isinstance(value, Row):
            items = []
            for k, item in enumerate(value.items):
                inner = f"{name}_{k}"
                if isinstance(bound, Row) and len(bound.items) == len(value.items) and isinstance(bound.items[k], Var):
                    scope.names[inner] = bound.items[k]
                if isinstance(item, Expr):
                    item = self.named(item, "held", line, out)
                items.append((inner, item))
            if bound is not None and not (isinstance(bound, Row) and len(bound.items) == len(items)):
                raise self.fail(s, scope, f"{name} names something else elsewhere", "take two names")
            fresh = []
            for inner, item in items:
                scope.locals.add(inner)
                if isinstance(bound, Row) and not isinstance(scope.names.get(inner), Var) and isinstance(item, Expr):
                    scope.names.pop(inner, None)
                self._name_value(ast.Name(inner), item, scope, out, s)
                fresh.append(scope.names[inner])
            if bound is not None and bound != Row(tuple(fresh)):
                raise self.fail(s, scope, f"{name} names another tuple elsewhere", "take two names")
            scope.names[name] = Row(tuple(fresh))
        elif isinstance(value, Static):
            if bound is not None and bound != value:
                raise self.fail(s, scope, f"{name} names something else elsewhere", "take two names")
            scope.names[name] = value
        else:
            self._name_array(name, bound, value, scope, out, s)

    def _name_array(self, name: str, bound: Any, value: Any, scope: Scope, out: list[Any], s: ast.stmt) -> None:
        line = self.line(s, scope)
        node: Any = s.value if isinstance(s, ast.Assign) else s
        new = isinstance(value, Lazy) or value.array not in self.before
        if bound is None:
            if isinstance(value, View):
                if new and value.is_whole:
                    scope.names[name] = value
                    return
                if scope.bound.get(name, 0) < 2:
                    scope.names[name] = self.settled(value, line, out)
                    self.namings.append((value.array, self.loops(), line, self._read_before(name, s, scope)))
                    return
                if not new:
                    self.copies.append((name, value.array, scope, s))
            scope.names[name] = self.stored(value, name, node, scope, out)
            return
        if not isinstance(bound, View) or not bound.is_whole or len(bound.shape) != len(value.shape):
            raise self.fail(s, scope, f"{name} names something else elsewhere", "take two names")
        if value == bound:
            return
        if not new:
            self.copies.append((name, value.array, scope, s))
        if bound.array in dict(self.unit.params):
            raise Rewrite(bound.array, False)
        if bound.array in self.changed:
            raise self.fail(
                s, scope, f"{name} is an argument that is changed, and then another array", "take another name"
            )
        if self.dtype(bound) != self.dtype(value):
            raise self.fail(
                s, scope, f"{name} is an array of {self.dtype(bound)} and then of {self.dtype(value)}", "take two names"
            )
        for a, b in zip(bound.shape, value.shape, strict=True):
            self.same(a, b, f"{name} would have other extents than before", line, out)
        self.makings.append((bound.array, self.loops(), line))
        trial: list[Any] = []
        index, body = self.loop(bound.shape, line, trial)
        e = value.element(index, body)
        if body or self.reads_elsewhere(e, bound.array, bound.index(index)):
            if bound.array in self.reads(value):
                value = self.stored(value, name, node, scope, out)
            self.fill(bound, value, line, out)
            return
        body.append(Store(line, bound.array, bound.index(index), e))
        out += trial

    def _read_before(self, name: str, s: ast.stmt, scope: Scope) -> bool:
        """Whether a name is read above the statement that binds it: in a loop, that is what it was in the turn before."""
        return any(
            isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) and n.lineno < s.lineno
            for n in ast.walk(scope.tree)
        )

    def _store(self, target: Any, value: Any, scope: Scope, out: list[Any], s: ast.stmt, node: ast.expr) -> None:
        line = self.line(s, scope)
        if isinstance(target, Load):
            self._writable(target.array, s, scope)
            index = tuple(self.named(i, "k", line, out) for i in target.index)
            out.append(Store(line, target.array, index, self.number(value, node, scope, out)))
            return
        if not isinstance(target, View):
            raise self.fail(s, scope, "elements can be given to arrays only")
        self._writable(target.array, s, scope)
        target = self.settled(target, line, out)
        if not isinstance(value, Arrayed):
            value = self.named(self.number(value, node, scope, out), "v", line, out)
            self.fill(target, value, line, out)
            return
        shape, (_, fit) = self.broadcast([target.shape, value.shape], line, out)
        if len(shape) > len(target.shape):
            raise self.fail(s, scope, f"{len(value.shape)} dimensions do not fit into {len(target.shape)}")
        trial: list[Any] = []
        index, body = self.loop(target.shape, line, trial)
        e = value.element(fit(index), body)
        if target.array in self.reads(value) and (body or self.reads_elsewhere(e, target.array, target.index(index))):
            value = self.stored(value, "held", node, scope, out)
            self.fill(
                target,
                Lazy(target.shape, self.dtype(value), lambda i, into: value.element(fit(i), into), frozenset()),
                line,
                out,
            )
            return
        body.append(Store(line, target.array, target.index(index), e))
        out += trial

    def _writable(self, array: str, s: ast.stmt, scope: Scope) -> None:
        if array in dict(self.unit.params):
            raise Rewrite(array, True)
        if array in self.unit.scope:
            raise self.fail(s, scope, "an array of the surroundings is changed", "give it as an argument")
        self.written_to.add(array)

    def _do_augassign(self, s: ast.AugAssign, scope: Scope, out: list[Any]) -> None:
        name = OPERATORS.get(type(s.op))
        line = self.line(s, scope)
        if isinstance(s.target, ast.Name):
            bound = scope.names.get(s.target.id)
            if not isinstance(bound, View):
                old = self.value(ast.Name(s.target.id, ast.Load(), lineno=s.lineno), scope, out)
                value = self.value(s.value, scope, out)
                if name is None or not (isinstance(old, Expr) and isinstance(value, Expr)):
                    raise self.fail(s, scope, "this operation is not supported")
                self.put(
                    self.local(s.target.id, s, scope), self.apply(name, [old, value], s.value, scope, out), line, out
                )
                return
            target: Any = bound
        else:
            target = self.value(s.target, scope, out)
        if isinstance(target, Load):
            self._writable(target.array, s, scope)
            index = tuple(self.named(i, "k", line, out) for i in target.index)
            value = self.expr(s.value, scope, out)
            if name in ("+", "-"):
                out.append(Store(line, target.array, index, value if name == "+" else op("neg", value), add=True))
            elif name is not None:
                out.append(
                    Store(
                        line,
                        target.array,
                        index,
                        self.apply(name, [Load(target.array, index), value], s.value, scope, out),
                    )
                )
            else:
                raise self.fail(s, scope, "this operation is not supported")
            return
        if not isinstance(target, View):
            raise self.fail(s, scope, "elements can be given to arrays only")
        target = self.settled(target, line, out)
        value = self.value(s.value, scope, out)
        if name is None:
            fresh = self.product([target, value], s.value, scope, out)
        else:
            fresh = self.operation(name, [target, value], s.value, scope, out)
        self._store(target, fresh, scope, out, s, s.value)

    def _permute(self, target: ast.Tuple, value: ast.Tuple, scope: Scope, out: list[Any], s: ast.stmt) -> bool:
        """``a, b = b, a`` of arrays."""
        nodes = (*target.elts, *value.elts)
        if len(target.elts) != len(value.elts) or not all(isinstance(n, ast.Name) for n in nodes):
            return False
        entry = [scope.names.get(n.id) for n in nodes]  # type: ignore[attr-defined]
        if not any(isinstance(f, View) for f in entry):
            return False
        if not all(isinstance(f, View) and f.is_whole for f in entry):
            raise self.fail(s, scope, "names of whole arrays can only be swapped among each other")
        targets = tuple(f.array for f in entry[: len(target.elts)])  # type: ignore[union-attr]
        sources = tuple(f.array for f in entry[len(target.elts) :])  # type: ignore[union-attr]
        if sorted(targets) != sorted(sources) or len(set(targets)) != len(targets):
            raise self.fail(s, scope, "two names for one array", "copy it, or swap names by `a, b = b, a`")
        for n in targets:
            if n in self.unit.scope:
                raise self.fail(s, scope, "an array of the surroundings is swapped", "copy it first")
            if n in dict(self.unit.params):
                raise Rewrite(n, True)
        one = self.unit.arrays[targets[0]]
        for n in targets[1:]:
            other = self.unit.arrays[n]
            if other.dtype != one.dtype or other.ndim != one.ndim:
                raise self.fail(s, scope, "arrays that are swapped need one dtype and number of dimensions")
            for a, b in zip(one.shape, other.shape, strict=True):
                self.same(a, b, "arrays that are swapped need the same extents", self.line(s, scope), out)
        if self.depth > 1:
            if any(n in self.foreign(scope) for n in targets):
                raise self.fail(s, scope, "a function that is called cannot swap arrays that it was given")
        self.swaps.update(targets)
        out.append(Permute(self.line(s, scope), targets, sources))
        return True

    def foreign(self, scope: Scope) -> set[str]:
        """Arrays that a function was given."""
        return {v.array for a in scope.tree.args.args if isinstance(v := scope.names.get(a.arg), View)}

    # ---- the end ---------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        unit = self.unit
        for fresh, name in self.changed.items():
            unit.results.append(("changed", fresh, name))
        for fresh, name in self.private.items():
            if fresh in self.written_to:
                raise self.fail(
                    self.scope.tree, self.scope, f"{name} is an argument, and then another array, and its elements are changed",
                    "take another name for the other array",
                )  # fmt: skip
        for name, array, scope, s in self.copies:
            mine = scope.names[name].array
            if mine in self.written_to or array in self.written_to:
                raise self.fail(
                    s,
                    scope,
                    f"{name} is another name for an array that is changed",
                    "copy it, or swap names by `a, b = b, a`",
                )
        for array, nest, line, early in self.namings:
            for other, spot, _ in self.makings:
                remade = sum(o == array for o, _, _ in self.makings) > 1 or spot
                if other == array and remade and (nest[: len(spot)] != spot or early):
                    raise self._refused(line, "a name for a part of an array that is made anew", "copy it")
            if array in self.swaps:
                raise self._refused(line, "another name for an array that is swapped", "copy it")
        for e, kind, node, scope in self.expected:
            if self.kind(e) != kind:
                raise self.fail(
                    node, scope, "it is a truth value or an integer first and another number later", "take two names"
                )
        self._extents()

    def _refused(self, line: Any, what: str, advice: str) -> Exception:
        return TranslationError(f"differentiable {line.function}, {line.file}:{line.number}: {what}; {advice}")

    def _extents(self) -> None:
        """The extents of local arrays, by what arguments determine."""
        unit = self.unit
        lines = {name: line for name, _, line in reversed(self.makings)}
        for name in unit.locals:
            array = unit.arrays[name]
            shape = [self._resolved(e) for e in array.shape]
            if None in shape:
                raise self._refused(
                    lines[name], f"the extents of {name} are not known before the function runs",
                    "make it with extents that shapes and integer arguments determine",
                )  # fmt: skip
            unit.arrays[name] = Array(array.dtype, tuple(shape))  # type: ignore[arg-type]


def read(function: Any, kinds: Sequence[Kind], checkpoint: Sequence[str] = ()) -> Unit:
    """The statements of a function for arguments of these kinds.

    Raises
    ------
    TranslationError
        It does something that has no derivative here.
    """
    changed: set[str] = set()
    private: set[str] = set()
    while True:
        try:
            return Reader(function, kinds, checkpoint, changed, private).unit
        except Rewrite as entry:
            (changed if entry.changed else private).add(entry.name)
