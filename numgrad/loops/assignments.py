"""Assignments to names, to tuples of names and to elements of arrays."""

from __future__ import annotations

import ast
from typing import Any

from numgrad.loops.aliases import Mark
from numgrad.loops.calls import Calls
from numgrad.loops.language import Const, Expr, Load, Permute, Store, Var, arrays, assigned, op, scalars, written
from numgrad.loops.scope import Scope
from numgrad.loops.values import Arrayed, Lazy, Row, Static, View
from numgrad.loops.vocabulary import OPERATORS


class RewriteError(Exception):
    """An array needs a copy, and reading begins again with one.

    Attributes
    ----------
    why
        ``changed``: an argument is written to; ``private``: its name is given to another array; ``apart``: a name for an
        array is used after the array's own name was given to another.
    key
        The argument, or the place and the name.
    """

    def __init__(self, why: str, key: Any) -> None:
        super().__init__(key)
        self.why, self.key = why, key


class Assignments(Calls):
    """The reader's part for assignments.

    Attributes
    ----------
    changed
        Arrays that stand for arguments which the function writes to.
    swaps
        Arrays that change names.
    rebindings
        Arrays whose names were given to others, so that their memory was filled anew; the function and the statement.
    shared
        Names for arrays that have others: the name, the array, the function and the statement.
    given_apart
        Places and names for arrays that get a copy.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.changed: dict[str, str] = {}
        self.swaps: set[str] = set()
        self.rebindings: list[tuple[str, Scope, ast.stmt]] = []
        self.given_apart: set[tuple[str, int, str]] = set()
        self.shared: list[tuple[str, str, Scope, ast.stmt]] = []

    # ---- assignments ----------------------------------------------------------------------------------------------------

    def _do_assign(self, s: ast.Assign, scope: Scope, out: list[Any]) -> None:
        target = s.targets[0]
        self.before = set(self.unit.arrays)
        both = len(s.targets) == 1 and isinstance(target, ast.Tuple) and isinstance(s.value, ast.Tuple)
        if both and self._permute(target, s.value, scope, out, s):  # type: ignore[arg-type]
            return
        if len(s.targets) == 1 and isinstance(target, ast.Name) and isinstance(s.value, ast.Call):
            maker = self.static(s.value.func, scope)
            if maker is not None and self._is_maker(maker) and target.id not in scope.names:
                scope.names[target.id] = self.make(maker, target.id, s.value, scope, out)
                return
        before, value = self.before, self.value(s.value, scope, out)
        self.before = before  # functions that were read in between have statements of their own
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
            before, value = self.before, self.value(s.value, scope, out)
            self.before = before
            self.bind(s.target, value, scope, out, s)

    def bind(self, target: ast.expr, value: Any, scope: Scope, out: list[Any], s: Any) -> None:
        """Give a value to a name, to several, or to elements of an array."""
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
            held = self._held(target.elts, value.items, scope, out, s)
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

    def _held(
        self, targets: Any, values: Any, scope: Scope, out: list[Any], s: Any, earlier: list[Any] | None = None
    ) -> list[Any]:
        """Values of which none changes while those before it are given to their targets."""
        line, node = self.line(s, scope), s.value if isinstance(s, ast.Assign) else s
        earlier = [] if earlier is None else earlier  # what names before stood for; None for elements and numbers
        held = []
        for t, v in zip(targets, values, strict=True):
            filled = set().union(*map(self._arrays_of, earlier))
            if isinstance(v, Expr):
                v = self.named(v, "held", line, out)
            elif isinstance(v, Row):
                v = Row(tuple(self._held(self._parts(t, len(v.items)), v.items, scope, out, s, earlier)))
            elif isinstance(v, View):
                v = self.settled(v, line, out)
                if v.array in filled:
                    whose, v = v.array, self.stored(v, "held", node, scope, out)
                    if isinstance(t, ast.Name):
                        self.same_as(v.array, whose, t.id, s, scope, out)
            elif isinstance(v, Lazy) and (None in earlier or self.reads(v) & filled):
                v = self.stored(v, "held", node, scope, out)
            held.append(v)
            bound = scope.names.get(t.id) if isinstance(t, ast.Name) else None
            earlier.append(bound if isinstance(bound, (View, Row)) else None)
        return held

    @staticmethod
    def _parts(target: Any, count: int) -> list[Any]:
        """Targets for the values of a tuple."""
        if isinstance(target, ast.Name):
            return [ast.Name(f"{target.id}_{k}") for k in range(count)]
        elements = getattr(target, "elts", [])
        return elements if len(elements) == count else [None] * count

    def _arrays_of(self, value: Any) -> set[str]:
        """Arrays in memory that a name stands for."""
        if isinstance(value, Row):
            return set().union(*map(self._arrays_of, value.items))
        return {value.array} if isinstance(value, View) else set()

    def _name_value(self, target: ast.Name, value: Any, scope: Scope, out: list[Any], s: ast.stmt) -> None:
        name, line = target.id, self.line(s, scope)
        bound = scope.names.get(name)
        if isinstance(value, Arrayed) and not value.shape:
            value = value.element((), out)
        if isinstance(value, Expr):
            self.put(self.local(name, s, scope), value, line, out)
        elif isinstance(value, Row):
            items = []
            inners = self._parts(target, len(value.items))
            for k, item in enumerate(self._held(inners, value.items, scope, out, s)):
                inner = inners[k].id
                if isinstance(bound, Row) and len(bound.items) == len(value.items) and isinstance(bound.items[k], Var):
                    scope.names[inner] = bound.items[k]
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
                    self.before.add(value.array)  # another name for it is no longer the only one
                    return
                if scope.bound.get(name, 0) < 2 and (line.file, line.number, name) not in self.given_apart:
                    scope.names[name] = self.settled(value, line, out)
                    self.namings.append((name, value.array, self.loops(), line, self._read_before(name, s, scope)))
                    self.shared.append((name, value.array, scope, s))
                    return
            scope.names[name] = mine = self.stored(value, name, node, scope, out)
            if isinstance(value, View):
                self.same_as(mine.array, value.array, name, s, scope, out)
            return
        if not isinstance(bound, View) or not bound.is_whole or len(bound.shape) != len(value.shape):
            raise self.fail(s, scope, f"{name} names something else elsewhere", "take two names")
        if value == bound:
            return
        if bound.array in dict(self.unit.params):
            raise RewriteError("private", bound.array)
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
        self.rebindings.append((bound.array, scope, s))
        trial: list[Any] = []
        index, body = self.loop(bound.shape, line, trial)
        e = value.element(index, body)
        whose = value.array if isinstance(value, View) else None
        if body or self.reads_elsewhere(e, bound.array, bound.index(index)):
            if bound.array in self.reads(value):
                value = self.stored(value, name, node, scope, out)
            self.fill(bound, value, line, out)
        else:
            body.append(Store(line, bound.array, bound.index(index), e))
            out += trial
        if whose is None:
            out.append(Mark(line, "anew", bound.array))
        elif whose != bound.array:  # what is a part of itself stays what others may stand for
            self.same_as(bound.array, whose, name, s, scope, out)

    def outlived(self) -> tuple[str, int, str] | None:
        """The place and the name of an array that is used after its memory was filled anew for another name."""
        for name, array, scope, s in self.shared:
            reads = [
                (n.lineno, n.col_offset)
                for n in ast.walk(scope.tree)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and f"{name}_".startswith(f"{n.id}_")
            ]
            for other, where, t in self.rebindings:
                end = (t.end_lineno or t.lineno, t.end_col_offset or 0)
                if other == array and where is scope and t.lineno >= s.lineno and any(r >= end for r in reads):
                    line = self.line(s, scope)
                    return line.file, line.number, name
        return None

    def remade(self) -> tuple[str, int, str] | None:
        """The place and the name of an array that is made anew in loops where this name is not bound again, or is swapped."""
        for name, array, nest, line, early in self.namings:
            if array in self.swaps:
                return line.file, line.number, name
            for other, spot, _ in self.makings:
                often = sum(o == array for o, _, _ in self.makings) > 1 or spot
                if other == array and often and (nest[: len(spot)] != spot or early):
                    return line.file, line.number, name
        return None

    def _read_before(self, name: str, s: ast.stmt, scope: Scope) -> bool:
        """Whether a name is read above the statement that binds it: in a loop, that is what it was in the turn before."""
        return any(
            isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) and n.lineno < s.lineno
            for n in ast.walk(scope.tree)
        )

    def _store(self, target: Any, value: Any, scope: Scope, out: list[Any], s: ast.stmt, node: ast.expr) -> None:
        line = self.line(s, scope)
        if isinstance(target, Load):
            self._writable(target.array, s, scope, out)
            index = tuple(self.named(i, "k", line, out) for i in target.index)
            out.append(Store(line, target.array, index, self.number(value, node, scope, out)))
            return
        if not isinstance(target, View):
            raise self.fail(s, scope, "elements can be given to arrays only")
        self._writable(target.array, s, scope, out)
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

    def _writable(self, array: str, s: Any, scope: Scope, out: list[Any]) -> None:
        """Elements of an array are changed: it has to be the function's own."""
        if array in dict(self.unit.params):
            raise RewriteError("changed", array)
        if array in self.unit.scope:
            raise self.fail(s, scope, "an array of the surroundings is changed", "give it as an argument")
        out.append(Mark(self.line(s, scope), "write", array))

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
                value = self.apply(name, self.divided(name, [old, value], line, out), s.value, scope, out)
                self.put(self.local(s.target.id, s, scope), value, line, out)
                return
            target: Any = bound
        else:
            target = self.value(s.target, scope, out)
        if isinstance(target, Load):
            self._writable(target.array, s, scope, out)
            index = tuple(self.named(i, "k", line, out) for i in target.index)
            value = self.expr(s.value, scope, out)
            if name in ("+", "-"):
                out.append(Store(line, target.array, index, value if name == "+" else op("neg", value), add=True))
            elif name is not None:
                pair = self.divided(name, [Load(target.array, index), value], line, out)
                out.append(Store(line, target.array, index, self.apply(name, pair, s.value, scope, out)))
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
                raise RewriteError("changed", n)
        one = self.unit.arrays[targets[0]]
        for n in targets[1:]:
            other = self.unit.arrays[n]
            if other.dtype != one.dtype or other.ndim != one.ndim:
                raise self.fail(s, scope, "arrays that are swapped need one dtype and number of dimensions")
            for a, b in zip(one.shape, other.shape, strict=True):
                self.same(a, b, "arrays that are swapped need the same extents", self.line(s, scope), out)
        if self.depth > 1 and any(n in self.foreign(scope) for n in targets):
            raise self.fail(s, scope, "a function that is called cannot swap arrays that it was given")
        self.swaps.update(targets)
        out.append(Permute(self.line(s, scope), targets, sources))
        return True

    def foreign(self, scope: Scope) -> set[str]:
        """Arrays that a function was given."""
        return {v.array for a in scope.tree.args.args if isinstance(v := scope.names.get(a.arg), View)}
