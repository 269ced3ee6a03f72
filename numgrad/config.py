"""Every environment variable that numgrad reads: name, default, meaning. Nothing else reads the environment.

Values are read when they are asked for, so that tests and programs can set them before first use.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Knob:
    """One environment variable."""

    name: str
    default: str
    meaning: str

    def __call__(self) -> str:
        return os.environ.get(self.name) or self.default

    def is_set(self) -> bool:
        """True for any value but '', '0', 'false' and 'no'."""
        return self().lower() not in ("", "0", "false", "no")


NUM_THREADS = Knob(
    "NUMGRAD_NUM_THREADS", "", "threads that a launch may use; default: the CPUs this process may run on"
)
WAIT = Knob("NUMGRAD_WAIT", "auto", "how idle threads sleep: auto, futex, ulock, address or poll")
DEBUG = Knob(
    "NUMGRAD_DEBUG",
    "0",
    "1: kernels check every index, and a bad one raises KernelError; guard: blocks of memory lie between pages that nobody"
    " may touch, so that an access past an end stops the process",
)
SIMD = Knob("NUMGRAD_SIMD", "auto", "vector instructions to use: auto, avx512, avx2, neon or scalar")
CONV = Knob(
    "NUMGRAD_CONV",
    "auto",
    "convolution: auto (Winograd's where that pays), direct (rounds least), winograd2, winograd4",
)
COMPILE_JOBS = Knob(
    "NUMGRAD_COMPILE_JOBS", "", "processes that compile kernels for a command; default: the CPUs, at most 4"
)
KERNEL_STORE = Knob("NUMGRAD_KERNEL_STORE", "", "folder of compiled kernels; 'off' keeps them in memory only")
LOG = Knob("NUMGRAD_LOG", "", "a logging level (debug, info, ...) for numgrad's logger on stderr")
HOME = Knob("NUMGRAD_HOME", "", "folder of downloaded weights; default: the platform's cache folder")
WEIGHTS_URL = Knob("NUMGRAD_WEIGHTS_URL", "", "base URL asked for weights instead of the registry's")
OFFLINE = Knob("NUMGRAD_OFFLINE", "0", "1: never touch the network")

KNOBS = (NUM_THREADS, WAIT, DEBUG, SIMD, CONV, COMPILE_JOBS, KERNEL_STORE, LOG, HOME, WEIGHTS_URL, OFFLINE)


def checks_indices() -> bool:
    """Whether kernels check every index."""
    return DEBUG.is_set() and not guards_memory()


def guards_memory() -> bool:
    """Whether blocks of memory are guarded."""
    return DEBUG() == "guard"


def start_logging() -> None:
    """Send numgrad's log to stderr from the level that NUMGRAD_LOG names on, if it names one.

    Raises
    ------
    ValueError
        There is no such level.
    """
    if LOG():
        logger = logging.getLogger("numgrad")
        logger.setLevel(LOG().upper())
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger.addHandler(handler)


def cache_folder() -> Path:
    """The folder for things that can be made again (kernels, weights), by the platform's custom; not created here."""
    from platformdirs import user_cache_path

    return user_cache_path("numgrad", appauthor=False)
