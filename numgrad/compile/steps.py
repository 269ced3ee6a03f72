"""The steps of a captured program, and the blocks of memory that they touch.

Memory is known by its storage and not by its address, since addresses are used again: a *block* is one storage's life. Blocks
are of these kinds:

``made``
    An op's result or its scratch memory; a replay may lay it anywhere.
``argument``
    The memory of a tensor that the step was called with.
``held``
    Memory that the step found: parameters, states, constants. It stays where it is, and is kept alive.
``begun``
    Memory that Python filled within the step and a launch changed: each replay begins it with the same bytes.
``table``
    Addresses of other blocks, for the step of an optimizer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.layout import Spec
from numgrad.registry import Op
from numgrad.runtime.host import HostCall
from numgrad.runtime.memory import Storage
from numgrad.runtime.plan import Plan
from numgrad.runtime.program import Program

_NONE: list[Any] = []  # of blocks that are no tables; nobody adds to it
_NO_BLOCKS: tuple[int, tuple[Any, ...]] = (0, ())


def _gone() -> None:
    """What a reference to nothing returns."""


class Block:
    """The life of one storage during a step."""

    __slots__ = (
        "_inside", "born", "columns", "died", "initial", "kind", "maker", "nbytes", "number", "root", "slot", "spec", "weak",
        "words",
    )  # fmt: skip

    def __init__(self, number: int, kind: str, nbytes: int, root: Storage | None) -> None:
        self.number, self.kind, self.nbytes = number, kind, nbytes
        self.root: Storage | None = root if kind in ("held", "argument") else None
        self.weak: Callable[[], Any] = _gone
        self.spec: Spec | None = None
        self.initial: bytes | None = None
        self.slot = -1  # of an argument, its number
        # Of a table: index of a word, block and offset of its address.
        self.words: list[tuple[int, Block, int]] = [] if kind == "table" else _NONE
        # Of a table: the places and specs of the tensors whose addresses stand in each column.
        self.columns: list[list[tuple[Block, int, Spec]]] = [] if kind == "table" else _NONE
        self._inside: tuple[int, tuple[Block, ...]] = _NO_BLOCKS
        self.maker = ""  # the line that made it
        self.born = self.died = -1  # while the step ran op by op: the op that made it, and the first one after its life

    def inside(self) -> tuple[Block, ...]:
        """Of a table, the blocks whose addresses stand in it, each once."""
        if self._inside[0] != len(self.words):
            self._inside = len(self.words), tuple(dict.fromkeys([block for _, block, _ in self.words]))
        return self._inside[1]


Place = tuple[Block, int]  # a block, and bytes from its beginning


class Applied:
    """One op of the step: its plan, the places of its addresses, and what it does with the blocks.

    The places are those of the inputs, then those of what the plan allocates, as ``plan.allocations`` lists it.
    """

    __slots__ = ("_blocks", "_own", "_places", "changes", "line", "makes", "op", "params", "plan", "reads", "specs")

    def __init__(self, op: Op, params: Any, plan: Plan, places: list[Place | None], line: str) -> None:
        self.op, self.params, self.plan, self.places, self.line = op, params, plan, places, line
        self.reads: list[Block] = []
        self.makes: list[Block] = []
        self.changes: list[Block] = []
        self.specs: tuple[list[Spec | None], list[Spec]] = ([], [])  # of inputs and results

    @property
    def program(self) -> Program | HostCall:
        """The plan's launches, or its call of the host."""
        assert self.plan.program is not None
        return self.plan.program

    @property
    def places(self) -> list[Place | None]:
        """Where each operand lies; the list is not changed any more once `blocks` or `own` was asked for."""
        return self._places

    @places.setter
    def places(self, places: list[Place | None]) -> None:
        self._places = places
        self._blocks: tuple[Block, ...] | None = None
        self._own: tuple[Block, ...] | None = None

    def blocks(self) -> tuple[Block, ...]:
        """All blocks whose memory the launches touch, each once."""
        if self._blocks is None:
            blocks: dict[Block, None] = {}
            for where in self._places:
                if where is not None:
                    blocks[where[0]] = None
                    if where[0].words:
                        blocks.update(dict.fromkeys(where[0].inside()))
            self._blocks = tuple(blocks)
        return self._blocks

    def own(self) -> tuple[Block, ...]:
        """Those of `blocks` that the step's own ops make."""
        if self._own is None:
            self._own = tuple([block for block in self.blocks() if block.kind == "made"])
        return self._own


class Again:
    """A function that each replay calls at its place between the launches."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], after: bool, name: str) -> None:
        self.function, self.args, self.name = function, args, name
        self.after = after  # whether what ran before it in the step decides what it does

    def call(self) -> None:
        """Call the function."""
        self.function(*self.args)
