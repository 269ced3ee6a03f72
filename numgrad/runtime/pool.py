"""The pool's compiled half: how a region of work is published, claimed and waited for.

A launch publishes (entry, slots, work, grain) under a new *ticket*, wakes sleepers, claims chunks just as the workers
do, and waits only for claimed chunks: a worker that the scheduler has put aside delays nobody. Idle workers spin briefly,
then sleep in the kernel. Work is split by ``grain`` alone, never by the number of threads, so
results have the same bits for any number of them.

Every other thread claims from the end of the region, the others from its beginning. So what a thread wrote in one launch it
reads in the next: a million numbers that lie changed in another CPU's cache take five times as long to read as one's own.

One launcher holds the pool at a time. A second one runs its chunks itself, as worker 0 of its own launch.
``docs/threads.md`` goes through the interleavings; the comments below name the rule that each line keeps.
"""

from __future__ import annotations

from numgrad.runtime.kernel import device, native
from numgrad.runtime.wait import EVERYBODY, SYSTEM_WORDS, wait, wake
from numgrad.runtime.words import (
    atomic_add,
    atomic_load,
    atomic_store,
    call_entry,
    compare_and_swap,
    pause,
    peek,
    release_store,
)

LINE = 128  # bytes apart for words that different threads write (two cache lines: CPUs fetch neighbours together)
# The ticket: epoch << CHUNK_BITS | chunks claimed from the end << END_BITS | chunks claimed from the beginning. A thread that
# claims for an epoch compares and swaps the whole word, so it cannot claim a chunk of another. Epochs wrap after 2^39 regions,
# some days of nothing else.
TICKET = 0
# The region: written only while the ticket is closed.
ENTRY, SLOTS, FIRST, END, GRAIN, CHUNKS, WORKERS = (LINE + 8 * i for i in range(7))
DONE, WAITING = 2 * LINE, 2 * LINE + 8  # chunks that workers have finished; whether the launcher sleeps on that
SLEEPING, WAKES = 3 * LINE, 3 * LINE + 8  # whether a worker may be asleep; the word that workers sleep on
LOCK, OWED = 4 * LINE, 4 * LINE + 8  # 1 while a launcher holds the pool; what regions have weighed that woke nobody
# Written by Python when the pool starts or stops. A worker leaves when GENERATION is no longer its own. ALIVE counts the
# workers that have not left. THREADS is the number of workers, and READY is 1 once it is set.
GENERATION, SPINS, THREADS, READY, SYSTEM = (5 * LINE + 8 * i for i in range(5))
ALIVE = 6 * LINE
POOL_BYTES = 7 * LINE
assert SYSTEM + 8 * SYSTEM_WORDS <= ALIVE

END_BITS = 12
CHUNK_BITS = 2 * END_BITS
ONE_END = (1 << END_BITS) - 1
CLOSED = (1 << CHUNK_BITS) - 1  # as chunks claimed: nobody may claim
MOST_CHUNKS = ONE_END - 1  # a region with more runs in several rounds
EPOCH_MASK = (1 << (63 - CHUNK_BITS)) - 1
# A launch says with the number of its workers what it weighs, `crew`; 0: unknown, so all are woken.
CREW_BITS = 12
WEIGHT = 1 << 12  # elementary operations
# To wake a thread costs the launcher 5 us on a bare machine, and 30 in a virtual one, where the sleeper needs 30 more: as long as
# so many operations take. Regions that weigh less run on the threads that are awake; those that did so in turn are added up.
WAKE_WEIGHT = (1 << 19) // WEIGHT


@device
def claim_chunks(pool, epoch, worker, generation):
    """Run chunks of this epoch until none is left (or, for a worker, until it is told to leave); how many were run."""
    # The region is read before the ticket: had it been written over since, the ticket would be seen closed or newer.
    entry, slots, first, end = (
        atomic_load(pool + ENTRY),
        atomic_load(pool + SLOTS),
        atomic_load(pool + FIRST),
        atomic_load(pool + END),
    )
    grain, chunks, workers = atomic_load(pool + GRAIN), atomic_load(pool + CHUNKS), atomic_load(pool + WORKERS)
    from_end = worker % 2 == 1
    step = 1 << END_BITS if from_end else 1
    mine = 0
    while worker < workers and (worker == 0 or atomic_load(pool + GENERATION) == generation):
        ticket = atomic_load(pool + TICKET)
        begun, ended = ticket & ONE_END, (ticket & CLOSED) >> END_BITS
        if ticket >> CHUNK_BITS != epoch or begun + ended >= chunks:
            break
        if compare_and_swap(pool + TICKET, ticket, ticket + step):
            start = first + (chunks - 1 - ended if from_end else begun) * grain
            call_entry(entry, slots, start, min(end, start + grain), worker)
            mine += 1
    return mine


