"""Copies of tensors among ranks. All ranks of a group call the same functions, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from numgrad.distributed.arguments import check_alike, check_only, check_target, divided, peer
from numgrad.distributed.groups import ProcessGroup, group_for
from numgrad.distributed.sums import deliver, row_major, written
from numgrad.distributed.work import Steps, Work, run
from numgrad.errors import describe
from numgrad.tensor import creation
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor


def broadcast(
    tensor: Tensor,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Copy the tensor of rank ``src`` into those of all ranks.

    Raises
    ------
    TypeError
        Something is no tensor.
    ValueError
        There is no such rank, or `init_process_group` was not called.
    RuntimeError
        Sizes of ranks differ, or a rank is gone.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.tensor([1.0, 2.0])
    >>> distributed.broadcast(x, src=0)
    >>> x
    tensor([1., 2.])
    >>> distributed.destroy_process_group()
    """
    check_target("broadcast", "tensor", tensor)
    ranks = group_for("broadcast", group)
    if ranks is None:
        return None
    source = peer("broadcast", "src", ranks, src, group_src)
    return run("broadcast", ranks, _broadcast(ranks, tensor, source), [tensor], async_op)


def _broadcast(group: ProcessGroup, tensor: Tensor, source: int) -> Steps:
    if group.size() == 1 or not tensor._spec.numel:
        return
    values = row_major(tensor) if group.rank == source else written(tensor)
    messages = group.messages()
    messages.add(group.comm.Ibcast(messages.memory(values), source))
    yield messages
    if group.rank != source:
        deliver(tensor, values)


