"""Storage: blocks of memory that are given back to a pool when nobody holds them, and handed out again.

Fresh pages cost 0.1 to 0.6 ms per megabyte at first touch, which is most of what a naive training step would spend, so
a steady-state step should touch none, and where pages must be fresh they should be huge ones (measured: 0.03 to 0.1 ms
per megabyte). Blocks come in size classes, eight per octave, so that at most an eighth is wasted; a class is a stack,
so that the block handed out is the one most likely still in cache. Blocks up to two megabytes are cut from larger
pieces.

No lock is taken to hand out or take back a block: pops and appends are atomic, and so are the additions to counters,
since CPython switches threads (and runs finalizers, signal handlers and the garbage collector) at calls and backward
jumps, of which an addition has none. Without the GIL the blocks stay safe, but the counters may drift.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from typing import Any

import numpy as np

ALIGNMENT = 64
_HUGE = 2 << 20
_PIECE = 16 << 20  # small blocks are cut from pieces of so many bytes
_LARGEST_CUT = _HUGE
_SPARE = 64 << 20
_MOST_SIZES = 1 << 14

_stacks: dict[int, list[_Block]] = {}  # by size class
_by_size: dict[int, list[_Block]] = {}  # the same stacks by bytes asked for
_live = 0  # bytes of blocks that storages hold
_peak = 0
_owned = 0  # bytes of all blocks; changed under the lock
_piece: tuple[Any, int, int] = (None, 0, 0)  # owner, next address, bytes left
_color = 0
_lock = threading.RLock()
_keeping: list[Any] | None = None


class _Block:
    __slots__ = ("address", "owner", "size", "stack")

    def __init__(self, address: int, size: int, owner: Any, stack: list[_Block]) -> None:
        self.address = address
        self.size = size
        self.owner = owner  # what keeps the memory mapped
        self.stack = stack  # where it lies when it is free


class Storage:
    """One block of memory, shared by all tensors that are views of it.

    ``version`` counts in-place changes through any of them, so that autograd can tell when a saved value is gone.
    """

    __slots__ = ("__weakref__", "_block", "_owner", "address", "nbytes", "version")

    def __init__(self, address: int, nbytes: int, owner: Any = None, block: _Block | None = None) -> None:
        self.address = address
        self.nbytes = nbytes
        self.version = 0
        self._owner = owner  # of foreign memory
        self._block = block  # of the pool's

    def __del__(self) -> None:
        global _live
        try:
            block = self._block
        except AttributeError:  # an interrupt came before `__init__` was done
            return
        if block is not None and _live is not None:  # None: the interpreter is being taken down
            _live -= block.size
            block.stack.append(block)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The bytes, for NumPy; an array made from this keeps the storage alive."""
        return {"version": 3, "shape": (self.nbytes,), "typestr": "|u1", "data": (self.address, False)}


def size_class_of(nbytes: int) -> int:
    """Bytes that a block for ``nbytes`` really has."""
    if nbytes <= 512:
        return max(ALIGNMENT, (nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)
    step = 1 << (nbytes.bit_length() - 4)
    return (nbytes + step - 1) // step * step


def allocate(nbytes: int) -> Storage:
    """A block of at least ``nbytes`` bytes, 64-byte aligned; its content is undefined.

    Raises
    ------
    MemoryError
        The system has no more, not even after the pool's free blocks were given back.
    """
    global _live, _peak
    try:
        block = _by_size[nbytes].pop()
    except (KeyError, IndexError):
        block = _fresh(nbytes)
    _live += block.size
    if _live > _peak:
        _peak = _live
    storage = Storage(block.address, nbytes, None, block)
    if _keeping is not None:
        _keeping.append(storage)
    return storage


def keep_new(kept: list[Storage] | None) -> None:
    """Append every new storage to ``kept`` from now on, so that no block is used twice; None: the end of it."""
    global _keeping
    _keeping = kept


def borrow(array: np.ndarray) -> Storage:
    """A storage over a NumPy array's own memory, which it keeps alive. The array must be C-contiguous."""
    return Storage(array.ctypes.data, array.nbytes, array)


def _fresh(nbytes: int) -> _Block:
    """A block of a size that the pool has none of."""
    global _owned
    with _lock:
        size = size_class_of(nbytes)
        stack = _stacks.setdefault(size, [])
        if len(_by_size) > _MOST_SIZES:
            _by_size.clear()
        _by_size[nbytes] = stack
        if stack:
            try:
                return stack.pop()
            except IndexError:  # another thread was quicker
                pass
        _trim(size)
        try:
            address, owner = _cut(size)
        except MemoryError:
            empty_cache()
            address, owner = _cut(size)
        _owned += size
        return _Block(address, size, owner, stack)


def _cut(size: int) -> tuple[int, Any]:
    """Address and owner of memory that no block has: a part of the present piece, or a mapping of its own."""
    global _piece, _color
    if size > _LARGEST_CUT:
        # Blocks that all began at the same place in a page would compete for the same sets of the cache.
        _color = (_color + 5 * ALIGNMENT) % 4096
        address, owner = _map(size + _color)
        return address + _color, owner
    owner, address, left = _piece
    if left < size:
        address, owner = _map(_PIECE)
        left = _PIECE
    _piece = (owner, address + size, left - size)
    return address, owner


def _map(size: int) -> tuple[int, Any]:
    """New pages from the system, huge ones where they fit: the first address and what keeps them mapped."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        array = np.empty(size + ALIGNMENT, np.uint8)
        return -(-array.ctypes.data // ALIGNMENT) * ALIGNMENT, array
    try:
        mapping = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"numgrad: the system has no {size} bytes of memory left ({error})") from None
    base = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    address = -(-base // _HUGE) * _HUGE
    huge = (size + _HUGE // 4) // _HUGE * _HUGE  # a last page that would be hardly used stays small
    if huge:
        try:
            mapping.madvise(mmap.MADV_HUGEPAGE, address - base, huge)
        except OSError:
            pass  # a kernel without huge pages
    return address, mapping


# ---- what the pool keeps ----------------------------------------------------------------------------------------


def _trim(size: int) -> None:
    """Before ``size`` fresh bytes: keep no more free memory than was ever in use at once, and a little."""
    limit = max(_peak, _live + size) + _SPARE
    if _owned - _live > limit:
        _give_back(_owned - _live - limit // 2)


def _give_back(wanted: int) -> None:
    """Give at least ``wanted`` bytes of free blocks back to the system, if there are so many; large ones first."""
    global _owned
    with _lock:
        for size in sorted(_stacks, reverse=True):
            stack = _stacks[size]
            while stack and wanted > 0:
                try:
                    stack.pop()
                except IndexError:
                    break
                _owned -= size
                wanted -= size


def empty_cache() -> None:
    """Give the pool's free blocks back to the system."""
    global _piece
    with _lock:
        _give_back(_owned)
        _piece = (None, 0, 0)


def memory_stats() -> dict[str, int]:
    """Bytes in use now (``live``), the most that were (``peak``), and bytes free in the pool (``pooled``).

    All count whole blocks, so a storage counts as the size of its class.
    """
    with _lock:
        return {"live": _live, "peak": _peak, "pooled": _owned - _live}


def reset_peak() -> None:
    """Measure ``peak`` anew, from what is in use now."""
    global _peak
    _peak = _live


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
