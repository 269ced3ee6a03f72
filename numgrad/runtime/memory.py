"""Storage: blocks of memory that are given back to a pool when nobody holds them, and handed out again.

Fresh pages are most of what a naive training step would spend, so a steady-state step should touch none. Blocks come in
size classes, eight per octave, so that at most an eighth is wasted; a class is a stack, so that the block handed out is
the one most likely still in cache. Blocks up to two megabytes are cut from larger pieces (`pieces`).

The pool never holds more than twice the most bytes that were in use at once, and 16 MB: before it asks the system for
pages beyond that, it joins free small blocks for use in other sizes, and gives large ones and whole free pages back. Live
blocks count as their size class; on top come the pages that small live blocks share with free memory.

Blocks are handed out and taken back by machine code (`take`, `give_back`), which makes the storage, too: 0.1 us for what
takes 0.55 in Python, and small ops do little else. No lock is taken: a pop or append and the counters beside it happen
between two points at which CPython could switch threads, or run a finalizer or the garbage collector.
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

GUARDS = config.guards_memory()  # each block between pages that nobody may touch, and none is handed out twice

_stacks: dict[int, list[_Block]] = {}  # by size class
_by_size: dict[int, list[_Block]] = {}  # the same stacks by bytes asked for
_retired: list[_Block] = []  # with guards: what was given back
_forbidden: deque[_Block] = deque(maxlen=_MOST_FORBIDDEN)  # and cannot be touched any more
_most_held = 0  # at most so many bytes are held; counted exactly when this passes the bound
_color = 0
_lock = locks.awaited()
_keepers: list[tuple[int, list[Storage]]] = []  # (thread, what it has made)

# What machine code reads and writes: bytes of blocks that storages hold, and the most that were; then what is in
# `_first_take`.
_LIVE, _PEAK, _NONE, _BY_SIZE, _STORAGE = range(5)
_words, WORDS = objects.words_for_ever(16)


class _Block:
    __slots__ = ("address", "home", "owner", "size", "stack")

    def __init__(self, address: int, size: int, owner: Any, stack: list[_Block]) -> None:
        self.home = WORDS
        self.address = address
        self.size = size
        self.owner = owner  # what keeps the memory mapped
        self.stack = stack  # where it lies when it is free


class Storage:
    """One block of memory, shared by all tensors that are views of it.

    ``version`` counts in-place changes through any of them, so that autograd can tell when a saved value is gone.
    ``aliases`` are the tensors that move together when a private layout ends (`engine.private`), if there are several.
    """

    __slots__ = ("__weakref__", "_block", "_owner", "address", "aliases", "nbytes", "version")

    def __init__(self, address: int, nbytes: int, owner: Any) -> None:
        self.address = address
        self.nbytes = nbytes
        self.version = 0
        self.aliases: Any = None
        self._owner = owner  # what keeps foreign memory alive; what the pool hands out has a ``_block`` instead

    def share(self) -> Storage:
        """Another storage over the same memory, which counts the changes that are made through it by itself."""
        shared = Storage(self.address, self.nbytes, self.root)
        shared.aliases = self.aliases
        return shared

    @property
    def root(self) -> Storage:
        """The storage that this one shares the memory of, or itself: two share memory if their roots are one."""
        return self._owner if isinstance(self._owner, Storage) else self

    def keep_alive(self, other: Storage) -> None:
        """Let ``other`` live as long as this storage, which is no part of it."""
        self._owner = (other,)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The bytes, for NumPy; an array made from this keeps the storage alive."""
        return {"version": 3, "shape": (self.nbytes,), "typestr": "|u1", "data": (self.address, False)}


def size_class_of(nbytes: int) -> int:
    """Bytes that a block for ``nbytes`` really has."""
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
    place = words + 8 * _LIVE
    poke(place, peek(place) - python_to_word(peek(block + _BLOCK_SIZE)))
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
    return word_to_python(0)  # nobody looks at it


def _first_take(nbytes: int) -> Storage | None:
    """Load `take` and `give_back`, and take a block."""
    global _take
    with _lock:
        if _take is _first_take:
            _words[_NONE], _words[_BY_SIZE] = objects.addresses_of((None, _by_size))
            made = objects.template(Storage(0, 0, None), ("_block", "address", "nbytes"))
            _words[_STORAGE : _STORAGE + len(made)] = made
            Storage.__del__ = objects.built_in_method(Storage, give_back)  # type: ignore[attr-defined]
            _take = objects.built_in(take, WORDS, rehearsed=_rehearsed_take)
    return _take(nbytes)


