"""Names for one array that have arrays of their own: can the program tell?

In NumPy ``b = a`` gives an array a second name. Where ``b`` is given other arrays elsewhere, it has memory of its own here, into
which this statement copies. That is the same as long as neither is changed, element by element, while the other one still stands
for the same array and is read later. Reading notes what names do, by `Mark`; here the notes are followed along every way that
the program may take (a forward analysis of pairs that may be one array, joined where ways meet, repeated for loops).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from numgrad.loops.language import If, Loop, Permute, Stmt, arrays, children, expressions


@dataclass(eq=False)
class Mark(Stmt):
    """A note of the reader between statements.

    ``what`` is ``made``: a new array; ``same``: the array has a copy of what ``other`` holds, and in NumPy would be it;
    ``anew``: it is another array from here on; ``write``: elements of it are changed. ``why`` says who is to blame: the name,
    the function, the statement.
    """

    what: str
    array: str
    other: str = ""
    why: Any = None


class _State(NamedTuple):
    """Pairs that may be one array in NumPy, and arrays that may not hold what they would in NumPy; with what made them so."""

    pairs: dict[frozenset[str], Mark]
    stale: dict[str, Mark]

    def joined(self, other: _State) -> _State:
        return _State({**other.pairs, **self.pairs}, {**other.stale, **self.stale})

    def same_keys(self, other: _State) -> bool:
        return self.pairs.keys() == other.pairs.keys() and self.stale.keys() == other.stale.keys()


class _Found(Exception):  # noqa: N818 (it is a way out, and no error)
    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark


def told_apart(body: list[Any], read_last: Iterable[str]) -> Mark | None:
    """The note at which a name got a copy that the program can tell from the array itself; None if there is none."""
    try:
        state = _block(body, _State({}, {}))
        _read(set(read_last), state)
    except _Found as conflict:
        return conflict.mark
    return None


def without_marks(body: list[Any], beginnings: dict[str, list[Any]]) -> None:
    """The statements without notes, in place; ``beginnings`` has what stands where arrays are made."""
    body[:] = [
        each
        for s in body
        for each in ([s] if not isinstance(s, Mark) else beginnings.get(s.array, []) if s.what == "made" else [])
    ]
    for s in body:
        for inner in children(s):
            without_marks(inner, beginnings)


def _read(names: set[str], state: _State) -> None:
    for name in sorted(names):
        if name in state.stale:
            raise _Found(state.stale[name])


def _block(stmts: list[Any], state: _State) -> _State:
    for s in stmts:
        state = _statement(s, state)
    return state


def _statement(s: Any, state: _State) -> _State:
    if isinstance(s, Mark):
        return _marked(s, state)
    if isinstance(s, Permute):  # what a name held, its new name holds
        new = dict(zip(s.sources, s.targets, strict=True))
        pairs = {frozenset(new.get(n, n) for n in pair): mark for pair, mark in state.pairs.items()}
        return _State(pairs, {new.get(n, n): mark for n, mark in state.stale.items()})
    if not isinstance(s, Loop):
        _read(set().union(*map(arrays, expressions(s))), state)
        if isinstance(s, If):
            return _block(s.then, state).joined(_block(s.orelse, state))
        return state
    while True:
        _read(set().union(*map(arrays, expressions(s))), state)
        more = state.joined(_block(s.body, state))
        if more.same_keys(state):
            return state
        state = more


def _marked(s: Mark, state: _State) -> _State:
    if s.what == "write":
        stale = dict(state.stale)
        for pair, mark in state.pairs.items():
            if s.array in pair:
                stale |= dict.fromkeys(pair - {s.array}, mark)
        return _State(state.pairs, stale)
    pairs = {pair: mark for pair, mark in state.pairs.items() if s.array not in pair}
    stale = {n: mark for n, mark in state.stale.items() if n != s.array}
    if s.what == "same":
        others = {s.other} | {n for pair in pairs if s.other in pair for n in pair}
        pairs |= {frozenset((s.array, n)): s for n in others if n != s.array}
    return _State(pairs, stale)
