"""Objects that ranks exchange: data, such as a checkpoint's. What comes from another rank is read and never executed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from numgrad.distributed.arguments import peer
from numgrad.distributed.groups import ProcessGroup, group_for
from numgrad.distributed.work import Steps, Work
from numgrad.errors import describe
from numgrad.serialization.checkpoint import load, save
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


def _packed(value: Any) -> Tensor:
    """An object as bytes in memory: a checkpoint."""
    file = io.BytesIO()
    save(value, file)
    return creation.from_numpy(np.frombuffer(bytearray(file.getvalue()), np.uint8))


def _unpacked(data: Tensor) -> Any:
    return load(io.BytesIO(data.numpy().tobytes()))


def _check_list(name: str, argument: str, values: Any, count: int) -> None:
    if not isinstance(values, list) or len(values) != count:
        shown = len(values) if isinstance(values, list) else type(values).__name__
        raise ValueError(describe(name, argument, shown, f"a list of {count} items, one for each rank"))


def all_gather_object(object_list: list[Any], obj: Any, group: ProcessGroup | None = None) -> None:
    """Put the object of each rank into the list, at the rank's number; on all ranks.

    Objects are what `numgrad.save` takes: tensors, numbers, texts, None, and containers of these. Nothing in them is executed.

    Raises
    ------
    ValueError
        The list has not one item for each rank, or `init_process_group` was not called.
    TypeError
        The object cannot be saved.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> objects = [None]
    >>> distributed.all_gather_object(objects, {"loss": 0.5})
    >>> objects
    [{'loss': 0.5}]
    >>> distributed.destroy_process_group()
    """
    ranks = group_for("all_gather_object", group)
    if ranks is not None:
        _check_list("all_gather_object", "object_list", object_list, ranks.size())
        gathered: list[Tensor] = []
        Work("all_gather_object", ranks, _gathered(ranks, _packed(obj), gathered)).wait()
        object_list[:] = [_unpacked(data) for data in gathered]


def _gathered(group: ProcessGroup, data: Tensor, gathered: list[Tensor]) -> Steps:
    """Steps after which the list has the bytes of all ranks."""
    if group.size() == 1:
        gathered.append(data)
        return
    size, sizes = creation.tensor([data.numel()]), creation.zeros(group.size()).long()
    messages = group.messages()
    messages.add(group.comm.Iallgather(messages.memory(size), messages.memory(sizes)))
    yield messages
    counts = sizes.tolist()
    ends = np.cumsum(counts)
    everything = creation.empty((int(ends[-1]),), dtype=data.dtype)
    messages = group.messages()
    buffer, kind = messages.memory(everything)
    messages.add(group.comm.Iallgatherv(messages.memory(data), [buffer, (counts, ends - counts), kind]))
    yield messages
    gathered.extend(everything[end - count : end] for count, end in zip(counts, ends.tolist(), strict=True))


def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    group_dst: int | None = None,
) -> None:
    """`all_gather_object` for rank ``dst`` alone, which is the only one that gives a list.

    Raises
    ------
    ValueError
        The list has not one item for each rank, another rank gives one, or there is no such rank.
    TypeError
        The object cannot be saved.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> gathered = [None] if distributed.get_rank() == 0 else None
    >>> distributed.gather_object({"loss": 0.5}, gathered)
    >>> gathered
    [{'loss': 0.5}]
    >>> distributed.destroy_process_group()
    """
    ranks = group_for("gather_object", group)
    if ranks is None:
        return
    to = peer("gather_object", "dst", ranks, dst, group_dst, default=0)
    if ranks.rank == to:
        _check_list("gather_object", "object_gather_list", object_gather_list, ranks.size())
    elif object_gather_list is not None:
        raise ValueError(describe("gather_object", "object_gather_list", "given", "nothing but on rank dst"))
    gathered: list[Tensor] = []
    Work("gather_object", ranks, _gathered(ranks, _packed(obj), gathered)).wait()
    if object_gather_list is not None:
        object_gather_list[:] = [_unpacked(data) for data in gathered]


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """Put the objects of the list of rank ``src`` into the lists of all ranks, which have the same length.

    Objects are those of `all_gather_object`.

    Raises
    ------
    ValueError
        Something is no list, lengths differ, or there is no such rank.
    TypeError
        An object cannot be saved.

    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> objects = ["a name", 3]
    >>> distributed.broadcast_object_list(objects, src=0)
    >>> objects
    ['a name', 3]
    >>> distributed.destroy_process_group()
    """
    ranks = group_for("broadcast_object_list", group)
    if ranks is None:
        return
    if not isinstance(object_list, list):
        raise ValueError(describe("broadcast_object_list", "object_list", type(object_list).__name__, "a list"))
    source = peer("broadcast_object_list", "src", ranks, src, group_src, default=0)
    values = sent_from(ranks, "broadcast_object_list", source, object_list)
    if len(values) != len(object_list):
        raise ValueError(
            describe("broadcast_object_list", "len(object_list)", len(object_list), f"{len(values)}, as on rank {src}")
        )
    object_list[:] = values


def sent_from(group: ProcessGroup, name: str, source: int, value: Any) -> Any:
    """The object of one rank, on all of them."""
    if group.size() == 1:
        return value
    data = _packed(value) if group.rank == source else creation.zeros(0)
    size, arrived = creation.tensor([data.numel()]), [data]

    def steps() -> Steps:
        messages = group.messages()
        messages.add(group.comm.Ibcast(messages.memory(size), source))
        yield messages
        if group.rank != source:
            arrived[0] = creation.zeros(int(size.item())).byte()
        messages = group.messages()
        messages.add(group.comm.Ibcast(messages.memory(arrived[0]), source))
        yield messages

    Work(name, group, steps()).wait()
    return value if group.rank == source else _unpacked(arrived[0])
