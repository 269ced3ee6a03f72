"""`Interruptible`: a Ctrl-C is never lost, and ends a command with one line at any time."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from numgrad import command

_entered: list[Interruptible] = []


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed since the command began and has not ended it."""
    for each in _entered:
        each.check()


class Interruptible:
    """While entered, Ctrl-C raises KeyboardInterrupt, and `check` raises it again if it was swallowed.

    Python prints and drops an exception that a finalizer raises. A signal may arrive in one, since finalizers return
    memory all the time. Where Ctrl-C does not interrupt (in other threads, in the background), it still does not.
    A second Ctrl-C ends the process of a command at once, even in the middle of its cleaning up.
    """

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None
        self._hook = sys.unraisablehook

    def __enter__(self) -> Interruptible:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) in (signal.default_int_handler, command.leave):
            self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
            _entered.append(self)
            self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            sys.unraisablehook = self._hook
            _entered.remove(self)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self.seen and command.is_running():
            command.leave(number, frame)
        self.seen = True
        raise KeyboardInterrupt

    def _unraisable(self, dropped: Any) -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            self._hook(dropped)
