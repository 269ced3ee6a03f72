"""`mpiexec`: the program that starts ranks."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from numgrad.distributed.mpi import INSTALL


def mpiexec() -> str:
    """The path of the ``mpiexec`` that belongs to this interpreter's environment, or else the first on PATH.

    Raises
    ------
    RuntimeError
        mpi4py is not installed, or there is no ``mpiexec``.
    """
    from numgrad.distributed.groups import is_mpi_available

    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) if sys.executable else None
    path = beside or shutil.which("mpiexec")
    if path is None or not is_mpi_available():
        missing = "mpiexec" if path is None else "mpi4py"
        raise RuntimeError(f"ranks cannot be started without {missing}; {INSTALL}")
    return path
