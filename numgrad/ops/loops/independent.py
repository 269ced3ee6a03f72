"""Innermost loops whose turns do not need each other, as their text shows: marked so that LLVM puts them into vectors unasked."""

from __future__ import annotations

import ast
import itertools

from numgrad.ops.loops.indices import Lowest
from numgrad.ops.loops.places import Place, Places

MARK = "independent_turns"
_LEAVING = (ast.For, ast.While, ast.Return, ast.Break, ast.Continue)


def mark(function: ast.FunctionDef, lowest: Lowest, tapes: set[str]) -> None:
    """Mark the innermost loops of which no turn reads or writes an element that another one writes, in place.

    Arrays of different names lie apart: arguments are only read, all else is memory of its own. Tapes are read, or pushed to, one
    element after another.
    """
    for loop in [each for each in ast.walk(function) if isinstance(each, ast.For)]:
        if _is_independent(loop, tapes, lowest):
            loop.body[:0] = ast.parse(f"{MARK}()").body


def _is_independent(loop: ast.For, tapes: set[str], lowest: Lowest) -> bool:
    inside = (each for statement in loop.body for each in ast.walk(statement))
    if not isinstance(loop.target, ast.Name) or any(isinstance(each, _LEAVING) for each in inside):
        return False
    touched: dict[str, set[Place]] = {}
    written: dict[str, set[Place]] = {}
    places = Places(loop, lowest)
    for _, element, position in places:
        array = element.value.id  # type: ignore[attr-defined]
        if array not in tapes:
            touched.setdefault(array, set()).add(position)
            if isinstance(element.ctx, ast.Store):
                written.setdefault(array, set()).add(position)
    turn = loop.target.id
    return bool(written) and all(
        one.moves(turn) if one == two else places.are_apart(one, two, turn)
        for array, stores in written.items()
        for one, two in itertools.product(stores, touched[array])
    )
