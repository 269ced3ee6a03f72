"""The pool's own source, run as Python under a scheduler that switches threads at every atomic operation.

Some hundred random schedules reach interleavings that a stress test on a few CPUs meets once in a year. That they do is
tested too: rules of the protocol are broken on purpose, and some schedule must notice each.
"""

from __future__ import annotations

import ast
import functools
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from numgrad.runtime import pool

WORKERS = 2
REGIONS = {10: (3, 3), 11: (4, 2), 20: (2, 3), 21: (3, 3)}  # entry: chunks, workers that it has memory for


class _Abandoned(BaseException):
    """The run is over."""


class Machine:
    """Words of memory, and threads of which one at a time does one atomic operation."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.words: dict[int, int] = {}
        self.turn: dict[str, threading.Semaphore] = {}
        self.back = threading.Semaphore(0)
        self.asleep: dict[str, int] = {}
        self.error: BaseException | None = None
        self.name = threading.local()
        self.inside: set[tuple[int, int]] = set()
        self.ran: list[tuple[int, int]] = []
        self.active: set[int] = set()
        self.slow: set[str] = set()

    # What the pool's source is written with.

    def step(self) -> None:
        self.back.release()
        self.turn[self.name.value].acquire()
        if self.error:
            raise _Abandoned

    def atomic_load(self, address: int) -> int:
        self.step()
        return self.words.get(address, 0)

    def atomic_store(self, address: int, value: int) -> None:
        self.step()
        self.words[address] = value

    def atomic_add(self, address: int, value: int) -> int:
        self.step()
        before = self.words.get(address, 0)
        self.words[address] = before + value
        return before

    def compare_and_swap(self, address: int, expected: int, value: int) -> bool:
        self.step()
        same = self.words.get(address, 0) == expected
        if same:
            self.words[address] = value
        return same

    def wait(self, system: int, address: int, expected: int, attempt: int) -> None:
        self.step()
        if self.words.get(address, 0) == expected:
            self.asleep[self.name.value] = address
            self.step()

    def wake(self, system: int, address: int, count: int) -> int:
        self.step()
        sleepers = [name for name, place in self.asleep.items() if place == address][:count]
        for name in sleepers:
            del self.asleep[name]
        return len(sleepers)

    def call_entry(self, entry: int, slots: int, start: int, stop: int, worker: int) -> None:
        self.step()
        assert entry in self.active, "a chunk of a region that is over"
        assert slots == -entry, "slots of another region"
        assert worker < REGIONS[entry][1], "a worker that the launch has no memory for"
        assert (entry, worker) not in self.inside, "two threads with one worker index"
        self.inside.add((entry, worker))
        self.ran.append((entry, start))
        self.step()
        self.inside.remove((entry, worker))

    # The scheduler.

    def start(self, name: str, body: Callable[[], None]) -> None:
        def guarded() -> None:
            self.name.value = name
            try:
                self.turn[name].acquire()
                if not self.error:
                    body()
            except _Abandoned:
                pass
            except BaseException as error:
                self.error = self.error or error
            del self.turn[name]
            self.back.release()

        self.turn[name] = threading.Semaphore(0)
        threading.Thread(target=guarded, daemon=True).start()

    def run(self, most_steps: int = 4_000) -> None:
        """Until all threads have ended or sleep."""
        for _ in range(most_steps):
            awake = [name for name in self.turn if name not in self.asleep]
            if not awake or self.error:
                break
            # Some threads are put aside for long, and some get far ahead.
            if self.chance.random() < 0.05:
                self.slow = {self.chance.choice(awake)} if self.chance.random() < 0.7 else set()
            name = self.chance.choice([name for name in awake if name not in self.slow] or awake)
            for _ in range(self.chance.choice((1, 1, 3, 10))):
                if name not in self.turn or name in self.asleep:
                    break
                self.turn[name].release()
                self.back.acquire()
        else:
            self.error = AssertionError("the threads come to no end")
        if self.error:
            self.asleep.clear()
            while self.turn:
                next(iter(self.turn.values())).release()
                self.back.acquire()
            raise self.error


@functools.cache
def _compiled(*changes: tuple[str, str]) -> Any:
    text = Path(pool.__file__).read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom)]
    return compile(tree, pool.__file__, "exec")


def functions(machine: Machine, *changes: tuple[str, str]) -> dict[str, Any]:
    """The pool's functions over the machine's words, with some text of their source changed."""
    words = ("atomic_load", "atomic_store", "atomic_add", "compare_and_swap", "call_entry", "wait", "wake")
    names: dict[str, Any] = {name: getattr(machine, name) for name in words}
    names["release_store"] = machine.atomic_store
    names["pause"] = machine.step
    names["device"] = lambda function: function
    names["native"] = lambda *_, **__: lambda function: function
    names["EVERYBODY"], names["SYSTEM_WORDS"] = 1000, 3
    exec(_compiled(*changes), names)
    return names


def play(seed: int, *changes: tuple[str, str]) -> None:
    """Two launchers and two workers, which are dismissed and started anew in between."""
    machine, weights = Machine(seed), random.Random(seed)
    code = functions(machine, *changes)
    words = machine.words
    words.update({pool.SPINS: machine.chance.choice((0, 2)), pool.THREADS: WORKERS})

    def workers(generation: int) -> None:
        for index in range(1, WORKERS + 1):
            machine.start(
                f"worker {index} of {generation}", lambda i=index: code["work_until_stopped"](0, i, generation)
            )

    def launcher(entries: list[int]) -> None:
        for entry in entries:
            chunks, limit = REGIONS[entry]
            machine.active.add(entry)
            weight = weights.choice((0, 1, pool.WAKE_WEIGHT // 2 + 1)) if seed % 4 == 3 else 0  # a few wake no sleeper
            code["run_region"](0, entry, -entry, 2 * chunks, 2, limit | weight << pool.CREW_BITS)
            machine.active.remove(entry)

    def manager() -> None:
        code["dismiss"](0)
        while machine.atomic_load(pool.ALIVE) or any(name.endswith("of 0") for name in machine.turn):
            pass
        workers(1)

    workers(0)
    machine.start("launcher 1", lambda: launcher([10, 11]))
    machine.start("launcher 2", lambda: launcher([20, 21]))
    machine.start("manager", manager)
    machine.run()
    expected = sorted((entry, 2 * chunk) for entry, (chunks, _) in REGIONS.items() for chunk in range(chunks))
    assert sorted(machine.ran) == expected, "chunks ran never or twice"
    assert all(name.startswith("worker") for name in machine.turn), "a launcher sleeps for ever"
    assert not machine.asleep or words[pool.SLEEPING], "a worker sleeps and nobody knows"
    machine.start("manager", lambda: code["dismiss"](0))
    machine.run()
    assert not machine.turn, "a worker sleeps through its dismissal"


def test_random_schedules():
    for seed in range(150):
        play(seed)


WAKE = "    atomic_add(pool + WAKES, 1)\n"
BROKEN = {
    "the launcher does not wait": [("while atomic_load(pool + DONE) < theirs:", "while False:")],
    "the ticket is not closed": [("    atomic_store(pool + TICKET, ticket | CLOSED)\n", "")],
    "the epoch is not compared": [
        ("if ticket >> CHUNK_BITS != epoch or begun + ended >= chunks:", "if begun + ended >= chunks:")
    ],
    "the ends do not meet": [("begun + ended >= chunks:", "max(begun, ended) >= chunks:")],
    "claims do not swap": [
        (
            "if compare_and_swap(pool + TICKET, ticket, ticket + step):",
            "atomic_store(TICKET, ticket + step)\n        if True:",
        )
    ],
    "the lock is not taken": [("and compare_and_swap(pool + LOCK, 0, 1):", "and not atomic_load(pool + LOCK):")],
    "the limit of workers is ignored": [("while worker < workers and (", "while worker < 1000 and (")],
    "a launch does not change WAKES": [
        ("    atomic_store(pool + SLEEPING, 0)\n" + WAKE, "    atomic_store(pool + SLEEPING, 0)\n")
    ],
    "dismissal does not change WAKES": [
        ("    atomic_add(pool + GENERATION, 1)\n" + WAKE, "    atomic_add(pool + GENERATION, 1)\n")
    ],
    "workers do not look again before they sleep": [
        (
            "if atomic_load(pool + TICKET) >> CHUNK_BITS == seen and atomic_load(pool + GENERATION) == generation:",
            "if 1:",
        )
    ],
    "workers do not wake the launcher": [("if atomic_load(pool + WAITING):", "if False:")],
    "the launcher waits on an old count": [
        ("            if done < theirs:\n", "            if True:\n"),
        ("pool + DONE, done,", "pool + DONE, atomic_load(pool + DONE),"),
    ],
}


@pytest.mark.parametrize("rule", BROKEN)
def test_schedules_notice_a_broken_rule(rule):
    for seed in range(2000):
        try:
            play(seed, *BROKEN[rule])
        except AssertionError:
            return
    raise AssertionError(f"no schedule noticed that {rule}")
