"""`Prepared`: the launches of a program that run once, and again when the memory that they read has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from numgrad.compile import arena
from numgrad.compile.passes.memory import lives_of
from numgrad.compile.steps import Applied
from numgrad.compile.verifier import verify
from numgrad.engine.tape import TensorBase
from numgrad.errors import KernelError
from numgrad.runtime import memory
from numgrad.runtime.memory import Storage
from numgrad.runtime.replay import BoundCalls


class Prepared:
    """Steps that depend on constants alone.

    Parameters
    ----------
    steps
        They read held memory, and what steps before them made; what the program reads of it is held memory, too.
    tensors
        The tensors whose storages may count a change of that memory.
    """

    def __init__(self, steps: Sequence[Applied], tensors: Iterable[TensorBase]) -> None:
        lives = lives_of(steps, frozenset())
        layout = arena.lay_out(list(lives.values()))
        offsets = dict(zip(lives, layout.offsets, strict=True))
        verify((), steps, frozenset(), {block: ("", at) for block, at in offsets.items()}, {"": layout.nbytes})
        self._arena = memory.allocate(layout.nbytes)
        self.nbytes = layout.nbytes
        addresses = {block: self._arena.address + offset for block, offset in offsets.items()}
        roots: dict[int, Storage] = {}
        for block in (block for step in steps for block in step.blocks() if block.kind == "held"):
            assert block.root is not None
            addresses[block], roots[id(block.root)] = block.root.address, block.root
        self._calls = BoundCalls([
            (step.program, [0 if where is None else addresses[where[0]] + where[1] for where in step.places])
            for step in steps
        ])  # fmt: skip
        counting = [each._storage for each in tensors if id(each._storage.root) in roots]
        self._storages = list({id(each): each for each in (*roots.values(), *counting)}.values())
        self._versions: list[int] = []

    def refresh(self) -> None:
        """Run, unless nothing has changed since it ran last."""
        versions = [storage.version for storage in self._storages]
        if versions != self._versions:
            if self._calls.run(()) is not None:
                raise KernelError("a launch that prepares a weight left a status, which is a fault of numgrad's")
            self._versions = versions
