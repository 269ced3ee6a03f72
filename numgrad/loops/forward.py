"""Writes forward sweeps: the function's own statements, with what is recorded, counted or neither."""

from __future__ import annotations

from typing import Any

from numgrad.loops.code import Code, is_empty, loops, span, trips_text
from numgrad.loops.language import Assign, Block, Fail, For, If, Loop, Make, Permute, Store, While, bare, items, text
from numgrad.loops.recording import Recording
from numgrad.loops.sweeps import FIRST_FAILURE, SHORT
from numgrad.loops.versions import Versions

TAPES = {"f": "f8", "i": "i8", "b": "b1"}
ZEROS = {"f": "0.0", "i": "0", "b": "False"}

Need = dict[str, int]


def nothing() -> Need:
    """No pushes."""
    return dict.fromkeys(TAPES, 0)


class Namer:
    """Names that no name of the unit clashes with."""

    def __init__(self, unit: Any) -> None:
        self.unit = unit
        self.given: dict[str, str] = {}
        self.bar = self.ending("_bar")
        self.dot = self.ending("_dot")
        self.id, self.turn, self.turns = self.ending("_id"), self.ending("_k"), self.ending("_turns")

    def ending(self, suffix: str) -> str:
        """An ending that no name has."""
        while any(n.endswith(suffix) for n in self.unit.used | set(self.unit.arrays)):
            suffix += "_"
        return suffix

    def own(self, name: str) -> str:
        """The name, or one like it."""
        if name not in self.given:
            unique = name
            while unique in self.unit.used:
                unique += "_"
            self.unit.used.add(unique)
            self.given[name] = unique
        return self.given[name]


