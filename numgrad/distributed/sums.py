"""Sums over ranks, added in the order of ranks: the bits do not depend on the MPI, its algorithms or the sizes of messages.

MPI only moves bytes; what is computed is computed by ops. Memory is divided among the ranks. Each gets its part from all
others, adds them in the order of ranks (of two numbers the order is nothing to a sum), and sends the result to all. That is
as little traffic as any algorithm has, and here faster than MPI's own reduction. Small tensors go whole to every rank, which
is one step less; the bits are the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributed.groups import ProcessGroup
from numgrad.distributed.work import Steps
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import tensor_over
from numgrad.errors import DtypeError, describe
from numgrad.layout import contiguous_strides, spec_of
from numgrad.registry import find
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

_SMALL = 1 << 13  # bytes that go whole to every rank
_LINE = 64  # bytes; parts of a tensor begin at multiples


class ReduceOp(Enum):
    """How values of several ranks become one.

    >>> ReduceOp.SUM.name
    'SUM'
    """

    SUM = "sum"
    AVG = "avg"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    BAND = "band"
    BOR = "bor"
    BXOR = "bxor"


def _by(name: str) -> Callable[[Tensor, Tensor], Any]:
    return lambda total, other: total.copy_(find(name)(total, other))


# ``combine(total, other)`` changes ``total``.
_COMBINE: dict[ReduceOp, Callable[[Tensor, Tensor], Any]] = {
    ReduceOp.SUM: lambda total, other: total.add_(other),
    ReduceOp.AVG: lambda total, other: total.add_(other),
    ReduceOp.PRODUCT: lambda total, other: total.mul_(other),
    ReduceOp.MIN: _by("minimum"),
    ReduceOp.MAX: _by("maximum"),
    ReduceOp.BAND: _by("bitwise_and"),
    ReduceOp.BOR: _by("bitwise_or"),
    ReduceOp.BXOR: _by("bitwise_xor"),
}
_BITWISE = {ReduceOp.BAND, ReduceOp.BOR, ReduceOp.BXOR}


def check_reduction(name: str, op: Any, dtype: Dtype) -> ReduceOp:
    """``op``, if tensors of this dtype can be combined by it.

    Raises
    ------
    TypeError
        It is no `ReduceOp`.
    RuntimeError
        AVG of integers, bits of floats, or a sum or product of booleans.
    """
    if not isinstance(op, ReduceOp):
        raise TypeError(describe(name, "op", repr(op), "a member of ReduceOp, such as ReduceOp.SUM"))
    is_bool = dtype.name == "bool"
    if op is ReduceOp.AVG and not dtype.is_floating_point:
        raise DtypeError(describe(name, "op", "AVG", f"another one for {dtype}", "take SUM and divide"))
    if op in _BITWISE and dtype.is_floating_point:
        raise DtypeError(describe(name, "op", op.name, f"another one for {dtype}", "floats have no bits to combine"))
    if is_bool and op not in _BITWISE | {ReduceOp.MIN, ReduceOp.MAX}:
        raise DtypeError(describe(name, "op", op.name, f"another one for {dtype}", "take BOR or BAND"))
    return op


def window(tensor: Tensor, begin: int, count: int) -> Tensor:
    """Elements of a dense tensor in the order of memory, as a tensor over the same memory."""
    address = tensor._address + begin * tensor._spec.dtype.itemsize
    spec = spec_of(tensor._spec.dtype, (count,))
    result: Tensor = tensor_over(Tensor, tensor._storage, spec, address)
    return result


def parts_of(flat: Tensor, count: int) -> list[Tensor]:
    """A flat tensor in parts of about the same length, some of which may be empty."""
    line = max(1, _LINE // flat._spec.dtype.itemsize)
    length = -(-flat._spec.numel // (count * line)) * line
    bounds = [min(index * length, flat._spec.numel) for index in range(count + 1)]
    return [window(flat, begin, end - begin) for begin, end in pairwise(bounds)]


def move(source: Tensor, target: Tensor, begin: int, to: int, count: int) -> None:
    """Copy elements, in the order of memory, from one dense tensor to another; an op for each would take ten times as long."""
    size = source._spec.dtype.itemsize
    ctypes.memmove(target._address + to * size, source._address + begin * size, count * size)
    target._storage.version += 1


def row_major(tensor: Tensor) -> Tensor:
    """The tensor, or its values in row-major memory; a private layout stays what it is."""
    spec = tensor._spec
    if spec.is_contiguous:
        return tensor
    with no_grad():
        copied: Tensor = find("to_strides")(tensor.detach(), strides=contiguous_strides(spec.shape))
    return copied


def written(tensor: Tensor) -> Tensor:
    """The tensor, or new memory for values that `deliver` writes into it."""
    return tensor if tensor._spec.is_contiguous else creation.empty(tuple(tensor._spec.shape), dtype=tensor._spec.dtype)


def deliver(tensor: Tensor, arrived: Tensor) -> None:
    """Values that arrived are the tensor's; they are already, if they arrived in its memory."""
    if arrived is tensor:
        tensor._storage.version += 1  # what a graph has saved is gone
    else:
        with no_grad():
            tensor.copy_(arrived)


def gathered_part(group: ProcessGroup, parts: Sequence[Tensor], op: ReduceOp, tag: int) -> Steps:
    """Steps after which ``parts[rank]`` is the combination of that part of all ranks. The others keep their values."""
    rank, own = group.rank, parts[group.rank]
    others = [other for other in range(group.size()) if other != rank]
    received = {other: creation.empty(tuple(own.shape), dtype=own.dtype) for other in others}
    messages = group.messages(sums=True)
    for other in others:
        messages.receive(received[other], other, tag)
    for other in others:
        messages.send(parts[other], other, tag)
    yield messages
    combine, values = _COMBINE[op], list(received.values())
    with no_grad():
        for value in values[1:rank]:
            combine(values[0], value)
        for value in [*values[: min(rank, 1)], *values[rank:]]:
            combine(own, value)
        if op is ReduceOp.AVG:
            own.div_(group.size())


def shared_part(group: ProcessGroup, parts: Sequence[Tensor], tag: int) -> Steps:
    """Steps after which each rank has the part of each."""
    others = [other for other in range(group.size()) if other != group.rank]
    messages = group.messages(sums=True)
    for other in others:
        messages.receive(parts[other], other, tag)
    for other in others:
        messages.send(parts[group.rank], other, tag)
    yield messages


def reduced(group: ProcessGroup, flat: Tensor, op: ReduceOp, tag: int) -> Steps:
    """Steps after which a flat tensor is the combination of those of all ranks, on each."""
    if group.size() == 1 or not flat._spec.numel:
        return
    if flat._spec.nbytes <= _SMALL:
        yield from _exchanged(group, flat, op, tag)
        return
    parts = parts_of(flat, group.size())
    yield from gathered_part(group, parts, op, tag)
    yield from shared_part(group, parts, tag + 1)


def _exchanged(group: ProcessGroup, flat: Tensor, op: ReduceOp, tag: int) -> Steps:
    """`reduced` for small tensors. Every rank computes all, in one order, so that all have the same bits, NaN's included."""
    values = [flat if rank == group.rank else creation.empty_like(flat) for rank in range(group.size())]
    messages = group.messages(sums=True)
    for rank, value in enumerate(values):
        if rank != group.rank:
            messages.receive(value, rank, tag)
            messages.send(flat, rank, tag)
    yield messages
    with no_grad():
        total = values[0]
        for value in values[1:]:
            _COMBINE[op](total, value)
        if op is ReduceOp.AVG:
            total.div_(group.size())
        if group.rank:
            flat.copy_(total)
