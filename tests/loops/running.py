"""Sweeps in plain Python, as the op would run them: memory is given, what is written comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numgrad.loops.forks import FORK
from numgrad.loops.sweeps import SHORT, Kind, Memory, Parameter, Sweep, Sweeps
from numgrad.loops.translation import translate
from tests.loops.rewritten import Watch, gathered, unwatched, watched

_TAPES = ("f8", "i8", "b1")  # in the order of `used`
_LATE = 1 << 12  # elements of local arrays whose extents a program computes, in tests
_SPARE = 7.25  # what fresh memory holds: nothing may count on zeros


def kind_of(value: Any) -> Kind:
    """What an argument is."""
    if isinstance(value, np.ndarray):
        return Kind(value.dtype.str[1:], value.ndim)
    return Kind("b1" if isinstance(value, bool | np.bool_) else "i8" if isinstance(value, int | np.integer) else "f8")


def apart(function: Callable[..., None], parts: int, given: tuple[Any, ...]) -> None:
    """`fork_parts` as if all parts ran at the same time: each sees what there was before, and no two may change one element."""
    arrays = [a for a in map(unwatched, given) if isinstance(a, np.ndarray)]
    before = [a.copy() for a in arrays]
    after = [a.copy() for a in arrays]
    changed = [np.zeros(a.shape, bool) for a in arrays]
    for part in reversed(range(parts)):
        function(part, *given)
        for a, old, new, done in zip(arrays, before, after, changed, strict=True):
            mine = (a != old) & ~((a != a) & (old != old))
            assert not (mine & done).any(), f"two parts of {function.__name__} change one element"
            new[mine], a[...] = a[mine], old
            done |= mine
    for a, new in zip(arrays, after, strict=True):
        a[...] = new


class Run:
    """A translated function with its arguments: ``record``, then ``reverse`` as often as one likes.

    Attributes
    ----------
    sweeps
        What was translated.
    results
        After `record`, `plain` or `tangent`: the results, arrays; those of numbers have one element.
    """

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], needs: Sequence[str] | None = None, **options: Any
    ) -> None:
        self.sweeps: Sweeps = translate(
            function, [kind_of(a) for a in args], needs=None if needs is None else tuple(needs), **options
        )
        names = [name for name, _ in self.sweeps.arguments]
        self.args = dict(zip(names, args, strict=True))
        self.shapes = {name: a.shape for name, a in self.args.items() if isinstance(a, np.ndarray)}
        self.numbers = {name: int(a) for name, a in self.args.items() if isinstance(a, int | np.integer)}
        self.saved: dict[str, np.ndarray] = {}
        self.used = np.zeros(len(_TAPES), np.int64)
        self.rooms: dict[str, int] = {}
        self.results: dict[str, np.ndarray] = {}

    def plain(self) -> dict[str, np.ndarray]:
        """The results."""
        self._call(self.sweeps.plain, {})
        return self.results

    def record(self) -> dict[str, np.ndarray]:
        """The results; what `reverse` reads is kept."""
        used = np.zeros(len(_TAPES) + len(self.sweeps.rooms), np.int64)
        tapes = {p.name: _TAPES.index(p.dtype) for p in self.sweeps.record.parameters if p.role == "tape"}
        if any(block.room is None for block in self.sweeps.saved):
            self._call(self.sweeps.count, {"used": used})
        open_rooms = {b.name: int(used[tapes[b.name]]) if b.name in tapes else _LATE for b in self.sweeps.saved}
        rooms = [open_rooms[b.name] if b.room is None else self._room(b) for b in self.sweeps.saved]
        self.saved = {b.name: self._fresh(n, b.dtype) for b, n in zip(self.sweeps.saved, rooms, strict=True)}
        self.rooms = dict(zip(self.sweeps.rooms, used[len(_TAPES) :].tolist(), strict=True))
        self._call(self.sweeps.record, {**self.saved, **self.rooms, "used": used})
        assert all(used[k] <= self.saved[name].size for name, k in tapes.items()), "written past a tape"
        self.used = used
        return self.results

    def reverse(self, grads: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Gradients of the arguments from those of the results, by name."""
        grads = {name: np.array(g, float).reshape(self.results[name].shape) for name, g in grads.items()}
        return self._call(self.sweeps.reverse, {**self.saved, "used": self.used, "grads": grads}, "grad_argument")

    def rewritten(self, grads: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], Watch]:
        """The same by the text that is compiled, and what was seen of loops that are said to be independent, of all sweeps."""
        watch = Watch()
        grads = {name: np.array(g, float).reshape(self.results[name].shape) for name, g in grads.items()}
        results, self.results = self.results, {}
        saved = {name: self._fresh(block.size, block.dtype.str[1:]) for name, block in self.saved.items()}
        given = {**saved, **self.rooms, "used": self.used.copy()}
        self._call(watched(gathered(self.sweeps.record), watch), given)
        for name, expected in (results | self.saved).items():
            np.testing.assert_array_equal(
                (self.results | saved)[name], expected, err_msg=f"{name} of the compiled text"
            )
        self.results = results
        sweep = watched(gathered(self.sweeps.reverse), watch)
        return self._call(sweep, {**self.saved, "used": self.used, "grads": grads}, "grad_argument"), watch

    def tangent(self, tangents: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Tangents of the results from those of the arguments."""
        ways = {name: np.array(t, float).reshape(self._shape_of(name)) for name, t in tangents.items()}
        return self._call(self.sweeps.tangent, {"tangents": ways}, "result_tangent")

    def turned(self, grads: Mapping[str, Any], way: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """How the gradients turn along a direction, after `record`: by the reverse of the gradient's own translation."""
        gradient = self.sweeps.gradient()
        tapes = {p.dtype: p.name for p in self.sweeps.record.parameters if p.role == "tape"}
        rooms = [self.saved[tapes[d]].size + 1 if d in tapes else 1 for d in _TAPES]
        given = [
            np.asarray(grads[r.name], float) if r.shape else float(grads[r.name])
            for r in self.sweeps.results
            if r.needs_grad
        ]
        real = [name for name, kind in self.sweeps.arguments if kind.is_real]
        again = Run(gradient, [*self.args.values(), *given, *rooms], needs=real)
        again.record()
        returned = [r.name for r in again.sweeps.results if r.changes is None]
        return again.reverse({out: way[name] for out, name in zip(returned, self.sweeps.needs, strict=True)})

    # ---- memory -------------------------------------------------------------------------------------------------

    def _room(self, block: Memory) -> int:
        assert block.room is not None
        return block.room.evaluate(self.shapes, self.numbers)

    @staticmethod
    def _fresh(shape: Any, dtype: str) -> np.ndarray:
        return np.full(shape, _SPARE if dtype.startswith("f") else 77 if dtype != "b1" else True, dtype)

    def _shape_of(self, name: str) -> tuple[int, ...]:
        return np.shape(self.args[name]) or (1,)

    def _shape(self, p: Parameter) -> tuple[int, ...]:
        if p.role in ("result", "result_tangent", "grad_result"):
            (result,) = [r for r in self.sweeps.results if r.name == p.of]
            return tuple(e.evaluate(self.shapes, self.numbers) for e in result.shape) or (1,)
        return self._shape_of(p.of)

    def _call(self, sweep: Sweep, given: Mapping[str, Any], wanted: str = "") -> dict[str, np.ndarray]:
        room = 64
        while True:
            status = np.zeros(1, np.int64)
            values, found = self._values(sweep, given, wanted, room, status)
            before = {name: a.copy() for name, a in self.args.items() if isinstance(a, np.ndarray)}
            dataclasses.replace(sweep, scope={**sweep.scope, FORK: apart}).function(*values)
            for name, a in before.items():
                np.testing.assert_array_equal(a, self.args[name], err_msg=f"{sweep.name} changed {name}")
            if status[0] == 0:
                return found
            assert status[0] == SHORT
            room *= 4
            assert room < 1 << 24, "no memory is ever enough"

    def _values(
        self, sweep: Sweep, given: Mapping[str, Any], wanted: str, room: int, status: np.ndarray
    ) -> tuple[list[Any], dict[str, np.ndarray]]:
        found: dict[str, np.ndarray] = {}
        work = {block.name: block for block in sweep.memory}
        values: list[Any] = []
        for p in sweep.parameters:
            if p.role == "argument":
                values.append(self.args[p.of])
            elif p.role in ("kept", "tape", "used", "room"):
                values.append(given["used" if p.role == "used" else p.name])
            elif p.role == "status":
                values.append(status)
            elif p.role == "work":
                block = work[p.name]
                values.append(self._fresh(room if block.room is None else self._room(block), block.dtype))
            elif p.role == "grad_result":
                values.append(given["grads"].get(p.of, np.zeros(self._shape(p))).astype(p.dtype))
            elif p.role == "tangent":
                values.append(given["tangents"].get(p.of, np.zeros(self._shape(p))).astype(p.dtype))
            else:
                values.append(self._fresh(self._shape(p), p.dtype))
                if p.role == "result":
                    self.results[p.of] = values[-1]
                if p.role == wanted:
                    found[p.of] = values[-1]
        return values, found
