"""Ctrl-C that is not lost."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruptible:
    """While entered, Ctrl-C raises KeyboardInterrupt, and `check` raises it again if it was swallowed.

    Python prints and drops an exception that a finalizer raises, and a signal may arrive in one: memory is given back
    by finalizers all the time. Where Ctrl-C does not interrupt (in other threads, in the background), it stays so.
    """

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None
        self._hook = sys.unraisablehook

    def __enter__(self) -> Interruptible:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._interrupted)
            self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._before is not None:
            sys.unraisablehook = self._hook
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt

    def _unraisable(self, dropped: Any) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            self._hook(dropped)
