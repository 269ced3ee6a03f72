"""Forward loops that sum what costly functions give, taken apart: first all terms, in vectors, then the sum in its own order.

``s += exp(x[j])`` adds number by number, since another order would be another result, and so LLVM computes one exponential
after the other as well. Terms go to a buffer in one loop, whose turns do not need each other, and a second loop adds them up
in their order. A term is rounded before it is added, as in Python, where one loop may fuse a product with the addition.
"""

from __future__ import annotations

import ast
import copy

from numgrad.loops.sweeps import Sweep
from numgrad.loops.vocabulary import EXPENSIVE
from numgrad.ops.loops.buffers import TERMS, Part, is_plain, step_of, with_buffers


def take_apart(sweep: Sweep) -> Sweep:
    """The sweep with such loops taken apart; itself if there are none."""
    tree = ast.parse(sweep.text)
    tapes = {each.name for each in sweep.parameters if each.role == "tape"}
    most = 0
    for function in tree.body:
        parted = _Parted(tapes)
        parted.visit(function)
        most = max(most, parted.buffers)
    return with_buffers(sweep, tree, most) if most else sweep


class _Parted(ast.NodeTransformer):
    def __init__(self, tapes: set[str]) -> None:
        self.tapes = tapes
        self.buffers = 0
        self.loops = 0

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
        """An innermost loop of plain statements is taken apart; any other is looked into."""
        if not all(map(is_plain, node.body)):
            return self.generic_visit(node)
        step = step_of(node)
        late = _late(node, _marks(node, self.tapes)) if step else set()
        if not step or not late:
            return node
        part = Part(node, step, self.loops)
        terms = _Terms(node, late, part)
        first: list[str] = []
        second: list[str] = []
        for statement in node.body:
            if id(statement) in late:
                later = terms.visit(copy.deepcopy(statement))  # the loop may stay as it is
                first += terms.taken()
                second += ast.unparse(later).split("\n")
            else:
                first += ast.unparse(statement).split("\n")
        if terms.fails or not terms.buffers:
            return node
        self.loops += 1
        self.buffers = max(self.buffers, len(terms.buffers))
        return part.written([], [first, second], [])


def _marks(node: ast.For, tapes: set[str]) -> set[str]:
    """Names that count what lies on tapes: only ever moved by a number."""
    moved = {each.target.id for each in node.body if isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name)
             and isinstance(each.value, ast.Constant)}  # fmt: skip
    places = {
        name.id
        for each in ast.walk(node)
        if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name) and each.value.id in tapes
        for name in ast.walk(each.slice)
        if isinstance(name, ast.Name)
    }
    return moved & places


def _late(node: ast.For, marks: set[str]) -> set[int]:
    """Statements that need what the turn before has left, by identity; empty if the loop has none, or cannot be taken apart."""
    given: set[str] = set()
    carried: set[str] = set()
    stored = _names(node.body, ast.Store)
    for statement in node.body:
        carried |= (_names([statement], ast.Load) & stored) - given
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            carried |= {statement.target.id} - given
        if not isinstance(statement, ast.If):
            given |= _names([statement], ast.Store)
        elif not _names([statement], ast.Store) <= given:
            carried |= _names([statement], ast.Store) - given  # of a branch that is not taken it keeps what it was
    carried -= marks
    late, names = set[int](), set(carried)
    while True:
        before = len(late), len(names)
        for statement in node.body:
            if (_names([statement], ast.Load) | _names([statement], ast.Store)) & names:
                late.add(id(statement))
                names |= _names([statement], ast.Store)
        if (len(late), len(names)) == before:
            break
    for statement in node.body:
        if id(statement) in late and (names & marks or any(map(_is_store, ast.walk(statement)))):
            return set()
    first = [statement for statement in node.body if id(statement) not in late]
    return late if carried and any(map(_is_costly, [*_all(node.body, late, names), *first])) else set()


def _all(body: list[ast.stmt], late: set[int], names: set[str]) -> list[ast.AST]:
    """Parts of late statements that need nothing late."""
    return [
        each for statement in body if id(statement) in late for each in ast.walk(statement)
        if isinstance(each, ast.expr) and not any(isinstance(sub, ast.Name) and sub.id in names for sub in ast.walk(each))
    ]  # fmt: skip


def _is_costly(node: ast.AST) -> bool:
    """Whether a costly function is called in it."""
    return any(isinstance(each, ast.Call) and ast.unparse(each.func) in EXPENSIVE for each in ast.walk(node))


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)


def _names(body: list[ast.stmt], context: type[ast.expr_context]) -> set[str]:
    return {each.id for statement in body for each in ast.walk(statement)
            if isinstance(each, ast.Name) and isinstance(each.ctx, context)}  # fmt: skip


class _Terms(ast.NodeTransformer):
    """Puts buffers where late statements read what others compute, if these are certainly reals."""

    def __init__(self, node: ast.For, late: set[int], part: Part) -> None:
        self.part, self.buffers, self.fails, self._statement = part, dict[tuple[int, str], int](), False, 0
        self.late = _names([each for each in node.body if id(each) in late], ast.Store)
        first = [each for each in node.body if id(each) not in late]
        self.early = _names(first, ast.Store)
        self.written = {
            each.value.id for each in ast.walk(node)
            if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store) and isinstance(each.value, ast.Name)
        }  # fmt: skip
        names = [each.id for statement in first for each in ast.walk(statement) if isinstance(each, ast.Name)
                 and isinstance(each.ctx, ast.Store)]  # fmt: skip
        self.values = {
            each.targets[0].id: each.value for each in first
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and names.count(each.targets[0].id) == 1
        }  # fmt: skip
        self._taken: list[str] = []

    def taken(self) -> list[str]:
        """Statements that fill the buffers which were put in last."""
        lines, self._taken = self._taken, []
        self._statement += 1
        return lines

    def visit(self, node: ast.AST) -> ast.AST:
        """The largest expressions that need nothing late and are costly, and names that are given values early."""
        if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), ast.Store):
            return self.generic_visit(node)
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self.written:
            self.fails = True
        if names & self.late:
            return self.generic_visit(node)
        if not names & self.early and not _is_costly(node):
            return node
        if not self._is_real(node):
            if isinstance(node, ast.Name):
                self.fails = True
            return self.generic_visit(node)
        text = ast.unparse(node)
        key = self._statement, text
        if key not in self.buffers:
            self.buffers[key] = len(self.buffers)
            self._taken.append(f"{TERMS}{self.buffers[key]}{self.part.position} = {text}")
        return ast.parse(f"{TERMS}{self.buffers[key]}{self.part.position}", mode="eval").body

    def _is_real(self, e: ast.expr) -> bool:
        """Whether an expression is certainly a real number."""
        if isinstance(e, ast.Name):
            return e.id in self.values and self._is_real(self.values[e.id])
        if isinstance(e, ast.Call):
            return ast.unparse(e.func) in EXPENSIVE | {"sqrt", "float"}
        if isinstance(e, ast.BinOp):
            if isinstance(e.op, (ast.Add, ast.Sub, ast.Mult)):
                return self._is_real(e.left) or self._is_real(e.right)
            return isinstance(e.op, ast.Div)
        if isinstance(e, ast.UnaryOp):
            return self._is_real(e.operand) and not isinstance(e.op, ast.Not)
        return isinstance(e, ast.Constant) and isinstance(e.value, float)
