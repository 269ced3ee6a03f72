"""What is known of calls of functions (`tensor/known.py` learns it): the tables, and the room that they share.

A value in a table is a step, which holds a plan, or several, or False for a call that is left to its function. Steps that were not
used for longest go where room is wanted for another call, but only if they were not used since that call came before: calls that
recur in turn, and are too many for the room, would else push each other out, and all be learned again in each round. So as many as
there is room for stay known.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from numgrad.runtime.fast.write import clock
from numgrad.runtime.plan import Plan

Table = dict[Any, Any]
tables: list[Table] = []
times_forgotten = 0  # of all of them

_ROOM = 1 << 14  # of all steps together, in units of some 2 KB, as plans are weighed
_AT_ONCE = 1 << 12  # uses of plans; who comes twice within so few may do so in one step, and not come back
_PATIENCE = 1 << 12  # calls that are not learned, after a look at all steps
_MOST_MET = 1 << 16
_held = 0  # of the room
_turned_away = 0  # calls that are not learned yet, until steps are looked at again


class Holder(Protocol):
    """Who has plans that belong to a record, and drops them where all is forgotten."""

    weight: int

    def forget(self) -> None:
        """Drop them."""


holders: weakref.WeakSet[Any] = weakref.WeakSet()


def table() -> Table:
    """A table for the calls of a function."""
    calls: Table = {}
    tables.append(calls)
    return calls


def forget() -> None:
    """Drop all that is known: steps hold plans, whose scratch memory is sized for a number of threads."""
    global times_forgotten, _held, _turned_away
    times_forgotten += 1
    _held = _turned_away = 0
    for calls in tables:
        calls.clear()
    for holder in list(holders):
        holder.forget()
    _met.numbers.clear()
    _counts.numbers.clear()


class _Lately:
    """Numbers by what was met lately, of which hashes are kept: a few bytes, whatever never comes back."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def put(self, what: Any, number: int) -> None:
        """Note a number."""
        if len(self.numbers) >= _MOST_MET:
            for old in list(self.numbers)[: _MOST_MET // 2]:
                self.numbers.pop(old, None)
        self.numbers[hash(what)] = number

    def pop(self, what: Any) -> int | None:
        """The number that was noted; it will be noted again, as the newest."""
        return self.numbers.pop(hash(what), None)


_met, _counts = _Lately(), _Lately()


def met(what: Any) -> tuple[int | None, bool]:
    """When a call was met before, as `Plan.last_use` counts, and whether it is to be rehearsed; None if it was not, or long ago."""
    before, now = _met.pop(what), clock.value
    if before is None:
        _met.put(what, 2 * now)
        return None, False
    since, again = before >> 1, before & 1
    _met.put(what, before if now - since < _AT_ONCE else 2 * now + again)
    return since, bool(again)


def rehearse(what: Any) -> None:
    """Let a call be rehearsed when it is met again."""
    _met.put(what, 2 * clock.value + 1)


def count(what: Any) -> int:
    """How often this was counted lately, with this time."""
    number = 1 + (_counts.pop(what) or 0)
    _counts.put(what, number)
    return number


def has_room(since: int) -> bool:
    """Whether a call that came before at that time may be learned; steps that were not used since may be dropped for it."""
    global _turned_away
    if _held < _ROOM:
        return True
    if clock.value - since < _AT_ONCE:
        return False
    if _turned_away:
        _turned_away -= 1
        return False
    _drop(since)
    _turned_away = _PATIENCE
    return _held < _ROOM


def keep(calls: Table, key: Any, step: Any) -> None:
    """Let a table know a call."""
    global _held
    before = calls.get(key)
    calls[key] = step
    if step.__class__ is tuple:
        for plan in _plans_of(step):
            plan.used = clock.value  # it may be new
    _held += _weight(step) - (0 if before is None else _weight(before))


def _drop(since: int) -> None:
    """Make some room: of steps that were not used since then, and of all calls that are functions', if these have most of it."""
    global _held
    entries = [(calls, key, step, _weight(step)) for calls in list(tables) for key, step in list(calls.items())]
    without = [entry for entry in entries if entry[2].__class__ is not tuple]
    _held = sum([entry[3] for entry in entries])
    if sum([entry[3] for entry in without]) > _ROOM // 2:
        _drop_all(without)
    steps = [entry for entry in entries if entry[2].__class__ is tuple]
    used = [(max([plan.last_use() for plan in _plans_of(entry[2])]), entry) for entry in steps]
    old = sorted([each for each in used if each[0] < since], key=lambda each: each[0])
    _drop_all([entry for _, entry in old], _ROOM - _ROOM // 4)


def _drop_all(entries: Any, until: int = 0) -> None:
    """Drop entries, as long as there are more than that."""
    global _held
    for calls, key, _, weight in entries:
        if _held <= until:
            break
        if calls.pop(key, None) is not None:
            _held -= weight


def _plans_of(step: tuple[Any, ...]) -> list[Plan]:
    return [step[0]] if step[0] is not None else [part[0] for part in step[1:]]


def _weight(step: Any) -> int:
    if step.__class__ is tuple:
        return sum([weight_of(plan) for plan in _plans_of(step)])
    return 1


def weight_of(plan: Plan) -> int:
    """The weight of a plan, and of what its records hold."""
    return plan.weight + sum([getattr(record.run, "weight", 0) for record in list(plan.records.values())])
