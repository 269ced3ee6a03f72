"""Every environment variable that numgrad reads: name, default, meaning. No other module reads the environment.

A value is read on each use, so tests and programs can set it before the first one.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numgrad import command


@dataclass(frozen=True)
class Knob:
    """One environment variable. Values have to match ``pattern``, which ``expected`` describes in messages."""

    name: str
    default: str
    meaning: str
    pattern: str = ".*"
    expected: str = "anything"

    def __call__(self) -> str:
        return os.environ.get(self.name) or self.default

    def is_set(self) -> bool:
        """True for any value but '', '0', 'false', 'no' and 'off'."""
        return self().strip().lower() not in ("", "0", "false", "no", "off")

    def problem(self) -> str:
        """The complaint about an invalid value; '' if the value is valid.

        >>> Knob("PACE", "fast", "how quick", "fast|slow", "fast or slow").problem()
        ''
        """
        value = self()
        if not value or re.fullmatch(self.pattern, value.strip(), re.IGNORECASE | re.ASCII | re.DOTALL):
            return ""
        return f"the environment variable {self.name} is {value!r}, expected {self.expected}"


_YES_OR_NO = "0|1|false|true|no|yes|off|on"


def _one_of(*words: str) -> tuple[str, str]:
    return "|".join(words), f"one of {', '.join(words)}"


NUM_THREADS = Knob(
    "NUMGRAD_NUM_THREADS",
    "",
    "threads that a launch may use; default: the CPUs this process may run on",
    "0*([1-9][0-9]{0,2}|10([01][0-9]|2[0-4]))",
    "an integer from 1 to 1024",
)
WAIT = Knob(
    "NUMGRAD_WAIT",
    "auto",
    "how idle threads sleep: auto, futex, ulock, address or poll",
    *_one_of("auto", "futex", "ulock", "address", "poll"),
)
DEBUG = Knob(
    "NUMGRAD_DEBUG",
    "0",
    "1: kernels check every index, and a bad one raises KernelError; guard: blocks of memory lie between pages that nobody"
    " may touch, so that an access past an end stops the process",
    f"{_YES_OR_NO}|guard",
    "0, 1 or guard",
)
PYTHON = Knob(
    "NUMGRAD_PYTHON",
    "0",
    "1: kernels run as plain Python, which a debugger steps through, unless they are written as intrinsics",
    _YES_OR_NO,
    "0 or 1",
)
SIMD = Knob(
    "NUMGRAD_SIMD",
    "auto",
    "vector instructions to use: auto, avx512, avx2, neon or scalar",
    *_one_of("auto", "avx512", "avx2", "neon", "scalar"),
)
CPU = Knob(
    "NUMGRAD_CPU",
    "auto",
    "kind of CPU to compile for: auto (this very one), x86-64-v3, x86-64-v4 or arm64. Every CPU of a kind computes the same bits",
    *_one_of("auto", "x86-64-v3", "x86-64-v4", "arm64"),
)
CONV = Knob(
    "NUMGRAD_CONV",
    "auto",
    "convolution: auto (Winograd's where that pays), direct (rounds least), winograd2, winograd4",
    *_one_of("auto", "direct", "winograd2", "winograd4"),
)
TAPE_MB = Knob(
    "NUMGRAD_TAPE_MB",
    "4096",
    "megabytes that one call of a differentiable function with loops may record for its backward",
    "0*[1-9][0-9]{0,8}",
    "an integer from 1 to 999999999",
)
COMPILE_JOBS = Knob(
    "NUMGRAD_COMPILE_JOBS",
    "",
    "processes that compile kernels, this one included; default: the CPUs, at most 4 for a command, at most 2 for a program",
    "0*([1-9]|[1-5][0-9]|6[0-4])",
    "an integer from 1 to 64",
)
KERNEL_STORE = Knob("NUMGRAD_KERNEL_STORE", "", "folder of compiled kernels; 'off' keeps them in memory only")
WHEEL_KERNELS = Knob(
    "NUMGRAD_WHEEL_KERNELS",
    "1",
    "0: kernels that numgrad's wheel brought in machine code are not used, but compiled here",
    _YES_OR_NO,
    "0 or 1",
)
LOG = Knob(
    "NUMGRAD_LOG",
    "",
    "a logging level (debug, info, ...) for numgrad's logger on stderr",
    *_one_of("debug", "info", "warning", "error", "critical"),
)
HOME = Knob("NUMGRAD_HOME", "", "folder of downloaded weights; default: the platform's cache folder")
WEIGHTS_URL = Knob(
    "NUMGRAD_WEIGHTS_URL",
    "",
    "base URL asked for weights instead of the registry's",
    "https?://[^/].*",
    "a URL that begins with http:// or https://",
)
OFFLINE = Knob("NUMGRAD_OFFLINE", "0", "1: never touch the network", _YES_OR_NO, "0 or 1")

PROGRESS = Knob(
    "NUMGRAD_PROGRESS",
    "1",
    "0: on a terminal, programs show no bars of downloads and no line while they compile for the first time",
    _YES_OR_NO,
    "0 or 1",
)

KNOBS = (
    NUM_THREADS, WAIT, DEBUG, PYTHON, SIMD, CPU, CONV, TAPE_MB, COMPILE_JOBS, KERNEL_STORE, WHEEL_KERNELS, LOG, PROGRESS,
    HOME, WEIGHTS_URL, OFFLINE,
)  # fmt: skip


# By these, launchers of MPI tell a process how many there are.
_LAUNCHERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def launched_ranks() -> int:
    """Processes that a launcher, such as ``mpiexec``, started together with this one; 1 if none did."""
    numbers = [os.environ.get(name, "") for name in _LAUNCHERS]
    return max([int(number) for number in numbers if number.isdecimal()], default=1)


def checks_indices() -> bool:
    """Whether kernels are compiled with a check of every index."""
    return DEBUG.is_set() and not guards_memory()


def guards_memory() -> bool:
    """Whether blocks of memory are guarded."""
    return DEBUG() == "guard"


def shows_progress() -> bool:
    """Whether a program says on stderr that something takes long: that is a terminal, and ``NUMGRAD_PROGRESS`` is not 0.

    >>> shows_progress()  # where stderr is read by a program
    False
    """
    return sys.stderr is not None and sys.stderr.isatty() and PROGRESS.is_set()


def problem() -> str:
    """The complaint about the first variable with an invalid value; '' if all are valid.

    Values that the machine cannot satisfy, such as vector instructions that its CPU lacks, are refused on use.
    """
    return next(filter(None, (knob.problem() for knob in KNOBS)), "")


class _Stderr(logging.StreamHandler):
    """A handler that writes to the present sys.stderr."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if there is a stderr."""
        if self.stream is not None:
            super().emit(record)


def start() -> None:
    """Refuse invalid settings, and send the log to stderr if NUMGRAD_LOG names a level.

    A command refuses settings itself, with a line on stderr and an exit code.

    Raises
    ------
    ValueError
        A variable has an invalid value.
    """
    wrong = problem()
    if wrong and not command.is_running():
        raise ValueError(wrong)
    if LOG() and not LOG.problem():
        logger = logging.getLogger("numgrad")
        logger.setLevel(LOG().strip().upper())
        handler = _Stderr()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger.addHandler(handler)


def cache_folder() -> Path:
    """The platform's folder for data that can be restored (kernels, weights); not created here."""
    from platformdirs import user_cache_path

    return user_cache_path("numgrad", appauthor=False)
