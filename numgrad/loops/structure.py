"""Control flow made plain: no ``break``, ``continue`` or early ``return`` is left, only flags and branches.

What follows a statement that may leave is moved into the branch that stays, or put under a guard. A loop with a flag is
left at the end of its body, when the flag is set.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from numgrad.loops.vocabulary import ADVICE


class StructureError(Exception):
    """A statement that no flags can replace: the node, and what is wrong."""

    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(what)
        self.node, self.what = node, what


def placed(node: Any, line: int) -> Any:
    """The node, with a line for each part that has none."""
    parts: Any = ast.walk(node)
    for each in parts:
        if not hasattr(each, "lineno"):
            each.lineno = each.end_lineno = line
            each.col_offset = each.end_col_offset = 0
    return node


def _set(name: str, value: Any, line: int) -> ast.stmt:
    new = value if isinstance(value, ast.AST) else ast.Constant(value)
    stmt: ast.stmt = placed(ast.Assign([ast.Name(name, ast.Store())], new), line)  # type: ignore[arg-type, list-item]
    return stmt


def _if(test: ast.expr, body: list[Any], orelse: list[Any], line: int) -> ast.stmt:
    stmt: ast.stmt = placed(ast.If(test, body or [ast.Pass()], orelse), line)
    return stmt


def _not(*flags: str) -> ast.expr:
    tests: list[Any] = [ast.UnaryOp(ast.Not(), ast.Name(flag, ast.Load())) for flag in flags]
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)


def escapes(node: Any) -> set[str]:
    """The ways in which a statement, or a list of them, may leave what it stands in."""
    if isinstance(node, list):
        return set().union(*map(escapes, node)) if node else set()
    if isinstance(node, (ast.Break, ast.Continue, ast.Return)):
        return {type(node).__name__.lower()}
    if isinstance(node, ast.If):
        return escapes(node.body) | escapes(node.orelse)
    if isinstance(node, (ast.For, ast.While)):
        return (escapes(node.body) & {"return"}) | escapes(node.orelse)
    return set()


def always(stmts: list[Any]) -> bool:
    """Whether a list of statements cannot be left at its end."""
    for s in stmts:
        if isinstance(s, (ast.Break, ast.Continue, ast.Return, ast.Raise)):
            return True
        if isinstance(s, ast.If) and s.orelse and always(s.body) and always(s.orelse):
            return True
        if isinstance(s, ast.While) and isinstance(s.test, ast.Constant) and s.test.value and not _breaks(s.body):
            return True
    return False


def _breaks(stmts: list[Any]) -> bool:
    return "break" in escapes(stmts)


class _Loop:
    """A loop that is being rewritten: its flags."""

    def __init__(self, leaving: str) -> None:
        self.leaving = leaving
        self.breaks = False
        self.skipping: str | None = None


class Structure:
    """Rewrites the body of one function.

    Attributes
    ----------
    exits
        For loops that may be left, by the identity of the node, the flag.
    """

    def __init__(self, fresh: Callable[[str], str]) -> None:
        self.fresh = fresh
        self.exits: dict[int, str] = {}
        self.done: str | None = None  # the flag of a return within a loop
        self.returned: list[str] | None = None

    def function(self, body: list[Any]) -> tuple[list[Any], ast.expr | None]:
        """The statements, and the expression that is returned at their end (None if nothing is)."""
        for s in body:
            for each in ast.walk(s):
                if isinstance(each, ast.stmt) and type(each).__name__ in ADVICE:
                    raise StructureError(
                        each, f"`{type(each).__name__.lower()}` is not supported; {ADVICE[type(each).__name__]}"
                    )
        returns = _returns(body)
        valued = [
            r for r in returns if not (r.value is None or (isinstance(r.value, ast.Constant) and r.value.value is None))
        ]
        if valued and (len(valued) < len(returns) or not always(body)):
            raise StructureError(
                valued[0], "it returns a value here, and elsewhere it ends without one; return a value everywhere"
            )
        if not valued:
            for r in returns:
                r.value = None
        if returns and returns == [s for s in body if isinstance(s, ast.Return)][:1]:
            end = body.index(returns[0])
            return self.block(body[:end], None), returns[0].value
        stmts = self.block(body, None)
        before = [_set(self.done, False, body[0].lineno)] if self.done else []
        if not self.returned:
            return before + stmts, None
        values: list[Any] = [ast.Name(n, ast.Load()) for n in self.returned]
        whole = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        return before + stmts, placed(whole, body[-1].lineno)

    def _returning(self, node: ast.Return) -> list[Any]:
        values = [] if node.value is None else node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        if self.returned is None:
            self.returned = [self.fresh("result") for _ in values]
        if len(values) != len(self.returned):
            raise StructureError(node, f"it returns {len(values)} values here and {len(self.returned)} elsewhere")
        if len(values) == 1:
            return [_set(self.returned[0], values[0], node.lineno)]
        return [_set(n, v, node.lineno) for n, v in zip(self.returned, values, strict=True)]

    def block(self, stmts: list[Any], loop: _Loop | None) -> list[Any]:
        """A list of statements without escapes."""
        out: list[Any] = []
        for number, s in enumerate(stmts):
            rest, line = stmts[number + 1 :], s.lineno
            ways = escapes(s)
            if isinstance(s, ast.Break):
                assert loop is not None
                loop.breaks = True
                return [*out, _set(loop.leaving, True, line)]
            if isinstance(s, ast.Continue):
                assert loop is not None
                return [*out, _set(loop.skipping, True, line)] if loop.skipping else out or [placed(ast.Pass(), line)]
            if isinstance(s, ast.Return):
                return out + self._leave(s, loop)
            if isinstance(s, ast.If) and ways:
                return out + self._branch(s, rest, ways, loop)
            if isinstance(s, ast.If):
                out.append(_if(s.test, self.block(s.body, loop), self.block(s.orelse, loop) if s.orelse else [], line))
            elif isinstance(s, (ast.For, ast.While)):
                if "return" in ways and self.done is None:
                    self.done = self.fresh("done")
                out += self._loop(s)
                if s.orelse:
                    leaving = self.exits.get(id(out[-1]))
                    rest = [_if(_not(leaving), s.orelse, [], line), *rest] if leaving else [*s.orelse, *rest]
                    s.orelse = []
                if "return" in ways:
                    return out + self._after(rest, loop, line)
                if rest and rest[0] not in stmts[number + 1 : number + 2]:
                    return out + self.block(rest, loop)
            else:
                out.append(s)
        return out

    def _leave(self, s: ast.Return, loop: _Loop | None) -> list[Any]:
        out = self._returning(s)
        if self.done:
            out.append(_set(self.done, True, s.lineno))
        if loop is not None:
            loop.breaks = True
            out.append(_set(loop.leaving, True, s.lineno))
        return out

    def _after(self, rest: list[Any], loop: _Loop | None, line: int) -> list[Any]:
        """What follows a loop that may return."""
        assert self.done is not None
        out = []
        if loop is not None:
            loop.breaks = True
            done = ast.Name(self.done, ast.Load())
            out.append(_if(done, [_set(loop.leaving, True, line)], [], line))
        if rest:
            out.append(_if(_not(self.done), self.block(rest, loop), [], line))
        return out

    def _branch(self, s: ast.If, rest: list[Any], ways: set[str], loop: _Loop | None) -> list[Any]:
        line = s.lineno
        one, two = escapes(s.body), escapes(s.orelse)
        if always(s.body) and (not two or always(s.orelse)):
            after = s.orelse if always(s.orelse) else s.orelse + rest
            return [_if(s.test, self.block(s.body, loop), self.block(after, loop) if after else [], line)]
        if always(s.orelse) and not one:
            return [_if(s.test, self.block(s.body + rest, loop), self.block(s.orelse, loop), line)]
        flags = []
        if rest:
            if "return" in ways:
                self.done = self.done or self.fresh("done")
                flags.append(self.done)
            if "break" in ways:
                assert loop is not None
                flags.append(loop.leaving)
            if "continue" in ways:
                assert loop is not None
                loop.skipping = loop.skipping or self.fresh("skip")
                flags.append(loop.skipping)
        first = _if(s.test, self.block(s.body, loop), self.block(s.orelse, loop) if s.orelse else [], line)
        return [first, _if(_not(*flags), self.block(rest, loop), [], line)] if rest else [first]

    def _loop(self, s: Any) -> list[Any]:
        loop = _Loop(self.fresh("leave"))
        body = self.block(s.body, loop)
        if loop.skipping:
            body.insert(0, _set(loop.skipping, False, s.lineno))
        new: Any = ast.For(s.target, s.iter, body, []) if isinstance(s, ast.For) else ast.While(s.test, body, [])
        placed(new, s.lineno)
        new.lineno = s.lineno
        if not loop.breaks:
            return [new]
        self.exits[id(new)] = loop.leaving
        return [_set(loop.leaving, False, s.lineno), new]


def _returns(node: Any) -> list[ast.Return]:
    """The returns of a function, without those of functions in it."""
    if isinstance(node, list):
        return [r for each in node for r in _returns(each)]
    if isinstance(node, ast.Return):
        return [node]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
        return []
    return [r for each in ast.iter_child_nodes(node) for r in _returns(each)]


def outermost(function: Any) -> set[str]:
    """What names the loops of a function's own level for a checkpoint: variables of ranges, and ``while``."""
    names: set[str] = set()
    for s in function.body if isinstance(function, ast.FunctionDef) else function:
        if isinstance(s, ast.While):
            names.add("while")
        elif isinstance(s, ast.For) and isinstance(s.target, ast.Name):
            names.add(s.target.id)
        elif isinstance(s, ast.If):
            names |= outermost([*s.body, *s.orelse])
    return names
