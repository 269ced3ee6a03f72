"""The storage pool: classes, exact accounts, threads, finalizers, fork."""

from __future__ import annotations

import gc
import itertools
import mmap
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numgrad.runtime import memory, pages, pieces

from . import processes, varying_shapes


@pytest.fixture(autouse=True)
def _clean():
    gc.collect()
    memory.empty_cache()
    memory.reset_peak()


def _since(before):
    return {name: value - before[name] for name, value in memory.memory_stats().items()}


@given(st.integers(0, 1 << 34))
def test_size_classes(nbytes):
    size = memory.size_class_of(nbytes)
    assert size >= max(nbytes, 1)
    assert size % memory.ALIGNMENT == 0
    assert size <= max(memory.ALIGNMENT, nbytes + memory.ALIGNMENT, nbytes * 9 // 8)
    assert memory.size_class_of(size) == size


@pytest.mark.parametrize("nbytes", [0, 1, 64, 1000, 1 << 20, (2 << 20) + 1, 5_000_000])
def test_a_block_is_aligned_writable_and_its_own(nbytes):
    storages = [memory.allocate(nbytes) for _ in range(3)]
    for number, storage in enumerate(storages):
        assert storage.address % memory.ALIGNMENT == 0
        np.asarray(storage)[:] = number + 1
    for number, storage in enumerate(storages):
        assert storage.nbytes == np.asarray(storage).size == nbytes
        assert (np.asarray(storage) == number + 1).all()


def test_a_block_is_handed_out_again():
    first = memory.allocate(5000)
    address = first.address
    del first
    assert memory.allocate(5001).address == address  # of the same class


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 7)), max_size=60))
def test_accounts_are_exact(steps):
    memory.empty_cache()
    memory.reset_peak()
    before = memory.memory_stats()
    held: dict[int, memory.Storage] = {}
    live = peak = 0
    for nbytes, slot in steps:
        if slot in held:
            live -= memory.size_class_of(held.pop(slot).nbytes)
        held[slot] = memory.allocate(nbytes)
        live += memory.size_class_of(nbytes)
        peak = max(peak, live)
        assert _since(before)["live"] == live
        assert memory.memory_stats()["peak"] - before["live"] == peak
    held.clear()
    assert _since(before)["live"] == 0
    memory.empty_cache()
    assert _since(before)["pooled"] == 0
    memory.reset_peak()
    assert memory.memory_stats()["peak"] == before["live"]


def test_accounts_are_exact_with_threads_and_cycles():
    before = memory.memory_stats()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    errors = []

    def work(seed):
        try:
            chance = np.random.default_rng(seed)
            held = [memory.allocate(64) for _ in range(10)]
            for nbytes, slot in chance.integers((1, 0), (20_000, 10), (4000, 2)).tolist():
                held[slot] = memory.allocate(nbytes)
                if slot == 0:
                    cycle = [memory.allocate(nbytes)]
                    cycle.append(cycle)
                    del cycle
                if nbytes < 20:
                    memory.empty_cache()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    sys.setswitchinterval(interval)
    gc.collect()
    assert not errors
    stats = memory.memory_stats()
    assert stats["live"] == before["live"]
    in_stacks = sum(block.size for stack in memory._stacks.values() for block in stack)
    assert stats["pooled"] == in_stacks + sum(span.size for span in pieces._at.values() if span.touched)


