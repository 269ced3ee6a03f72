"""Processes that compile kernels for this one, and leave them in the store.

A helper gets a *recipe*: the name of a function, and arguments. It *rehearses* the recipe: Python runs as usual and makes
plans, but nothing is compiled and no kernel runs, so values are undefined. The result is the list of kernels that the recipe
needs. Each helper goes through that list from a start of its own. It compiles the kernels that the store lacks and that no
other process is compiling (`store.claim`). The process that is helped needs no list: it compiles the kernels that it reaches
first, and finds the others in the store.

Helpers are new processes of the interpreter: a fork would copy threads' locks, and a worker of `multiprocessing` imports
the program's main file. They write nothing but the store and read nothing but their arguments. They end by themselves when
the process that started them is gone.
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
# Characters of an error: POSIX systems write a line of up to 512 bytes into a pipe at once.
_LONGEST_ERROR = 400
# -P: a file in the current folder hides no module; the parent's own path is passed.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; from {module} import {name}; {name}()"


def job_count() -> int:
    """Number of processes that compile, this one included.

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


def command(entry: str, task: Mapping[str, Any]) -> list[str]:
    """The command of a process of this interpreter that calls 'module:function', which finds its task in ``sys.argv[1]``.

    Raises
    ------
    OSError
        The interpreter is unknown.
    """
    if not sys.executable:
        raise OSError("the interpreter does not know its own path")
    module, _, name = entry.partition(":")
    return [sys.executable, "-P", "-c", _START.format(module=module, name=name), json.dumps({"path": sys.path, **task})]


