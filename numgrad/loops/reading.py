"""From a function's text to a `Unit`: functions that it calls are read in place, views resolved, array expressions made loops.

Names of arrays stand for one array each, whatever way the program takes. A name that is bound several times has an array of
its own, into which each binding copies; where a copy could be told from another name for the same array, the program is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from numgrad.errors import TranslationError
from numgrad.loops.aliases import told_apart, without_marks
from numgrad.loops.assignments import Assignments, RewriteError
from numgrad.loops.independence import in_parts
from numgrad.loops.language import (
    ONE,
    ZERO,
    Array,
    Const,
    Dim,
    For,
    If,
    Load,
    Make,
    Unit,
    Var,
    While,
    op,
)
from numgrad.loops.scope import Scope, Surroundings, plain_function, tree_of
from numgrad.loops.sweeps import Kind
from numgrad.loops.values import Arrayed, Row, Static, View, whole
from numgrad.loops.vocabulary import RESERVED, advice, safe_names


def is_parallel_range(value: Any) -> bool:
    """Whether it is `numba.prange`."""
    return getattr(value, "__name__", "") == "prange" and getattr(value, "__module__", "").partition(".")[0] == "numba"


class Reader(Assignments):
    """Reads one function for arguments of given kinds; `unit` is the result."""

    def __init__(
        self,
        function: Any,
        kinds: Sequence[Kind],
        checkpoint: Mapping[str, int | None],
        surroundings: Surroundings,
        rewritten: dict[str, set[Any]],
    ) -> None:
        plain = plain_function(function)
        super().__init__(getattr(plain, "__name__", "function"))
        self.checkpoint = dict(checkpoint)
        self.given_changed, self.given_private = rewritten["changed"], rewritten["private"]
        self.given_apart = rewritten["apart"]
        self.checkpointed: set[str] = set()
        tree = tree_of(plain)
        scope = Scope(plain, tree, surroundings)
        names = [a.arg for a in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs)]
        if tree.args.vararg or tree.args.kwarg:
            raise self.fail(tree, scope, "it takes any number of arguments", "name each argument")
        if len(names) != len(kinds):
            raise self.fail(tree, scope, f"{len(kinds)} arguments are given, it takes {len(names)}: {', '.join(names)}")
        self.scope = scope
        self.unit.used |= RESERVED
        for given, name, kind in zip(names, safe_names(names), kinds, strict=True):
            self._parameter(given, name, kind, tree)
        result = self.inline(tree, scope, tree, scope, self.unit.body)
        self.depth = 0
        for name in set(self.checkpoint) - self.checkpointed:
            what = "`while` loop" if name == "while" else f"loop over a range with the variable {name}"
            raise self.fail(
                tree, scope, f"there is no {what} of the function's own level, which could be checkpointed",
                "name the outermost loop, or `while` for those with a condition",
            )  # fmt: skip
        self._results(result, tree)
        self._finish()

    # ---- arguments and results ------------------------------------------------------------------------------------------

    def _parameter(self, given: str, name: str, kind: Kind, tree: ast.FunctionDef) -> None:
        scope, unit = self.scope, self.unit
        unit.used.add(name)
        if kind.constant:
            value = self.known(kind.value, name, tree, scope)
            if isinstance(value, Const) and given in scope.bound:
                self.put(name, value, self.line(tree, scope), unit.body)
                value = Var(name)
            scope.names[given] = value
            return
        unit.params.append((name, kind))
        if not kind.ndim:
            self.kinds[name] = "i" if kind.dtype[0] == "u" else kind.dtype[0]
            self.assignments[name] = []
            if given in scope.bound:
                self.unstable.add(name)
            scope.names[given] = Var(name)
            return
        unit.arrays[name] = Array(kind.dtype, tuple(Dim(name, k) for k in range(kind.ndim)))
        scope.names[given] = whole(name, unit.arrays[name].shape)
        if name in self.given_changed | self.given_private:  # the sweeps work on a copy
            line = self.line(tree, scope)
            fresh = self.new_array(f"{name}_now", kind.dtype, unit.arrays[name].shape, tree, scope, unit.body)
            self.fill(fresh, scope.names[given], line, unit.body)
            scope.names[given] = fresh
            if name in self.given_changed:
                self.changed[fresh.array] = name
            else:
                self.same_as(fresh.array, name, given, tree, scope, unit.body)

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
        if not isinstance(step, Const):
            step = self.named(step, "step", line, out)
            self.check(op("==", step, ZERO), ValueError, "range() arg 3 must not be zero", line, out)
        var = self.local(s.target.id, s, scope)
        self.kinds[var] = max(self.kinds.get(var, "b"), "i", key="bif".index)
        self.unstable.add(var)
        upwards = isinstance(start, Const) and start.value >= 0 and isinstance(step, Const) and step.value > 0
        if upwards and scope.bound.get(s.target.id) == 1:
            self.turns_below[var] = self.resolve(stop)
        mark = len(self.makings)
        body = self._turn(s, s.body, scope)
        leaving = self._leaving(s, scope)
        renewed = frozenset([array for array, _, _ in self.makings[mark:]])
        out.append(For(line, var, start, stop, step, body, leaving, parallel, renewed=renewed))
        self._in_parts(out[-1], s.target.id)

    def _in_parts(self, loop: Any, name: str) -> None:
        """The tape of a loop is made in parts, if that is asked and it is of the function's own level."""
        if self.depth == 1 and not self.nest and name in self.checkpoint:
            loop.checkpoint = self.checkpoint[name] or 0
            self.checkpointed.add(name)

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
        mark = len(self.makings)
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
        if any(array == value.array for array, _, _ in self.makings[mark:]):
            raise self.fail(s, scope, "the array that it goes over is made anew in it", "copy it")
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
            self._in_parts(out[-1], "while")
            return
        # the condition needs statements: they run first in each turn
        if leaving is None:
            leaving = self.fresh("leave")
        ended: list[Any] = []
        self.put(leaving, Const(False), line, out)
        self.put(leaving, Const(True), line, ended)
        inner = self._turn(s, s.body, scope)
        out.append(While(line, Const(True), [*before, If(line, cond, inner, ended)], leaving))
        self._in_parts(out[-1], "while")

    # ---- the end ---------------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        unit = self.unit
        for fresh, name in self.changed.items():
            unit.results.append(("changed", fresh, name))
        outlived = self.outlived() or self.remade()
        if outlived is not None:
            raise RewriteError("apart", outlived)
        last = {r[1] for r in unit.results if r[0] != "scalar"} | {n for n, kind in unit.params if kind.ndim}
        apart = told_apart(unit.body, last)
        if apart is not None:
            name, scope, s = apart.why
            if isinstance(s, ast.FunctionDef):
                raise self.fail(
                    s, scope, f"{name} is an argument, and then another array, and its elements are changed",
                    "take another name for the other array",
                )  # fmt: skip
            what = f"{name} is another name for an array that is changed"
            raise self.fail(s, scope, what, "copy it, or swap names by `a, b = b, a`")
        for e, kind, node, scope in self.expected:
            if self.kind(e) != kind:
                raise self.fail(
                    node, scope, "it is a truth value or an integer first and another number later", "take two names"
                )
        without_marks(unit.body, self._extents())

    def _refused(self, line: Any, what: str, advice: str) -> Exception:
        return TranslationError(f"differentiable {line.function}, {line.file}:{line.number}: {what}; {advice}")

    def _extents(self) -> dict[str, list[Any]]:
        """The extents of local arrays, by what arguments determine; what stands where the other arrays are made."""
        unit = self.unit
        beginnings: dict[str, list[Any]] = {}
        returned = {r[1] for r in unit.results}
        for name in unit.locals:
            array = unit.arrays[name]
            shape = [self.resolve(e) for e in array.shape]
            unknown = [e for e, a in zip(shape, array.shape, strict=True) if self._resolved(a) is None]
            unit.arrays[name] = Array(array.dtype, tuple(shape))
            if not unknown:
                continue
            loops, line = next((loops, line) for other, loops, line in self.makings if other == name)
            what = f"the extents of {name} are not known before the function runs"
            if loops or name in returned or not all(isinstance(e, Var) for e in unknown):
                where = "made in a loop" if loops else "returned" if name in returned else "a part of another"
                advice = "make it with extents that shapes and integer arguments determine"
                more = ", or before the loop" if loops else ", and return how many of its elements are in use"
                raise self._refused(line, f"{what}, and it is {where}", advice + more)
            unit.late_extents |= {e.name for e in unknown}  # type: ignore[attr-defined]
            beginnings[name] = []
            most = Const(1 << 60 // len(shape))  # so that no product of them is beyond 64 bits
            for e in shape:
                wrong = op("or", op("<", e, ZERO), op(">", e, most))
                self.check(wrong, ValueError, f"an extent of {name} is negative or too large", line, beginnings[name])
            beginnings[name].append(Make(line, name))
        return beginnings


def read(
    function: Any, kinds: Sequence[Kind], checkpoint: Mapping[str, int | None], surroundings: Surroundings
) -> Unit:
    """The statements of a function for arguments of these kinds.

    Raises
    ------
    TranslationError
        It does something that has no derivative here.
    """
    rewritten: dict[str, set[Any]] = {"changed": set(), "private": set(), "apart": set()}
    while True:
        try:
            unit = Reader(function, kinds, checkpoint, surroundings, rewritten).unit
            in_parts(unit)
            return unit
        except RewriteError as entry:
            rewritten[entry.why].add(entry.key)
