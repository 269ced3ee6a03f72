"""What the forward sweep records: what the reverse needs and cannot find or compute again.

In the reverse of a block, a version that is needed is computed again at the start, if what it is made of is still there and it
is cheap, or was pushed to the tape at the end of the block. Canonical numbers and elements of arrays are pushed before they are
overwritten, if something that was done before needs the value (Hascoet, Naumann and Pascual, "To be recorded" analysis in reverse
mode automatic differentiation, 2005). The rules are repeated until nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.loops.language import (
    Assign,
    Block,
    Expr,
    For,
    If,
    Loop,
    Op,
    Permute,
    Store,
    While,
    arrays,
    assigned,
    children,
    expressions,
    items,
    parts,
    scalars,
    walk,
    written,
)
from numgrad.loops.versions import Versions
from numgrad.loops.vocabulary import EXPENSIVE


def is_expensive(e: Expr) -> bool:
    """Whether an expression is worth more than its place on the tape."""
    return (isinstance(e, Op) and (e.op in EXPENSIVE or e.op.startswith("call:"))) or any(map(is_expensive, parts(e)))


class Recording:
    """The decisions.

    Attributes
    ----------
    demanded
        Versions that the reverse reads.
    choice
        For each of them ``again`` or ``push``.
    ends
        Canonical numbers whose last values the reverse reads first.
    arrays_read
        Arrays whose elements the reverse reads.
    restored
        Arrays whose overwritten elements the reverse puts back.
    """

    def __init__(
        self, versions: Versions, active: set[str], uses: Callable[[Any], tuple[set[str], set[str]]], recompute: bool
    ) -> None:
        self.v, self.active, self.uses, self.recompute = versions, active, uses, recompute
        self.demanded: set[str] = set()
        self.choice: dict[str, str] = {}
        self._used: dict[int, tuple[set[str], set[str]]] = {}
        while True:
            before = (len(self.demanded), self._saves())
            self._demand()
            last = self._needed(versions.top, frozenset())
            if before == (len(self.demanded), self._saves()):
                break
        self.ends = sorted(n for n in last | versions.unit.late_extents if n in versions.canonical)
        self.arrays_read = {n for s in walk(versions.top) for n in self._reads(s)} & set(versions.unit.arrays)
        again = [s for s in walk(versions.top) if isinstance(s, Loop) and s.checkpoint is not None]
        self.arrays_read |= {n for s in again for n in written(s.body)}
        self.restored = {s.array for s in walk(versions.top) if isinstance(s, Store) and s.save}
        self.restored |= {n for s in again for n in written(s.body)}
        self._sort_out(versions.top)

    def _saves(self) -> int:
        return sum(getattr(s, "save", False) for s in walk(self.v.top))

    def reversible(self, s: Any) -> bool:
        """Whether the reverse sweep does something for a statement."""
        if isinstance(s, Assign):
            return s.name in self.active or s.save
        if isinstance(s, Store):
            return s.array in self.active or s.save
        if isinstance(s, Permute):
            return True
        return any(self.reversible(c) for block in children(s) for c in items(block))

    # ---- demand ---------------------------------------------------------------------------------------------------------

    def direct(self, s: Any) -> tuple[set[str], set[str]]:
        """Numbers and arrays whose values the reverse of a statement reads, as they are before the statement."""
        if not self.reversible(s):
            return set(), set()
        if isinstance(s, If):
            return scalars(s.cond), set()
        if isinstance(s, Loop) and s.checkpoint is not None:
            return self._run_again(s)
        if isinstance(s, For):
            return scalars(s.start) | scalars(s.step) | (set() if s.exit else scalars(s.stop)), set()
        if isinstance(s, (Assign, Store)):
            entry = self._used.get(id(s))
            if entry is None:
                entry = self._used[id(s)] = self.uses(s)
            names = set(entry[0])
            if isinstance(s, Store):
                for i in s.index:
                    scalars(i, names)
            return names, set(entry[1])
        return set(), set()

    def _run_again(self, s: For | While) -> tuple[set[str], set[str]]:
        """What a loop that runs again reads of what it does not change itself."""
        inside = list(walk(s.body))
        each = [e for x in [s, *inside] for e in expressions(x)]
        own = {x.name for x in inside if isinstance(x, Assign)} | {x.var for x in [s, *inside] if isinstance(x, For)}
        read = set().union(*map(scalars, each)) - own
        return read, set().union(*map(arrays, each)) - written(s.body)

    def _demand(self) -> None:
        queue = [n for s in walk(self.v.top) for n in self.direct(s)[0]]
        while queue:
            n = queue.pop()
            if n in self.demanded or n not in self.v.where:
                continue
            self.demanded.add(n)
            if self._decide(n) == "again":
                queue.extend(scalars(self.v.where[n][1].value))

    def _decide(self, name: str) -> str:
        entry = self.choice.get(name)
        if entry is None:
            block, s = self.v.where[name]
            cheap = self.recompute or not is_expensive(s.value)
            entry = self.choice[name] = "again" if cheap and self._available(block, s) else "push"
        return entry

    def _available(self, block: Block, s: Assign) -> bool:
        """Whether what a value is made of does not change in the rest of the block."""
        rest = block.stmts[block.stmts.index(s) + 1 :]  # what `ends` overwrites is put back before
        return not (scalars(s.value) & assigned(rest)) and not (arrays(s.value) & written(rest))

    # ---- to be recorded -------------------------------------------------------------------------------------------------

    def _reads(self, s: Any) -> set[str]:
        names, read = self.direct(s)
        total = names | read
        if isinstance(s, Assign) and s.name in self.demanded and self.choice.get(s.name) == "again":
            scalars(s.value, total)
            arrays(s.value, total)
        return total

    def needed_after(self, block: Any) -> frozenset[str]:
        """Names whose values after a block the reverse of the block itself needs."""
        return self._needed(block, frozenset())

    def _needed(self, block: Any, need: frozenset[str]) -> frozenset[str]:
        """Names whose values after the block the reverse needs, given those whose values before it are needed."""
        for s in items(block):
            if isinstance(s, Permute):
                table = dict(zip(s.targets, s.sources, strict=True))
                need = frozenset(n for n in need if n not in table) | {t for t, r in table.items() if r in need}
                continue
            need = need | self._reads(s)
            if isinstance(s, Assign):
                if s.name not in self.v.where:
                    s.save = s.save or s.name in need
                    need = need - {s.name}
            elif isinstance(s, Store):
                s.save = s.save or (s.array in need and s.array not in self.v.unit.once)
            elif isinstance(s, If):
                need = self._needed(s.then, need) | self._needed(s.orelse, need)
            elif isinstance(s, Loop):
                while True:
                    more = need | self._needed(s.body, need)
                    if more == need:
                        break
                    need = more
        return need

    def _sort_out(self, block: Block) -> None:
        for s in block.stmts:
            if isinstance(s, Assign) and s.name in self.demanded and s.name in self.v.where:
                if self.choice[s.name] == "push":
                    block.pushes.append(s.name)
                else:
                    block.again.append(s)
            for c in children(s):
                self._sort_out(c)