@device
def work_until_stopped(pool, worker, generation):
    """The body of a worker thread."""
    atomic_add(pool + ALIVE, 1)
    seen = atomic_load(pool + TICKET) >> CHUNK_BITS
    spun = 0
    while atomic_load(pool + GENERATION) == generation:
        epoch = atomic_load(pool + TICKET) >> CHUNK_BITS
        if epoch != seen:
            seen = epoch
            mine = claim_chunks(pool, epoch, worker, generation)
            if mine:
                # One addition after the last chunk: until it, the launcher of this epoch cannot return.
                atomic_add(pool + DONE, mine)
                if atomic_load(pool + WAITING):
                    wake(pool + SYSTEM, pool + DONE, EVERYBODY)
            spun = 0
        elif spun < atomic_load(pool + SPINS):
            spun += 1
            pause()
        else:
            # The key is read before the flag is raised, and ticket and generation are looked at again after it: whoever
            # changes them from here on sees the flag and changes WAKES, so that the wait returns at once.
            key = atomic_load(pool + WAKES)
            atomic_store(pool + SLEEPING, 1)
            if atomic_load(pool + TICKET) >> CHUNK_BITS == seen and atomic_load(pool + GENERATION) == generation:
                wait(pool + SYSTEM, pool + WAKES, key, spun - atomic_load(pool + SPINS))
            spun += 1
    atomic_add(pool + ALIVE, -1)


TASK_POOL, TASK_WORKER, TASK_GENERATION = 8, 16, 24  # of a worker's task (`workers`)
TASK_WORDS = 4


@native(1, returns=True)
def work(task):
    """The function of a worker's thread."""
    work_until_stopped(peek(task + TASK_POOL), peek(task + TASK_WORKER), peek(task + TASK_GENERATION))
    return task  # nobody reads it


@device
def wake_workers(pool, count):
    """Wake ``count`` sleepers; the flag stays up if more may be asleep."""
    atomic_store(pool + SLEEPING, 0)
    atomic_add(pool + WAKES, 1)
    if wake(pool + SYSTEM, pool + WAKES, count) >= count and count < atomic_load(pool + THREADS):
        atomic_store(pool + SLEEPING, 1)


@native(1)
def dismiss(pool):
    """Tell all workers to leave."""
    atomic_add(pool + GENERATION, 1)
    atomic_add(pool + WAKES, 1)
    wake(pool + SYSTEM, pool + WAKES, EVERYBODY)


@native(1)
def spin(count):
    """``count`` turns of a spin loop, for Python to time."""
    for _ in range(count):
        pause()


def crew(workers: int, cost: int) -> int:
    """A launch's number of workers and what it weighs, in one word."""
    return workers | min(1 + cost // WEIGHT, WAKE_WEIGHT) << CREW_BITS


@device
def is_worth_waking(pool, weight):
    """Whether a region that finds workers asleep should wake them; for the holder of the lock."""
    owed = atomic_load(pool + OWED) + weight
    wakes = weight == 0 or owed >= WAKE_WEIGHT
    atomic_store(pool + OWED, 0 if wakes else owed)
    return wakes


@device
def share(pool, entry, slots, first, end, grain, workers, weight):
    """Run ``entry`` over ``range(first, end)`` on the pool, which the caller holds."""
    chunks = (end - first + grain - 1) // grain
    ticket = atomic_load(pool + TICKET)
    epoch = ((ticket >> CHUNK_BITS) + 1) & EPOCH_MASK
    atomic_store(pool + TICKET, ticket | CLOSED)
    release_store(pool + DONE, 0)
    release_store(pool + ENTRY, entry)
    release_store(pool + SLOTS, slots)
    release_store(pool + FIRST, first)
    release_store(pool + END, end)
    release_store(pool + GRAIN, grain)
    release_store(pool + CHUNKS, chunks)
    release_store(pool + WORKERS, workers)
    atomic_store(pool + TICKET, epoch << CHUNK_BITS)
    if atomic_load(pool + SLEEPING) and is_worth_waking(pool, weight):
        wake_workers(pool, min(chunks, workers) - 1)
    theirs = chunks - claim_chunks(pool, epoch, 0, 0)
    spun = 0
    while atomic_load(pool + DONE) < theirs:
        spun += 1
        if spun < atomic_load(pool + SPINS):
            pause()
        else:
            # Asleep, the launcher gives its CPU to the worker that it waits for, should that one have lost its own.
            atomic_store(pool + WAITING, 1)
            done = atomic_load(pool + DONE)
            if done < theirs:
                wait(pool + SYSTEM, pool + DONE, done, spun - atomic_load(pool + SPINS))
    if spun:
        release_store(pool + WAITING, 0)


@device
def run_region(pool, entry, slots, work, grain, crew):
    """Run ``entry`` over ``range(work)`` in chunks of ``grain`` on at most so many threads as the `crew` says, to the end."""
    if work <= 0:
        return
    workers, weight = crew & ((1 << CREW_BITS) - 1), crew >> CREW_BITS
    if work <= grain:
        call_entry(entry, slots, 0, work, 0)
    elif workers > 1 and atomic_load(pool + THREADS) and compare_and_swap(pool + LOCK, 0, 1):
        first = 0
        while first < work:
            end = work if work - first <= MOST_CHUNKS * grain else first + MOST_CHUNKS * grain
            share(pool, entry, slots, first, end, grain, workers, weight)
            first = end
        atomic_store(pool + LOCK, 0)
    else:
        first = 0
        while first < work:
            end = work if work - first <= grain else first + grain
            call_entry(entry, slots, first, end, 0)
            first = end


@native(6)
def region(pool, entry, slots, work, grain, crew):
    """`run_region`, for kernels that have parts of their own: by its address, lest their code contain it."""
    run_region(pool, entry, slots, work, grain, crew)
