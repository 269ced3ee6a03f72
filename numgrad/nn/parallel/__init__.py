"""Modules that run in parallel: `DistributedDataParallel` over the ranks of a run, `DataParallel` over one CPU.

>>> from numgrad import nn
>>> nn.parallel.DistributedDataParallel.__name__
'DistributedDataParallel'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from numgrad.nn.parallel.data_parallel import DataParallel, data_parallel

if TYPE_CHECKING:
    from numgrad.nn.parallel.distributed import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


def __getattr__(name: str) -> object:
    """The model over ranks is imported when it is asked for, with all that it needs."""
    if name == "DistributedDataParallel":
        from numgrad.nn.parallel.distributed import DistributedDataParallel

        return DistributedDataParallel
    raise AttributeError(f"module 'numgrad.nn.parallel' has no attribute {name!r}")
