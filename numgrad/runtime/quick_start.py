"""When ops are applied in machine code: `run` is `quick.apply` once that is there, and leaves all to Python before."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import kernel, locks, quick_words
from numgrad.runtime.quick import apply

_PATIENCE = 1 << 12  # calls that Python serves while the store has no `apply`: compiling it takes some seconds
_LOOK = 1 << 8  # calls from one look into the store to the next
_log = logging.getLogger("numgrad.quick")

run: Callable[..., Any]  # `apply`
run_saved: Callable[..., Any]  # `apply` for saved tensors
load: Callable[[], None]  # makes machine code of the two now


def connect(facts: Callable[[], tuple[Any, ...]]) -> None:
    """Set `run`, `run_saved` and `load` for the engine's ``facts``, the arguments of `quick_words.load`.

    At first all is left to Python. `apply` takes over with the first call if the store has it, else when another process
    has compiled it, or after so many calls that compiling it here pays.
    """
    global run, run_saved, load
    loading = locks.awaited()
    calls = 0

    def first_run(*args: Any) -> Any:
        nonlocal calls
        if calls % _LOOK == 0 and (calls >= _PATIENCE or kernel.rehearsal is not None or apply.job().is_stored()):
            load_now()
            return run(*args)
        calls += 1
        return None

    def load_now() -> None:
        global run, run_saved
        with loading:
            if run is first_run:
                run, run_saved = _loaded(facts)

    run, run_saved, load = first_run, _nothing, load_now


def _nothing(*_: Any) -> None:
    """Leaves everything to Python."""


def _loaded(facts: Callable[[], tuple[Any, ...]]) -> Sequence[Callable[..., Any]]:
    if config.PYTHON.is_set():
        return _nothing, _nothing
    # What `apply` borrows from lists and slots is safe only while no other thread runs Python.
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return _nothing, _nothing
    try:
        return quick_words.load(*facts())
    except KernelError as error:  # an interpreter that keeps its objects in another way
        _log.warning("ops are applied by Python, which is slower: %s", error)
        return _nothing, _nothing
