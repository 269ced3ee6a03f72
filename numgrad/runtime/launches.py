"""Launches as plans describe them: kernels with their arguments, whose addresses are not known yet."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from numgrad.runtime.kernel import Kernel
from numgrad.symbols import Symbol

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


def scalar_word(name: str, type_name: str, value: Any) -> int:
    """The bits of a kernel's scalar argument; a number beyond float32 becomes infinite.

    Raises
    ------
    TypeError
        It is not a number.
    RuntimeError
        The type cannot hold it.
    """
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise TypeError(f"{name} is {value!r}, expected a number")
    if type(value) is Symbol:
        is_int = type_name in ("i1", "i2", "i4", "i8", "u1") and isinstance(value, int)
        return value if is_int else value.trace.call("scalar_word", scalar_word, name, type_name, value)  # type: ignore[return-value]
    try:
        if type_name == "f4":
            with np.errstate(over="ignore"):
                packed = struct.pack("<fi", np.float32(value), 0)
        elif type_name == "f8":
            packed = struct.pack("<d", value)
        else:
            packed = struct.pack("<q", bool(value) if type_name == "b1" else int(value))
    except (struct.error, OverflowError, ValueError) as error:
        raise RuntimeError(f"{name} is {value!r}, which {type_name} cannot hold without overflow") from error
    word: int = struct.unpack("<q", packed)[0]
    return word
