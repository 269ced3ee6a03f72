"""Several processes, on one machine or many, that compute together: ``mpiexec -n N python program.py``.

The names are those of ``torch.distributed``, the backend is MPI. docs/distributed.md tells how to start programs.

>>> import numgrad as ng
>>> from numgrad import distributed
>>> distributed.init_process_group("mpi")
>>> loss = ng.tensor(0.5)
>>> distributed.all_reduce(loss, distributed.ReduceOp.AVG)
>>> distributed.get_rank(), distributed.get_world_size(), loss
(0, 1, tensor(0.5000))
>>> distributed.destroy_process_group()
"""

from __future__ import annotations

from numgrad.distributed.collectives import all_gather, all_gather_into_tensor, barrier, broadcast, gather, scatter
from numgrad.distributed.groups import (
    GroupMember,
    ProcessGroup,
    destroy_process_group,
    get_backend,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    new_group,
)
from numgrad.distributed.objects import all_gather_object, broadcast_object_list, gather_object
from numgrad.distributed.pairs import irecv, isend, recv, send
from numgrad.distributed.reductions import all_reduce, reduce, reduce_scatter, reduce_scatter_tensor
from numgrad.distributed.sums import ReduceOp
from numgrad.distributed.work import Work

__all__ = [
    "GroupMember",
    "ProcessGroup",
    "ReduceOp",
    "Work",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "isend",
    "new_group",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "send",
]
