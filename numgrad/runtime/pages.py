"""Pages of memory from the system, and back: the only module that maps memory.

Fresh pages cost 0.1 to 0.6 ms per megabyte at first touch, huge ones 0.03 to 0.1, so huge ones are requested where they fit.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from typing import Any

import numpy as np

ALIGNMENT = 64
HUGE = 2 << 20
_SYSTEM_ADVISES = hasattr(mmap, "MADV_HUGEPAGE")  # Linux
_PROT_NONE = 0

_mapped: dict[int, int] = {}  # bytes of each mapping, by first address


class Mapping:
    """A span of new memory, zero when it is first read: ``size`` bytes from ``address``; unmapped when nobody holds it.

    Raises
    ------
    MemoryError
        The system has none left.
    """

    __slots__ = ("_memory", "_start", "address")

    def __init__(self, size: int, huge: bool = True) -> None:
        self._start = 0
        self._memory: Any
        try:
            if _SYSTEM_ADVISES:
                alignment = HUGE if huge else 1
                self._memory = mmap.mmap(-1, size + alignment - 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
                self.address = -(-self._start // alignment) * alignment
                # A last page that would hardly be used stays small.
                self._advise(mmap.MADV_HUGEPAGE, self.address, (size + HUGE // 4) // HUGE * HUGE if huge else 0)
            else:
                self._memory = np.empty(size + ALIGNMENT, np.uint8)
                self._start = self._memory.ctypes.data
                self.address = -(-self._start // ALIGNMENT) * ALIGNMENT
        except (OSError, OverflowError, ValueError) as error:
            raise MemoryError(f"numgrad: the system has no {size} bytes of memory left ({error})") from None
        _mapped[self._start] = len(self._memory)

    def __del__(self) -> None:
        _mapped.pop(self._start, None)

    def _advise(self, advice: int, address: int, size: int) -> None:
        """Advise the system about whole pages; a system may refuse the advice."""
        if size:
            try:
                self._memory.madvise(advice, address - self._start, size)
            except OSError:
                pass  # a kernel without huge pages

    def discard(self, address: int, size: int) -> bool:
        """Give the whole pages inside a span back; they are zero when they are read again. False: not on this system.

        They come back as small pages: the system would fill a hole in a huge page again by itself.
        """
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
        if not _SYSTEM_ADVISES:
            return False
        if length > 0:
            self._advise(mmap.MADV_NOHUGEPAGE, first, length)
            self._memory.madvise(mmap.MADV_DONTNEED, first - self._start, length)
        return True


class Guarded:
    """Memory for one block of ``NUMGRAD_DEBUG=guard``, between forbidden pages.

    It ends at the second forbidden page, as closely as its alignment allows: the largest power of two, at most 64, that
    divides ``size``. All its bits are set at first, which is NaN in floats: reading unwritten memory shows.

    Raises
    ------
    NotImplementedError
        The system is not Linux.
    """

    __slots__ = ("_mapping", "_size", "address")

    def __init__(self, size: int) -> None:
        if not _SYSTEM_ADVISES:
            raise NotImplementedError(
                "NUMGRAD_DEBUG=guard: there are no guard pages on this system; on Linux there are"
            )
        alignment = min(size & -size, ALIGNMENT) or ALIGNMENT
        inner = max(-(-size // mmap.PAGESIZE), 1) * mmap.PAGESIZE
        self._size = inner + 2 * mmap.PAGESIZE
        self._mapping = Mapping(self._size, huge=False)
        begin = self._mapping.address + mmap.PAGESIZE
        self.address = begin + (inner - size) // alignment * alignment
        ctypes.memset(begin, 0xFF, inner)
        _forbid(begin - mmap.PAGESIZE, mmap.PAGESIZE)
        _forbid(begin + inner, mmap.PAGESIZE)

    def forbid(self) -> None:
        """Forbid any access from now on."""
        self._mapping.discard(self._mapping.address, self._size)
        _forbid(self._mapping.address, self._size)


def mapped_bytes() -> int:
    """Bytes of address space that this module has mapped."""
    return sum(list(_mapped.values()))


def _forbid(address: int, size: int) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    if system.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), _PROT_NONE):
        raise OSError(ctypes.get_errno(), "numgrad: mprotect")


class FileMapping:
    """The first ``size`` bytes of an open file as memory of this process's own; unmapped when nobody holds it.

    What is written to the memory does not reach the file. Unlike Python's ``mmap``, it keeps no copy of the descriptor, so
    that a process may hold more of them than files. Linux and macOS.

    Raises
    ------
    OSError
        The system refuses it.
    """

    __slots__ = ("_size", "_unmap", "address")

    def __init__(self, descriptor: int, size: int) -> None:
        self._size = 0
        map_file, self._unmap = _file_mappers()
        self.address = map_file(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, descriptor, 0)
        if self.address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), f"numgrad: a file's {size} bytes cannot be mapped")
        self._size = size

    def __del__(self) -> None:
        if self._size:
            self._unmap(self.address, self._size)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The bytes, for NumPy; an array made from this keeps the mapping alive."""
        return {"version": 3, "shape": (self._size,), "typestr": "|u1", "data": (self.address, False)}


@functools.cache
def _file_mappers() -> tuple[Any, Any]:
    """The system's functions that map and unmap."""
    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return system.mmap, system.munmap
