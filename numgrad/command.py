"""Whether this process is the command ``numgrad``, and what holds for it before its first line runs.

`numgrad` imports this module first. Importing the rest takes a quarter of a second, in which Ctrl-C has to end a
command without a traceback, and no file may get the number of a stream that was closed when the process began.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # the exit code, which is what a shell makes of a process that SIGINT ended


def is_running() -> bool:
    """True in a process that was started as ``numgrad``, ``python -m numgrad`` or one of the scripts that stand for it.

    >>> is_running()  # in a program that only uses the library
    False
    """
    name = sys.argv[0] if sys.argv else ""
    if name == "-m":  # while the module is looked for; then it is the path of __main__.py
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "numgrad"
    folder, _, file = name.replace("\\", "/").rpartition("/")
    return file in ("numgrad", "numgrad.exe") or f"{folder.rpartition('/')[2]}/{file}" == "numgrad/__main__.py"


def leave(number: int, frame: FrameType | None) -> None:
    """The handler of Ctrl-C where there is nothing to tidy up: the process ends at once."""
    try:
        os.write(2, b"interrupted\n")
    except OSError:
        pass  # nobody reads it
    os._exit(INTERRUPTED)


def _begin() -> None:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as in a shell's background
        signal.signal(signal.SIGINT, leave)
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number; to write there fails, as it would have


if is_running():
    _begin()
