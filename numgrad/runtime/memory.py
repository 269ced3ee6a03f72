"""Storage: blocks of memory that return to a pool when nobody holds them, and are handed out again.

Touching fresh pages would be most of the time of a naive training step, so a steady-state step should touch none. Blocks
come in size classes, eight per octave, so that at most an eighth is wasted. A class is a stack: the block handed out is the
one most likely still in cache. Blocks up to two megabytes are cut from larger pieces (`pieces`).

The pool never holds more than twice the peak of bytes in use, and 16 MB. Before it asks the system for pages beyond that, it
joins free small blocks for use in other sizes, and gives large ones and whole free pages back. Live blocks count as their
size class; on top come the pages that small live blocks share with free memory.

Machine code hands blocks out, makes their storages, and takes blocks back (`take`, `give_back`): 0.1 us instead of 0.55 in
Python, and small ops do little else. No lock is taken: a pop or append and the counters beside it happen between two points
at which CPython could switch threads, or run a finalizer or the garbage collector.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad import config
from numgrad.runtime import locks, objects, pages, pieces
from numgrad.runtime.kernel import device, native
from numgrad.runtime.objects import (
    decref,
    dict_get,
    error_occurred,
    incref,
    list_append,
    list_get,
    list_set_slice,
    list_size,
    new_like,
    put,
)
from numgrad.runtime.pages import ALIGNMENT, HUGE, Guarded, Mapping
from numgrad.runtime.words import peek, poke, python_to_word, word_to_python

_LARGEST_CUT = HUGE
_SPARE = 16 << 20
_MOST_SIZES = 1 << 14
_MOST_FORBIDDEN = 1000

GUARDS = config.guards_memory()  # each block lies between forbidden pages, and none is handed out twice

_stacks: dict[int, list[_Block]] = {}  # by size class
_by_size: dict[int, list[_Block]] = {}  # the same stacks by bytes asked for
_retired: list[_Block] = []  # with guards: blocks that were given back
_forbidden: deque[_Block] = deque(maxlen=_MOST_FORBIDDEN)  # and those among them that are forbidden now
_most_held = 0  # an upper bound of the bytes held; counted exactly when it passes the pool's bound
_color = 0
_lock = locks.awaited()
_keepers: list[tuple[int, list[Storage]]] = []  # (thread, its new storages)

# Words of the machine code: bytes of blocks that storages hold, and their peak; then those that `_first_take` fills in.
_LIVE, _PEAK, _NONE, _BY_SIZE, _STORAGE = range(5)
_words, WORDS = objects.words_for_ever(16)


class _Block:
    __slots__ = ("address", "home", "owner", "size", "stack")

    def __init__(self, address: int, size: int, owner: Any, stack: list[_Block]) -> None:
        self.home = WORDS
        self.address = address
        self.size = size
        self.owner = owner  # keeps the memory mapped
        self.stack = stack  # which it lies on while it is free


class Storage:
    """One block of memory, shared by all tensors that are views of it.

    ``version`` counts in-place changes through any of them: autograd sees that a saved value is gone.
    ``aliases`` are the tensors that move together when a private layout ends (`engine.private`), if there are several.
    """

    __slots__ = ("__weakref__", "_block", "_owner", "address", "aliases", "nbytes", "version")

    def __init__(self, address: int, nbytes: int, owner: Any) -> None:
        self.address = address
        self.nbytes = nbytes
        self.version = 0
        self.aliases: Any = None
        self._owner = owner  # keeps foreign memory alive; memory of the pool has a ``_block`` instead

    def share(self) -> Storage:
        """Another storage over the same memory, with a count of changes of its own."""
        shared = Storage(self.address, self.nbytes, self.root)
        shared.aliases = self.aliases
        return shared

    @property
    def root(self) -> Storage:
        """The storage whose memory this one shares, or itself: two storages share memory if their roots are one."""
        return self._owner if isinstance(self._owner, Storage) else self

    def keep_alive(self, other: Storage) -> None:
        """Let ``other``, which does not overlap this storage, live as long as this one."""
        self._owner = (other,)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The bytes, for NumPy; an array made from this keeps the storage alive."""
        return {"version": 3, "shape": (self.nbytes,), "typestr": "|u1", "data": (self.address, False)}


