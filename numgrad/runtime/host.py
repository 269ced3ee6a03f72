"""`HostCall`: a program that is one call of a Python function over NumPy arrays, for what LAPACK computes as NumPy brings it.

It stands in a plan where launches of kernels would: outputs are allocated before and shapes are proved before, and so the
function gets arrays over the tensors' own memory, inputs read-only and outputs to be written, and allocates what it likes.
What it returns is the status word, as a kernel leaves one: 0 or None if there is nothing to report.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numgrad.layout import Spec
from numgrad.runtime import kernel


@dataclass(frozen=True)
class HostArray:
    """An argument: the ``index``-th address given to the program, plus ``offset`` bytes, and what lies there."""

    index: int
    offset: int
    spec: Spec
    writable: bool

    def over(self, address: int) -> np.ndarray:
        """NumPy's array over the memory at an address, which the caller keeps alive."""
        spec = self.spec
        dtype = spec.dtype.numpy
        if not spec.numel:
            return np.empty(spec.shape, dtype)
        memory: Any = (ctypes.c_char * spec.nbytes).from_address(address + self.offset)
        strides = [stride * spec.dtype.itemsize for stride in spec.strides]
        array: np.ndarray = np.ndarray(spec.shape, dtype, memory, 0, strides)
        array.flags.writeable = self.writable
        return array


class HostCall:
    """One call of ``function(*arrays, **params)``, which no machine code makes: a plan leaves it to Python.

    It does for a `program.Program` wherever programs are run and reported.
    """

    splits = False
    launches = ()

    def __init__(
        self, function: Callable[..., int | None], arguments: Sequence[HostArray], params: dict[str, Any]
    ) -> None:
        self.function, self.arguments, self.params = function, tuple(arguments), params

    def names(self) -> list[str]:
        """The function, where a program of launches names its kernels."""
        return [self.function.__name__]

    def run(self, addresses: Sequence[int]) -> int:
        """Call the function over these addresses; its status. In a rehearsal nothing runs, since nothing is there."""
        if kernel.rehearsal is not None:
            return 0
        arrays = [argument.over(addresses[argument.index]) for argument in self.arguments]
        with np.errstate(all="ignore"):
            return self.function(*arrays, **self.params) or 0
