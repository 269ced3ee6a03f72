"""Sums over ranks, and what else becomes one value of several. All ranks of a group call the same functions, in the same order."""

from __future__ import annotations

from collections.abc import Sequence

from numgrad.distributed.arguments import check_alike, check_target, divided, peer
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
)
from numgrad.distributed.work import Steps, Work, run
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor


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
    return None if ranks is None else run("all_reduce", ranks, _all_reduce(ranks, tensor, op), [tensor], async_op)


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

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.tensor([1.0, 2.0])
    >>> distributed.reduce(x, dst=0)
    >>> x
    tensor([1., 2.])
    >>> distributed.destroy_process_group()
    """
    check_target("reduce", "tensor", tensor)
    check_reduction("reduce", op, tensor._spec.dtype)
    ranks = group_for("reduce", group)
    if ranks is None:
        return None
    to = peer("reduce", "dst", ranks, dst, group_dst)
    return run("reduce", ranks, _reduce(ranks, tensor, to, op), [tensor], async_op)


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

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.zeros(2)
    >>> distributed.reduce_scatter(x, [ng.ones(2)])
    >>> x
    tensor([1., 1.])
    >>> distributed.destroy_process_group()
    """
    check_target("reduce_scatter", "output", output)
    check_reduction("reduce_scatter", op, output._spec.dtype)
    ranks = group_for("reduce_scatter", group)
    if ranks is None:
        return None
    inputs = check_alike("reduce_scatter", "input_list", input_list, ranks.size(), output._spec)
    return run("reduce_scatter", ranks, _reduce_scatter(ranks, output, inputs, op), [output], async_op)


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

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.zeros(2)
    >>> distributed.reduce_scatter_tensor(x, ng.ones(2))
    >>> x
    tensor([1., 1.])
    >>> distributed.destroy_process_group()
    """
    check_target("reduce_scatter_tensor", "output", output)
    check_tensor("reduce_scatter_tensor", "input", input)
    check_reduction("reduce_scatter_tensor", op, output._spec.dtype)
    ranks = group_for("reduce_scatter_tensor", group)
    if ranks is None:
        return None
    inputs = divided("reduce_scatter_tensor", "input", row_major(input).detach(), ranks.size(), output)
    return run("reduce_scatter_tensor", ranks, _reduce_scatter(ranks, output, inputs, op), [output], async_op)


def _reduce_scatter(group: ProcessGroup, output: Tensor, inputs: Sequence[Tensor], op: ReduceOp) -> Steps:
    values = [row_major(each) for each in inputs]
    values[group.rank] = values[group.rank].detach().clone()
    if group.size() > 1:
        yield from gathered_part(group, values, op, group.next_tag())
    deliver(output, values[group.rank])
