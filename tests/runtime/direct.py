"""A kernel called by its entry alone: no launch door, so nothing but the kernel is compiled."""

from __future__ import annotations

import ctypes

import numpy as np

from numgrad.runtime.kernel import Kernel


def call(made: Kernel, array: np.ndarray) -> int:
    """Run a kernel of one one-dimensional array over all of it; the status that it left."""
    status = np.zeros(1, np.int64)
    slots = np.array([status.ctypes.data, array.ctypes.data, array.size], np.int64)
    entry = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(made.entry())
    entry(slots.ctypes.data, 0, array.size, 0)
    return int(status[0])
