"""Writes the reverse sweep: blocks and loops backwards, with what the tape gives back."""

from __future__ import annotations

from typing import Any

from numgrad.loops.backward import Adjoint
from numgrad.loops.code import Code, less_one, trips_text, turn
from numgrad.loops.forward import Forward, branch, swapped
from numgrad.loops.language import Assign, Block, Const, For, If, Permute, Store, While, bare, text, walk
from numgrad.loops.versions import leaves


class Reverse:
    """Writes statements backwards; `forward` has the names of tapes and the decisions."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.v, self.unit, self.active, self.names = forward.v, forward.unit, forward.active, forward.names
        assert forward.rec is not None
        self.rec = forward.rec

    def adjoint(self) -> Adjoint:
        """A place for lines."""
        return Adjoint(self.active, self.names, self.v.where)

    def pop(self, values: list[tuple[str, str]], out: list[Any], line: Any = None) -> None:
        """Values come back from the tapes."""
        for kind, (tape, mark) in self.forward.tapes.items():
            each = [v for k, v in values if k == kind]
            if each:
                out.append(Code(f"{mark} -= {len(each)}", line))
            out += [Code(f"{v} = {tape}[{mark}{f' + {n}' if n else ''}]", line) for n, v in enumerate(each)]

    def block(self, block: Block, adj: Adjoint, given: frozenset[str] = frozenset()) -> None:
        """Append the reverse of a block to ``adj.lines``; the adjoints of ``given`` versions have values."""
        out = adj.lines
        self.pop([(self.v.kinds[n], n) for n in block.pushes], out)
        own = {s.name for s in block.stmts if isinstance(s, Assign) and s.name in self.v.where} & self.active
        adj.unset |= own - given
        for s in reversed(block.ends):
            self.statement(s, adj)
        for s in block.again:
            out.append(Code(f"{s.name} = {bare(s.value)}", s.line))
        for s in reversed(block.stmts):
            self.statement(s, adj)
        adj.unset -= own

    def statement(self, s: Any, adj: Adjoint) -> None:
        """Append the reverse of a statement."""
        out = adj.lines
        if not self.rec.reversible(s):
            return
        if isinstance(s, Assign):
            if s.save:
                self.pop([(self.v.kinds[s.name], s.name)], out, s.line)
            adj.statement(s)
        elif isinstance(s, Store):
            if s.save:
                mark = f"{s.array}[{', '.join(map(bare, s.index))}]"
                self.pop([(self.unit.arrays[s.array].kind, mark)], out, s.line)
            adj.statement(s)
        elif isinstance(s, Permute):
            if self.values(s):
                out.append(Code(swapped(s.sources, s.targets, ""), s.line))
            if set(s.targets) & self.active:
                out.append(Code(swapped(s.sources, s.targets, self.names.bar), s.line))
        elif isinstance(s, If):
            adj.settle(self.touched(s))
            branch(bare(s.cond), [self.nested(b, adj) for b in (s.then, s.orelse)], out, s.line)
        elif id(s) in self.forward.parts:
            self.forward.parts[id(s)].reverse(self, adj)
        elif isinstance(s, For):
            self.loop(s, adj)
        elif isinstance(s, While):
            adj.settle(self.touched(s))
            self.pop([("i", s.count)], out, s.line)
            out += [Code(f"for {s.count}{self.names.turn} in range({s.count}):", s.line), self.nested(s.body, adj)]

    def values(self, s: Permute) -> bool:
        """Whether the arrays themselves are there in the reverse sweep."""
        return self.forward.mode == "joined" or not self.rec.arrays_read.isdisjoint(s.targets)

    def loop(self, s: For, adj: Adjoint) -> None:
        """The turns of a loop, the last one first."""
        if id(s) in self.forward.forks:
            self.forward.forks[id(s)].reverse(self, adj)
            return
        out = adj.lines
        adj.settle(self.touched(s))
        body = self.nested(s.body, adj)
        k = s.var + self.names.turn
        if s.exit:
            self.pop([("i", self.forward.turns(s))], out, s.line)
            head = f"for {k} in range({self.forward.turns(s)} - 1, -1, -1):"
            body = [Code(f"{s.var} = {turn(s, k)}", s.line), *body]
        elif s.step == Const(1):
            head = f"for {s.var} in range({less_one(s.stop)}, {less_one(s.start)}, -1):"
        elif s.step == Const(-1):
            head = f"for {s.var} in range({text(s.stop)} + 1, {text(s.start)} + 1):"
        else:
            head = f"for {k} in range({trips_text(s)} - 1, -1, -1):"
            body = [Code(f"{s.var} = {turn(s, k)}", s.line), *body]
        out += [Code(head, s.line), body]

    def nested(self, block: Block, adj: Adjoint) -> list[Any]:
        """The reverse of a block inside of another."""
        inner = self.adjoint()
        self.block(block, inner)
        return inner.lines

    def touched(self, s: Any) -> set[str]:
        """Numbers whose adjoints the reverse of a statement may change."""
        names: set[str] = set()
        for each in walk([s]):
            if isinstance(each, Assign):
                names.add(each.name)
                leaves(each.value, names)
            elif isinstance(each, Store):
                leaves(each.value, names)
        return names & self.active
