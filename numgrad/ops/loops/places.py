"""Which elements an innermost loop touches: indices as sums of names, so that it can be seen when two of them are never one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from numgrad.ops.loops.indices import Lowest

_MOST_STEPS = 8  # from a variable to the one that its loop begins at, or to what a name is given


class Sum(NamedTuple):
    """An integer as a sum of names (or other expressions, by their text), each times a number, and of a number."""

    terms: frozenset[tuple[str, int]]
    constant: int

    def less(self, other: Sum) -> Sum:
        """The difference."""
        terms = dict(self.terms)
        for text, times in other.terms:
            terms[text] = terms.get(text, 0) - times
        return Sum(frozenset(each for each in terms.items() if each[1]), self.constant - other.constant)

    def times(self, name: str) -> int | None:
        """The number that a name is multiplied by; None if it is in another term as well."""
        for text, _ in self.terms:
            if text != name and any(
                isinstance(each, ast.Name) and each.id == name for each in ast.walk(ast.parse(text))
            ):
                return None
        return dict(self.terms).get(name, 0)


@dataclass(frozen=True)
class Place:
    """The element of an array that a loop touches in a turn.

    Attributes
    ----------
    index
        Its indices.
    counted
        Which of them are certainly not counted from the array's end.
    is_plain
        Whether the turn and what is the same in all turns determine it.
    parts
        The indices as they are written, with no name that the loop gives a value to.
    """

    index: tuple[Sum, ...]
    counted: tuple[bool, ...]
    is_plain: bool
    parts: tuple[ast.expr, ...] = field(compare=False, repr=False)

    def moves(self, turn: str) -> bool:
        """Whether it is another element in each turn."""
        pairs = zip(self.index, self.counted, strict=True)
        return self.is_plain and any(counted and each.times(turn) in (1, -1) for each, counted in pairs)

    def shift_from(self, other: Place, turn: str) -> int | None:
        """By how many turns it is ahead of another position, where that is the only difference; None if it is not so."""
        shift = 0
        for mine, its, one, two in zip(self.index, other.index, self.counted, other.counted, strict=True):
            if mine == its:
                continue
            if shift or mine.terms != its.terms or not (one and two) or mine.times(turn) != 1:
                return None
            shift = mine.constant - its.constant
        return shift


class Places:
    """The places of an innermost loop, in the order of its text.

    A name that is given a sum of names once, in a statement of the loop's own, is read as that sum from there on.
    """

    def __init__(self, loop: ast.For, lowest: Lowest) -> None:
        self.loop, self.lowest = loop, lowest
        inside = [each for statement in loop.body for each in ast.walk(statement)]
        self.given = [each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
        self._known: dict[str, ast.expr] = {}

    def __iter__(self) -> Iterator[tuple[ast.stmt, ast.Subscript, Place]]:
        """Each statement of the loop with each element of an array in it, and its position."""
        self._known = {}
        for statement in self.loop.body:
            for each in ast.walk(statement):
                if isinstance(each, ast.Subscript) and isinstance(each.value, ast.Name):
                    yield statement, each, self._position(each.slice)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name, value = statement.targets[0].id, self._resolved(statement.value)
                if self.given.count(name) == 1 and self._is_plain(value):
                    self._known[name] = value

    def are_apart(self, one: Place, two: Place, turn: str) -> bool:
        """Whether two places are never one element, in whatever turns: an index that no turn changes is another one."""
        pairs = zip(one.index, two.index, one.counted, two.counted, strict=False)
        return (
            one.is_plain
            and two.is_plain
            and any(
                counted and also and mine.times(turn) == its.times(turn) == 0 and self._differ(mine, its)
                for mine, its, counted, also in pairs
            )
        )

    def _differ(self, one: Sum, two: Sum) -> bool:
        return self._is_more(one.less(two)) or self._is_more(two.less(one))

    def _is_more(self, difference: Sum) -> bool:
        """Whether a difference is certainly more than 0, as the loops around say, which begin where others' variables are."""
        for _ in range(_MOST_STEPS):
            known = [
                (text, times) for text, times in difference.terms if times > 0 and self.lowest.least(text) is not None
            ]
            if not known:
                break
            text, times = min(known)
            least = self.lowest.least(text)
            assert least is not None
            if {each.id for each in ast.walk(least) if isinstance(each, ast.Name)} & set(self.given):
                return False
            for _ in range(times):
                difference = difference.less(Sum(frozenset({(text, 1)}), 0).less(sum_of(least)))
        return not difference.terms and difference.constant > 0

    def _position(self, index: ast.expr) -> Place:
        sums, counted, parts = [], [], []
        for part in index.elts if isinstance(index, ast.Tuple) else [index]:
            unsigned = isinstance(part, ast.Call) and ast.unparse(part.func) == "np.uint64"
            inner = self._resolved(part.args[0] if isinstance(part, ast.Call) and unsigned else part)
            sums.append(sum_of(inner))
            counted.append(unsigned or self.lowest.of(inner) >= 0)
            parts.append(inner)
        return Place(tuple(sums), tuple(counted), all(map(self._is_plain, parts)), tuple(parts))

    def _resolved(self, e: ast.expr) -> ast.expr:
        known = self._known

        class Resolved(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                return known.get(node.id, node)

        resolved: ast.expr = Resolved().visit(ast.parse(ast.unparse(e), mode="eval").body)
        return resolved

    def _is_plain(self, e: ast.expr) -> bool:
        """Whether an expression is made of extents and of names that the loop gives no value to."""
        if isinstance(e, ast.Name):
            return e.id not in self.given
        if isinstance(e, ast.BinOp):
            return self._is_plain(e.left) and self._is_plain(e.right)
        if isinstance(e, ast.UnaryOp):
            return self._is_plain(e.operand)
        if isinstance(e, ast.Subscript):
            return isinstance(e.value, ast.Attribute) and e.value.attr == "shape"
        return isinstance(e, ast.Constant)


def sum_of(e: ast.expr) -> Sum:
    """An expression as a sum."""
    terms: dict[str, int] = {}
    constant = _collect(e, 1, terms)
    return Sum(frozenset((text, times) for text, times in terms.items() if times), constant)


def _collect(e: ast.expr, times: int, terms: dict[str, int]) -> int:
    if isinstance(e, ast.Constant) and type(e.value) is int:
        return times * e.value
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        return _collect(e.operand, -times, terms)
    if isinstance(e, ast.BinOp) and isinstance(e.op, (ast.Add, ast.Sub)):
        sign = 1 if isinstance(e.op, ast.Add) else -1
        return _collect(e.left, times, terms) + _collect(e.right, sign * times, terms)
    text = ast.unparse(e)
    terms[text] = terms.get(text, 0) + times
    return 0