def size_class_of(nbytes: int) -> int:
    """Bytes of the block for a request of ``nbytes``."""
    if GUARDS:
        return nbytes
    if nbytes <= 512:
        return max(ALIGNMENT, (nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)
    step = 1 << (nbytes.bit_length() - 4)
    return (nbytes + step - 1) // step * step


_example = object.__new__(_Block), object.__new__(Storage)
_BLOCK_ADDRESS, _BLOCK_SIZE, _BLOCK_HOME, _BLOCK_STACK = (
    objects.offset_of(_example[0], name) for name in ("address", "size", "home", "stack")
)
_STORAGE_BLOCK, _STORAGE_ADDRESS, _STORAGE_NBYTES = (
    objects.offset_of(_example[1], name) for name in ("_block", "address", "nbytes")
)
del _example


@device
def take_block(words, stack):
    """A block from a stack, counted as live, with a reference to it; 0 if there is none."""
    last = list_size(stack) - 1
    if last < 0:
        return 0
    block = list_get(stack, last)
    incref(block)
    list_set_slice(stack, last, last + 1, 0)
    live = peek(words + 8 * _LIVE) + python_to_word(peek(block + _BLOCK_SIZE))
    poke(words + 8 * _LIVE, live)
    if live > peek(words + 8 * _PEAK):
        poke(words + 8 * _PEAK, live)
    return block


@device
def put_back(words, block):
    """Lay a block on its stack, and drop the reference to it; 0 for an error."""
    if list_append(peek(block + _BLOCK_STACK), block) < 0:
        return 0
    live = words + 8 * _LIVE
    poke(live, peek(live) - python_to_word(peek(block + _BLOCK_SIZE)))
    decref(block)
    return 1


@device
def block_address(block):
    """The int that is a block's address, borrowed."""
    return peek(block + _BLOCK_ADDRESS)


@device
def fill_storage(storage, block, nbytes):
    """Give a new storage its block, whose reference it takes over."""
    put(storage + _STORAGE_ADDRESS, peek(block + _BLOCK_ADDRESS))
    put(storage + _STORAGE_NBYTES, nbytes)
    poke(storage + _STORAGE_BLOCK, block)


@device
def storage_address(storage):
    """The int that is the address of a storage's memory, borrowed."""
    return peek(storage + _STORAGE_ADDRESS)


@native(3, returns=True)
def take(self, args, count):
    """``take(nbytes) -> Storage``, or None if the pool has no such block."""
    words = python_to_word(self)
    nbytes = peek(args)
    none = peek(words + 8 * _NONE)
    stack = dict_get(peek(words + 8 * _BY_SIZE), nbytes)
    if stack == 0:
        if error_occurred() == 0:
            incref(none)
            return none
        return 0
    storage = new_like(words + 8 * _STORAGE)
    if storage == 0:
        return 0
    block = take_block(words, stack)
    if block == 0:
        decref(storage)
        incref(none)
        return none
    fill_storage(storage, block, nbytes)
    return storage


@native(2, returns=True)
def give_back(self, ignored):
    """``Storage.__del__``: its block, if it has one, lies on its stack again."""
    block = peek(self + _STORAGE_BLOCK)
    if block != 0:
        if put_back(python_to_word(peek(block + _BLOCK_HOME)), block) == 0:
            return 0
        poke(self + _STORAGE_BLOCK, 0)
    return word_to_python(0)  # nobody reads it


def _first_take(nbytes: int) -> Storage | None:
    """Load `take` and `give_back`, and take a block."""
    global _take
    with _lock:
        if _take is _first_take:
            _words[_NONE], _words[_BY_SIZE] = objects.addresses_of((None, _by_size))
            template = objects.template(Storage(0, 0, None), ("_block", "address", "nbytes"))
            _words[_STORAGE : _STORAGE + len(template)] = template
            Storage.__del__ = objects.built_in_method(Storage, give_back)  # type: ignore[attr-defined]
            _take = objects.built_in(take, WORDS, rehearsed=_rehearsed_take)
    return _take(nbytes)


def _rehearsed_take(nbytes: int) -> Storage:
    """Memory that nobody writes, so that it takes no pages; it is freed with the storage."""
    _add_block(nbytes)
    block = stack_of(nbytes).pop()
    return Storage(block.address, nbytes, block)


_take: Callable[[int], Storage | None] = _first_take


def template_address() -> int:
    """The address of the words by which `new_like` makes a storage."""
    allocate(0)  # the first block completes the words
    return WORDS + 8 * _STORAGE


def allocate(nbytes: int) -> Storage:
    """A block of at least ``nbytes`` bytes, 64-byte aligned; its content is undefined.

    Raises
    ------
    MemoryError
        The system has none left, even after the pool has returned its free blocks.
    """
    storage = _take(nbytes)
    while storage is None:  # another thread may take the new block first
        _add_block(nbytes)
        storage = _take(nbytes)
    if _keepers:
        thread = threading.get_ident()
        for keeper, storages in _keepers:
            if keeper == thread:
                storages.append(storage)
    return storage


def stack_of(nbytes: int) -> list[_Block]:
    """The stack of free blocks for so many bytes: always the same list."""
    stack = _by_size.get(nbytes)
    if stack is None:
        with _lock:
            stack = _stacks.setdefault(size_class_of(nbytes), [])
            if len(_by_size) > _MOST_SIZES:
                _by_size.clear()
            _by_size[nbytes] = stack
    return stack


def filled_stack(nbytes: int) -> list[_Block]:
    """`stack_of`, with a block on it for a plan that is used at once."""
    stack = stack_of(nbytes)
    if not stack:
        _add_block(nbytes)
    return stack


def keep_new(storages: list[Any]) -> None:
    """Append each new storage of this thread to ``storages`` from now on, so that none of their blocks is used twice."""
    _keepers.append((threading.get_ident(), storages))


def stop_keeping(storages: list[Any]) -> None:
    """The end of `keep_new`."""
    _keepers[:] = [entry for entry in _keepers if entry[1] is not storages]


def _forget_other_threads() -> None:
    """In the child of a fork they do not exist, and new threads may get their numbers."""
    thread = threading.get_ident()
    _keepers[:] = [entry for entry in _keepers if entry[0] == thread]


locks.at_fork(_forget_other_threads)


def borrow(array: np.ndarray) -> Storage:
    """A storage over a NumPy array's own memory, which it keeps alive. The array must be C-contiguous."""
    return Storage(array.ctypes.data, array.nbytes, array)


def array_over(address: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """NumPy's array over memory that the caller keeps alive."""
    nbytes = math.prod(shape) * dtype.itemsize
    if not nbytes:
        return np.empty(shape, dtype)
    memory: Any = (ctypes.c_char * nbytes).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)


def _add_block(nbytes: int) -> None:
    """Put a new block on the stack for a size, unless there is one by now."""
    with _lock:
        stack = stack_of(nbytes)
        if stack:
            return
        new_block = _guarded_block if GUARDS else _new_block
        try:
            stack.append(new_block(size_class_of(nbytes), stack))
        except MemoryError:
            empty_cache()
            stack.append(new_block(size_class_of(nbytes), stack))


def _new_block(size: int, stack: list[_Block]) -> _Block:
    """A block of a size class: from free memory with pages, or else from fresh pages."""
    global _color
    if size <= _LARGEST_CUT:
        span = pieces.cut(size, fresh=False)
        if span is None and (excess := _excess(size)):
            _join_small()
            span = pieces.cut(size, fresh=False)
            if span is None:
                _give_back(excess)
        while (span := span or pieces.cut(size, fresh=True)) is None:
            pieces.add_piece()
        return _Block(span[0], size, span[1], stack)
    if excess := _excess(size):
        _give_back(excess)
    # Blocks that all began at the same offset in a page would compete for the same sets of the cache.
    _color = (_color + 5 * ALIGNMENT) % 4096
    mapping = Mapping(size + _color)
    return _Block(mapping.address + _color, size, mapping, stack)


def _guarded_block(size: int, ignored: list[_Block]) -> _Block:
    while _retired:
        block = _retired.pop()
        block.owner.forbid()
        _forbidden.append(block)
    guarded = Guarded(size)
    return _Block(guarded.address, size, guarded, _retired)


# ---- the bound on the pool ---------------------------------------------------------------------------------------


def _excess(size: int) -> int:
    """How many bytes must be given back before ``size`` bytes of fresh pages, to stay well below the bound."""
    global _most_held
    live, peak = _words[:2].tolist()
    bound = 2 * max(peak, live + size) + _SPARE
    _most_held += size
    if _most_held <= bound:
        return 0
    _most_held = live + _free_bytes() + size
    return _most_held - max(live + size, bound - bound // 4) if _most_held > bound else 0


def _free_bytes() -> int:
    """Unused bytes of the pool for which the system has given pages."""
    return sum([size * len(stack) for size, stack in list(_stacks.items())]) + pieces.touched_bytes()


def _join_small() -> None:
    """Give all free small blocks back to their pieces."""
    for size, stack in list(_stacks.items()):
        while size <= _LARGEST_CUT and (block := _pop(stack)):
            pieces.put_back(block.address, size, block.owner)


def _pop(stack: list[_Block]) -> _Block | None:
    """A block from a stack; None if another thread took the last one."""
    try:
        return stack.pop()
    except IndexError:
        return None


def _give_back(excess: int) -> None:
    """Give at least ``excess`` free bytes back to the system, if there are so many; large blocks first."""
    for size in sorted(_stacks, reverse=True):
        while size > _LARGEST_CUT and excess > 0 and _pop(_stacks[size]):
            excess -= size
    if excess > 0:
        _join_small()
        pieces.give_back(excess)


def empty_cache() -> None:
    """Give the pool's free memory back to the system: large blocks, and all whole pages between small ones in use."""
    with _lock:
        _give_back(1 << 62)


def memory_stats() -> dict[str, int]:
    """Bytes of memory of the whole process.

    ``live`` are in use now, and ``peak`` is the most that ever were; each storage counts as its size class. ``pooled`` are
    free bytes that the pool holds for later use. ``mapped`` is address space, untouched pages included.
    """
    with _lock:
        live, peak = _words[:2].tolist()
        return {"live": live, "peak": peak, "pooled": _free_bytes(), "mapped": pages.mapped_bytes()}


def reset_peak() -> None:
    """Set ``peak`` to the bytes in use now."""
    _words[_PEAK] = _words[_LIVE]
