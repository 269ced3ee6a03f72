"""Launches as plans describe them: kernels with their arguments, whose addresses are not known yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numgrad.runtime.kernel import Kernel


@dataclass(frozen=True)
class Address:
    """An argument that each call binds: the ``index``-th address given to the program, plus ``offset`` bytes."""

    index: int
    offset: int = 0


@dataclass(frozen=True)
class Array:
    """An array argument: where it starts, and its extents (C-contiguous)."""

    address: Address
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Constant:
    """An argument that is the same at each call: an int64 array, C-contiguous, which lives as long as its program."""

    words: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Its extents."""
        return self.words.shape


@dataclass(frozen=True)
class Launch:
    """One kernel over ``range(work)`` in chunks of ``grain``; arguments are `Array`, `Constant`, records or Python scalars.

    ``cost`` is a rough count of elementary operations, by which the program decides whether to release the GIL. A launch that
    ``prepares`` reads inputs, and what such launches before it wrote; it writes scratch memory that no other launch writes.
    """

    kernel: Kernel
    binding: tuple[str, ...]
    arguments: tuple[Any, ...]
    work: int
    grain: int
    cost: int
    workers: int  # the most threads of the launch; its scratch memory has room for as many
    prepares: bool = False

    @property
    def chunks(self) -> int:
        """Number of chunks of its work."""
        return -(-self.work // self.grain)

    @property
    def parts(self) -> tuple[Launch, ...]:
        """Itself; of a `Pair` the two."""
        return (self,)


@dataclass(frozen=True)
class Pair:
    """Two independent launches, run as one: half of the threads begin with the first, half with the second.

    So a launch that waits for reads from memory runs beside one that waits for writes.
    """

    parts: tuple[Launch, Launch]

    work = property(lambda self: sum(part.chunks for part in self.parts))
    grain = 1
    cost = property(lambda self: sum(part.cost for part in self.parts))
    workers = property(lambda self: min(part.workers for part in self.parts))