def all_gather(
    tensor_list: Sequence[Tensor], tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Copy the tensor of each rank into the tensor of that number of the list, on all ranks.

    Raises
    ------
    ValueError
        The list has not one tensor for each rank, or `init_process_group` was not called.
    RuntimeError
        Shapes or dtypes differ, or a rank is gone.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> gathered = [ng.zeros(2) for _ in range(distributed.get_world_size())]
    >>> distributed.all_gather(gathered, ng.ones(2))
    >>> gathered
    [tensor([1., 1.])]
    >>> distributed.destroy_process_group()
    """
    check_tensor("all_gather", "tensor", tensor)
    ranks = group_for("all_gather", group)
    if ranks is None:
        return None
    outputs = check_alike("all_gather", "tensor_list", tensor_list, ranks.size(), tensor._spec)
    return run("all_gather", ranks, _all_gather(ranks, outputs, tensor), outputs, async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """`all_gather` into one tensor, whose first dimension is divided among the ranks, or that has one dimension more.

    Raises
    ------
    RuntimeError
        ``output_tensor`` is not contiguous, or has not as many elements as all inputs together, or another dtype; or a rank is
        gone.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> gathered = ng.zeros(2 * distributed.get_world_size())
    >>> distributed.all_gather_into_tensor(gathered, ng.ones(2))
    >>> gathered
    tensor([1., 1.])
    >>> distributed.destroy_process_group()
    """
    name = "all_gather_into_tensor"
    check_tensor(name, "output_tensor", output_tensor)
    check_tensor(name, "input_tensor", input_tensor)
    ranks = group_for(name, group)
    if ranks is None:
        return None
    if not output_tensor._spec.is_contiguous:
        raise RuntimeError(describe(name, "output_tensor", "not contiguous", "a contiguous tensor"))
    outputs = divided(name, "output_tensor", output_tensor.detach(), ranks.size(), input_tensor)
    return run(name, ranks, _all_gather(ranks, outputs, input_tensor), [output_tensor], async_op)


def _all_gather(group: ProcessGroup, outputs: Sequence[Tensor], tensor: Tensor) -> Steps:
    values = row_major(tensor)
    if group.size() == 1 or not values._spec.numel:
        deliver(outputs[0], values.detach())
        return
    everything = creation.empty((group.size(), values.numel()), dtype=values.dtype)
    messages = group.messages()
    messages.add(group.comm.Iallgather(messages.memory(values), messages.memory(everything)))
    yield messages
    for rank, output in enumerate(outputs):
        deliver(output, everything[rank].view(tuple(tensor.shape)))


def gather(
    tensor: Tensor,
    gather_list: Sequence[Tensor] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """`all_gather` for rank ``dst`` alone, which is the only one that gives a list.

    Raises
    ------
    ValueError
        The list has not one tensor for each rank, another rank gives one, or there is no such rank.
    RuntimeError
        Shapes or dtypes differ, or a rank is gone.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> gathered = [ng.zeros(2)] if distributed.get_rank() == 0 else None
    >>> distributed.gather(ng.ones(2), gathered, dst=0)
    >>> gathered
    [tensor([1., 1.])]
    >>> distributed.destroy_process_group()
    """
    check_tensor("gather", "tensor", tensor)
    ranks = group_for("gather", group)
    if ranks is None:
        return None
    to = peer("gather", "dst", ranks, dst, group_dst, default=0)
    outputs: list[Tensor] = []
    if ranks.rank == to:
        outputs = check_alike("gather", "gather_list", gather_list, ranks.size(), tensor._spec)
    else:
        check_only("gather", "gather_list", gather_list, "dst")
    return run("gather", ranks, _gather(ranks, outputs, tensor, to), outputs, async_op)


def _gather(group: ProcessGroup, outputs: Sequence[Tensor], tensor: Tensor, to: int) -> Steps:
    values, tag = row_major(tensor), group.next_tag()
    messages = group.messages(sums=True)
    if group.rank != to:
        messages.send(values, to, tag)
        yield messages
        return
    arriving = {other: written(output) for other, output in enumerate(outputs) if other != to}
    for other, output in arriving.items():
        messages.receive(output, other, tag)
    yield messages
    for other, output in arriving.items():
        deliver(outputs[other], output)
    deliver(outputs[to], values.detach())


def scatter(
    tensor: Tensor,
    scatter_list: Sequence[Tensor] | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """Copy tensor number ``rank`` of the list that rank ``src`` gives into ``tensor``.

    Raises
    ------
    ValueError
        The list has not one tensor for each rank, another rank gives one, or there is no such rank.
    RuntimeError
        Shapes or dtypes differ, or a rank is gone.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.zeros(2)
    >>> distributed.scatter(x, [ng.ones(2)] if distributed.get_rank() == 0 else None, src=0)
    >>> x
    tensor([1., 1.])
    >>> distributed.destroy_process_group()
    """
    check_target("scatter", "tensor", tensor)
    ranks = group_for("scatter", group)
    if ranks is None:
        return None
    source = peer("scatter", "src", ranks, src, group_src, default=0)
    inputs: list[Tensor] = []
    if ranks.rank == source:
        inputs = check_alike("scatter", "scatter_list", scatter_list, ranks.size(), tensor._spec)
    else:
        check_only("scatter", "scatter_list", scatter_list, "src")
    return run("scatter", ranks, _scatter(ranks, tensor, inputs, source), [tensor], async_op)


def _scatter(group: ProcessGroup, tensor: Tensor, inputs: Sequence[Tensor], source: int) -> Steps:
    tag, messages = group.next_tag(), group.messages(sums=True)
    if group.rank != source:
        values = written(tensor)
        messages.receive(values, source, tag)
        yield messages
        deliver(tensor, values)
        return
    for other, value in enumerate(inputs):
        if other != source:
            messages.send(row_major(value), other, tag)
    yield messages
    deliver(tensor, row_major(inputs[source]).detach())


def barrier(
    group: ProcessGroup | None = None,
    async_op: bool = False,
    device_ids: Any = None,
    timeout: timedelta | None = None,
) -> Work | None:
    """Wait until all ranks have come here.

    Parameters
    ----------
    group
        The ranks; None: all.
    async_op
        Return a `Work` at once, instead of waiting.
    device_ids
        Without effect.
    timeout
        How long to wait; None: as long as the group was told to.

    Raises
    ------
    ValueError
        `init_process_group` was not called.
    RuntimeError
        A rank is gone, or it takes longer.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> distributed.barrier()
    >>> distributed.destroy_process_group()
    """
    ranks = group_for("barrier", group)
    if ranks is None:
        return None
    work = Work("barrier", ranks, _barrier(ranks))
    if not async_op:
        work.wait(timeout)
    return work if async_op else None


def _barrier(group: ProcessGroup) -> Steps:
    if group.size() > 1:
        messages = group.messages()
        messages.add(group.comm.Ibarrier())
        yield messages
