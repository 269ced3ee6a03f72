"""Checks of the functions of `numgrad.distributed`, run by ranks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import distributed as dist
from numgrad.distributed import ReduceOp
from tests.distributed.program import check

DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8")
COUNTS = (
    0,
    1,
    15,
    16,
    17,
    2048,
    2049,
    10007,
)  # of elements: none, about a line, about what goes whole to each rank, large


def me() -> tuple[int, int]:
    return dist.get_rank(), dist.get_world_size()


def values(rank: int, count: int, dtype: str = "float32") -> ng.Tensor:
    """Small integers, which all dtypes have."""
    return ((ng.arange(count) * 7 + 3 * rank) % 5).to(getattr(ng, dtype))


@check(1, 2, 3)
def sums_of_every_size_and_dtype() -> None:
    rank, size = me()
    for dtype in DTYPES:
        for count in COUNTS:
            x = values(rank, count, dtype)
            dist.all_reduce(x)
            expected = sum(values(each, count).numpy() for each in range(size))
            assert np.array_equal(x.float().numpy(), expected), (dtype, count)


@check(2, 3)
def other_reductions() -> None:
    rank, size = me()
    numpy = {
        ReduceOp.PRODUCT: np.multiply, ReduceOp.MIN: np.minimum, ReduceOp.MAX: np.maximum, ReduceOp.BAND: np.bitwise_and,
        ReduceOp.BOR: np.bitwise_or, ReduceOp.BXOR: np.bitwise_xor,
    }  # fmt: skip
    for op, function in numpy.items():
        for count in (5, 10007):
            x = values(rank, count, "int64")
            dist.all_reduce(x, op)
            assert np.array_equal(
                x.numpy(), function.reduce([values(each, count, "int64").numpy() for each in range(size)])
            )
    x = values(rank, 10007)
    dist.all_reduce(x, ReduceOp.AVG)
    assert np.array_equal(x.numpy(), sum(values(each, 10007).numpy() for each in range(size)) / np.float32(size))
    flag = ng.tensor([rank == 0, True, False])
    dist.all_reduce(flag, ReduceOp.BOR)
    assert flag.tolist() == [True, True, False]


@check(2, 3, 4)
def sums_are_added_in_the_order_of_ranks() -> None:
    rank, size = me()
    generator = np.random.default_rng(0)
    for count in (100, 10007):
        rows = (
            generator.standard_normal((size, count)).astype(np.float32)
            * np.float32(10) ** np.arange(size, dtype=np.float32)[:, None]
        )
        total = rows[0].copy()
        for row in rows[1:]:
            total += row
        x = ng.tensor(rows[rank])
        dist.all_reduce(x)
        assert x.numpy().tobytes() == total.tobytes()


@check(2, 3)
def nan_and_infinity_arrive() -> None:
    rank, size = me()
    for count in (3, 10007):
        x = ng.zeros(count)
        x[0], x[1] = (float("nan") if rank == size - 1 else 1.0), float("inf")
        for op in (ReduceOp.SUM, ReduceOp.MAX, ReduceOp.MIN):
            y = x.clone()
            dist.all_reduce(y, op)
            assert np.isnan(y[0].item())
            assert y[1].item() == float("inf")


@check(2, 3)
def any_layout_is_taken() -> None:
    rank, size = me()
    total = sum(range(size))
    base = ng.zeros(6, 8)
    dist.all_reduce(base[::2, 1::2].add_(rank))
    assert base.sum().item() == 12 * total
    assert base[1].sum().item() == 0
    last = (ng.arange(24).reshape(1, 2, 3, 4).float() + rank).to(memory_format=ng.channels_last)
    dist.broadcast(last, 1)
    assert last.is_contiguous(memory_format=ng.channels_last)
    assert last.flatten().tolist() == [number + 1.0 for number in range(24)]
    scalar = ng.tensor(float(rank))
    dist.all_reduce(scalar)
    assert scalar.item() == total
    weight = ng.nn.Conv2d(3, 4, 3).weight  # whose layout is private: neither the values nor the layout may suffer
    before = weight.detach().clone()
    dist.broadcast(before, 0)
    dist.broadcast(weight, 0)
    assert (weight == before).all()
    assert weight._spec.is_private


@check(2)
def a_saved_value_that_changes_is_noticed() -> None:
    x = ng.ones(3, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    with ng.no_grad():
        dist.all_reduce(y)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@check(1, 2, 3)
def copies() -> None:
    rank, size = me()
    for source in range(size):
        x = values(rank, 9)
        dist.broadcast(x, source)
        assert (x == values(source, 9)).all()
    outputs = [ng.zeros(2, 3) for _ in range(size)]
    dist.all_gather(outputs, values(rank, 6).reshape(3, 2).t())
    assert [output.tolist() for output in outputs] == [
        values(each, 6).reshape(3, 2).t().tolist() for each in range(size)
    ]
    whole = ng.zeros(2 * size)
    dist.all_gather_into_tensor(whole, values(rank, 2))
    assert whole.tolist() == [x for each in range(size) for x in values(each, 2).tolist()]
    to = size - 1
    gathered = [ng.zeros(3) for _ in range(size)] if rank == to else None
    dist.gather(values(rank, 3), gathered, to)
    assert gathered is None or [x.tolist() for x in gathered] == [values(each, 3).tolist() for each in range(size)]
    x = ng.zeros(3)
    dist.scatter(x, [values(each, 3) for each in range(size)] if rank == to else None, to)
    assert (x == values(rank, 3)).all()


@check(1, 2, 3)
def parts_of_sums() -> None:
    rank, size = me()
    for count in (5, 4001):
        expected = sum(values(each + rank, count) for each in range(size))
        x = ng.zeros(count)
        dist.reduce_scatter(x, [values(rank + part, count) for part in range(size)])
        assert (x == expected).all()
        x = ng.zeros(count)
        dist.reduce_scatter_tensor(x, ng.cat([values(rank + part, count) for part in range(size)]))
        assert (x == expected).all()
        for to in range(size):
            x = values(rank, count)
            dist.reduce(x, to, ReduceOp.SUM)
            assert (
                x == (sum(values(each, count) for each in range(size)) if rank == to else values(rank, count))
            ).all()


@check(2, 3)
def messages_between_two() -> None:
    rank, size = me()
    following, before = (rank + 1) % size, (rank - 1) % size
    x, y = values(rank, 100_000), ng.zeros(100_000)
    sending, receiving = dist.isend(x, following, tag=3), dist.irecv(y, before, tag=3)
    assert sending.wait()
    assert receiving.wait()
    assert (y == values(before, 100_000)).all()
    if rank:
        dist.send(ng.tensor([rank]), 0)
    else:
        senders = []
        for _ in range(size - 1):
            number = ng.zeros(1).long()
            sender = dist.recv(number)
            assert number.item() == sender
            senders.append(sender)
        assert sorted(senders) == list(range(1, size))


@check(1, 2, 3)
def work_is_waited_for_in_any_order() -> None:
    rank, size = me()
    tensors = [values(rank + number, 5000) for number in range(6)]
    works: list[Any] = [dist.all_reduce(tensor, async_op=True) for tensor in tensors]
    order = works if rank % 2 else works[::-1]  # ranks that wait for different ones wait for each other
    for work in order:
        assert work.wait()
        assert work.is_completed()
        assert work.is_success()
    for number, (work, tensor) in enumerate(zip(works, tensors, strict=True)):
        assert work.result()[0] is tensor
        assert (tensor == sum(values(each + number, 5000) for each in range(size))).all()
    work = dist.barrier(async_op=True)
    while not work.is_completed():
        pass


@check(1, 2, 3)
def objects() -> None:
    rank, size = me()
    everybody: list[Any] = [None] * size
    dist.all_gather_object(everybody, {"rank": rank, "values": values(rank, rank), "text": "x" * 1000 * rank})
    assert [each["rank"] for each in everybody] == list(range(size))
    assert [each["values"].tolist() for each in everybody] == [values(each, each).tolist() for each in range(size)]
    listed = [rank, "zero" if rank == 0 else None]
    dist.broadcast_object_list(listed, 0)
    assert listed == [0, "zero"]
    gathered: list[Any] | None = [None] * size if rank == 0 else None
    dist.gather_object([rank], gathered)
    assert gathered is None or gathered == [[each] for each in range(size)]

    class Hostile:
        def __reduce__(self) -> Any:
            return print, ("executed",)

    with pytest.raises(TypeError):
        dist.all_gather_object(everybody, Hostile())


@check(3)
def groups() -> None:
    rank, _ = me()
    some = dist.new_group([2, 0])
    assert dist.get_rank(some) == {0: 0, 1: -1, 2: 1}[rank]
    assert dist.get_world_size(some) == (-1 if rank == 1 else 2)
    x = values(rank, 5000)
    if rank == 1:
        with pytest.warns(UserWarning, match="does not belong to the given group"):
            assert dist.all_reduce(x, group=some) is None
    else:
        dist.all_reduce(x, group=some)
        assert (x == values(0, 5000) + values(2, 5000)).all()
        assert dist.get_process_group_ranks(some) == [0, 2]
        assert dist.get_global_rank(some, 1) == 2
        assert dist.get_group_rank(some, 2) == 1
        with pytest.raises(ValueError, match=r"broadcast: src is 1, expected a rank of the group, one of \[0, 2\]"):
            dist.broadcast(x, 1, group=some)


@check(2)
def threads_are_shared() -> None:
    """Launchers that bind no rank to CPUs leave it to the ranks to share them."""
    _, size = me()
    assert dist.get_node_local_rank() == dist.get_rank()
    counts: list[Any] = [None] * size
    dist.all_gather_object(counts, ng.get_num_threads())
    from numgrad.runtime.cpus import available_cpus

    assert sum(counts) <= max(available_cpus(), size)


@check(2)
def refusals_leave_everything_as_it_was() -> None:
    rank, _ = me()
    x = ng.ones(3)
    refused: list[tuple[Any, type[Exception], str]] = [
        (lambda: dist.init_process_group("mpi"), ValueError, "twice"),
        (lambda: dist.all_reduce([1.0]), TypeError, r"all_reduce\(\): argument 'tensor' must be Tensor, not list"),
        (lambda: dist.all_reduce(x, "sum"), TypeError, "all_reduce: op is 'sum', expected a member of ReduceOp"),
        (lambda: dist.all_reduce(x.long(), ReduceOp.AVG), RuntimeError, "op is AVG, expected another one for numgrad.int64"),
        (lambda: dist.all_reduce(x, ReduceOp.BOR), RuntimeError, "floats have no bits"),
        (lambda: dist.all_reduce(x > 0), RuntimeError, "op is SUM, expected another one for numgrad.bool"),
        (lambda: dist.all_reduce(ng.ones(1).expand(3)), RuntimeError, r"expanded.*clone\(\) it"),
        (lambda: dist.all_reduce(x, group=3), TypeError, "group is int"),
        (lambda: dist.broadcast(x, 2), ValueError, r"broadcast: src is 2, expected a rank of the group, one of \[0, 1\]"),
        (lambda: dist.broadcast(x, True), TypeError, "src is True, expected an int"),
        (lambda: dist.broadcast(x), ValueError, "either src or group_src"),
        (lambda: dist.all_gather([x], x), ValueError, "all_gather: tensor_list is 1, expected a list of 2 tensors"),
        (lambda: dist.all_gather([x, ng.ones(2)], x), RuntimeError, r"tensor_list\[1\].shape is \[2\], expected \[3\]"),
        (lambda: dist.all_gather([x, x.double()], x), RuntimeError, r"tensor_list\[1\].dtype is numgrad.float64"),
        (lambda: dist.gather(x, [x, x] if rank else None, 0), ValueError, "gather_list"),
        (lambda: dist.scatter(x, [x, x] if rank else None, 0), ValueError, "scatter_list"),
        (lambda: dist.send(x, rank), ValueError, "expected another rank than this one"),
        (lambda: dist.recv(x, rank), ValueError, "expected another rank than this one"),
        (lambda: dist.reduce_scatter_tensor(x, x), RuntimeError, r"input.numel\(\) is 3, expected 2 x 3"),
        (lambda: dist.new_group([0, 0]), ValueError, "each rank once"),
        (lambda: dist.new_group([5]), ValueError, "ranks is 5"),
        (lambda: dist.broadcast_object_list((1,), 0), ValueError, "tuple, expected a list"),
    ]  # fmt: skip
    for call, kind, message in refused:
        with pytest.raises(kind, match=message):
            call()
    dist.all_reduce(x)
    assert x.tolist() == [2.0] * 3
    if rank == 0:
        with pytest.raises(RuntimeError, match=r"recv: rank 0 waited for 0\.\d+ s, and it was not done"):
            dist.irecv(ng.zeros(2), 1, tag=77).wait(timedelta(seconds=0.5))
    dist.barrier()
    if rank == 1:
        dist.send(ng.zeros(2), 0, tag=77)
