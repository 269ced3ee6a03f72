"""A stress test of the thread pool's protocol, by hand: ``python -m tests.runtime.stress_pool --regions 1000000``.

Several Python threads launch regions of random sizes while another changes the number of threads and forks now and
then, and a neighbour process keeps one CPU busy. Each region maps ``x -> 3 x + stamp`` over the front of an array,
which does not commute between regions: a chunk that ran twice, never, late or beside one that has the same worker
index shows in the result, and every result is checked. In the end, processes exit with workers awake, asleep and in
the middle of launches.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from numgrad.runtime import program, threads
from numgrad.runtime.kernel import kernel
from numgrad.runtime.program import Address, Array, Launch, Program

LENGTH = 20_000
MOST_WORKERS = 6
EXIT_SCRIPT = """
import sys, threading, time
from tests.runtime import stress_pool
launcher = stress_pool.Launcher(0)
launcher.one()
def forever():
    while True:
        launcher.one()
how = sys.argv[1]
if how == "asleep":
    time.sleep(0.05)
if how == "launching":
    threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.02)
"""


@kernel("i8[:], i8[:], i8, i8, i8[:]")
def advance(values, inside, stamp, workers, status, start, stop, worker):
    if worker >= workers:
        status[0] = 1
    inside[worker * 16] += 1
    if inside[worker * 16] != 1:
        status[0] = 2
    for i in range(start, stop):
        values[i] = values[i] * 3 + stamp
    inside[worker * 16] -= 1


def _programs(chance: random.Random, count: int) -> list[tuple[Program, int, int]]:
    """(program, work, stamp); most regions are small, some run long, some without the GIL."""
    made = []
    for _ in range(count):
        work = chance.choice((chance.randrange(1, 64), chance.randrange(1, 600), chance.randrange(1, LENGTH)))
        grain, stamp = max(1, work // chance.randrange(1, 40)), chance.randrange(1, 1 << 40)
        workers = chance.choice((2, 3, MOST_WORKERS))
        values, inside = Array(Address(0), (LENGTH,)), Array(Address(1), (16 * MOST_WORKERS,))
        arguments = (values, inside, stamp, workers, Array(Address(program.STATUS_ADDRESS), (1,)))
        cost = chance.choice((1, 1 << 20))
        made.append((Program([Launch(advance, (), arguments, work, grain, cost, workers)], 2), work, stamp))
    return made


class Launcher:
    """One launching thread's arrays, programs, and what the arrays should hold."""

    def __init__(self, seed: int, programs: int = 40) -> None:
        self.chance = random.Random(seed)
        self.programs = _programs(self.chance, programs)
        self.values, self.expected = np.zeros((2, LENGTH), np.int64)
        self.inside = np.zeros(16 * MOST_WORKERS, np.int64)
        self.addresses = (self.values.ctypes.data, self.inside.ctypes.data)
        self.status = np.zeros(1, np.int64)
        bound = [made.bound_launches(self.addresses, self.status.ctypes.data)[0] for made, _, _ in self.programs]
        self.rows = np.array([(entry, slots.ctypes.data, *rest) for entry, slots, *rest in bound], np.int64)
        self.slots = [slots for _, slots, *_ in bound]
        self.replay = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(program.run_bound.address())

    def _expect(self, index: int) -> None:
        _, work, stamp = self.programs[index]
        front = self.expected[:work]
        front *= 3
        front += stamp

    def one(self) -> int:
        """One region from Python, checked at once."""
        index = self.chance.randrange(len(self.programs))
        status = program.launch(self.programs[index][0], *self.addresses)
        self._expect(index)
        work = self.programs[index][1]
        assert status == 0, f"worker index: status {status}"
        assert np.array_equal(self.values[:work], self.expected[:work]), "a region went wrong"
        return 1

    def many(self) -> int:
        """A few hundred regions in one compiled loop, checked after it."""
        order = [self.chance.randrange(len(self.programs)) for _ in range(self.chance.randrange(1, 400))]
        rows = self.rows[order]
        self.replay(threads.ADDRESS, rows.ctypes.data, len(order))
        for index in order:
            self._expect(index)
        assert self.status[0] == 0, f"worker index: status {self.status[0]}"
        assert np.array_equal(self.values, self.expected), "a region went wrong"
        return len(order)


def keep_busy(cpu: int) -> None:
    """The neighbour: never idle, on one CPU."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(10_000))


def _in_child(seed: int) -> None:
    """What a forked child does: launch on workers of its own, and leave in the usual way or at once."""
    try:
        launcher = Launcher(seed, programs=5)
        for _ in range(20):
            launcher.one()
        assert not threads.get_num_threads() > 1 or threads.ready
        threads.stop()
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"forked child: {error!r}\n")
        sys.stderr.flush()
        os._exit(1)


def _fork_once(seed: int) -> None:
    child = os.fork()
    if not child:
        _in_child(seed)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"a forked child ended with {status}"
            return
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    raise AssertionError("a forked child hangs")


def stress(regions: int, launchers: int = 3, seed: int = 0, forks: bool = True) -> dict[str, int]:
    """Run about so many regions; how many of what there were."""
    counts = {"regions": 0, "changes": 0, "forks": 0}
    errors: list[BaseException] = []
    lock = threading.Lock()
    made = [Launcher(seed + index) for index in range(launchers)]  # kernels are compiled here, not under stress

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    def launch(launcher: Launcher) -> None:
        while counts["regions"] < regions and not errors:
            ran = launcher.many() if launcher.chance.random() < 0.2 else sum(launcher.one() for _ in range(20))
            if launcher.chance.random() < 0.02:
                change(launcher.chance)
            with lock:
                counts["regions"] += ran

    def change(chance: random.Random) -> None:
        threads.set_num_threads(chance.randrange(1, MOST_WORKERS + 1))
        with lock:
            counts["changes"] += 1

    def disturb() -> None:
        chance = random.Random(seed + 1000)
        while counts["regions"] < regions and not errors:
            time.sleep(chance.random() * 0.01)
            change(chance)
            if forks and chance.random() < 0.1:
                _fork_once(seed + counts["forks"])
                counts["forks"] += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    running = [threading.Thread(target=guarded, args=(lambda made=one: launch(made),)) for one in made]
    running.append(threading.Thread(target=guarded, args=(disturb,)))
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    return counts


def exits(rounds: int) -> int:
    """Processes that exit while workers are awake, asleep, or in the middle of a launch; how many there were."""
    count = 0
    for _ in range(rounds):
        for how in ("awake", "asleep", "launching"):
            done = subprocess.run(
                [sys.executable, "-c", EXIT_SCRIPT, how], capture_output=True, text=True, timeout=60, check=False
            )
            assert (done.returncode, done.stderr) == (0, ""), how
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=1_000_000)
    parser.add_argument("--launchers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exits", type=int, default=20, help="rounds of exiting processes")
    parser.add_argument("--quiet-machine", action="store_true", help="no neighbour process")
    arguments = parser.parse_args()
    neighbour = multiprocessing.get_context("spawn").Process(target=keep_busy, args=(0,), daemon=True)
    if not arguments.quiet_machine:
        neighbour.start()
    begin = time.perf_counter()
    try:
        counts = stress(arguments.regions, arguments.launchers, arguments.seed)
        counts["exits"] = exits(arguments.exits)
    finally:
        if neighbour.pid:
            neighbour.terminate()
    seconds = time.perf_counter() - begin
    summary = ", ".join(f"{count} {what}" for what, count in counts.items())
    sys.stdout.write(f"{summary} in {seconds:.1f} s: all results are right\n")


if __name__ == "__main__":
    main()
