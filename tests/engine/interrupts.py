"""Interrupts at every point of steps, loads, saves, contexts and compiles: ``python -m tests.engine.interrupts --count 5000``.

An interrupt comes in one of two ways. *By plan*: under a tracer that raises KeyboardInterrupt at the n-th point at which CPython
could handle a signal (the entry of a function, a jump backwards, the return of a call), for each n in turn. *By signal*: from a
timer with a random delay, as Ctrl-C does. After each, what was being changed is as before or as after, bit by bit; no mode is
left on or off; no file is left open; and the process goes on to work: what was interrupted, done again, gives what it gives.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import gc
import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, ClassVar

import numgrad
from tests.engine.interruptible import SCENARIOS, Scenario, listeners, unsettled

_PACKAGE = str(Path(numgrad.__file__).parent)


class _Code:
    """Where in a function a signal may be handled, and who handles what that raises."""

    def __init__(self, code: CodeType) -> None:
        self.names = {each.offset: each.opname for each in dis.get_instructions(code)}
        self.handlers = dis._parse_exception_table(code)  # type: ignore[attr-defined]

    def checks(self, offset: int) -> bool:
        """Whether CPython may handle a signal at the end of this instruction."""
        name = self.names.get(offset, "")
        return name.startswith("CALL") or ("JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name)

    def handler(self, offset: int) -> int:
        """Where it goes on after an exception of this instruction."""
        return next((each.target for each in self.handlers if each.start <= offset < each.end), -1)


class Tracer:
    """Counts the points in numgrad's own code at which a signal could be handled, and raises at one of them.

    Some of them are points at which none is handled, as after the return of a Python function: so more is asked than holds.
    But the last point of a ``with`` or ``try`` is left to signals: a tracer raises before the next instruction, and not in the
    one that has ended.
    """

    _codes: ClassVar[dict[CodeType, _Code]] = {}

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.count = 0
        self.where = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Told of calls; see `sys.settrace`."""
        if not frame.f_code.co_filename.startswith((_PACKAGE, contextlib.__file__)):
            return None
        self._point(frame)
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        code = self._codes.get(frame.f_code)
        if code is None:
            code = self._codes[frame.f_code] = _Code(frame.f_code)
        last = -1

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            if event == "opcode":
                if code.checks(last) and code.handler(last) == code.handler(frame.f_lasti):
                    self._point(frame)
                last = frame.f_lasti
            else:
                last = -1  # an exception, or the return
            return local

        return local

    def _point(self, frame: FrameType) -> None:
        if self.count == self.number:
            self.where = (
                f"{frame.f_code.co_filename.removeprefix(_PACKAGE)}:{frame.f_lineno} {frame.f_code.co_qualname}"
            )
            sys.settrace(None)
            self.count += 1
            raise KeyboardInterrupt
        self.count += 1


class Broken(Exception):  # noqa: N818 (a finding)
    """Something is not as it should be after an interrupt."""


