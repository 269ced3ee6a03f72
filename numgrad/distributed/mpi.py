"""MPI as numgrad uses it: the library that mpi4py finds, or none, in which case a process is the only rank.

mpi4py starts MPI when its module is imported, so nothing here imports it before `init_process_group` asks for it.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

import numpy as np

from numgrad import config
from numgrad.errors import warn
from numgrad.runtime import threads
from numgrad.runtime.cpus import available_cpus, fair_share
from numgrad.runtime.target import host_target

_log = logging.getLogger("numgrad.distributed")
INSTALL = "pip install 'numgrad[mpi]'"


@functools.cache
def library() -> Any:
    """The module ``mpi4py.MPI``, which has started MPI; None, and a line in the log, where it is not and nobody needs it.

    Raises
    ------
    RuntimeError
        A launcher started several processes, and MPI is missing, or is another one than the launcher's: each process would
        take itself for the only one.
    """
    launched = config.launched_ranks()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter: there is mpi4py, and no MPI that it can load
        if launched > 1:
            raise RuntimeError(
                f"init_process_group: a launcher started {launched} processes, but mpi4py cannot be imported ({error}); {INSTALL}"
            ) from error
        _log.warning("this process is the only rank, since there is no MPI (%s); %s", error, INSTALL)
        return None
    if launched > 1 and MPI.COMM_WORLD.Get_size() == 1:
        raise RuntimeError(
            f"init_process_group: a launcher started {launched} processes, but mpi4py found another MPI "
            f"({MPI.Get_library_version().splitlines()[0]}), in which each is alone; take the mpiexec of that MPI"
        )
    return MPI


def share_cpus(comm: Any) -> int:
    """Let each rank use its share of the CPUs, unless somebody has said how many threads there shall be.

    Returns this rank's number among those of its machine.

    Ranks that a launcher bound to CPUs of their own use all of them. Where it bound none, each CPU is divided among the ranks
    of its machine that may run on it.
    """
    MPI = library()  # noqa: N806
    local = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        gathered = gather_bytes(local, np.array(sorted(_affinity()), np.int64).tobytes())
        masks = [set(np.frombuffer(bits, np.int64).tolist()) for bits in gathered]
        if not config.NUM_THREADS().strip() and threads.get_num_threads() == min(
            available_cpus(), threads.MOST_THREADS
        ):
            threads.set_num_threads(min(fair_share(masks, local.Get_rank()), threads.MOST_THREADS))
        return int(local.Get_rank())
    finally:
        local.Free()


def _affinity() -> set[int]:
    """The CPUs that this process may run on; numbered from 0 where the system does not tell."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(available_cpus()))


def compare_machines(comm: Any) -> None:
    """Warn where ranks compute with different vector instructions: what each computes by itself may differ in the last bit."""
    names = [bits.decode() for bits in gather_bytes(comm, host_target().name.encode())]
    if len(set(names)) > 1:
        warn(
            f"ranks have different vector instructions ({', '.join(names)}), and parameters may drift apart by rounding; set "
            f"NUMGRAD_SIMD to one that all have"
        )


def gather_bytes(comm: Any, data: bytes) -> list[bytes]:
    """The bytes of each rank of a communicator, in their order."""
    sizes = np.zeros(comm.Get_size(), np.int64)
    comm.Allgather(np.array([len(data)], np.int64), sizes)
    everything = bytearray(int(sizes.sum()))
    MPI = library()  # noqa: N806
    ends = np.cumsum(sizes)
    comm.Allgatherv([data, MPI.BYTE], [everything, (sizes, ends - sizes), MPI.BYTE])
    return [bytes(everything[end - size : end]) for size, end in zip(sizes.tolist(), ends.tolist(), strict=True)]