class Process:
    """A process that compiles and ends with this one; `stop` ends it before.

    Parameters
    ----------
    entry, task
        As for `command`.
    tells
        The descriptor of a pipe for its messages (see `team`), or None.

    Raises
    ------
    OSError
        The interpreter is unknown, or no process can be started.
    """

    def __init__(self, entry: str, task: Mapping[str, Any], tells: int | None = None) -> None:
        self._process = subprocess.Popen(
            command(entry, task),
            stdin=subprocess.PIPE,  # its end tells the helper that we are gone
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
        """Kill the process and wait until it is gone. In the child of a fork: leave it to the parent."""
        if not self._is_ours:
            return
        self._process.kill()  # its claims end with it, and its files appear whole or not at all
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def disown(self) -> None:
        """In the child of a fork: the process belongs to the parent, and must not see our end as the parent's."""
        self._is_ours = False
        self._process.returncode = 0  # no wait for it here, and no warning that nobody waited
        stream = self._process.stdin
        if stream is not None and not stream.closed:
            stream.buffer.raw.close()  # type: ignore[attr-defined]  # by no lock of a thread that was writing


class Helper(Process):
    """A process that compiles what a recipe needs.

    Parameters
    ----------
    recipe
        'module:function'; called in the helper with ``arguments``, which JSON can hold.
    index, count
        Its number among how many helpers: where in the list it begins.
    tells
        As for `Process`.
    brought
        Whether a kernel that numgrad's wheel brought need not be compiled.
    """

    def __init__(
        self,
        recipe: str,
        arguments: Mapping[str, Any],
        index: int,
        count: int,
        tells: int | None,
        brought: bool = True,
    ) -> None:
        task = {"recipe": recipe, "arguments": dict(arguments), "index": index, "count": count, "brought": brought}
        super().__init__(f"{__name__}:main", task, tells)


@contextmanager
def team(recipe: str, arguments: Mapping[str, Any], count: int) -> Iterator[Iterator[dict[str, Any]]]:
    """Start ``count`` helpers, yield their messages, and stop them at the end.

    They compile for this very CPU what numgrad's wheel brought for all of its kind.

    Messages are {"total", "missing"}, {"name", "seconds"} for each kernel, and {"error", "kind"}; they end when all helpers
    have ended. All write into one pipe, a line at a time, which the system does not mix. So the reader waits for no helper
    in particular, dead or alive, and needs no thread.

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
                running.append(Helper(recipe, arguments, index, count, tells=writer, brought=False))
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


_started: weakref.WeakSet[Process] = weakref.WeakSet()


def _disown() -> None:
    for helper in tuple(_started):
        helper.disown()


locks.at_fork(_disown)


@contextmanager
def on_demand(recipe: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """While entered, helpers start as soon as more than one kernel has to be compiled; they are stopped at the end.

    ``recipe`` needs the same kernels as the caller's next calls. Without a store, with one CPU, or if no process can be
    started, this process compiles everything.
    """
    running: list[Helper] = []
    missed, started = 0, False

    def missing() -> None:
        nonlocal missed, started
        missed += 1
        if not started and (missed > 1 or store.is_empty()) and store.folder() is not None:
            started = True
            others = job_count() - 1
            try:
                for index in range(others):
                    running.append(Helper(recipe, arguments, index, others, tells=None))
            except OSError as error:
                _log.info("kernels are compiled by this process alone: %s", error)

    others, build.missing_listeners = build.missing_listeners, [missing]
    try:
        yield
    finally:
        build.missing_listeners = others
        for helper in running:
            helper.stop()


def ask(recipe: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe finds in a process of its own that rehearses it: shapes and sizes, without a kernel or a number.

    Returns
    -------
    dict
        {"result": what the recipe returned, which JSON can hold}, or {"error", "kind"} of the exception that it raised.

    Raises
    ------
    OSError
        The interpreter is unknown, or no process can be started.
    """
    task = {"recipe": recipe, "arguments": dict(arguments)}
    asked = command(f"{__name__}:answer", task)
    done = subprocess.run(asked, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {"error": f"a process that rehearses ended with code {done.returncode}", "kind": "died"}
    answered: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answered


# ---- the helper ---------------------------------------------------------------------------------------------------


def main() -> None:
    """A helper's process: rehearse the recipe in its argument, then compile."""
    task = json.loads(sys.argv[1])
    end_without_a_word()
    # `threading` would wait until the thread has begun: for ever if there is no memory for it.
    _thread.start_new_thread(_leave_with_the_parent, ())
    try:
        jobs = rehearse(task["recipe"], task["arguments"])
        is_done = build.Job.is_at_hand if task["brought"] else build.Job.is_stored
        missing = [job for job in jobs if not is_done(job)]
        _tell(total=len(jobs), missing=len(missing))
        build.listeners.append(lambda name, seconds: _tell(name=name, seconds=seconds))
        # The first helper begins at the end, which the helped process reaches last.
        begin = len(jobs) - len(jobs) * task["index"] // task["count"]
        for job in reversed([*jobs[begin:], *jobs[:begin]]):
            build.compile_for_others(job, is_done)
    except Exception as error:
        _tell(error=(str(error) or type(error).__name__)[:_LONGEST_ERROR], kind=type(error).__name__)
    sys.stdout.flush()
    os._exit(0)  # there is nothing to clean up, and Numba takes its time


def end_without_a_word() -> None:
    """Let Ctrl-C in the terminal end this process, with no traceback among the program's own."""
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def answer() -> None:
    """A process of `ask`: rehearse the recipe in its argument, and write what it returns."""
    task = json.loads(sys.argv[1])
    try:
        _tell(result=_rehearsed(task["recipe"], task["arguments"]))
    except Exception as error:
        _tell(error=(str(error) or type(error).__name__)[:_LONGEST_ERROR], kind=type(error).__name__)
    sys.stdout.flush()
    os._exit(0)


def rehearse(recipe: str, arguments: Mapping[str, Any]) -> list[build.Job]:
    """The jobs that a recipe needs, each once, in the order of first use.

    The process cannot compute any more: its plans have no code.
    """
    _rehearsed(recipe, arguments)
    return list({(job.name, job.key): job for job in kernel.rehearsal or ()}.values())


def _rehearsed(recipe: str, arguments: Mapping[str, Any]) -> Any:
    kernel.rehearsal = []
    module, _, name = recipe.partition(":")
    return getattr(importlib.import_module(module), name)(**arguments)


def _tell(**facts: Any) -> None:
    try:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
    except OSError:
        os._exit(1)  # nobody reads it


def _leave_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(1)
