"""Rules of the translation, broken on purpose: does the test of random programs see it?

How many programs notice each, of so many::

    python -m tests.loops.mutants --count 200
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from numgrad.loops.backward import Adjoint
from numgrad.loops.code import Code, span
from numgrad.loops.extents import WorkMemory
from numgrad.loops.forks import Fork
from numgrad.loops.independence import _Proof
from numgrad.loops.language import Assign, Const, For, If, Loop, Op, Permute, Store, items, walk
from numgrad.loops.parts import Parts
from numgrad.loops.recording import Recording
from numgrad.loops.reverse import Reverse
from numgrad.loops.slopes import SLOPES
from numgrad.loops.translation import _Translation
from numgrad.ops.loops.indices import Lowest
from numgrad.ops.loops.places import Place, Places
from tests.loops import stencils
from tests.loops.random_programs import check, check_source

GATHERED, DEPENDENT, FROM_THE_END, TWO_PAIRS = 2, 3, 10, 7  # seeds of stencils that notice
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """A broken rule.

    Attributes
    ----------
    name
        What is wrong with it.
    plant
        Breaks it.
    programs
        Among how many programs there is certainly one that notices.
    witness
        A program that notices, where few do.
    how
        In which way programs are compared.
    """

    name: str
    plant: Callable[[Patch], None]
    programs: int
    witness: str
    how: str


MUTANTS: list[Mutant] = []


def mutant(
    name: str, programs: int = 60, witness: str = "", how: str = "plain"
) -> Callable[[Callable[[Patch], None]], None]:
    """Adds to the table."""
    return lambda plant: MUTANTS.append(Mutant(name, plant, programs, witness, how))


def _around(patch: Patch, owner: type, name: str, broken: Callable[..., Any]) -> None:
    """A method becomes ``broken(original, self, *args)``."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda self, *args: broken(original, self, *args))


# ---- what is recorded -------------------------------------------------------------------------------------------


@mutant("computes again what has changed")
def _(patch: Patch) -> None:
    patch.setattr(Recording, "_available", lambda *args: True)


def _forgetting(kind: type) -> Callable[..., Any]:
    def needed(original: Any, self: Any, block: Any, need: Any) -> Any:
        found = original(self, block, need)
        for s in walk(self.v.top):
            if isinstance(s, kind):
                s.save = False
        return found

    return needed


@mutant("does not record elements that are overwritten")
def _(patch: Patch) -> None:
    _around(patch, Recording, "_needed", _forgetting(Store))


@mutant("does not record numbers that are overwritten")
def _(patch: Patch) -> None:
    _around(patch, Recording, "_needed", _forgetting(Assign))


@mutant("looks at the body of a loop once", 200)
def _(patch: Patch) -> None:
    def needed(original: Any, self: Any, block: Any, need: Any) -> Any:
        for s in items(block):
            need = (
                need | self._needed(s.body, need) | self._reads(s) if isinstance(s, Loop) else original(self, [s], need)
            )
        return need

    _around(patch, Recording, "_needed", needed)


# ---- what flows where -------------------------------------------------------------------------------------------


ADDED_IN_A_BRANCH = """
def f(x, y, a, m, n):
    s = x * 0.5
    u = y
    for i in range(3):
        t = math.tanh(s)
        if u > -10.0:
            u += s * y
        s = t * 0.3 + u
    return s
"""


@mutant("forgets that a branch adds to an adjoint", 0, ADDED_IN_A_BRANCH)
def _(patch: Patch) -> None:
    def settle(original: Any, self: Any, names: set[str]) -> None:
        zero = set(self.zero)
        original(self, names)
        self.zero |= zero

    _around(patch, Adjoint, "settle", settle)


@mutant("takes the other side of max, min and conditions")
def _(patch: Patch) -> None:
    _around(patch, Adjoint, "either", lambda original, self, cond, one, two, d: original(self, cond, two, one, d))


@mutant("leaves the divisor out")
def _(patch: Patch) -> None:
    def operation(original: Any, self: Any, e: Op, d: Any, on: list[bool]) -> None:
        original(self, e, d, [on[0], False] if e.op == "/" else on)

    _around(patch, Adjoint, "operation", operation)


@mutant("has the wrong sign in one slope")
def _(patch: Patch) -> None:
    wrong = dataclasses.replace(SLOPES["tanh"], cheap=lambda do, x, out: do("+", 1, do("*", out, out)))
    patch.setitem(SLOPES, "tanh", wrong)


