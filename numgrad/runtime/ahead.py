"""A process that compiles ahead of a program: kernels that are not needed yet, but will be.

What a command needs is known before it begins (`helpers`); what a program needs is not. But there are *recipes* that become
known while it runs: an op that has recorded a node will need its backward. The program tells them, a line each, to a
*follower*, which rehearses them as a helper does and compiles their kernels into the store, meanwhile the program compiles
those that it has reached. A follower to which nothing is told compiles what most programs need.

It starts when kernels have to be compiled, and leaves when nothing was told for a while. Nothing depends on it: a line that
cannot be written at once is dropped.
"""

from __future__ import annotations

import _thread
import atexit
import json
import logging
import os
import queue
import sys
from collections import deque
from pathlib import PurePath
from typing import Any

from numgrad import command, config, dtypes
from numgrad.layout import PrivateStrides, Spec, spec_of
from numgrad.runtime import build, helpers, kernel, locks, store

_ENOUGH = 3  # kernels that this process compiles itself before it starts a follower, unless the store is empty
_IDLE = 20.0  # seconds without a line after which a follower leaves
_LONGEST = 4096  # bytes that POSIX systems write into a pipe at once or not at all
_DTYPES = {dtype.name: dtype for dtype in (*dtypes.ALL, dtypes.float16, dtypes.bfloat16)}
_log = logging.getLogger("numgrad.helpers")


# ---- the side that is followed ------------------------------------------------------------------------------------


class Follower(helpers.Process):
    """The process that follows this one, and what it is told."""

    def __init__(self) -> None:
        super().__init__(f"{__name__}:follow", {})
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def tell(self, recipe: str, arguments: dict[str, Any]) -> bool:
        """Tell a recipe, with arguments that JSON can hold; False if nobody listens any more."""
        line = (json.dumps([recipe, arguments]) + "\n").encode()
        if len(line) > _LONGEST:
            return True
        try:
            os.write(self._pipe, line)
        except BlockingIOError:
            _log.debug("a line to the process that compiles ahead is dropped")
        except OSError:
            return False
        return True


_missed = 0
_follower: Follower | None = None


def missed() -> None:
    """Count a kernel that this process has to compile, and start a follower where there seem to be more."""
    global _missed, _follower
    _missed += 1
    if _follower is not None or not (_missed >= _ENOUGH or store.is_empty()) or not _is_wanted():
        return
    _missed = 0
    try:
        _follower = Follower()
    except OSError as error:
        _log.info("nobody compiles ahead: %s", error)
        return
    kernel.foreseen = _tell


def _tell(recipe: str, **facts: Any) -> None:
    follower = _follower
    try:
        if follower is not None and not follower.tell(recipe, {name: plain(value) for name, value in facts.items()}):
            _leave()
    except TypeError:  # JSON has no word for one of them, such as a parameter of a program's own class
        return


def plain(value: Any) -> Any:
    """A fact as JSON can hold it; `told` reads it."""
    if isinstance(value, dtypes.dtype):
        return {"dtype": value.name}
    if isinstance(value, Spec):
        return {"dtype": value.dtype.name, "shape": value.shape, "strides": value.strides, "private": value.is_private}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value


def told(value: Any) -> Any:
    """A fact as it was before it was told; tuples of names are plain ones."""
    if isinstance(value, list):
        return tuple([told(each) for each in value])
    if isinstance(value, dict):
        dtype = _DTYPES[value["dtype"]]
        if "shape" not in value:
            return dtype
        return spec_of(dtype, value["shape"], (PrivateStrides if value["private"] else tuple)(value["strides"]))
    return value


def _leave() -> None:
    """Have no follower, until kernels are missing again."""
    global _missed, _follower
    follower, _follower, _missed, kernel.foreseen = _follower, None, 0, kernel.nobody
    if follower is not None:
        follower.stop()


def _is_wanted() -> bool:
    """Whether a second process may compile for this one, and can."""
    if command.is_running() or store.fcntl is None or store.problem() or helpers.job_count() < 2:
        return False
    # Of several processes, each compiles for all.
    processes: Any = sys.modules.get("multiprocessing.process")
    if config.launched_ranks() > 1 or "WORLD_SIZE" in os.environ or (processes and processes.parent_process()):
        return False
    # A program that is frozen, or has Python in it, would start itself.
    return not hasattr(sys, "frozen") and PurePath(sys.executable).name.startswith("python")


atexit.register(_leave)
locks.at_fork(_leave)  # after `helpers` has made it the parent's alone: it is not killed


# ---- the follower -------------------------------------------------------------------------------------------------


def follow() -> None:
    """A follower's process: rehearse what is told, compile what is missing, and leave when there is nothing to do."""
    helpers.end_without_a_word()
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    _thread.start_new_thread(_listen, (told,))
    near: deque[build.Job] = deque()
    later = deque(
        reversed(_jobs("numgrad.autograd.foreseen:layers", {}))
    )  # what is needed first is compiled by the program
    while True:
        try:
            line = told.get(timeout=0.0 if near or later else _IDLE)
        except queue.Empty:
            if not near and not later:
                os._exit(0)
            _compile((near or later).popleft())
        else:
            near += _jobs(*json.loads(line))


def _listen(told: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        told.put(line)
    os._exit(1)  # the program is gone


def _jobs(recipe: str, arguments: dict[str, Any]) -> list[build.Job]:
    try:
        return helpers.rehearse(recipe, arguments)
    except Exception:  # such as an op of the program's own, which is unknown here
        _log.debug("%s of %s cannot be rehearsed", recipe, arguments, exc_info=True)
        return []


def _compile(job: build.Job) -> None:
    try:
        build.compile_for_others(job, build.Job.is_at_hand)
    except Exception:
        _log.info("%s is left to the program", job.name, exc_info=True)
