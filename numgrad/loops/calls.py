"""Calls: functions of the vocabulary, functions with a rule, and functions of Python, which are read in place."""

from __future__ import annotations

import ast
import builtins
import inspect
from typing import Any

import numpy as np

from numgrad.loops.language import ONE, ZERO, Const, Expr, Op, Var, op
from numgrad.loops.scope import Scope, plain_function, tree_of
from numgrad.loops.structure import Structure, StructureError
from numgrad.loops.values import Arrayed, Lazy, Row, Static, View
from numgrad.loops.vocabulary import KNOWN, MAKERS, METHODS, RULES, WHOLE_ARRAY, find, instead_of
from numgrad.loops.whole import WholeArrays

_DEEPEST = 40
_OF_TENSORS = ("numgrad.tensor.", "numgrad.nn.", "numgrad.linalg.")


class Calls(WholeArrays):
    """The reader's part for calls."""

    def _call(self, node: ast.Call, scope: Scope, out: list[Any]) -> Any:
        function = self.static(node.func, scope)
        if function is None:
            return self._method(node, scope, out)
        if any(k.arg is None for k in node.keywords):
            raise self.fail(node, scope, "`**` in a call is not supported", "name each argument")
        if function is len and len(node.args) == 1 and self._is_range(node.args[0], scope):
            return self._turns(node.args[0], scope, out)
        if function is len:
            value = self.value(node.args[0], scope, out) if len(node.args) == 1 else None
            if isinstance(value, Row):
                return Const(len(value.items))
            if not isinstance(value, Arrayed) or not value.shape:
                raise self.fail(node, scope, "len takes an array or a tuple")
            return value.shape[0]
        if function is divmod:
            pair = self.divided("//", self._two(node, scope, out), self.line(node, scope), out)
            return Row(tuple([self.operation(name, pair, node, scope, out) for name in ("//", "%")]))
        if function is tuple and len(node.args) == 1:
            value = self.value(node.args[0], scope, out)
            if isinstance(value, Row):
                return value
        if find(MAKERS, function) is not None or function in (builtins.NotImplemented,) or self._is_maker(function):
            return self.make(function, "array", node, scope, out)
        known = find(KNOWN, function)
        if known is not None:
            return self.known_call(known, node, scope, out)
        known = find(WHOLE_ARRAY, function)
        if known is not None:
            return self.whole_array(known, self.all(node.args, scope, out), node, scope, out)
        return self._function(function, node, scope, out)

    def _is_range(self, node: ast.expr, scope: Scope) -> bool:
        return isinstance(node, ast.Call) and self.static(node.func, scope) is range

    def _turns(self, node: Any, scope: Scope, out: list[Any]) -> Expr:
        """The length of a range of start, stop and step."""
        bounds = [self.number(v, node, scope, out) for v in self.all(node.args, scope, out)]
        if len(bounds) != 3 or node.keywords or any(self.kind(b) != "i" for b in bounds):
            raise self.fail(
                node, scope, "the length of a range takes its start, stop and step, integers", "write the loop"
            )
        start, stop, step = [self.named(b, "bound", self.line(node, scope), out) for b in bounds]
        sign = Op("select", (op(">", step, ZERO), ONE, Const(-1)))
        return op("max", ZERO, op("//", op("-", op("+", op("-", stop, start), step), sign), step))

    def _is_maker(self, function: Any) -> bool:
        try:
            return function in MAKERS
        except TypeError:
            return False

    def _two(self, node: ast.Call, scope: Scope, out: list[Any]) -> list[Any]:
        values = self.all(node.args, scope, out)
        if len(values) != 2 or node.keywords:
            raise self.fail(node, scope, "two numbers are expected")
        return [self.named(self.number(v, node, scope, out), "v", self.line(node, scope), out) for v in values]

    def _method(self, node: ast.Call, scope: Scope, out: list[Any]) -> Any:
        """A method of an array."""
        if not isinstance(node.func, ast.Attribute):
            raise self.fail(
                node,
                scope,
                "it is not known which function this is",
                "name a function of the module or of numpy or math",
            )
        owner = self.value(node.func.value, scope, out)
        name = node.func.attr
        if isinstance(owner, Static):
            raise self.fail(node, scope, f"{getattr(owner.value, '__name__', 'it')} has no `{name}`")
        if not isinstance(owner, Arrayed):
            what, instead = (
                ("tuple", "store into the elements of an array")
                if isinstance(owner, Row)
                else ("number", "leave it out")
            )
            raise self.fail(node, scope, f"a {what} has no method `{name}` here", instead)
        if name == "astype" and len(node.args) == 1:
            dtype = self.dtype_of(node.args[0], scope, out)
            kind = {"f": "float", "i": "int", "u": "int", "b": "bool"}[dtype[0]]
            return Lazy(
                owner.shape,
                dtype,
                lambda i, into: self.apply(kind, [owner.element(i, into)], node, scope, into),
                self.reads(owner),
            )
        if name == "item" and not node.args and not owner.shape:
            return owner.element((), out)
        if name == "fill" and isinstance(owner, View) and len(node.args) == 1:
            value = self.named(self.expr(node.args[0], scope, out), "v", self.line(node, scope), out)
            self._writable(owner.array, node, scope, out)  # type: ignore[attr-defined]
            self.fill(self.settled(owner, self.line(node, scope), out), value, self.line(node, scope), out)
            return Row(())
        if name not in METHODS:
            instead = (
                f"call `np.{name}`" if find(KNOWN, getattr(np, name, None)) else "write the loop over the elements"
            )
            raise self.fail(node, scope, f"the method `{name}` is not supported", instead)
        return self.whole_array(name, [owner, *self.all(node.args, scope, out)], node, scope, out)

    # ---- functions of Python -------------------------------------------------------------------------------------------

    def _function(self, function: Any, node: ast.Call, scope: Scope, out: list[Any]) -> Any:
        plain = plain_function(function)
        rule = find(RULES, plain) or find(RULES, function)
        if rule is not None:
            return self._ruled(plain, rule, node, scope, out)
        name = getattr(function, "__name__", repr(function))
        if not inspect.isfunction(plain):
            raise self.fail(node, scope, f"{name} has no derivative that is known", instead_of(name))
        if plain.__module__ == "numgrad" or f"{plain.__module__}.".startswith(_OF_TENSORS):
            raise self.fail(node, scope, f"{name} is a function of tensors, and here are arrays", "call NumPy's")
        if self.depth >= _DEEPEST:
            raise self.fail(
                node, scope, f"{name} calls itself", "write the recursion as a loop with a stack of its own"
            )
        tree = tree_of(plain)
        inner = Scope(plain, tree, scope.surroundings)
        self._bind_arguments(plain, tree, node, inner, scope, out)
        return self.inline(tree, inner, node, scope, out)

    def _ruled(self, plain: Any, rule: Any, node: ast.Call, scope: Scope, out: list[Any]) -> Expr:
        if node.keywords:
            raise self.fail(node, scope, "arguments are given by their places here")
        args = tuple(self.number(v, node, scope, out) for v in self.all(node.args, scope, out))
        name = f"{plain.__name__}_"
        while self.unit.scope.get(name, rule[0]) is not rule[0]:
            name += "_"
        self.unit.scope[name], self.unit.scope[f"{name}slopes"] = rule
        self.unit.used |= {name, f"{name}slopes"}
        return self.kept(Op(f"call:{name}", args), node, scope, out)

    def _bind_arguments(
        self, plain: Any, tree: ast.FunctionDef, node: ast.Call, inner: Scope, scope: Scope, out: list[Any]
    ) -> None:
        line = self.line(node, scope)
        values = self.all([*node.args, *[k.value for k in node.keywords]], scope, out)
        given = values[: len(values) - len(node.keywords)]
        try:
            bound = inspect.signature(plain).bind(
                *given, **{str(k.arg): v for k, v in zip(node.keywords, values[len(given) :], strict=True)}
            )
        except TypeError as error:
            raise self.fail(node, scope, str(error)) from None
        for name, parameter in inspect.signature(plain).parameters.items():
            if parameter.kind not in (
                parameter.POSITIONAL_OR_KEYWORD,
                parameter.POSITIONAL_ONLY,
                parameter.KEYWORD_ONLY,
            ):
                raise self.fail(node, scope, f"{plain.__name__} takes any number of arguments", "name each argument")
            value = (
                bound.arguments[name] if name in bound.arguments else self.known(parameter.default, name, node, scope)
            )
            inner.locals.add(name)
            if isinstance(value, Lazy):
                value = self.stored(value, name, node, scope, out)
            if isinstance(value, Expr) and (name in inner.bound or not isinstance(value, Const)):
                stem = name if name not in self.unit.used else self.fresh(name)
                self.unit.used.add(stem)
                if name in inner.bound:
                    self.unstable.add(stem)
                self.put(stem, value, line, out)
                value = Var(stem)
            if isinstance(value, View):
                value = self.settled(value, line, out)
                if name in inner.renamed:  # another array will have this name, and the caller keeps this one
                    mine = self.stored(value, name, node, scope, out)
                    self.same_as(mine.array, value.array, name, tree, inner, out)
                    value = mine
            inner.names[name] = value

    def settled(self, view: View, line: Any, out: list[Any]) -> View:
        """A view whose indices later statements do not change."""
        axes = tuple(self.named(a, "k", line, out) if isinstance(a, Expr) else a for a in view.axes)
        return View(view.array, axes, view.order)

    def inline(self, tree: ast.FunctionDef, inner: Scope, node: Any, scope: Scope, out: list[Any]) -> Any:
        """The statements of a function in the place of its call; what it returns."""
        structure = Structure(self.fresh)
        try:
            stmts, value = structure.function(tree.body)
        except StructureError as error:
            raise self.fail(error.node, inner, error.what) from None
        inner.exits = structure.exits
        self.depth += 1
        try:
            self.stmts(stmts, inner, out)  # type: ignore[attr-defined]
            return Row(()) if value is None else self.value(value, inner, out)
        except RecursionError:
            raise self.fail(node, scope, "it is nested too deeply", "take more functions or names") from None
        finally:
            self.depth -= 1
