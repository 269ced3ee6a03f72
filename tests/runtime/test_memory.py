"""The storage pool: classes, exact accounts, threads, finalizers, fork."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numgrad.runtime import memory

from . import processes


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
    gc.collect()
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
    assert stats["pooled"] == sum(block.size for stack in memory._stacks.values() for block in stack)


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


def test_what_is_kept_is_bounded():
    for megabytes in range(3, 60):  # each of a class of its own, so none is used again
        memory.allocate(megabytes << 20)
        stats = memory.memory_stats()
        limit = max(stats["peak"], stats["live"]) + memory._SPARE
        assert stats["pooled"] <= limit + memory.size_class_of(megabytes << 20)
    kept = memory.memory_stats()["pooled"]
    step = [memory.allocate(nbytes << 20) for nbytes in (1, 2, 5, 9)]
    del step
    again = [memory.allocate(nbytes << 20) for nbytes in (1, 2, 5, 9)]
    assert memory.memory_stats()["pooled"] <= kept
    del again


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
    assert _since(before) == {"live": 0, "peak": 0, "pooled": 0}


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
