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

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import build, kernel, store
from numgrad.runtime.cpus import available_cpus

_log = logging.getLogger("numgrad.helpers")
_MOST = 4  # by default: each has Numba in memory, 150 MB
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
    """One such process; `messages` is what it tells if it ``tells`` anything, `stop` ends it.

    Parameters
    ----------
    recipe
        'module:function'; called in the helper with ``arguments``, which JSON can hold.
    index, count
        Which of how many helpers it is: where in the list it begins.

    Raises
    ------
    OSError
        There is no interpreter to start, or no process.
    """

    def __init__(self, recipe: str, arguments: Mapping[str, Any], index: int, count: int, tells: bool) -> None:
        if not sys.executable:
            raise OSError("the interpreter does not know its own path")
        task = {"path": sys.path, "recipe": recipe, "arguments": dict(arguments), "index": index, "count": count}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, json.dumps(task)],
            stdin=subprocess.PIPE,  # that it ends tells the helper that we are gone
            stdout=subprocess.PIPE if tells else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the helper tells, until it ends: {"total", "missing"}, then {"name", "seconds"} each, or {"error", "kind"}."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield json.loads(line)
        if self._process.wait():
            yield {"error": f"a process that compiles ended with code {self._process.returncode}", "kind": "died"}

    def stop(self) -> None:
        """End the process, whatever it is at, and wait until it is gone."""
        self._process.kill()  # it holds nothing but claims, which go with it, and files that appear whole or not at all
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


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
                    running.append(Helper(recipe, arguments, index, others, tells=False))
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
    threading.Thread(target=_leave_with_the_parent, daemon=True).start()
    try:
        jobs = rehearse(task["recipe"], task["arguments"])
        missing = [job for job in jobs if not job.is_stored()]
        _tell(total=len(jobs), missing=len(missing))
        build.listeners.append(lambda name, seconds: _tell(name=name, seconds=seconds))
        # The first begins at the end, where the process that is helped arrives last.
        begin = len(jobs) - len(jobs) * task["index"] // task["count"]
        for job in reversed([*jobs[begin:], *jobs[:begin]]):
            build.compile_for_others(job)
    except (ValueError, KernelError) as error:
        _tell(error=str(error), kind=type(error).__name__)
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
