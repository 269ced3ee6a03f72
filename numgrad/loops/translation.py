"""`translate`: from a function to the texts of its sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from numgrad.loops import code, sweeps
from numgrad.loops.extents import WorkMemory, extent
from numgrad.loops.forks import FORK, forks_of
from numgrad.loops.forward import TAPES, ZEROS, Forward, Namer
from numgrad.loops.language import Permute, Unit, walk
from numgrad.loops.parts import again_of, memory_of, parts_of
from numgrad.loops.reading import read
from numgrad.loops.recording import Recording
from numgrad.loops.report import report_of
from numgrad.loops.reverse import Reverse
from numgrad.loops.rooms import rooms_of_tapes
from numgrad.loops.schedule import turns_ahead
from numgrad.loops.scope import Surroundings
from numgrad.loops.sweeps import Failure, Kind, Memory, Parameter, Result, Role, Sweep, Sweeps
from numgrad.loops.tangents import Tangents
from numgrad.loops.versions import Versions, activity, reals, varied
from numgrad.loops.vocabulary import WORDS


def translate(
    function: Callable[..., Any],
    kinds: Sequence[Kind],
    needs: Iterable[str] | None = None,
    checkpoint: Sequence[str] | Mapping[str, int | None] = (),
    recompute: bool = False,
    surroundings: Surroundings | None = None,
) -> Sweeps:
    """The sweeps of a function for arguments of given kinds.

    Parameters
    ----------
    function
        A function of Python, or what has one as ``py_func``.
    kinds
        One for each of its parameters, in order.
    needs
        Names of the real arguments whose gradients are wanted; default all of them.
    checkpoint
        Variables of loops, of the function's own level, whose tape is made in parts; ``while`` stands for those of conditions.
        With a number for each: how many states are kept; None: as many as the square root of the turns.
    recompute
        Whether costly functions are computed again rather than recorded.
    surroundings
        Values of globals, closures and attributes of modules from translations before; None: as they are now.

    Raises
    ------
    TranslationError
        The function does something that has no derivative here; the message has function, line and text, and what to do.
    """
    loops = dict(checkpoint) if isinstance(checkpoint, Mapping) else dict.fromkeys(checkpoint)
    return _Translation(read(function, kinds, loops, surroundings or Surroundings()), needs, recompute).sweeps()


class _Translation:
    def __init__(self, unit: Unit, needs: Iterable[str] | None, recompute: bool) -> None:
        self.unit = unit
        self.kinds = dict(unit.params)
        asked = {n for n, k in unit.params if k.is_real and (needs is None or n in set(needs))}
        self.versions = Versions(unit)
        self.active = activity(self.versions, asked)
        self.needs = tuple(n for n, _ in unit.params if n in asked and n in self.active)
        self.names = Namer(unit)
        probe = Reverse.__new__(Reverse)
        probe.active, probe.names, probe.v = self.active, self.names, self.versions

        def uses(s: Any) -> tuple[set[str], set[str]]:
            adjoint = probe.adjoint()
            count = unit.count
            used = set(unit.used)
            adjoint.statement(s)
            unit.count, unit.used = count, used
            return adjoint.reads

        self.rec = Recording(self.versions, self.active, uses, recompute)
        self.swapped = {n for s in walk(self.versions.top) if isinstance(s, Permute) for n in s.targets}
        forward = Forward(self.versions, self.active, self.rec, self.names, "record")
        self.forks = forward.forks = forks_of(forward, self.versions.top)
        self.unknown = [(fork, k) for fork in self.forks.values() for k in fork.unknown()]
        self.parts = parts_of(forward, self.versions.top)
        self.ids = {n: k for k, n in enumerate(sorted(self.swapped))}
        changed = {r[1] for r in unit.results if r[0] == "changed"} & self.swapped
        self.traced = {n for n in self.swapped if changed & self._swapped_with(n)}
        self.scope = self._scope()
        self.results = self._results()

    def _scope(self) -> dict[str, Any]:
        rooms: dict[str, Any] = {f"room{k}": sweeps.room for k in range(1, 7)}
        ahead = {self.names.own("turns_ahead"): turns_ahead} if self.parts else {}
        return {"math": math, "np": np, FORK: sweeps.fork_parts, **rooms, **ahead, **WORDS, **self.unit.scope}

    def _results(self) -> list[tuple[Result, str]]:
        """Results, and the names whose values they are."""
        entries = []
        depends = varied(self.versions.top, set(self.needs), reals(self.versions.kinds, self.unit.arrays))
        reals_given = {k.dtype for _, k in self.unit.params if k.is_real}
        for number, r in enumerate(self.unit.results):
            name = self.versions.results[r[1]] if r[0] == "scalar" else r[1]
            array = self.unit.arrays.get(name)
            dtype = array.dtype if array is not None else TAPES[self.versions.kinds[name]]
            if array is None and dtype == "f8" and reals_given == {"f4"}:
                dtype = "f4"  # as weak as a number is beside arrays
            shape = tuple(extent(e) for e in array.shape) if array is not None else ()
            entries.append(
                (
                    Result(
                        self.names.own(f"out_{number}"),
                        dtype,
                        shape,
                        r[2] if r[0] == "changed" else None,
                        name in depends,
                    ),
                    name,
                )
            )
        return entries

    # ---- parameters -----------------------------------------------------------------------------------------------------

    def _arguments(self) -> list[Parameter]:
        return [Parameter(n, k.dtype, k.ndim, "argument", n) for n, k in self.unit.params]

    def _outputs(self, role: Role, prefix: str, asked: bool) -> list[Parameter]:
        """One parameter for each result: the result itself, its gradient or its tangent."""
        return [
            Parameter(
                self.names.own(f"{prefix}{r.name}") if prefix else r.name, r.dtype, max(1, len(r.shape)), role, r.name
            )
            for r, name in self.results
            if not asked or name in self.active
        ]

    def _blocks(self, blocks: Iterable[Memory], role: Role) -> list[Parameter]:
        return [Parameter(m.name, m.dtype, 1, role, m.name) for m in blocks]

    def _status(self) -> Parameter:
        return Parameter(self.names.own("status"), "i8", 1, "status", "")

    def _used(self) -> Parameter:
        return Parameter(self.names.own("used"), "i8", 1, "used", "")

    def _sweep(
        self, ending: str, parameters: list[Parameter], memory: tuple[Memory, ...], body: list[Any], forward: Forward
    ) -> Sweep:
        name = f"{self.unit.name}_{ending}" if self.unit.name.isidentifier() else f"function_{ending}"
        shown, lines = code.functions([(name, [p.name for p in parameters], body), *forward.functions])
        return Sweep(name, shown, tuple(parameters), memory, lines, self.scope)

    # ---- forward sweeps -------------------------------------------------------------------------------------------------

    def _head(self, forward: Forward, kept: WorkMemory | None, work: WorkMemory, outs: dict[str, str]) -> list[Any]:
        """Local arrays, and first values of numbers."""
        unit = self.unit
        lines: list[Any] = ["# local arrays"] if unit.locals else []
        for name in self._groups():
            if name in outs:
                lines.append(f"{name} = {outs[name]}")
                continue
            if not work.is_late(name):
                lines += self._memory(name, kept, work).begun(name, name)[0]
        for name in filter(work.is_late, unit.locals):
            begin, forward.beginnings[name] = self._memory(name, kept, work).begun(name, name)
            lines += begin
        if forward.records:
            lines += [f"{first} = 0" for _, first in forward.tapes.values()]
            if forward.mode == "count":
                lines += [f"{forward.top(kind)} = 0" for kind in forward.tapes]
                lines += [f"{n} = 0" for fork, k in self.unknown for n in (fork.size(k), fork.times(k))]
        lines += [f"{n}{self.names.id} = {k}" for n, k in self.ids.items() if forward.records or n in self.traced]
        lines += [f"{n} = {ZEROS[self.versions.kinds[n]]}" for n in self._unset()]
        return lines

    def _memory(self, name: str, kept: WorkMemory | None, work: WorkMemory) -> WorkMemory:
        return kept if kept is not None and self._is_kept(name) else work

    def _unset(self) -> list[str]:
        """Canonical numbers that are no parameters: they have a value from the start, so that nothing undefined is pushed."""
        return sorted(self.versions.canonical - set(self.kinds))

    def _groups(self) -> list[str]:
        """Local arrays, those first that change their names, and those together that change with each other."""
        swapped = sorted(self.swapped, key=lambda n: (min(self._swapped_with(n)), n))
        return [*swapped, *[n for n in self.unit.locals if n not in self.swapped]]

    def _is_kept(self, name: str) -> bool:
        """Whether the reverse needs what an array holds at the end; arrays that swap names are kept together."""
        names = self._swapped_with(name)
        return not self.rec.arrays_read.isdisjoint(names)

    def _swapped_with(self, name: str) -> set[str]:
        group = {name}
        while True:
            more = group | {
                n
                for s in walk(self.versions.top)
                if isinstance(s, Permute) and group & set(s.targets)
                for n in s.targets
            }
            if more == group:
                return group
            group = more

    def _finish(self, forward: Forward, outs: dict[str, str]) -> list[Any]:
        """Results go where they are wanted."""
        lines: list[Any] = []
        for r, name in self.results:
            if not r.shape:
                lines.append(f"{r.name}[0] = {name}")
            elif outs.get(name) != r.name:
                self._by_identity(r, name, lambda n, into, to=r.name: forward.copy(to, n, n, into), lines)  # type: ignore[misc]
        return [["# results"], lines] if lines else []

    def _by_identity(self, r: Result, name: str, act: Callable[[str, list[Any]], None], lines: list[Any]) -> None:
        """Do something with the array of a result. What an argument's array holds at last may have another name by then."""
        if r.changes is None or name not in self.traced:
            act(name, lines)
            return
        for k, n in enumerate(sorted(self._swapped_with(name))):
            part: list[Any] = []
            act(n, part)
            lines += [f"{'if' if k == 0 else 'elif'} {n}{self.names.id} == {self.ids[name]}:", part]

    def _direct(self, but: set[str]) -> dict[str, str]:
        """Local arrays that lie in the results' own memory."""
        outs: dict[str, str] = {}
        for r, name in self.results:
            if r.shape and name in self.unit.locals and name not in self.swapped | but:
                outs.setdefault(name, r.name)
        return outs

    def _forward(self, rec: Recording | None, mode: str) -> Forward:
        forward = Forward(self.versions, self.active, rec, self.names, mode)
        forward.traced = self.traced
        forward.parts = self.parts if mode in ("record", "count") else {}
        forward.forks, forward.scope = self.forks if mode != "joined" else {}, self.scope
        return forward

    def plain(self) -> Sweep:
        """Results only."""
        forward = self._forward(None, "plain")
        work = WorkMemory(self.unit, "work", self.names)
        outs = self._direct(set())
        forward.memory = (work, [])
        body = [*self._head(forward, None, work, outs), forward.memory[1]]
        forward.block(self.versions.top, body, True)
        body += self._finish(forward, outs)
        parameters = [
            *self._arguments(),
            *self._outputs("result", "", False),
            *self._blocks(work.blocks(), "work"),
            self._status(),
        ]
        return self._sweep("plain", parameters, work.blocks(), body, forward)

    def _ends(self) -> list[tuple[str, str]]:
        """What is pushed when all is done: last values of canonical numbers, and which array each name stands for."""
        pushed = [(self.versions.kinds[n], n) for n in self.rec.ends]
        return pushed + [("i", n + self.names.id) for n in sorted(self.swapped)]

    def recording(self, mode: str) -> tuple[list[Any], Forward, WorkMemory, WorkMemory, set[str]]:
        """The body of the sweep that records, or that counts."""
        forward = self._forward(self.rec, mode)
        kept, work = WorkMemory(self.unit, "kept", self.names), WorkMemory(self.unit, "work", self.names)
        outs = self._direct({n for n in self.unit.locals if self._is_kept(n)}) if mode == "record" else {}
        forward.memory = (work, [])
        body = [*self._head(forward, kept if mode == "record" else None, work, outs), forward.memory[1]]
        body.append(
            "# forward, with what the reverse needs" if mode == "record" else "# forward, counting what is recorded"
        )
        forward.block(self.versions.top, body, False)
        ends = self._ends()
        need = {k: sum(kind == k for kind, _ in ends) for k in TAPES}
        forward.ensure(need, "", body)
        forward.push(ends, body)
        if mode == "record":
            body += self._finish(forward, outs)
        return body, forward, kept, work, set()

    # ---- all of it ------------------------------------------------------------------------------------------------------

    def sweeps(self) -> Sweeps:
        """All sweeps."""
        body, forward, kept, work, _ = self.recording("record")
        rooms = rooms_of_tapes(forward, self.versions.top, self._ends())
        tapes = tuple(
            Memory(forward.tapes[k][0], d, None if rooms[k] is None else extent(rooms[k]))  # type: ignore[arg-type]
            for k, d in TAPES.items()
            if any(forward.tapes[k][0] in line for line in code.render(body))
        )
        used = self._used()
        marks = [f"{used.name}[{n}] = {forward.tapes[k][1]}" for n, k in enumerate(TAPES)]
        rooms_found = [fork.size(k) for fork, k in self.unknown]
        noted = [f"{used.name}[{n}] = {room}" for n, room in enumerate(rooms_found, len(TAPES))]
        saved = (*kept.blocks(), *tapes)
        record = self._sweep(
            "record",
            [
                *self._arguments(),
                *self._outputs("result", "", False),
                *self._blocks(kept.blocks(), "kept"),
                *self._blocks(tapes, "tape"),
                *[Parameter(room, "i8", 0, "room", room) for room in rooms_found],
                *self._blocks(work.blocks(), "work"),
                used,
                self._status(),
            ],
            work.blocks(),
            [*body, *marks, *noted],
            forward,
        )
        body, forward_count, _, work, _ = self.recording("count")
        more = {k: "".join([f" + {f.times(j)} * {f.size(j)}" for f, j in self.unknown if j == k]) for k in TAPES}
        marks = [
            f"{used.name}[{n}] = max({forward_count.top(k)}, {forward.tapes[k][1]}){more[k]}"
            for n, k in enumerate(TAPES)
        ]
        count = self._sweep(
            "count",
            [*self._arguments(), *self._blocks(work.blocks(), "work"), used, self._status()],
            work.blocks(),
            [*body, *marks, *noted],
            forward_count,
        )
        tangents = Tangents(self.unit, set(self.needs), self.names, self.traced)
        failures = tuple(Failure(line, error, message) for line, error, message in self.unit.failures)
        return Sweeps(
            self.unit.name,
            tuple(self.unit.params),
            self.needs,
            tuple(r for r, _ in self.results),
            saved,
            self.plain(),
            record,
            count,
            self.reverse(forward, kept.blocks(), tapes),
            tangents.sweep(self),
            lambda: self.gradient(),
            report_of(self),
            failures,
            self.unit.single,
            tuple([each.said() for each in self.parts.values()]),
            again_of(self.parts.values()),
            tuple(rooms_found),
        )

    # ---- reverse --------------------------------------------------------------------------------------------------------

    def reverse(self, forward: Forward, kept_blocks: tuple[Memory, ...], tapes: tuple[Memory, ...]) -> Sweep:
        """Gradients of arguments from those of results."""
        unit, bar = self.unit, self.names.bar
        backward = Reverse(forward)
        kept, work = WorkMemory(unit, "kept", self.names), WorkMemory(unit, "work", self.names)
        used = self._used()
        forward.functions, forward.memory = [], (work, [])
        forward.lengths = {f.size(k): f"{used.name}[{n}]" for n, (f, k) in enumerate(self.unknown, len(TAPES))}
        taped = {m.name for m in tapes}
        body: list[Any] = ["# places on the tapes"]
        body += [f"{p} = {used.name}[{n}]" for n, (t, p) in enumerate(forward.tapes.values()) if t in taped]
        backward.pop(list(self._ends()), body)
        body.append("# local arrays as they were at the end, and the adjoints of arrays")
        body += memory_of(self.parts.values(), forward, work)
        body += self._arrays_at_end(forward, kept, work)
        body.append(forward.memory[1])
        for n in sorted(self.active & set(unit.arrays)):
            argument = n in self.kinds
            if argument and n not in self.needs:
                continue
            if not argument and n not in self.swapped:
                body += [x for lines in work.begun(f"{n}{bar}", n, "f8") for x in lines]
            forward.fill(f"{n}{bar}", n, "0.0", body)
        numbers = self.versions.canonical | {n for n, k in self.kinds.items() if not k.ndim}
        body += [f"{n}{bar} = 0.0" for n in sorted(numbers & self.active)]
        grads = self._outputs("grad_result", "grad_", True)
        body += self._seeds(grads, forward)
        body.append("# reverse")
        adjoint = backward.adjoint()
        adjoint.lines = body
        seeded = frozenset(name for r, name in self.results if not r.shape)
        backward.block(self.versions.top, adjoint, seeded)
        outputs = []
        for n in self.needs:
            kind = self.kinds[n]
            if kind.ndim:
                outputs.append(Parameter(f"{n}{bar}", kind.dtype, kind.ndim, "grad_argument", n))
            else:
                outputs.append(Parameter(self.names.own(f"grad_{n}"), kind.dtype, 1, "grad_argument", n))
                body.append(f"{outputs[-1].name}[0] = {n}{bar}")
        parameters = [
            *self._arguments(),
            *grads,
            *self._blocks(kept_blocks, "kept"),
            *self._blocks(tapes, "tape"),
            *outputs,
            *self._blocks(work.blocks(), "work"),
            used,
            self._status(),
        ]
        return self._sweep("reverse", parameters, work.blocks(), body, forward)

    def _arrays_at_end(self, forward: Forward, kept: WorkMemory, work: WorkMemory) -> list[Any]:
        """Arrays that were kept: those that the reverse writes to are copied, so that it can run again."""
        unit, lines, late = self.unit, [], {}
        for n in [n for n in unit.locals if work.is_late(n) and self._is_kept(n)]:  # in the order of the forward sweep
            late[n] = self.names.own(f"{n}_late")
            lines += kept.begun(late[n], n)[1]
        groups: dict[frozenset[str], list[str]] = {}
        for n in self._groups():
            groups.setdefault(frozenset(self._swapped_with(n)), []).append(n)
        for members in groups.values():
            first = members[0]
            writes = not self.rec.restored.isdisjoint(members)
            arrays = [unit.arrays[n] for n in members if self._is_kept(first)]
            stored = {n: late.get(n) or kept.take(a.dtype, a.shape) for n, a in zip(members, arrays, strict=False)}
            if stored and writes:
                for n in members:
                    source = self.names.own(f"{n}_kept")
                    lines += [f"{source} = {stored[n]}", *[x for each in work.begun(n, n) for x in each]]
                    forward.copy(n, source, n, lines)
            elif stored:
                lines += [f"{n} = {stored[n]}" for n in members]
            if first not in self.swapped:
                continue
            if stored:
                lines += self._by_id(members, "")
            if set(members) & self.active:
                bar = self.names.bar
                lines += [x for n in members for each in work.begun(f"{n}{bar}", n, "f8") for x in each]
                lines += self._by_id(members, bar)
        return lines

    def _by_id(self, members: list[str], ending: str) -> list[Any]:
        """Each name stands for the array that it stood for at the end."""
        firsts = {n: self.names.own(f"{n}{ending}_first") for n in members}
        lines: list[Any] = [f"{firsts[n]} = {n}{ending}" for n in members]
        for n in members:
            for k, other in enumerate(members):
                head = "if" if k == 0 else "elif"
                lines += [f"{head} {n}{self.names.id} == {self.ids[other]}:", [f"{n}{ending} = {firsts[other]}"]]
        return lines

    def _seed(self, given: str, forward: Forward) -> Callable[[str, list[Any]], None]:
        """Adds the gradient of a result to an array's adjoint."""
        return lambda n, into: forward.copy(f"{n}{self.names.bar}", given, n, into, "+=")

    def _seeds(self, grads: list[Parameter], forward: Forward) -> list[Any]:
        bar = self.names.bar
        lines: list[Any] = []
        started: set[str] = set()
        by_result = {g.of: g.name for g in grads}
        for r, name in self.results:
            given = by_result.get(r.name)
            if given is None:
                continue
            if r.shape:
                self._by_identity(r, name, self._seed(given, forward), lines)
            else:
                first = name not in started and name not in self.versions.canonical and name not in self.kinds
                lines.append(f"{name}{bar} {'=' if first else '+='} {given}[0]")
            started.add(name)
        return lines

    # ---- forward mode, and the gradient as a function ---------------------------------------------------------------------

    def gradient(self) -> Callable[..., Any]:
        """The gradient as a function in the language that is read here."""
        from numgrad.loops.gradient import written_gradient

        return written_gradient(self)
