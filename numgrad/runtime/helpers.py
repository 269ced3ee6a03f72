"""Processes that compile kernels for this one, and leave them in the store.

A helper is told a *recipe*: a function, by its name, and arguments. It *rehearses* the recipe: everything runs as it
would, plans are made, but nothing is compiled and no kernel is run, so that what is computed is undefined. What is left
is the list of kernels that the recipe needs. Each helper goes through that list from a place of its own and compiles
what is not in the store and what no other process is at (`store.claim`). The process that is helped needs no list: it
runs, compiles what it comes to first, and finds the rest.

Helpers are processes of the interpreter, started afresh: a fork would copy threads' locks, and a worker of
`multiprocessing` imports the program's main file. They write nothing but the store, read nothing but their arguments,
and end by themselves when whoever started them is gone.
"""

from __future__ import annotations

import _thread
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numgrad import config
from numgrad.runtime import build, kernel, locks, store
from numgrad.runtime.cpus import available_cpus

_log = logging.getLogger("numgrad.helpers")
_MOST = 4  # by default: each has Numba in memory, 150 MB
# Characters of an error: a line of up to 512 bytes is written into a pipe at once by every system, as POSIX has it.
_LONGEST_ERROR = 400
# -P: a file of the user's that lies in the current folder hides no module; the parent's own path is given.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; from numgrad.runtime.helpers import main; main()"
)


def job_count() -> int:
    """How many processes are to compile, this one included.

    Raises
    ------
    ValueError
        NUMGRAD_COMPILE_JOBS is not a number of processes.
    """
    if problem := config.COMPILE_JOBS.problem():
        raise ValueError(problem)
    text = config.COMPILE_JOBS().strip()
    return int(text) if text else min(available_cpus(), _MOST)


# ---- the side that is helped --------------------------------------------------------------------------------------


class Helper:
    """One such process, which `stop` ends.

    Parameters
    ----------
    recipe
        'module:function'; called in the helper with ``arguments``, which JSON can hold.
    index, count
        Which of how many helpers it is: where in the list it begins.
    tells
        The descriptor of a pipe for what it has to tell (see `team`), or None.

    Raises
    ------
    OSError
        There is no interpreter to start, or no process.
    """

    def __init__(self, recipe: str, arguments: Mapping[str, Any], index: int, count: int, tells: int | None) -> None:
        if not sys.executable:
            raise OSError("the interpreter does not know its own path")
        task = {"path": sys.path, "recipe": recipe, "arguments": dict(arguments), "index": index, "count": count}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, json.dumps(task)],
            stdin=subprocess.PIPE,  # that it ends tells the helper that we are gone
            stdout=subprocess.DEVNULL if tells is None else tells,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._is_ours = True
        _started.add(self)

    def wait(self) -> int:
        """Wait until it has ended; its exit code. In the child of a fork: 0 at once."""
        return self._process.wait() if self._is_ours else 0

    def stop(self) -> None:
        """End the process, whatever it is at, and wait until it is gone. In the child of a fork: leave it to the parent."""
        if not self._is_ours:
            return
        self._process.kill()  # it holds nothing but claims, which go with it, and files that appear whole or not at all
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def disown(self) -> None:
        """In the child of a fork: the process belongs to the parent, whose end it must not take for ours."""
        self._is_ours = False
        self._process.returncode = 0  # nobody here waits for it, nor warns that nobody does
        stream = self._process.stdin
        if stream is not None and not stream.closed:
            stream.buffer.raw.close()  # type: ignore[attr-defined]  # by no lock of a thread that was writing


@contextmanager
def team(recipe: str, arguments: Mapping[str, Any], count: int) -> Iterator[Iterator[dict[str, Any]]]:
    """Start ``count`` helpers; gives what they tell, until all have ended: {"total", "missing"}, {"name", "seconds"} for each
    kernel, {"error", "kind"}. They are stopped at the end.

    All write into one pipe, a line at a time, which the system does not mix: so nobody waits for one of them in
    particular, dead or alive, and no thread is needed to listen.

    Raises
    ------
    OSError
        No process can be started.
    """
    reader, writer = os.pipe()
    running: list[Helper] = []
    try:
        try:
            for index in range(count):
                running.append(Helper(recipe, arguments, index, count, tells=writer))
        finally:
            os.close(writer)
        yield _messages(reader, running)
    finally:
        for helper in running:
            helper.stop()
        os.close(reader)


def _messages(reader: int, running: Sequence[Helper]) -> Iterator[dict[str, Any]]:
    with open(reader, encoding="utf-8", closefd=False) as lines:
        for line in lines:
            yield json.loads(line)
    for helper in running:
        if code := helper.wait():
            yield {"error": f"a process that compiles ended with code {code}", "kind": "died"}


_started: weakref.WeakSet[Helper] = weakref.WeakSet()


def _disown() -> None:
    for helper in tuple(_started):
        helper.disown()


locks.at_fork(_disown)


@contextmanager
def on_demand(recipe: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """While entered, helpers start as soon as more than one kernel has to be compiled; they are stopped at the end.

    ``recipe`` stands for what the caller is about to run. Without a store, with one CPU, or where no process can be
    started, everything is compiled here.
    """
    running: list[Helper] = []
    missed, asked = 0, False

    def missing() -> None:
        nonlocal missed, asked
        missed += 1
        if not asked and (missed > 1 or store.is_empty()) and store.folder() is not None:
            asked = True
            others = job_count() - 1
            try:
                for index in range(others):
                    running.append(Helper(recipe, arguments, index, others, tells=None))
            except OSError as error:
                _log.info("kernels are compiled by this process alone: %s", error)

    build.missing_listeners.append(missing)
    try:
        yield
    finally:
        build.missing_listeners.remove(missing)
        for helper in running:
            helper.stop()


# ---- the helper ---------------------------------------------------------------------------------------------------


def main() -> None:
    """A helper's process: rehearse what its argument says, then compile."""
    task = json.loads(sys.argv[1])
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C in the terminal ends it without a word
    # `threading` would wait until the thread has begun, for ever where it finds no memory to begin with.
    _thread.start_new_thread(_leave_with_the_parent, ())
    try:
        jobs = rehearse(task["recipe"], task["arguments"])
        missing = [job for job in jobs if not job.is_stored()]
        _tell(total=len(jobs), missing=len(missing))
        build.listeners.append(lambda name, seconds: _tell(name=name, seconds=seconds))
        # The first begins at the end, where the process that is helped arrives last.
        begin = len(jobs) - len(jobs) * task["index"] // task["count"]
        for job in reversed([*jobs[begin:], *jobs[:begin]]):
            build.compile_for_others(job)
    except Exception as error:
        _tell(error=(str(error) or type(error).__name__)[:_LONGEST_ERROR], kind=type(error).__name__)
    sys.stdout.flush()
    os._exit(0)  # there is nothing to clean up, and Numba takes its time


def rehearse(recipe: str, arguments: Mapping[str, Any]) -> list[build.Job]:
    """The jobs that a recipe needs, each once, in the order in which it comes to them.

    The process cannot compute any more: its plans have no code.
    """
    kernel.rehearsal = []
    module, _, name = recipe.partition(":")
    getattr(importlib.import_module(module), name)(**arguments)
    return list({(job.name, job.key): job for job in kernel.rehearsal}.values())


def _tell(**facts: Any) -> None:
    try:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
    except OSError:
        os._exit(1)  # nobody reads it


def _leave_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)
