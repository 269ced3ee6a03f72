"""Where in the user's text something went wrong: a sweep is run again with marks before or behind its statements.

The marks are compiled into a kernel of their own, which is made when an error has happened and not before.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import int64
from numgrad.errors import OutOfRangeError
from numgrad.loops.sweeps import Line, Parameter, Sweep
from numgrad.ops.creation import full
from numgrad.ops.loops.elements import arrays_of
from numgrad.ops.loops.sweep_op import WHERE, Case, SweepOp


def index_line(sweep_op: SweepOp, inputs: Sequence[Any], case: Case) -> Line | None:
    """The user's line at which a sweep meets an index out of range; None if it meets none, or for a batch."""
    return _traced(sweep_op, _before, inputs, case)


def nan_line(sweep_op: SweepOp, inputs: Sequence[Any], case: Case) -> Line | None:
    """The user's line from which the first NaN in a sweep comes; None if there is none, or for a batch."""
    return _traced(sweep_op, _behind, inputs, case)


def _traced(sweep_op: SweepOp, mark: Callable[..., Any], inputs: Sequence[Any], case: Case) -> Line | None:
    if case.batch is not None or any(hasattr(each, "payload") for each in inputs):
        return None
    where = full(size=(1,), value=0.0, dtype=int64)
    marked = sweep_op.variant(mark)
    with contextlib.suppress(OutOfRangeError):
        marked.apply((*inputs, where), case)
    line = where.item()
    return sweep_op.sweep.lines.get(line)


def _marked(sweep: Sweep, body: Callable[[list[ast.stmt], set[str]], list[ast.stmt]]) -> Sweep:
    tree = ast.parse(sweep.text)
    [function] = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == sweep.name]
    function.args.args.append(ast.arg(WHERE))
    function.body = body(function.body, arrays_of(tree, {each.name for each in sweep.parameters if each.ndim}))
    parameter = Parameter(WHERE, "i8", 1, WHERE, WHERE)  # type: ignore[arg-type]  # a role that no translation has
    text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return dataclasses.replace(sweep, text=text, parameters=(*sweep.parameters, parameter))


def _before(sweep: Sweep) -> Sweep:
    """The sweep with the line of each statement written to memory before it runs."""

    def marked(body: list[ast.stmt], arrays: set[str]) -> list[ast.stmt]:
        new: list[ast.stmt] = []
        for each in body:
            if each.lineno in sweep.lines:
                new += ast.parse(f"{WHERE}[0] = {each.lineno}").body
            _inside(each, marked, arrays)
            new.append(each)
        return new

    return _marked(sweep, marked)


def _behind(sweep: Sweep) -> Sweep:
    """The sweep with a look at each number that it has just computed; the line of the first NaN is written to memory."""

    def marked(body: list[ast.stmt], arrays: set[str]) -> list[ast.stmt]:
        new: list[ast.stmt] = []
        for each in body:
            _inside(each, marked, arrays)
            new.append(each)
            target: Any = each.targets[0] if isinstance(each, ast.Assign) else getattr(each, "target", None)
            is_array = any(isinstance(one, ast.Name) and one.id in arrays for one in getattr(target, "elts", [target]))
            if isinstance(each, (ast.Assign, ast.AugAssign)) and each.lineno in sweep.lines and not is_array:
                value = ast.unparse(target)
                new += ast.parse(f"if {WHERE}[0] == 0 and {value} != {value}:\n    {WHERE}[0] = {each.lineno}").body
        return new

    return _marked(sweep, marked)


def _inside(statement: ast.stmt, marked: Callable[..., list[ast.stmt]], arrays: set[str]) -> None:
    for field in ("body", "orelse"):
        inner = getattr(statement, field, None)
        if inner:
            setattr(statement, field, marked(inner, arrays))