class Trial:
    """A scenario with what its action makes of the state."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scenario: Scenario = SCENARIOS[name]
        subject = self.scenario.make()
        subject.act()  # compiles what there is to compile
        subject = self.scenario.make()
        self.before = subject.state()
        begin = time.perf_counter()
        subject.act()
        self.seconds = time.perf_counter() - begin
        self.after = subject.state()
        if self.scenario.again:
            subject.act()
        self.later = subject.state()

    def points(self) -> int:
        """At how many points the action can be interrupted by plan."""
        subject, tracer = self.scenario.make(), Tracer()
        sys.settrace(tracer)
        try:
            subject.act()
        finally:
            sys.settrace(None)
        return tracer.count

    def by_plan(self, number: int) -> str:
        """Interrupt at a point; where that was, or nothing if the action ended before."""
        subject, tracer = self.scenario.make(), Tracer(number)
        files = open_files()
        try:
            with _swallowed():
                sys.settrace(tracer)
                subject.act()
        except KeyboardInterrupt:
            self.check_modes(tracer.where)  # while the traceback keeps frames, and what they hold, alive
        finally:
            sys.settrace(None)
        self.check(subject, files, tracer.where)
        return tracer.where

    def by_signal(self, delay: float) -> bool:
        """Interrupt after some seconds; whether it came while numgrad was at it."""
        subject, arrived, files = self.scenario.make(), False, open_files()

        def handle(number: int, frame: FrameType | None) -> None:
            nonlocal arrived
            arrived = True
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, handle)
        whole = False
        try:
            with _swallowed():
                signal.setitimer(signal.ITIMER_REAL, delay)
                subject.act()
                whole = True
                while not arrived:
                    time.sleep(0)
        except KeyboardInterrupt:
            self.check_modes(f"after {delay * 1e6:.0f} us")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.check(subject, files, f"after {delay * 1e6:.0f} us")
        return not whole

    def check_modes(self, where: str) -> None:
        """Raise if a mode is not what it is outside of all contexts."""
        wrong = unsettled()
        if wrong:
            raise Broken(f"{self.name}: interrupted {where}: left over: {', '.join(wrong)}")

    def check(self, subject: Any, files: set[str], where: str) -> None:
        """Raise if something is neither as before nor as after, if a file is left open, or if it does not go on."""
        self.check_modes(where)
        if open_files() - files:
            gc.collect()
            if left := open_files() - files:
                raise Broken(f"{self.name}: interrupted {where}: left open: {', '.join(sorted(left))}")
        state = subject.state()
        for part, before, after in zip(state, self.before, self.after, strict=True):
            if part not in (before, after):
                raise Broken(f"{self.name}: interrupted {where}: the state is neither that before nor that after")
        if not self.scenario.loose and state not in (self.before, self.after):
            raise Broken(f"{self.name}: interrupted {where}: some of the state is as before and some as after")
        if self.scenario.again:
            expected = self.after if state == self.before else self.later
            subject.act()
            if subject.state() != expected:
                raise Broken(f"{self.name}: interrupted {where}: the next one does not give what it gives")
        _settle()
        if listeners():
            raise Broken(f"{self.name}: interrupted {where}: still told of ops: {listeners()}")


@contextlib.contextmanager
def _swallowed() -> Iterator[None]:
    """Python tells of an interrupt that it drops, in a weak reference's callback or as a generator is closed: nobody listens."""
    reported = sys.unraisablehook

    def hear(what: Any) -> None:
        if what.exc_type is not KeyboardInterrupt:
            reported(what)

    sys.unraisablehook = hear
    try:
        yield
    finally:
        sys.unraisablehook = reported


def open_files() -> set[str]:
    """What this process has open, each with its descriptor; nothing where the system does not tell."""
    opened = set()
    with contextlib.suppress(FileNotFoundError):
        for link in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # that of the listing itself
                opened.add(f"{link} {os.readlink(f'/proc/self/fd/{link}')}")
    return opened


def _settle() -> None:
    """Enter and leave the contexts once: listeners that an interrupt left go then."""
    SCENARIOS["contexts"].make().act()
    SCENARIOS["transforms"].make().act()
    _ = numgrad.ones(1) + 1  # guards of what is gone go with the next op


def run(count: int, seed: int, only: list[str] | None = None, show: Any = None) -> Counter[str]:
    """Deliver so many interrupts, half of them by plan; how many of each kind.

    Raises
    ------
    Broken
        The first thing that is wrong.
    """
    chance = random.Random(seed)
    names = only or list(SCENARIOS)
    weights = [SCENARIOS[name].weight for name in names]
    delivered: Counter[str] = Counter()
    for name, weight in zip(names, weights, strict=True):
        trial = Trial(name)
        share = max(2, round(count * weight / sum(weights)))
        points = trial.points()
        planned = min(points, share // 2)
        for number in sorted(chance.sample(range(points), planned)):
            trial.by_plan(number)
        delivered["by plan"] += planned
        inside = 0
        for _ in range(share - planned):
            inside += trial.by_signal(max(1e-6, chance.random() * trial.seconds * 1.3))
        delivered["by signal"] += share - planned
        delivered["by signal, inside"] += inside
        gc.collect()
        if show is not None:
            show(f"{name}: {planned} of {points} points, {share - planned} signals, {inside} of them inside")
    return delivered


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="interrupts to deliver")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), help="scenarios")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # of anomaly mode, and of files that CPython closes as an interrupt drops them
    try:
        delivered = run(given.count, given.seed, given.only, print)
    except Broken as broken:
        print(broken)
        return 1
    print(f"{delivered['by plan'] + delivered['by signal']} interrupts, nothing broken: {dict(delivered)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
