"""When ops are applied in machine code: `run` becomes `apply` once that is loaded; before, Python applies every op.

``run = run_saved = run_moved = run_over = nothing; run_known = unknown`` leaves every op to Python for ever.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import kernel, locks
from numgrad.runtime.fast import read, write
from numgrad.runtime.fast.apply import apply

_PATIENCE = 1 << 12  # calls that Python serves while the store has no `apply`: compiling it takes some seconds
_LOOK = 1 << 8  # calls from one look into the store to the next
_FIRST_LOOK = 1 << 4  # a process that applies only a few ops saves the time of loading it
_log = logging.getLogger("numgrad.fast")

run: Callable[..., Any]  # `apply`
run_saved: Callable[..., Any]  # `apply` for saved tensors
run_moved: Callable[..., Any]  # `apply` for views that begin anywhere
run_known: Callable[..., Any]  # what a table knows of a call of a public function; see `known`
run_over: Callable[..., Any]  # a tensor over an array of a kind that a table knows; see `arrays`
load: Callable[[], None]  # makes machine code of them now


def connect(facts: Callable[[], tuple[Any, ...]]) -> None:
    """Set `run` and the others, and `load`, for the engine's ``facts``, the arguments of `write.load`.

    Python applies the first ops. `apply` takes over after a few calls if the store has it. Otherwise it takes over when
    another process has compiled it, or after so many calls that compiling it here pays.
    """
    global run, run_saved, run_moved, run_known, run_over, load
    loading = locks.awaited()
    calls = 0

    def first_run(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        is_looked_for = calls % _LOOK == _FIRST_LOOK and (calls >= _PATIENCE or apply.job().is_at_hand())
        if is_looked_for or kernel.rehearsal is not None:
            load_now()
            return run(*args)
        return None

    def load_now() -> None:
        global run, run_saved, run_moved, run_known, run_over
        with loading:
            if run is first_run:
                run, run_saved, run_moved, run_known, run_over = _loaded(facts)

    run_saved = run_moved = run_over = nothing
    run_known = unknown
    run, load = first_run, load_now


def nothing(*_: Any) -> None:
    """Leave every op to Python."""


def unknown(*_: Any) -> Any:
    """Leave every call of a function to the function."""
    return NotImplemented


def run_moving(plans: dict[Any, Any], params: Any, *inputs: Any) -> Any:
    """`run` for an op that moves: its plans serve all beginnings, so Python looks the plan up, and proves this one."""
    if len(inputs) != 1:
        return None
    spec: Any = getattr(inputs[0], "_spec", None)
    plan = plans.get((params[1:], spec))
    if plan is None or plan.fast is None:
        return None
    begin = plan.begin(params[0])
    return None if begin is None else run_moved(plan, params, spec, begin * spec.dtype.itemsize, inputs[0])


def _loaded(facts: Callable[[], tuple[Any, ...]]) -> Sequence[Callable[..., Any]]:
    if config.PYTHON.is_set():
        return nothing, nothing, nothing, unknown, nothing
    # References that `apply` borrows from lists and slots are safe only while no other thread runs Python.
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return nothing, nothing, nothing, unknown, nothing
    try:
        known = facts()
        functions = write.load(*known)
        read.install(known[0], known[5][1])
        return functions
    except KernelError as error:  # an interpreter that lays out its objects in another way
        _log.warning("ops are applied by Python, which is slower: %s", error)
        return nothing, nothing, nothing, unknown, nothing