def _rehearsed_take(nbytes: int) -> Storage:
    """Memory that nobody writes, so that it takes no room; it goes with the storage."""
    _add_block(nbytes)
    block = stack_of(nbytes).pop()
    return Storage(block.address, nbytes, block)


_take: Callable[[int], Storage | None] = _first_take


def allocate(nbytes: int) -> Storage:
    """A block of at least ``nbytes`` bytes, 64-byte aligned; its content is undefined.

    Raises
    ------
    MemoryError
        The system has no more, not even after the pool's free blocks were given back.
    """
    storage = _take(nbytes)
    while storage is None:  # another thread may be quicker
        _add_block(nbytes)
        storage = _take(nbytes)
    if _keepers:
        thread = threading.get_ident()
        for keeper, kept in _keepers:
            if keeper == thread:
                kept.append(storage)
    return storage


def stack_of(nbytes: int) -> list[_Block]:
    """The free blocks for so many bytes: one list for ever."""
    with _lock:
        return _stacks.setdefault(size_class_of(nbytes), [])


def keep_new(kept: list[Any]) -> None:
    """Append every storage that this thread makes from now on to ``kept``, so that none of its blocks is used twice."""
    _keepers.append((threading.get_ident(), kept))


def stop_keeping(kept: list[Any]) -> None:
    """The end of `keep_new`."""
    _keepers[:] = [entry for entry in _keepers if entry[1] is not kept]


def _forget_other_threads() -> None:
    """In the child of a fork they are not there, and threads that begin may have their numbers."""
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
    """Put a block of a size that the pool has none of on its stack."""
    with _lock:
        stack = stack_of(nbytes)
        if len(_by_size) > _MOST_SIZES:
            _by_size.clear()
        _by_size[nbytes] = stack
        if stack:
            return
        new_block = _guarded_block if GUARDS else _new_block
        try:
            stack.append(new_block(size_class_of(nbytes), stack))
        except MemoryError:
            empty_cache()
            stack.append(new_block(size_class_of(nbytes), stack))


def _new_block(size: int, stack: list[_Block]) -> _Block:
    """A block of a size class: from free memory whose pages are there, or else from fresh pages."""
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
    # Blocks that all began at the same place in a page would compete for the same sets of the cache.
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


# ---- what the pool keeps ----------------------------------------------------------------------------------------


def _excess(size: int) -> int:
    """Before ``size`` bytes of fresh pages: how many bytes have to be given back, to be well below the bound."""
    global _most_held
    live, peak = _words[:2].tolist()
    bound = 2 * max(peak, live + size) + _SPARE
    _most_held += size
    if _most_held <= bound:
        return 0
    _most_held = live + _free_bytes() + size
    return _most_held - max(live + size, bound - bound // 4) if _most_held > bound else 0


def _free_bytes() -> int:
    """Bytes of the pool that nobody uses and the system has given pages for."""
    return sum([size * len(stack) for size, stack in list(_stacks.items())]) + pieces.touched_bytes()


def _join_small() -> None:
    """Give all free small blocks back to their pieces."""
    for size, stack in list(_stacks.items()):
        while size <= _LARGEST_CUT and (block := _pop(stack)):
            pieces.put_back(block.address, size, block.owner)


def _pop(stack: list[_Block]) -> _Block | None:
    """A block from a stack; None if another thread was quicker."""
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
    """Bytes of memory, each a count of all that there is.

    ``live`` are in use now and ``peak`` is the most that were, where each storage counts as the size of its class;
    ``pooled`` are free, and the pool holds them for what comes next; ``mapped`` is address space, also of pages that
    nobody has touched.
    """
    with _lock:
        live, peak = _words[:2].tolist()
        return {"live": live, "peak": peak, "pooled": _free_bytes(), "mapped": pages.mapped_bytes()}


def reset_peak() -> None:
    """Measure ``peak`` anew, from what is in use now."""
    _words[_PEAK] = _words[_LIVE]
