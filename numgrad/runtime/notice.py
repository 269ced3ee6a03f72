"""A line on the terminal once a program has compiled for two seconds: otherwise the first run seems to hang."""

from __future__ import annotations

import sys

from numgrad import command, config
from numgrad.runtime import locks, store

_PATIENCE = 2.0  # seconds

_lock = locks.renewed()
_spent = 0.0


def compiled(name: str, seconds: float) -> None:
    """Count the seconds that this process compiles (a listener of `build`), and say so once, where they become many.

    Only on a terminal, not if ``NUMGRAD_PROGRESS`` is 0, and not in a command, which shows its own progress.
    """
    global _spent
    with _lock:
        before, _spent = _spent, _spent + seconds
        if not before < _PATIENCE <= _spent:
            return
    if command.is_running() or not config.shows_progress():
        return
    reason = store.problem()
    kept = (
        f"as each run has to: {reason}"
        if reason
        else f"which only the first run has to: they are kept in {store.folder()}"
    )
    sys.stderr.write(f"numgrad: compiling kernels, {kept} (NUMGRAD_PROGRESS=0 hides this line)\n")
