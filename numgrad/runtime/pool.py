"""The pool's compiled half: how a region of work is published, claimed and waited for.

A launch publishes (entry, slots, work, grain), bumps the epoch, wakes sleepers, claims chunks just as the workers do,
and waits only for chunks that somebody has claimed: a worker that the scheduler has put aside delays nobody. Idle
workers spin briefly, then sleep in the kernel. Work is split by ``grain`` alone, never by the number of threads, so
results have the same bits for any number of them.

One launcher holds the pool at a time; another that comes meanwhile runs its chunks itself.
"""

from __future__ import annotations

from numgrad.runtime.kernel import device, native
from numgrad.runtime.words import (
    atomic_add,
    atomic_load,
    atomic_store,
    call_entry,
    compare_and_swap,
    linux_futex,
    pause,
)

# Byte offsets of the pool's words, a cache line each.
# TICKET packs (epoch << 32 | next chunk), so that a worker of an older epoch can never claim.
EPOCH, SLEEPERS, TICKET, DONE, ENTRY, SLOTS, WORK, GRAIN, CHUNKS, WORKERS, STOP, LOCK, SPINS, FUTEX = (64 * i for i in range(14))
POOL_BYTES = 64 * 14
EPOCH_MASK = 0x7FFFFFFF  # epochs in a ticket wrap; a worker would have to sleep through 2^31 launches to be fooled
CLOSED = 0x7FFFFFFF  # as next chunk: nobody may claim
WAIT_PRIVATE, WAKE_PRIVATE = 128, 129


@device
def run_chunks(pool, epoch, worker):
    entry, slots, work, grain, chunks = (
        atomic_load(pool + ENTRY),
        atomic_load(pool + SLOTS),
        atomic_load(pool + WORK),
        atomic_load(pool + GRAIN),
        atomic_load(pool + CHUNKS),
    )
    if worker >= atomic_load(pool + WORKERS):
        return
    while True:
        ticket = atomic_load(pool + TICKET)
        chunk = ticket & 0xFFFFFFFF
        if (ticket >> 32) != (epoch & EPOCH_MASK) or chunk >= chunks:
            return
        if compare_and_swap(pool + TICKET, ticket, ticket + 1):
            call_entry(entry, slots, chunk * grain, min(work, (chunk + 1) * grain), worker)
            atomic_add(pool + DONE, 1)


@native(2)
def work_until_stopped(pool, worker):
    """The body of a worker thread."""
    seen = atomic_load(pool + EPOCH)
    while True:
        spun = 0
        while atomic_load(pool + EPOCH) == seen:
            if atomic_load(pool + STOP):
                return
            spun += 1
            if spun < atomic_load(pool + SPINS):
                pause()
            else:
                atomic_add(pool + SLEEPERS, 1)
                linux_futex(atomic_load(pool + FUTEX), pool + EPOCH, WAIT_PRIVATE, seen & 0xFFFFFFFF)
                atomic_add(pool + SLEEPERS, -1)
        seen = atomic_load(pool + EPOCH)
        if atomic_load(pool + STOP):
            return
        run_chunks(pool, seen, worker)


@native(1)
def wake_all(pool):
    """Bump the epoch with no work, so that workers look at STOP."""
    atomic_store(pool + EPOCH, atomic_load(pool + EPOCH) + 1)
    linux_futex(atomic_load(pool + FUTEX), pool + EPOCH, WAKE_PRIVATE, 1 << 30)


@device
def run_region(pool, entry, slots, work, grain, workers):
    """Run ``entry`` over ``range(work)`` in chunks of ``grain`` on at most ``workers`` threads; returns when it is done."""
    if work <= 0:
        return
    if work <= grain:
        call_entry(entry, slots, 0, work, 0)
        return
    chunks = (work + grain - 1) // grain
    if not compare_and_swap(pool + LOCK, 0, 1):
        for chunk in range(chunks):
            call_entry(entry, slots, chunk * grain, min(work, (chunk + 1) * grain), 0)
        return
    epoch = atomic_load(pool + EPOCH) + 1
    atomic_store(pool + TICKET, ((epoch - 1) & EPOCH_MASK) << 32 | CLOSED)
    atomic_store(pool + DONE, 0)
    atomic_store(pool + ENTRY, entry)
    atomic_store(pool + SLOTS, slots)
    atomic_store(pool + WORK, work)
    atomic_store(pool + GRAIN, grain)
    atomic_store(pool + CHUNKS, chunks)
    atomic_store(pool + WORKERS, workers)
    atomic_store(pool + TICKET, (epoch & EPOCH_MASK) << 32)
    atomic_store(pool + EPOCH, epoch)
    if atomic_load(pool + SLEEPERS) > 0:
        linux_futex(atomic_load(pool + FUTEX), pool + EPOCH, WAKE_PRIVATE, 1 << 30)
    run_chunks(pool, epoch, 0)
    while atomic_load(pool + DONE) < chunks:
        pause()
    atomic_store(pool + LOCK, 0)
