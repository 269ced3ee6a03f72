"""``mpiexec -n N python -m numgrad.distributed program.py``: run a program that reads its rank from the environment.

Programs written for torch's own launcher expect ``RANK``, ``LOCAL_RANK``, ``WORLD_SIZE`` and ``LOCAL_WORLD_SIZE``. They are set
here, as MPI has them. A program that calls ``get_rank()`` does not need this.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from numgrad.distributed import mpi
from numgrad.distributed.ending import abort


def main() -> None:
    """Run the program in the arguments as one of the ranks; if it fails before it is one, all end."""
    if len(sys.argv) < 2:
        sys.exit("usage: mpiexec -n N python -m numgrad.distributed PROGRAM [ARGUMENT...]")
    library = mpi.library()
    rank, size, local_rank, local_size = 0, 1, 0, 1
    if library is not None:
        world = library.COMM_WORLD
        rank, size = world.Get_rank(), world.Get_size()
        local = world.Split_type(library.COMM_TYPE_SHARED)
        local_rank, local_size = local.Get_rank(), local.Get_size()
        local.Free()
    numbers = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": local_rank, "LOCAL_WORLD_SIZE": local_size}
    os.environ.update({name: str(number) for name, number in numbers.items()})
    sys.argv[:] = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except Exception:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # once it is a rank, this ends the run
        if size > 1:
            abort(library)
        sys.exit(1)


if __name__ == "__main__":
    main()