@mutant("lets an element that is overwritten keep its adjoint")
def _(patch: Patch) -> None:
    def statement(original: Any, self: Any, s: Any) -> None:
        original(self, dataclasses.replace(s, add=True) if isinstance(s, Store) else s)

    _around(patch, Adjoint, "statement", statement)


@mutant("lets a number that is overwritten keep its adjoint")
def _(patch: Patch) -> None:
    def statement(original: Any, self: Any, s: Any) -> None:
        before = len(self.lines)
        original(self, s)
        if isinstance(s, Assign):
            kept = [line for line in self.lines[before:] if f"{self.bar} = 0.0" not in str(line)]
            self.lines[before:] = kept

    _around(patch, Adjoint, "statement", statement)


# ---- the way back -----------------------------------------------------------------------------------------------


@mutant("takes from the tape in the wrong order")
def _(patch: Patch) -> None:
    _around(patch, Reverse, "pop", lambda original, self, values, *rest: original(self, values[::-1], *rest))


@mutant("does not swap back", 200)
def _(patch: Patch) -> None:
    def statement(original: Any, self: Any, s: Any, adj: Any) -> None:
        if not isinstance(s, Permute):
            original(self, s, adj)

    _around(patch, Reverse, "statement", statement)


@mutant("runs loops forwards", 200)
def _(patch: Patch) -> None:
    def loop(original: Any, self: Any, s: For, adj: Any) -> None:
        original(self, s, adj)
        if s.step == Const(1) and not s.exit:
            head = adj.lines[-2]
            adj.lines[-2] = Code(f"for {s.var} in {span(s)}:", head.line)

    _around(patch, Reverse, "loop", loop)


@mutant("takes the other branch")
def _(patch: Patch) -> None:
    def statement(original: Any, self: Any, s: Any, adj: Any) -> None:
        original(self, dataclasses.replace(s, then=s.orelse, orelse=s.then) if isinstance(s, If) else s, adj)

    _around(patch, Reverse, "statement", statement)


# ---- parts ------------------------------------------------------------------------------------------------------


@mutant("keeps the numbers of a state and not its arrays", how="parts")
def _(patch: Patch) -> None:
    def copy(original: Any, self: Any, *rest: Any) -> None:
        arrays, self.arrays = self.arrays, []
        original(self, *rest)
        self.arrays = arrays

    _around(patch, Parts, "_copy", copy)


MANY_TURNS = """
def f(x, y, a, m, n):
    s = x
    k = 0
    while k < 40:
        k += 1
        s = math.sin(s * y) + 0.1 * k
    return s
"""


@mutant("drops the wrong states", 0, MANY_TURNS, "parts")
def _(patch: Patch) -> None:
    def thin(original: Any, self: Any, forward: Any, kept: str, out: list[Any]) -> None:
        lines: list[Any] = []
        original(self, forward, kept, lines)
        out += [x for x in lines if not str(x).startswith("for ") and not isinstance(x, list)]

    _around(patch, Parts, "_thin", thin)


@mutant("does not free the place of a state", 0, MANY_TURNS, "parts")
def _(patch: Patch) -> None:
    def one_by_one(original: Any, self: Any, reverse: Any, first: str, last: str, out: list[Any]) -> None:
        lines: list[Any] = []
        original(self, reverse, first, last, lines)
        out += _replaced(lines, " > 0 and", " > 1 and")

    _around(patch, Parts, "_one_by_one", one_by_one)


def _replaced(lines: list[Any], old: str, new: str) -> list[Any]:
    return [
        _replaced(x, old, new) if isinstance(x, list) else Code(x.replace(old, new), getattr(x, "line", None))
        for x in lines
    ]


# ---- turns that are independent ----------------------------------------------------------------------------------


@mutant("takes numbers that go from turn to turn for private ones", 200)
def _(patch: Patch) -> None:
    patch.setattr(_Proof, "_numbers", lambda self: {})


@mutant("takes any updates of a number for a reduction", 200)
def _(patch: Patch) -> None:
    def reduction(original: Any, self: Any, name: str) -> str | None:
        return original(self, name) or "+"

    _around(patch, _Proof, "_reduction", reduction)


READ_BY_ANOTHER = """
def f(x, y, a, m, n):
    b = a.copy()
    for i in prange(1, 4):
        b[i] = math.tanh(b[i - 1] * x + b[i])
    return b[3] * y
"""


