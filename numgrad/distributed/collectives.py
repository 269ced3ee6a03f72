"""What ranks do together with tensors. All ranks of a group call the same functions, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributed.arguments import check_alike, check_only, check_target, peer
from numgrad.distributed.groups import ProcessGroup, group_for
from numgrad.distributed.sums import (
    ReduceOp,
    check_reduction,
    deliver,
    gathered_part,
    parts_of,
    reduced,
    row_major,
    window,
    written,
)
from numgrad.distributed.work import Steps, Work
from numgrad.errors import DtypeError, ShapeError, describe
from numgrad.tensor import creation
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor


def _run(name: str, group: ProcessGroup, steps: Steps, tensors: Sequence[Tensor], async_op: bool) -> Work | None:
    work = Work(name, group, steps, tensors)
    if async_op:
        return work
    work.wait()
    return None


# ---- sums -------------------------------------------------------------------------------------------------------


def all_reduce(
    tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """Combine the tensors of all ranks, element by element, into each of them.

    Sums are added in the order of ranks, so they have the same bits with any MPI, on any number of machines.

    Parameters
    ----------
    tensor
        This rank's values, and the result. Of any dtype; its shape is the same on all ranks.
    op
        A `ReduceOp`.
    group
        The ranks; None: all.
    async_op
        Return a `Work` at once, instead of waiting.

    Raises
    ------
    TypeError
        Something is no tensor or no `ReduceOp`.
    RuntimeError
        The dtype cannot be combined so, shapes of ranks differ, or a rank is gone.
    ValueError
        `init_process_group` was not called.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.tensor([1.0, 2.0])
    >>> distributed.all_reduce(x)
    >>> x  # of one rank
    tensor([1., 2.])
    >>> distributed.destroy_process_group()
    """
    check_target("all_reduce", "tensor", tensor)
    check_reduction("all_reduce", op, tensor._spec.dtype)
    ranks = group_for("all_reduce", group)
    return None if ranks is None else _run("all_reduce", ranks, _all_reduce(ranks, tensor, op), [tensor], async_op)


def _all_reduce(group: ProcessGroup, tensor: Tensor, op: ReduceOp) -> Steps:
    values = row_major(tensor)
    yield from reduced(group, window(values, 0, values.numel()), op, group.next_tag())
    deliver(tensor, values)


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """`all_reduce` for rank ``dst`` alone; the tensors of the others keep their values.

    Raises
    ------
    ValueError
        There is no such rank; or as `all_reduce`.
    """
    check_target("reduce", "tensor", tensor)
    check_reduction("reduce", op, tensor._spec.dtype)
    ranks = group_for("reduce", group)
    if ranks is None:
        return None
    to = peer("reduce", "dst", ranks, dst, group_dst)
    return _run("reduce", ranks, _reduce(ranks, tensor, to, op), [tensor], async_op)


def _reduce(group: ProcessGroup, tensor: Tensor, to: int, op: ReduceOp) -> Steps:
    if group.size() == 1 or not tensor._spec.numel:
        return
    values = row_major(tensor).detach()
    if group.rank != to:
        values = values.clone()  # a part of it becomes a part of the result
    tag = group.next_tag()
    parts = parts_of(window(values, 0, values.numel()), group.size())
    yield from gathered_part(group, parts, op, tag)
    messages = group.messages(sums=True)
    if group.rank != to:
        messages.send(parts[group.rank], to, tag + 1)
        yield messages
        return
    for other in range(group.size()):
        if other != to:
            messages.receive(parts[other], other, tag + 1)
    yield messages
    deliver(tensor, values if values._address != tensor._address else tensor)


def reduce_scatter(
    output: Tensor,
    input_list: Sequence[Tensor],
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """Combine tensor number ``rank`` of all ranks' lists into ``output``.

    Raises
    ------
    ValueError
        The list has not one tensor for each rank; or as `all_reduce`.
    RuntimeError
        Shapes or dtypes differ.
    """
    check_target("reduce_scatter", "output", output)
    check_reduction("reduce_scatter", op, output._spec.dtype)
    ranks = group_for("reduce_scatter", group)
    if ranks is None:
        return None
    inputs = check_alike("reduce_scatter", "input_list", input_list, ranks.size(), output._spec)
    return _run("reduce_scatter", ranks, _reduce_scatter(ranks, output, inputs, op), [output], async_op)


def reduce_scatter_tensor(
    output: Tensor,
    input: Tensor,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """`reduce_scatter` of a tensor whose first dimension is divided among the ranks, or that has one dimension more.

    Raises
    ------
    RuntimeError
        ``input`` has not as many elements as all outputs together, or another dtype; or as `all_reduce`.
    """
    check_target("reduce_scatter_tensor", "output", output)
    check_tensor("reduce_scatter_tensor", "input", input)
    check_reduction("reduce_scatter_tensor", op, output._spec.dtype)
    ranks = group_for("reduce_scatter_tensor", group)
    if ranks is None:
        return None
    inputs = _divided("reduce_scatter_tensor", "input", row_major(input).detach(), ranks.size(), output)
    return _run("reduce_scatter_tensor", ranks, _reduce_scatter(ranks, output, inputs, op), [output], async_op)


def _divided(name: str, argument: str, whole: Tensor, count: int, part: Tensor) -> list[Tensor]:
    """A contiguous tensor in ``count`` parts of the shape of ``part``, over the same memory."""
    if whole._spec.dtype is not part._spec.dtype:
        raise DtypeError(describe(name, f"{argument}.dtype", whole.dtype, part.dtype))
    if whole._spec.numel != count * part._spec.numel:
        raise ShapeError(describe(name, f"{argument}.numel()", whole.numel(), f"{count} x {part.numel()}"))
    numel = part._spec.numel
    return [window(whole, rank * numel, numel).view(tuple(part.shape)) for rank in range(count)]


def _reduce_scatter(group: ProcessGroup, output: Tensor, inputs: Sequence[Tensor], op: ReduceOp) -> Steps:
    values = [row_major(each) for each in inputs]
    values[group.rank] = values[group.rank].detach().clone()
    if group.size() > 1:
        yield from gathered_part(group, values, op, group.next_tag())
    deliver(output, values[group.rank])


# ---- copies -----------------------------------------------------------------------------------------------------


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
    """
    check_target("broadcast", "tensor", tensor)
    ranks = group_for("broadcast", group)
    if ranks is None:
        return None
    source = peer("broadcast", "src", ranks, src, group_src)
    return _run("broadcast", ranks, _broadcast(ranks, tensor, source), [tensor], async_op)


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
    """
    check_tensor("all_gather", "tensor", tensor)
    ranks = group_for("all_gather", group)
    if ranks is None:
        return None
    outputs = check_alike("all_gather", "tensor_list", tensor_list, ranks.size(), tensor._spec)
    return _run("all_gather", ranks, _all_gather(ranks, outputs, tensor), outputs, async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: ProcessGroup | None = None, async_op: bool = False
) -> Work | None:
    """`all_gather` into one tensor, whose first dimension is divided among the ranks, or that has one dimension more.

    Raises
    ------
    RuntimeError
        ``output_tensor`` is not contiguous, or has not as many elements as all inputs together, or another dtype; or a rank is
        gone.
    """
    name = "all_gather_into_tensor"
    check_tensor(name, "output_tensor", output_tensor)
    check_tensor(name, "input_tensor", input_tensor)
    ranks = group_for(name, group)
    if ranks is None:
        return None
    if not output_tensor._spec.is_contiguous:
        raise RuntimeError(describe(name, "output_tensor", "not contiguous", "a contiguous tensor"))
    outputs = _divided(name, "output_tensor", output_tensor.detach(), ranks.size(), input_tensor)
    return _run(name, ranks, _all_gather(ranks, outputs, input_tensor), [output_tensor], async_op)


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
    return _run("gather", ranks, _gather(ranks, outputs, tensor, to), outputs, async_op)


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
    return _run("scatter", ranks, _scatter(ranks, tensor, inputs, source), [tensor], async_op)


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


# ---- all ranks, and nothing else ----------------------------------------------------------------------------------


def barrier(group: ProcessGroup | None = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all ranks have come here.

    Raises
    ------
    ValueError
        `init_process_group` was not called.
    RuntimeError
        A rank is gone.
    """
    ranks = group_for("barrier", group)
    return None if ranks is None else _run("barrier", ranks, _barrier(ranks), [], async_op)


def _barrier(group: ProcessGroup) -> Steps:
    if group.size() > 1:
        messages = group.messages()
        messages.add(group.comm.Ibarrier())
        yield messages
