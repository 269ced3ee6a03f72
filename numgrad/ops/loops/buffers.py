"""Innermost loops in several: over parts of their turns, for which buffers have room."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from numgrad.loops.forks import FORK
from numgrad.loops.independence import MOST_PARTS
from numgrad.loops.sweeps import Extent, Memory, Parameter, Sweep

TERMS = "terms__"
_NOT_PLAIN = (ast.Subscript, ast.For, ast.While, ast.Return, ast.Break, ast.Continue)
MOST_SHIFT = 16  # elements that a buffer has more, before and after
_MOST_TURNS = 1 << 12  # of a part
_ROOM = _MOST_TURNS + 2 * MOST_SHIFT


class Part:
    """Parts of an innermost loop over a range of step 1 or -1: turns from ``low`` to ``high``, the name after the last.

    Attributes
    ----------
    turn, low, high
        Names in the text.
    position
        The index of a turn in a buffer.
    """

    def __init__(self, node: ast.For, step: int, number: int) -> None:
        assert isinstance(node.target, ast.Name)
        assert isinstance(node.iter, ast.Call)
        bounds = [ast.unparse(each) for each in node.iter.args]
        self.start, self.stop = ("0", bounds[0]) if len(bounds) == 1 else bounds[:2]
        self.turn, self.step = node.target.id, step
        self.begin, self.low, self.high = (f"{name}_{number}__" for name in ("begin", "low", "high"))
        self.position = f"[np.uint64({self.turn} - {self.low} + {MOST_SHIFT})]"

    def written(self, before: list[str], bodies: list[list[str]], after: list[str]) -> list[ast.stmt]:
        """The loop over the parts: lines before, a loop over the turns for each body, lines after."""
        if self.step > 0:
            span = [f"{self.low} = {self.begin}", f"{self.high} = min({self.begin} + {_MOST_TURNS}, {self.stop})"]
            head = f"for {self.turn} in range({self.low}, {self.high}):"
        else:
            span = [
                f"{self.low} = max({self.begin} - {_MOST_TURNS - 1}, ({self.stop}) + 1)",
                f"{self.high} = {self.begin} + 1",
            ]
            head = f"for {self.turn} in range({self.high} - 1, {self.low} - 1, -1):"
        lines = [*span, *before]
        for body in bodies:
            lines += [head, *[f"    {line}" for line in body]]
        lines += after
        head = f"for {self.begin} in range({self.start}, {self.stop}, {self.step * _MOST_TURNS}):"
        return ast.parse("\n".join([head, *[f"    {line}" for line in lines]])).body


def with_buffers(sweep: Sweep, tree: ast.Module, count: int) -> Sweep:
    """A sweep with another text, and so many buffers for each of its functions. Each part that threads share has its own."""
    if not count:
        return dataclasses.replace(sweep, text=_shown(tree))
    size = count * _ROOM
    functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    for function in functions:
        first = "0" if function.name == sweep.name else f"{function.args.args[0].arg} * {size}"
        rooms = [f"{TERMS}{k} = room1({TERMS}, {first} + {k * _ROOM}, {_ROOM})" for k in range(count)]
        function.body[:0] = ast.parse("\n".join(rooms)).body
        function.args.args.append(ast.arg(TERMS))
    for each in ast.walk(tree):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == FORK:
            given: Any = each.args[2]
            given.elts.append(ast.Name(TERMS, ast.Load()))
    room = size * (MOST_PARTS if len(functions) > 1 else 1)
    return dataclasses.replace(
        sweep, text=_shown(tree), parameters=(*sweep.parameters, Parameter(TERMS, "f8", 1, "work", TERMS)),
        memory=(*sweep.memory, Memory(TERMS, "f8", Extent(str(room), lambda shapes, numbers: room))),
    )  # fmt: skip


def _shown(tree: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def is_plain(statement: ast.stmt) -> bool:
    """Whether a statement is an assignment, or branches that compute numbers from numbers, which vectors compute both."""
    if not isinstance(statement, ast.If):
        return isinstance(statement, (ast.Assign, ast.AugAssign))
    return not any(isinstance(each, _NOT_PLAIN) for each in ast.walk(statement))


def step_of(node: ast.For) -> int | None:
    """The step of a loop over a range, if it is 1 or -1."""
    if not (
        isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range" and isinstance(node.target, ast.Name)
    ):
        return None
    if len(node.iter.args) < 3:
        return 1
    return {"1": 1, "-1": -1}.get(ast.unparse(node.iter.args[2]).strip("()"))