class Forward:
    """Writes statements in the order of the program.

    Attributes
    ----------
    mode
        ``plain``, ``record``, ``count``, or ``joined`` for a text in the input language that records and goes on.
    """

    def __init__(
        self, versions: Versions, active: set[str], recording: Recording | None, names: Namer, mode: str
    ) -> None:
        self.v, self.unit, self.active, self.rec, self.names, self.mode = (
            versions,
            versions.unit,
            active,
            recording,
            names,
            mode,
        )
        self.tapes = {k: (names.own(f"tape_{d}"), names.own(f"{d}_at")) for k, d in TAPES.items()}
        self.status = names.own("status")
        self.beginnings: dict[str, list[Any]] = {}  # what stands where arrays get their memory, by array
        self.parts: dict[int, Any] = {}  # loops whose tape is made in parts, by identity
        self.forks: dict[int, Any] = {}  # loops over parts that threads share, by identity
        self.functions: list[tuple[str, list[str], list[Any]]] = []  # of these parts: name, parameters, lines
        self.memory: tuple[Any, list[Any]] = (None, [])  # for them: where to take it from, and the lines that do
        self.scope: dict[str, Any] = {}  # what the text's global names stand for
        self.lengths: dict[str, str] = {}  # in the reverse sweep: lengths that the run before it had found, by name
        self.follows = True  # whether it is noted which array a name stands for
        self.traced: set[str] = set()  # arrays that swap names with one that stands for an argument

    def joins(self, other: Forward) -> None:
        """Write parts of the text of another one."""
        self.forks, self.functions, self.memory, self.scope = other.forks, other.functions, other.memory, other.scope
        self.lengths = other.lengths

    @property
    def records(self) -> bool:
        """Whether there is a tape, in memory or in numbers."""
        return self.mode != "plain" and self.rec is not None

    # ---- tapes ----------------------------------------------------------------------------------------------------------

    def kind(self, name: str) -> str:
        """The kind of a number."""
        return self.v.kinds[name]

    def push(self, values: list[tuple[str, str]], out: list[Any], line: Any = None) -> None:
        """Values with their kinds go to the tapes."""
        if not self.records:
            return
        for kind, (tape, mark) in self.tapes.items():
            each = [v for k, v in values if k == kind]
            if each and self.mode != "count":
                out += [Code(f"{tape}[{mark}{f' + {n}' if n else ''}] = {v}", line) for n, v in enumerate(each)]
            if each:
                out.append(Code(f"{mark} += {len(each)}", line))

    def ensure(self, need: Need, times: str, out: list[Any]) -> None:
        """Leave if a tape is too short for what comes next; a run that counts notes what it would take."""
        if self.mode not in ("record", "count"):
            return
        for kind, (tape, mark) in self.tapes.items():
            if need[kind] and self.mode == "count":
                amount = f"{need[kind]} * {times}" if times else str(need[kind])
                out.append(f"{self.top(kind)} = max({self.top(kind)}, {mark} + {amount})")
            elif need[kind]:
                amount = f"{need[kind]} * {times}" if times and need[kind] > 1 else times or str(need[kind])
                out += [f"if {mark} + {amount} > {tape}.size:", [f"{self.status}[0] = {SHORT}", "return"]]

    def top(self, kind: str) -> str:
        """The name of the highest place that a tape is looked at for."""
        return self.names.own(f"{TAPES[kind]}_top")

    def count(self, s: Any) -> Need | None:
        """The most that a statement pushes; None if it depends on how often a loop runs."""
        assert self.rec is not None
        total = nothing()
        if isinstance(s, Assign):
            total[self.kind(s.name)] += s.save
        elif isinstance(s, Store):
            total[self.unit.arrays[s.array].kind] += s.save
        elif isinstance(s, If):
            each = [self.count_block(b) for b in (s.then, s.orelse)]
            if None in each:
                return None
            total = {k: max(e[k] for e in each) for k in total}  # type: ignore[index]
        elif isinstance(s, Loop):
            apart = id(s) in self.parts or (id(s) in self.forks and self.forks[id(s)].kinds)
            inner = None if apart else self.count_block(s.body)
            if inner is None or any(inner.values()):
                return None
            total["i"] += self.counts_turns(s)
        return total

    def count_block(self, block: Block) -> Need | None:
        """The most that a block pushes."""
        total = nothing()
        for s in items(block):
            one = self.count(s)
            if one is None:
                return None
            total = {k: total[k] + one[k] for k in total}
        for n in block.pushes:
            total[self.kind(n)] += 1
        return total

    def counts_turns(self, s: Any) -> bool:
        """Whether the number of a loop's turns goes to the tape."""
        assert self.rec is not None
        return self.rec.reversible(s) and (isinstance(s, While) or s.exit is not None)

    def turns(self, s: Any) -> str:
        """The name of the number of a loop's turns."""
        return s.var + self.names.turns if isinstance(s, For) else s.count

    # ---- statements -----------------------------------------------------------------------------------------------------

    def block(self, block: Block, out: list[Any], ensured: bool) -> None:
        """Statements with their pushes; room for pushes is made once for each stretch without loops."""
        if not self.records:
            for s in items(block):
                self.statement(s, out, True, None)
            return
        segment: list[Any] = []
        need = nothing()
        out.append(segment)
        for s in items(block):
            one = self.count(s)
            if one is not None:
                need = {k: need[k] + one[k] for k in need}
            self.statement(s, out, ensured, one)
            if one is None:
                if not ensured:
                    self.ensure(need, "", segment)
                segment, need = [], nothing()
                out.append(segment)
                if isinstance(s, Loop) and self.counts_turns(s):
                    need["i"] += 1
            if isinstance(s, Loop) and self.counts_turns(s):
                self.push([("i", self.turns(s))], out, s.line)
        for n in block.pushes:
            need[self.kind(n)] += 1
        self.push([(self.kind(n), n) for n in block.pushes], out)
        if not ensured:
            self.ensure(need, "", segment)

    def statement(self, s: Any, out: list[Any], ensured: bool, one: Need | None) -> None:
        """One statement."""
        if isinstance(s, Assign):
            if s.save:
                self.push([(self.kind(s.name), s.name)], out, s.line)
            out.append(Code(f"{s.name} = {bare(s.value)}", s.line))
        elif isinstance(s, Store):
            mark = f"{s.array}[{', '.join(map(bare, s.index))}]"
            if s.save:
                self.push([(self.unit.arrays[s.array].kind, mark)], out, s.line)
            out.append(Code(f"{mark} {'+=' if s.add else '='} {bare(s.value)}", s.line))
        elif isinstance(s, Permute):
            out.append(Code(f"{', '.join(s.targets)} = {', '.join(s.sources)}", s.line))
            self.permuted(s, out)
        elif isinstance(s, If):
            parts: list[list[Any]] = []
            for part in (s.then, s.orelse):
                parts.append([])
                self.block(part, parts[-1], ensured or one is not None)
            branch(bare(s.cond), parts, out, s.line)
        elif isinstance(s, Make):
            out += self.beginnings[s.array]
        elif isinstance(s, Fail):
            if self.mode == "joined":
                out.append(Code(f"raise {self.unit.failures[s.number][1].__name__}('see the function itself')", s.line))
            else:
                out += [Code(f"{self.status}[0] = {FIRST_FAILURE + s.number}", s.line), Code("return", s.line)]
        else:
            self.loop(s, out, ensured)

    def permuted(self, s: Permute, out: list[Any]) -> None:
        """What goes with names that are swapped: their numbers, or their adjoints."""
        if self.mode == "joined" and set(s.targets) & self.active:
            out.append(Code(swapped(s.targets, s.sources, self.names.bar), s.line))
        if (self.records and self.follows and self.mode != "joined") or self.traced & set(s.targets):
            out.append(Code(swapped(s.targets, s.sources, self.names.id), s.line))

    def loop(self, s: Any, out: list[Any], ensured: bool) -> None:
        """A loop."""
        if id(s) in self.parts:
            self.parts[id(s)].record(self, out)
            return
        if id(s) in self.forks:
            self.forks[id(s)].forward(self, out)
            return
        body: list[Any] = []
        if self.records and self.counts_turns(s):
            out.append(Code(f"{self.turns(s)} = 0", s.line))
            body.append(Code(f"{self.turns(s)} += 1", s.line))
        inner = self.count_block(s.body) if self.records else None
        if isinstance(s, For):
            counted = inner is not None and not s.exit  # a loop that may be left looks in each turn
            if counted and any(inner.values()):  # type: ignore[union-attr]
                self.ensure(inner, trips_text(s), out)  # type: ignore[arg-type]
            self.block(s.body, body, counted)
            head = f"for {s.var} in {span(s)}:"
        else:
            self.block(s.body, body, False)
            head = f"while {bare(s.cond)}:"
        if s.exit:
            body += [Code(f"if {s.exit}:", s.line), [Code("break", s.line)]]
        out += [Code(head, s.line), body]

    # ---- arrays ---------------------------------------------------------------------------------------------------------

    def shape(self, name: str) -> list[str]:
        """The extents of an array as Python."""
        return [text(e) for e in self.unit.arrays[name].shape]

    def fill(self, name: str, array: str, value: str, out: list[Any]) -> None:
        """``name[...] = value`` for the shape of an array."""
        index, body = loops(self.shape(array), self.unit.fresh, out)
        body.append(f"{name}[{index}] = {value}")

    def copy(self, name: str, source: str, array: str, out: list[Any], sign: str = "=") -> None:
        """``name[...] = source[...]`` for the shape of an array."""
        index, body = loops(self.shape(array), self.unit.fresh, out)
        body.append(f"{name}[{index}] {sign} {source}[{index}]")


def swapped(targets: tuple[str, ...], sources: tuple[str, ...], ending: str) -> str:
    """The swap of names with an ending."""
    return f"{', '.join(n + ending for n in targets)} = {', '.join(n + ending for n in sources)}"


def branch(cond: str, parts: list[list[Any]], out: list[Any], line: Any) -> None:
    """A branch; parts without statements are left out."""
    one, two = ([] if is_empty(p) else p for p in parts)
    if one:
        out += [Code(f"if {cond}:", line), one]
        if two:
            out += [Code("else:", line), two]
    elif two:
        out += [Code(f"if not ({cond}):" if " " in cond else f"if not {cond}:", line), two]
