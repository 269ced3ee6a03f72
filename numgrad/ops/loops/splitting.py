"""Reverse loops that add to neighbours, as a stencil's do, taken apart: first what is added, then each addition by itself.

In one loop, each turn waits for the sums of the one before, and nothing is done in vectors. So the terms of an innermost loop
go to buffers, and a loop for each addition follows, which LLVM vectorises. What is taken apart are arrays that the loop adds
to, at two places or more, and does nothing else with. A number that an innermost loop only adds to is summed in
lanes: reverse sweeps alone do so, since nothing is decided by an adjoint.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from numgrad.loops.forks import FORK
from numgrad.loops.independence import MOST_PARTS
from numgrad.loops.sweeps import Extent, Memory, Parameter, Sweep

_MOST_TURNS = 1 << 12  # for which there is room; longer loops stay as they are
_TERMS = "terms__"


def split(sweep: Sweep) -> Sweep:
    """The sweep with such loops taken apart; itself if there are none."""
    tree = ast.parse(sweep.text)
    splitter = _Splitter()
    tree = ast.fix_missing_locations(splitter.visit(tree))
    if not splitter.buffers:
        return dataclasses.replace(sweep, text=ast.unparse(tree) + "\n") if splitter.sums else sweep
    size = splitter.buffers * _MOST_TURNS
    regions = _given_out(tree, sweep.name, size)
    room = size * regions
    return dataclasses.replace(
        sweep, text=ast.unparse(ast.fix_missing_locations(tree)) + "\n",
        parameters=(*sweep.parameters, Parameter(_TERMS, "f8", 1, "work", _TERMS)),
        memory=(*sweep.memory, Memory(_TERMS, "f8", Extent(str(room), lambda shapes, numbers: room))),
    )  # fmt: skip


def _given_out(tree: ast.Module, main: str, size: int) -> int:
    """All functions get the memory for terms, of which each part that threads share has a region; how many regions there are."""
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    for function in functions:
        if function.name != main:
            first = function.args.args[0].arg
            function.body[:0] = ast.parse(f"{_TERMS} = room1({_TERMS}, {first} * {size}, {size})").body
        function.args.args.append(ast.arg(_TERMS))
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == FORK:
            given: Any = each.args[2]
            given.elts.append(ast.Name(_TERMS, ast.Load()))
    return MOST_PARTS if len(functions) > 1 else 1


class _Splitter(ast.NodeTransformer):
    def __init__(self) -> None:
        self.buffers = 0  # the most that one loop needs
        self.loops = 0
        self.sums = 0

    def visit_For(self, node: ast.For) -> Any:
        """An innermost loop of plain statements is taken apart; any other is looked into."""
        if not all(map(_is_plain, node.body)):
            return self.generic_visit(node)
        self._sum(node)
        step = _step(node)
        arrays = _added_to(node)
        if step is None or not arrays:
            return node
        return self._taken_apart(node, step, arrays)

    def _sum(self, node: ast.For) -> None:
        """A number that an innermost loop does nothing with but add to it is summed in vectors."""
        names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
        for number, each in enumerate(node.body):
            if isinstance(each, ast.AugAssign) and isinstance(each.op, ast.Add) and isinstance(each.target, ast.Name):
                name = each.target.id
                if names.count(name) == 1:
                    text = f"{name} = add_in_any_order({name}, {ast.unparse(each.value)})"
                    node.body[number : number + 1] = ast.parse(text).body
                    self.sums += 1

    def _taken_apart(self, node: ast.For, step: int, arrays: set[str]) -> list[ast.stmt]:
        assert isinstance(node.target, ast.Name)
        assert isinstance(node.iter, ast.Call)
        body: list[ast.stmt] = []
        additions: list[tuple[str, str]] = []
        terms: dict[str, str] = {}
        bounds = [ast.unparse(each) for each in node.iter.args]
        low, high = ("0", bounds[0]) if len(bounds) == 1 else bounds[:2]
        turn, first = node.target.id, f"first_{self.loops}__"
        self.loops += 1
        turns = f"{turn} - {first}" if step > 0 else f"{first} - {turn}"
        for each in node.body:
            if _array_of(each) not in arrays:
                body.append(each)
                continue
            assert isinstance(each, ast.AugAssign)
            term = ast.unparse(each.value)
            is_name = isinstance(each.value, ast.Name) and _assignments(node, each.value.id) == 1
            if not is_name:
                term = f"{term} {len(terms)}"
            if term not in terms:
                terms[term] = f"{_TERMS}[np.uint64({len(terms) * _MOST_TURNS} + ({turns}))]"
                body += ast.parse(f"{terms[term]} = {ast.unparse(each.value)}").body
            additions.append((ast.unparse(each.target), terms[term]))
        self.buffers = max(self.buffers, len(terms))
        header = f"for {turn} in {ast.unparse(node.iter)}:"
        length = f"{high} - {first}" if step > 0 else f"{first} - ({high})"
        lines = [f"{first} = {low}", f"if {length} <= {_MOST_TURNS}:", f"    {header}", "        pass"]
        for target, term in additions:
            lines += [f"    {header}", f"        {target} += {term}"]
        statements = ast.parse("\n".join(lines)).body
        branch: Any = statements[-1]
        branch.body[0].body = body
        branch.orelse = [node]
        return statements


def _is_plain(statement: ast.stmt) -> bool:
    """Whether a statement is an assignment, or branches that compute numbers from numbers, which vectors compute both."""
    if not isinstance(statement, ast.If):
        return isinstance(statement, (ast.Assign, ast.AugAssign))
    return not any(isinstance(each, (ast.Subscript, ast.For, ast.While, ast.Return)) for each in ast.walk(statement))


def _step(node: ast.For) -> int | None:
    """The step of a loop over a range, if it is 1 or -1."""
    if not (
        isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range" and isinstance(node.target, ast.Name)
    ):
        return None
    if len(node.iter.args) < 3:
        return 1
    return {"1": 1, "-1": -1}.get(ast.unparse(node.iter.args[2]).strip("()"))


def _array_of(statement: ast.stmt) -> str:
    """The array that a statement adds to; '' if it does something else."""
    if not isinstance(statement, ast.AugAssign) or not isinstance(statement.op, ast.Add):
        return ""
    target = statement.target
    return target.value.id if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) else ""


def _assignments(node: ast.For, name: str) -> int:
    return sum(
        [isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id == name for each in ast.walk(node)]
    )


def _added_to(node: ast.For) -> set[str]:
    """The arrays that a loop adds to at two places or more, by indices that its turn alone decides, and does nothing else with."""
    assert isinstance(node.target, ast.Name)
    stored = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    stored.discard(node.target.id)
    places: dict[str, set[str]] = {}
    additions: dict[str, int] = {}
    for each in node.body:
        array = _array_of(each)
        if array:
            assert isinstance(each, ast.AugAssign)
            assert isinstance(each.target, ast.Subscript)
            names = {name.id for name in ast.walk(each.target.slice) if isinstance(name, ast.Name)}
            is_plain = not names & stored and not any(
                isinstance(sub, ast.Subscript) for sub in ast.walk(each.target.slice)
            )
            places.setdefault(array, set()).add(ast.unparse(each.target.slice) if is_plain else "")
            additions[array] = additions.get(array, 0) + 1
    uses = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    return {
        array for array, indices in places.items()
        if len(indices) > 1 and "" not in indices and uses.count(array) == additions[array]
    }  # fmt: skip
