"""The texts that are compiled, run as plain Python: reverse loops in gather form, and loops that are said to be independent.

`split` is a `Run`'s reverse in the form that kernels have. `dependent` runs it once more and watches each element that a marked
loop touches: what one turn writes, no other may read or write.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
from typing import Any

import numpy as np

from numgrad.loops.sweeps import Sweep
from numgrad.ops.loops import independent, splitting, sums
from numgrad.ops.loops.indices import lowest_of


@functools.lru_cache(1 << 8)
def gathered(sweep: Sweep) -> Sweep:
    """The sweep as its kernel has it, in plain Python."""
    scope = {**sweep.scope, "add_in_any_order": lambda total, term: total + term, "tape_ahead": lambda tape, at: None}
    is_reverse = any(each.role == "grad_argument" for each in sweep.parameters)
    return dataclasses.replace((splitting.split if is_reverse else sums.take_apart)(sweep), scope=scope)


def takes(sweep: Sweep) -> int:
    """How many loops of a sweep are in gather form."""
    return gathered(sweep).text.count("for begin_")


class Watch:
    """Which elements the turns of a marked loop touch, by address."""

    def __init__(self) -> None:
        self.touched: dict[int, tuple[int, bool]] | None = None  # the last turn, and whether any has written
        self.turn = 0
        self.found: list[str] = []
        self.loops = 0

    def begins(self) -> None:
        """A turn begins."""
        if self.touched is None:
            self.touched, self.turn = {}, 0
            self.loops += 1
        self.turn += 1

    def ends(self) -> None:
        """The loop ends."""
        self.touched = None

    def touches(self, address: int, writes: bool, name: str) -> None:
        """A turn reads or writes an element."""
        if self.touched is None:
            return
        turn, written = self.touched.get(address, (self.turn, False))
        if turn != self.turn and (writes or written):
            self.found.append(f"{name}: turns {turn} and {self.turn} touch one element")
        self.touched[address] = self.turn, written or writes


class Watched:
    """An array whose elements are watched."""

    def __init__(self, array: np.ndarray, name: str, watch: Watch) -> None:
        self.array, self.name, self.watch = array, name, watch
        self.shape, self.size = array.shape, array.size

    def _at(self, index: Any, writes: bool) -> Any:
        index = tuple(map(int, index if isinstance(index, tuple) else (index,)))
        strides = zip(index, self.array.shape, self.array.strides, strict=True)
        address = self.array.ctypes.data + sum((i + n if i < 0 else i) * step for i, n, step in strides)
        self.watch.touches(address, writes, self.name)
        return index

    def __getitem__(self, index: Any) -> Any:
        return self.array[self._at(index, False)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[self._at(index, True)] = value


def unwatched(value: Any) -> Any:
    """The array behind one that is watched; anything else as it is."""
    return value.array if isinstance(value, Watched) else value


def watched(sweep: Sweep, watch: Watch) -> Sweep:
    """A sweep that reports to a watch. Tapes are not watched: an element is pushed or taken once."""
    tapes = {each.name for each in sweep.parameters if each.role == "tape"}
    tree = ast.parse(sweep.text)
    for each, lowest in lowest_of(tree, sweep.name):
        independent.mark(each, lowest, tapes)
        _Ended().visit(each)
    [function] = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == sweep.name]
    names = [each.name for each in sweep.parameters if each.ndim and each.name not in tapes]
    function.body[:0] = ast.parse("\n".join(f"{name} = watched__({name}, '{name}')" for name in names) or "pass").body

    def room(memory: Any, first: int, *extents: int) -> Any:
        inner = unwatched(memory)[first : first + int(np.prod(extents))].reshape(extents)
        return Watched(inner, f"a room of {memory.name}", watch) if isinstance(memory, Watched) else inner

    scope = {
        **sweep.scope, **{f"room{k}": room for k in range(1, 7)}, independent.MARK: watch.begins, "ended__": watch.ends,
        "watched__": lambda array, name: Watched(array, name, watch),
    }  # fmt: skip
    return dataclasses.replace(sweep, text=ast.unparse(ast.fix_missing_locations(tree)) + "\n", scope=scope)


class _Ended(ast.NodeTransformer):
    """Says after a marked loop that it has ended."""

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        if ast.unparse(node.body[0]) != f"{independent.MARK}()":
            return node
        return [node, *ast.parse("ended__()").body]