def test_no_block_is_handed_out_twice():
    held: list[memory.Storage] = []

    def work():
        for nbytes in range(2000):
            held.append(memory.allocate(nbytes % 700))

    running = [threading.Thread(target=work) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    spans = sorted((storage.address, storage.address + memory.size_class_of(storage.nbytes)) for storage in held)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def _bound():
    return 2 * memory.memory_stats()["peak"] + memory._SPARE


def test_what_is_kept_of_large_blocks_is_bounded():
    for megabytes in range(3, 60):  # each of a class of its own, so none is used again
        memory.allocate(megabytes << 20)
        stats = memory.memory_stats()
        assert stats["live"] + stats["pooled"] <= _bound()
    kept = memory.memory_stats()["pooled"]
    step = [memory.allocate(nbytes << 20) for nbytes in (1, 2, 5, 9)]
    del step
    again = [memory.allocate(nbytes << 20) for nbytes in (1, 2, 5, 9)]
    assert memory.memory_stats()["pooled"] <= kept
    del again


def _resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.parametrize("largest", [20_000, 1_000_000, 6_000_000])
def test_what_is_kept_of_random_sizes_is_bounded(largest):
    chance = np.random.default_rng(largest)
    before, resident = memory.memory_stats()["live"], _resident() if sys.platform == "linux" else 0
    held: list[memory.Storage] = []
    for _ in range(1000):
        held = [memory.allocate(int(nbytes)) for nbytes in chance.integers(1, largest, chance.integers(1, 30))]
        for array in map(np.asarray, held[::3]):
            array[:] = 1
        del array
        if chance.random() < 0.01:
            held = []
        stats = memory.memory_stats()
        assert stats["live"] + stats["pooled"] <= _bound()
    if sys.platform == "linux":
        assert _resident() - resident <= _bound() + (4 << 20)
    held.clear()
    memory.empty_cache()
    stats = memory.memory_stats()
    assert (stats["live"], stats["pooled"]) == (before, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read as Linux shows it")
@pytest.mark.parametrize("workload", varying_shapes.WORKLOADS)
def test_steps_of_new_shapes_do_not_fill_the_memory(workload):
    most, bound = varying_shapes.growth(workload, 120)
    assert most <= bound


def test_blocks_of_one_size_serve_another():
    small = [memory.allocate(10_000) for _ in range(1500)]
    pinned = small[::100]
    touched = memory.memory_stats()["mapped"]  # what other tests have left included
    small.clear()
    pinned = pinned[:3]
    memory.reset_peak()
    held = [memory.allocate(900_000) for _ in range(14)]
    assert memory.memory_stats()["mapped"] - touched < 64 << 20
    spans = sorted((s.address, s.address + memory.size_class_of(s.nbytes)) for s in [*held, *pinned])
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 11), st.sampled_from("ttttg")), max_size=150))
def test_spans_of_pieces_never_overlap_and_are_never_lost(steps):
    piece = pages.Mapping(pieces.PIECE)
    saved = pieces._at.copy(), pieces._until.copy(), {key: list(value) for key, value in pieces._by_size.items()}
    for each in (pieces._at, pieces._until, *pieces._by_size.values()):
        each.clear()
    try:
        pieces._add(piece, piece.address, pieces.PIECE, False)
        held: dict[int, tuple[int, int]] = {}
        for blocks, slot, what in steps:
            size = blocks * 4096
            if what == "g":
                kept = pieces.touched_bytes()
                pieces.give_back(size)
                assert pieces.touched_bytes() <= max(0, kept - size) or kept == 0
                if not pieces._at and not held:  # all was free, and went
                    pieces._add(piece, piece.address, pieces.PIECE, False)
            elif slot in held:
                address, length = held.pop(slot)
                pieces.put_back(address, length, piece)
            elif (span := pieces.cut(size, fresh=True)) is not None:
                assert span[1] is piece
                held[slot] = span[0], size
            spans = sorted([*held.values(), *((span.address, span.size) for span in pieces._at.values())])
            assert sum(size for _, size in spans) == pieces.PIECE
            assert all(start + size == following for (start, size), (following, _) in itertools.pairwise(spans))
            flags = {span.address: span.touched for span in pieces._at.values()}
            assert not any(flags.get(span.address + span.size) is span.touched for span in pieces._at.values())
            assert (
                sorted((span.size, span.address) for span in pieces._at.values() if span.touched)
                == pieces._by_size[True]
            )
    finally:
        for each, kept in zip((pieces._at, pieces._until), saved, strict=False):
            each.clear()
            each.update(kept)
        for key, order in saved[2].items():
            pieces._by_size[key][:] = order


OVERRUN = """
import ctypes, numgrad as ng
x = ng.ones({size})
ng.ones(5)
address = x.data_ptr()
value = ctypes.c_float.from_address(address + 4 * {element})
{then}
print(value.value)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages are Linux's")
@pytest.mark.parametrize(
    ("size", "element", "then", "crashes"),
    [
        (13, 12, "", False),
        (13, 13, "", True),
        (4096, 4095, "", False),
        (4096, 4096, "", True),
        (4096, -1, "", True),
        (13, 0, "del x; kept = ng.ones(3), ng.ones(4)", True),
    ],
)
def test_guards(size, element, then, crashes):
    script = OVERRUN.format(size=size, element=element, then=then)
    done = processes.run(script, NUMGRAD_DEBUG="guard")
    if crashes:
        assert done.returncode == -signal.SIGSEGV
    else:
        assert done.stdout.strip() == "1.0", done.stderr


def test_guards_show_what_nobody_wrote():
    script = "import numgrad as ng; print(ng.empty(3), ng.empty(2, dtype=ng.int64), ng.zeros(2) + 1)"
    printed = processes.output(script, NUMGRAD_DEBUG="guard")
    assert printed.strip() == "tensor([nan, nan, nan]) tensor([-1, -1]) tensor([1., 1.])"


def test_an_array_keeps_its_storage_alive():
    storage = memory.allocate(800)
    array = np.asarray(storage).view(np.float64)
    address = storage.address
    array[:] = 7
    del storage
    gc.collect()
    assert array.ctypes.data == address
    assert memory.allocate(800).address != address
    assert (array == 7).all()
    view = array[3:5]
    del array
    assert memory.allocate(800).address != address
    assert (view == 7).all()


def test_borrowed_memory_is_not_the_pools():
    before = memory.memory_stats()
    array = np.arange(10.0)
    storage = memory.borrow(array)
    assert (storage.address, storage.nbytes) == (array.ctypes.data, 80)
    del array
    assert np.asarray(storage).view(np.float64).sum() == 45
    del storage
    assert _since(before) == {"live": 0, "peak": 0, "pooled": 0, "mapped": 0}


def test_an_impossible_size():
    before = memory.memory_stats()
    with pytest.raises(MemoryError):
        memory.allocate(1 << 60)
    assert _since(before)["live"] == 0
    assert memory.allocate(100).nbytes == 100


def test_storages_that_outlive_the_interpreters_modules():
    script = """
import sys
from numgrad.runtime import memory
class Holder:
    pass
Holder.storage = memory.allocate(1000)
sys.holder = Holder()
sys.holder.cycle = [sys.holder, memory.allocate(1000)]
kept = [memory.allocate(5_000_000), memory.borrow(__import__("numpy").zeros(3))]
"""
    assert processes.output(script) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_has_the_lock():
    held, release = threading.Event(), threading.Event()
    storage = memory.allocate(3000)

    def hold():
        with memory._lock:
            held.set()
            release.wait(0.5)  # a fork waits for who has it

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        try:
            np.asarray(storage)[:] = 1
            memory.allocate(12_345_678)
            os._exit(0)
        except BaseException:
            os._exit(1)
    release.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