@mutant("lets turns read what others write", 0, READ_BY_ANOTHER)
def _(patch: Patch) -> None:
    def array(original: Any, self: Any, name: str, accesses: Any) -> None:
        original(self, name, [each for each in accesses if each[1]] or accesses)

    _around(patch, _Proof, "_array", array)


ROUND_THE_END = """
def f(x, y, a, m, n):
    b = a.copy()
    for i in prange(5):
        b[i - 1] = math.tanh(b[i - 1] * x + b[i - 1] * y + i)
    return b[3] * y
"""


@mutant("forgets that a negative index is an element at the end", 0, ROUND_THE_END)
def _(patch: Patch) -> None:
    patch.setattr(_Proof, "_is_counted", lambda *args: True)


@mutant("takes what all turns read for what neighbours read", 0, """
def f(x, y, a, m, n):
    s = 0.0
    for i in prange(4):
        s += math.sin(a[i] * a[0] * x)
    return s
""")  # fmt: skip
def _(patch: Patch) -> None:
    def reverse(original: Any, self: Any, reverse: Any, adj: Any) -> None:
        self.loop.shared = frozenset()
        original(self, reverse, adj)

    _around(patch, Fork, "reverse", reverse)


# ---- extents ----------------------------------------------------------------------------------------------------

FOUND = """
def f(x, y, a, m, n):
    k = 1
    for i in range(4):
        if a[i] > y:
            k += 1
    w = np.zeros(k)
    v = np.ones(k + 1)
    for i in range(k):
        w[i] = math.sin(x * i) * w[i - 1] + y
        v[i] = v[i + 1] * w[i]
    return w[k - 1] * v[0]
"""


@mutant("forgets the extents that a run finds", 0, FOUND)
def _(patch: Patch) -> None:
    def decisions(original: Any, self: Any, versions: Any, *rest: Any) -> None:
        original(self, versions, *rest)
        self.ends = [n for n in self.ends if n not in versions.unit.late_extents]

    _around(patch, Recording, "__init__", decisions)


@mutant("lays arrays whose extents are found on one another", 0, FOUND)
def _(patch: Patch) -> None:
    def begun(original: Any, self: Any, *rest: Any) -> Any:
        self.late.clear()
        return original(self, *rest)

    _around(patch, WorkMemory, "begun", begun)


# ---- the text that is compiled ----------------------------------------------------------------------------------


@mutant("fetches from the neighbours on the other side", 0, stencils.program(GATHERED))
def _(patch: Patch) -> None:
    original = Place.shift_from
    patch.setattr(Place, "shift_from", lambda *args: None if (shift := original(*args)) is None else -shift)


@mutant("takes all elements for others", 0, stencils.program(DEPENDENT))
def _(patch: Patch) -> None:
    patch.setattr(Places, "are_apart", lambda *args: True)


@mutant("takes an index that counts from the end for one that does not", 0, stencils.program(FROM_THE_END))
def _(patch: Patch) -> None:
    patch.setattr(Lowest, "of", lambda *args: 0)


@mutant("mixes up two pairs of buffers", 0, stencils.program(TWO_PAIRS))
def _(patch: Patch) -> None:
    _around(patch, _Translation, "_groups", lambda original, self: sorted(original(self)))


# ---- who notices ------------------------------------------------------------------------------------------------


def notices(seed: int, source: str = "", how: str = "plain") -> bool:
    """Whether a program is wrong, or cannot be run."""
    try:
        said = check_source(source, how=how) if source else check(seed, how, size=20)
    except Exception:  # a broken rule may write anything
        return True
    return said.partition(":")[0] not in ("right", "skipped", "refused")


def noticed(mutant: Mutant, patch: Patch) -> bool:
    """Whether any program notices; none does before."""
    assert not mutant.witness or check_source(mutant.witness, how=mutant.how) == "right"
    mutant.plant(patch)
    if mutant.witness and notices(0, mutant.witness, mutant.how):
        return True
    return any(notices(seed, how=mutant.how) for seed in range(mutant.programs))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    count = parser.parse_args().count
    for each in MUTANTS:
        with pytest.MonkeyPatch.context() as patch:
            each.plant(patch)
            noticing = sum(notices(seed, how=each.how) for seed in range(count))
            print(f"{each.name:60} {noticing} of {count} programs notice", flush=True)


if __name__ == "__main__":
    main()
