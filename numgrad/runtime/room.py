"""Memory for LLVM, checked before each call: LLVM ends the process if it finds none.

LLVM calls ``abort`` if an allocation fails. So before a call, the most address space that it takes is requested from the
system and given back at once (2 us). If the system refuses, a MemoryError is raised, which can be handled. Only another
thread that takes the room in between can still make LLVM fail.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

MB = 1 << 20
# Measured values, at least doubled; the C library requests at least one more megabyte outside of its main heap.
LOAD_BYTES = 4 * MB  # an object file takes 0.3 MB, and so does making the engine
COMPILE_BYTES = 64 * MB  # a kernel takes up to 25 MB
_NUMBA_BYTES = 64 * MB  # 23 MB
_LLVM_BYTES = 256 * MB  # 158 MB


def is_there(nbytes: int) -> bool:
    """Whether the system would give this process so many bytes."""
    flags = {} if sys.platform == "win32" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    try:
        mmap.mmap(-1, nbytes, **flags).close()
    except (OSError, ValueError):
        return False
    return True


def require(nbytes: int, purpose: str) -> None:
    """Raise unless there is that much room.

    Raises
    ------
    MemoryError
        The system does not give so many bytes.
    """
    if not is_there(nbytes):
        raise MemoryError(
            f"numgrad: {purpose} may take {nbytes // MB} MB of address space, and the system has not that much left for "
            "this process: free tensors, or raise the limit (ulimit -v, or the container's)"
        )


def llvm() -> Any:
    """``llvmlite.binding``, whose library may not fit.

    Raises
    ------
    MemoryError
        There is no room for it.
    """
    try:
        import llvmlite.binding
    except (ImportError, OSError):
        require(_LLVM_BYTES, "loading LLVM, which compiled kernels need,")
        raise
    return llvmlite.binding


def require_numba() -> None:
    """Raise unless there is room to import Numba and to compile a kernel with it.

    Raises
    ------
    MemoryError
        There is no room.
    """
    numba = 0 if "numba.core.compiler" in sys.modules else _NUMBA_BYTES
    require(numba + COMPILE_BYTES, "compiling a kernel that is not in the store")
