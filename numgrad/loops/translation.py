"""`translate`: from a function to the texts of its sweeps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from numgrad.loops import code, sweeps
from numgrad.loops.extents import WorkMemory, extent
from numgrad.loops.forward import TAPES, ZEROS, Forward, Namer
from numgrad.loops.language import Permute, Unit, walk
from numgrad.loops.parts import memory_of, parts_of
from numgrad.loops.reading import read
from numgrad.loops.recording import Recording
from numgrad.loops.report import report_of
from numgrad.loops.reverse import Reverse
from numgrad.loops.rooms import rooms_of_tapes
from numgrad.loops.scope import Surroundings
from numgrad.loops.sweeps import Failure, Kind, Memory, Parameter, Result, Role, Sweep, Sweeps
from numgrad.loops.tangents import Tangents
from numgrad.loops.versions import Versions, activity, reals, varied
from numgrad.loops.vocabulary import WORDS


def translate(
    function: Callable[..., Any],
    kinds: Sequence[Kind],
    needs: Iterable[str] | None = None,
    checkpoint: Sequence[str] = (),
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
        Variables of loops, of the function's own level, whose tape is made in parts.
    recompute
        Whether costly functions are computed again rather than recorded.
    surroundings
        Values of globals, closures and attributes of modules from translations before; None: as they are now.

    Raises
    ------
    TranslationError
        The function does something that has no derivative here; the message has function, line and text, and what to do.
    """
    return _Translation(read(function, kinds, checkpoint, surroundings or Surroundings()), needs, recompute).sweeps()


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
        self.parts = parts_of(Forward(self.versions, self.active, self.rec, self.names, "record"), self.versions.top)
        self.ids = {n: k for k, n in enumerate(sorted(self.swapped))}
        changed = {r[1] for r in unit.results if r[0] == "changed"} & self.swapped
        self.traced = {n for n in self.swapped if changed & self._swapped_with(n)}
        self.scope = self._scope()
        self.results = self._results()

    def _scope(self) -> dict[str, Any]:
        rooms: dict[str, Any] = {f"room{k}": sweeps.room for k in range(1, 7)}
        return {"math": math, "np": np, **rooms, **WORDS, **self.unit.scope}

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
            Parameter(self.names.own(f"{prefix}{r.name}"), r.dtype, max(1, len(r.shape)), role, r.name)
            for r, name in self.results
            if not asked or name in self.active
        ]

    def _blocks(self, blocks: Iterable[Memory], role: Role) -> list[Parameter]:
        return [Parameter(m.name, m.dtype, 1, role, m.name) for m in blocks]

    def _status(self) -> Parameter:
        return Parameter(self.names.own("status"), "i8", 1, "status", "")

    def _used(self) -> Parameter:
        return Parameter(self.names.own("used"), "i8", 1, "used", "")

    def _sweep(self, ending: str, parameters: list[Parameter], memory: tuple[Memory, ...], body: list[Any]) -> Sweep:
        name = f"{self.unit.name}_{ending}" if self.unit.name.isidentifier() else f"function_{ending}"
        shown, lines = code.function(name, [p.name for p in parameters], body)
        return Sweep(name, shown, tuple(parameters), memory, lines, self.scope)

    # ---- forward sweeps -------------------------------------------------------------------------------------------------

    def _head(self, forward: Forward, kept: WorkMemory | None, work: WorkMemory, outs: dict[str, str]) -> list[Any]:
        """Local arrays, and first values of numbers."""
        unit = self.unit
        lines: list[Any] = ["# local arrays"] if unit.locals else []
        for name in self._groups():
            array = unit.arrays[name]
            if name in outs:
                lines.append(f"{name} = {outs[name]}")
                continue
            memory = kept if kept is not None and self._is_kept(name) else work
            lines.append(f"{name} = {memory.take(array.dtype, array.shape)}")
        if forward.records:
            lines += [f"{first} = 0" for _, first in forward.tapes.values()]
            if forward.mode == "count":
                lines += [f"{forward.top(kind)} = 0" for kind in forward.tapes]
        lines += [f"{n}{self.names.id} = {k}" for n, k in self.ids.items() if forward.records or n in self.traced]
        lines += [f"{n} = {ZEROS[self.versions.kinds[n]]}" for n in self._unset()]
        return lines

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
        return forward

    def plain(self) -> Sweep:
        """Results only."""
        forward = self._forward(None, "plain")
        work = WorkMemory(self.unit, "work", self.names)
        outs = self._direct(set())
        body = self._head(forward, None, work, outs)
        forward.block(self.versions.top, body, True)
        body += self._finish(forward, outs)
        parameters = [
            *self._arguments(),
            *self._outputs("result", "", False),
            *self._blocks(work.blocks(), "work"),
            self._status(),
        ]
        return self._sweep("plain", parameters, work.blocks(), body)

    def _ends(self) -> list[tuple[str, str]]:
        """What is pushed when all is done: last values of canonical numbers, and which array each name stands for."""
        pushed = [(self.versions.kinds[n], n) for n in self.rec.ends]
        return pushed + [("i", n + self.names.id) for n in sorted(self.swapped)]

    def recording(self, mode: str) -> tuple[list[Any], Forward, WorkMemory, WorkMemory, set[str]]:
        """The body of the sweep that records, or that counts."""
        forward = self._forward(self.rec, mode)
        kept, work = WorkMemory(self.unit, "kept", self.names), WorkMemory(self.unit, "work", self.names)
        outs = self._direct({n for n in self.unit.locals if self._is_kept(n)}) if mode == "record" else {}
        body = self._head(forward, kept if mode == "record" else None, work, outs)
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
        saved = (*kept.blocks(), *tapes)
        record = self._sweep(
            "record",
            [
                *self._arguments(),
                *self._outputs("result", "", False),
                *self._blocks(kept.blocks(), "kept"),
                *self._blocks(tapes, "tape"),
                *self._blocks(work.blocks(), "work"),
                used,
                self._status(),
            ],
            work.blocks(),
            [*body, *marks],
        )
        body, forward_count, _, work, _ = self.recording("count")
        marks = [f"{used.name}[{n}] = max({forward_count.top(k)}, {forward.tapes[k][1]})" for n, k in enumerate(TAPES)]
        count = self._sweep(
            "count",
            [*self._arguments(), *self._blocks(work.blocks(), "work"), used, self._status()],
            work.blocks(),
            [*body, *marks],
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
            self.tangent(tangents),
            lambda: self.gradient(),
            report_of(self),
            failures,
            self.unit.single,
        )

    # ---- reverse --------------------------------------------------------------------------------------------------------

    def reverse(self, forward: Forward, kept_blocks: tuple[Memory, ...], tapes: tuple[Memory, ...]) -> Sweep:
        """Gradients of arguments from those of results."""
        unit, bar = self.unit, self.names.bar
        backward = Reverse(forward)
        kept, work = WorkMemory(unit, "kept", self.names), WorkMemory(unit, "work", self.names)
        used = self._used()
        taped = {m.name for m in tapes}
        body: list[Any] = ["# places on the tapes"]
        body += [f"{p} = {used.name}[{n}]" for n, (t, p) in enumerate(forward.tapes.values()) if t in taped]
        backward.pop(list(self._ends()), body)
        body.append("# local arrays as they were at the end, and the adjoints of arrays")
        body += memory_of(self.parts.values(), forward, work)
        body += self._arrays_at_end(forward, kept, work)
        for n in sorted(self.active & set(unit.arrays)):
            argument = n in self.kinds
            if argument and n not in self.needs:
                continue
            if not argument and n not in self.swapped:
                body.append(f"{n}{bar} = {work.take('f8', unit.arrays[n].shape)}")
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
        return self._sweep("reverse", parameters, work.blocks(), body)

    def _arrays_at_end(self, forward: Forward, kept: WorkMemory, work: WorkMemory) -> list[Any]:
        """Arrays that were kept: those that the reverse writes to are copied, so that it can run again."""
        unit, lines = self.unit, []
        groups: dict[frozenset[str], list[str]] = {}
        for n in self._groups():
            groups.setdefault(frozenset(self._swapped_with(n)), []).append(n)
        for members in groups.values():
            first = members[0]
            array = unit.arrays[first]
            writes = not self.rec.restored.isdisjoint(members)
            stored = {n: kept.take(array.dtype, unit.arrays[n].shape) for n in members} if self._is_kept(first) else {}
            if stored and writes:
                for n in members:
                    source = self.names.own(f"{n}_kept")
                    lines += [f"{source} = {stored[n]}", f"{n} = {work.take(array.dtype, unit.arrays[n].shape)}"]
                    forward.copy(n, source, n, lines)
            elif stored:
                lines += [f"{n} = {stored[n]}" for n in members]
            if first not in self.swapped:
                continue
            if stored:
                lines += self._by_id(members, "")
            if set(members) & self.active:
                bar = self.names.bar
                lines += [f"{n}{bar} = {work.take('f8', unit.arrays[n].shape)}" for n in members]
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

    def tangent(self, tangents: Tangents) -> Sweep:
        """Results and their tangents."""
        unit, dot = self.unit, self.names.dot
        forward = self._forward(None, "plain")
        work = WorkMemory(unit, "work", self.names)
        body: list[Any] = []
        for n in unit.locals:
            array = unit.arrays[n]
            body.append(f"{n} = {work.take(array.dtype, array.shape)}")
            if n in tangents.active:
                body.append(f"{n}{dot} = {work.take('f8', array.shape)}")
                forward.fill(f"{n}{dot}", n, "0.0", body)
        inputs = []
        for n in self.needs:
            kind = self.kinds[n]
            name = f"{n}{dot}" if kind.ndim else self.names.own(f"tangent_{n}")
            inputs.append(Parameter(name, kind.dtype, max(1, kind.ndim), "tangent", n))
            if not kind.ndim:
                body.append(f"{n}{dot} = {name}[0]")
        body += [
            f"{n} = {ZEROS[self.versions.kinds[n]]}"
            for n in tangents.numbers(self.versions.kinds)
            if n not in self.kinds
        ]
        body += [
            f"{n}{dot} = 0.0"
            for n in tangents.numbers(self.versions.kinds)
            if n in tangents.active and n not in self.needs
        ]
        body += [f"{n}{self.names.id} = {self.ids[n]}" for n in sorted(self.traced)]
        tangents.block(unit.body, body)
        dots = []
        for (r, _), raw in zip(self.results, unit.results, strict=True):
            on = raw[1] in tangents.active
            name = self.names.own(f"{r.name}_tangent")
            if r.needs_grad:
                dots.append(Parameter(name, r.dtype, max(1, len(r.shape)), "result_tangent", r.name))
            if r.shape:
                self._by_identity(r, raw[1], lambda n, into, to=r.name: forward.copy(to, n, n, into), body)  # type: ignore[misc]
                if r.needs_grad:
                    self._by_identity(r, raw[1], lambda n, into, to=name: forward.copy(to, f"{n}{dot}", n, into), body)  # type: ignore[misc]
            else:
                body.append(f"{r.name}[0] = {raw[1]}")
                if r.needs_grad:
                    body.append(f"{name}[0] = {raw[1]}{dot}" if on else f"{name}[0] = 0.0")
        parameters = [
            *self._arguments(),
            *inputs,
            *self._outputs("result", "", False),
            *dots,
            *self._blocks(work.blocks(), "work"),
            self._status(),
        ]
        return self._sweep("tangent", parameters, work.blocks(), body)

    def gradient(self) -> Callable[..., Any]:
        """The gradient as a function in the language that is read here."""
        from numgrad.loops.gradient import written_gradient

        return written_gradient(self)
