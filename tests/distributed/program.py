"""A program for ranks: runs checks one after the other, and rank 0 writes the name of each that all ranks have passed.

``mpiexec -n 2 python -m tests.distributed.program`` runs those for two ranks, and with names only these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from numgrad import distributed

Check = Callable[[], None]
CHECKS: dict[str, tuple[Check, tuple[int, ...]]] = {}
MODULES = ("functions", "averages", "training")


def check(*counts: int) -> Callable[[Check], Check]:
    """Register a check that these numbers of ranks run."""

    def register(function: Check) -> Check:
        CHECKS[function.__name__] = function, counts
        return function

    return register


def names(count: int) -> list[str]:
    """The checks for so many ranks."""
    for module in MODULES:
        import_module(f"tests.distributed.{module}")
    return [name for name, (_, counts) in CHECKS.items() if count in counts]


def main() -> None:
    """Run the checks as one of the ranks."""
    distributed.init_process_group("mpi")
    for name in sys.argv[1:] or names(distributed.get_world_size()):
        names(1)
        CHECKS[name][0]()
        distributed.barrier()
        if distributed.get_rank() == 0:
            sys.stdout.write(f"passed {name}\n")
            sys.stdout.flush()
    distributed.destroy_process_group()


if __name__ == "__main__":
    import_module("tests.distributed.program").main()  # the table that the checks' modules fill is that of this name
