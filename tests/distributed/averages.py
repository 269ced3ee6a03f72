"""Checks of `DistributedDataParallel`, run by ranks."""

from __future__ import annotations

import copy
import gc
import hashlib
import io
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import distributed as dist
from numgrad import nn
from numgrad.nn.parallel import DistributedDataParallel
from tests.distributed.functions import me
from tests.distributed.program import check


def model(seed: int = 0) -> nn.Sequential:
    """Layers with gradients of all sizes: below and above what is a bucket of its own, one of a private layout."""
    ng.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 130), nn.Tanh(), nn.Linear(130, 4))


def batch(count: int) -> ng.Tensor:
    ng.manual_seed(1)
    return ng.randn(count, 3, 8, 8)


def digest(tensors: Any) -> str:
    return hashlib.sha256(b"".join(tensor.detach().clone().numpy().tobytes() for tensor in tensors)).hexdigest()


def same_everywhere(value: Any) -> bool:
    everybody: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everybody, value)
    return all(each == everybody[0] for each in everybody)


def grads(module: nn.Module) -> list[ng.Tensor]:
    return [parameter.grad for parameter in module.parameters()]


def accumulated(module: nn.Module, parts: list[ng.Tensor], size: int) -> list[ng.Tensor]:
    """The gradients of one process that accumulates those of all parts, and divides the sum."""
    for part in parts:
        module(part).square().sum().backward()
    return [grad / size for grad in grads(module)]


@check(1, 2, 3, 4)
def gradients_are_those_of_accumulated_parts() -> None:
    rank, size = me()
    parts = list(batch(2 * size).split(2))
    for options in ({}, {"bucket_cap_mb": 0.01}, {"find_unused_parameters": True}, {"static_graph": True}):
        parallel = DistributedDataParallel(model(rank), **options)  # of rank 0, whatever the seed
        for _ in range(2):  # the second time everything is set up
            parallel.zero_grad()
            parallel(parts[rank]).square().sum().backward()
            expected = accumulated(model(), parts, size)
            for grad, other in zip(grads(parallel), expected, strict=True):
                assert grad.detach().clone().numpy().tobytes() == other.numpy().tobytes()


@check(2)
def gradients_keep_the_layouts_of_their_parameters() -> None:
    rank, size = me()
    parts = list(batch(2 * size).split(2))
    parallel = DistributedDataParallel(model())
    parallel(parts[rank]).square().sum().backward()
    weight = parallel.module[0].weight
    assert weight._spec.is_private
    assert weight.grad._spec is weight._spec
    if rank == 1:
        weight.detach().numpy()  # from now on row-major here, and as before there
    parallel.zero_grad()
    parallel(parts[rank]).square().sum().backward()
    for grad, other in zip(grads(parallel), accumulated(model(), parts, size), strict=True):
        assert np.array_equal(grad.detach().clone().numpy(), other.numpy())
    first = model()
    if rank == 1:
        first[0].weight.detach().numpy()  # before they agree
    parallel = DistributedDataParallel(first)
    parallel(parts[rank]).square().sum().backward()
    for grad, other in zip(grads(parallel), accumulated(model(), parts, size), strict=True):
        assert np.array_equal(grad.detach().clone().numpy(), other.numpy())


@check(2)
def gradients_accumulate_without_sync() -> None:
    rank, size = me()
    parts = list(batch(4 * size).split(2))
    parallel = DistributedDataParallel(model())
    with parallel.no_sync():
        parallel(parts[rank]).square().sum().backward()
    assert not parallel.require_backward_grad_sync or not same_everywhere(digest(grads(parallel)))
    parallel(parts[size + rank]).square().sum().backward()
    own = model()
    sums = []
    for each in range(size):
        own.zero_grad()
        for part in (parts[each], parts[size + each]):
            own(part).square().sum().backward()
        sums.append(grads(own))
    for grad, *each in zip(grads(parallel), *sums, strict=True):
        assert np.array_equal(grad.detach().clone().numpy(), ((each[0] + each[1]) / size).numpy())
    before = digest(grads(parallel))
    parallel.require_backward_grad_sync = False  # as programs write it that count their steps
    parallel(parts[rank]).square().sum().backward()
    parallel.require_backward_grad_sync = True
    assert digest(grads(parallel)) != before


class Branches(nn.Module):
    """Two layers of which a rank uses those that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(200, 100), nn.Linear(200, 100), nn.Linear(200, 100)])

    def forward(self, x: ng.Tensor, used: list[int]) -> dict[str, Any]:
        return {"outputs": [self.layers[number](x) for number in used]}


@check(2)
def unused_parameters() -> None:
    rank, size = me()
    ng.manual_seed(0)
    parallel = DistributedDataParallel(Branches(), find_unused_parameters=True)
    x = ng.ones(1, 200)
    for used in ([0], [0, 1]), ([0, 1], [0]):
        parallel.zero_grad()
        sum(output.sum() for output in parallel(x, used[rank])["outputs"]).backward()
        first, second, third = parallel.module.layers
        assert (first.weight.grad == 1).all()
        assert (second.weight.grad == 1 / size).all()  # one rank's, to which the other contributes 0
        assert second.bias.grad.shape == (100,)
        assert third.weight.grad is None
    parallel = DistributedDataParallel(Branches())
    with pytest.raises(
        RuntimeError, match=r"4 parameters got no gradient: layers.1.weight.*find_unused_parameters=True"
    ):
        parallel(x, [0])["outputs"][0].sum().backward()


@check(2)
def models_that_differ_are_refused_by_all() -> None:
    rank, _ = me()
    pairs: list[tuple[Any, Any, str]] = [
        (nn.Linear(4, 3), nn.Linear(5, 3), r"rank 1 has parameter weight of shape \[3, 5\], .*expected .*\[3, 4\]"),
        (nn.Linear(4, 3), nn.Linear(4, 3, bias=False), "rank 1 has 1 parameters and buffers, expected 2, as on rank 0"),
        (nn.Linear(4, 3), nn.Linear(4, 3).double(), "float64"),
        (
            nn.ReLU().append if False else nn.Sequential(nn.Linear(2, 2)),
            nn.Linear(2, 2),
            "parameter weight.*parameter 0.weight",
        ),
        (nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(), None),
    ]
    for first, second, message in pairs[:4]:
        with pytest.raises(RuntimeError, match=message):
            DistributedDataParallel(second if rank else first)
    frozen = nn.Linear(2, 2)
    if rank:
        frozen.bias.requires_grad_(False)
    with pytest.raises(RuntimeError, match="which requires a gradient"):
        DistributedDataParallel(frozen)
    for options, kind in (({"bucket_cap_mb": 0}, ValueError), ({"module": 3}, TypeError)):
        with pytest.raises(kind):
            DistributedDataParallel(**{"module": nn.Linear(2, 2), **options})
    with pytest.raises(RuntimeError, match="is not needed"):
        DistributedDataParallel(nn.ReLU())
    with pytest.raises(RuntimeError, match="no shape yet"):
        DistributedDataParallel(nn.LazyLinear(3))


class Nested(ng.autograd.Function):
    """Calls a layer again in the backward, and runs a backward of its own there."""

    @staticmethod
    def forward(ctx: Any, x: ng.Tensor, layer: nn.Module) -> ng.Tensor:
        ctx.save_for_backward(x)
        ctx.layer = layer
        return layer(x.detach()).detach()

    @staticmethod
    def backward(ctx: Any, grad: ng.Tensor) -> tuple[ng.Tensor, None]:
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with ng.enable_grad():
            ctx.layer(x).backward(grad)
        return x.grad, None


class Inner(nn.Module):
    """Two layers; the first is used through `Nested`, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        ng.manual_seed(0)
        self.first, self.second, self.times = nn.Linear(4, 4), nn.Linear(4, 4), times

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        for _ in range(self.times):
            x = Nested.apply(x, self.first)
        return self.second(x)


@check(2)
def backwards_inside_of_backwards() -> None:
    rank, size = me()
    ng.manual_seed(1)
    x = ng.randn(size, 1, 4)
    parallel = DistributedDataParallel(Inner(1))
    parallel(x[rank].clone().requires_grad_()).square().sum().backward()
    for grad, other in zip(
        grads(parallel), accumulated(nn.Sequential(*Inner(1).children()), list(x), size), strict=True
    ):
        assert np.array_equal(grad.numpy(), other.numpy())
    parallel = DistributedDataParallel(Inner(2))
    with pytest.raises(RuntimeError, match=r"first\..* got two gradients in one backward pass"):
        parallel(x[rank].clone().requires_grad_()).square().sum().backward()
    parallel = DistributedDataParallel(nn.Linear(2, 2))
    loss = parallel(ng.ones(1, 2)).sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cycle that a graph of gradients makes
        with pytest.raises(RuntimeError, match=r"create_graph=True\) is not supported"):
            loss.backward(create_graph=True)


@check(2)
def buffers_are_those_of_rank_0() -> None:
    rank, _ = me()
    for broadcast in (True, False):
        parallel = DistributedDataParallel(nn.BatchNorm1d(3), broadcast_buffers=broadcast)
        for _ in range(2):
            parallel(ng.ones(2, 3) * rank)
        parallel.eval()
        parallel(ng.ones(2, 3))
        assert same_everywhere(digest(parallel.buffers())) is broadcast
    assert parallel.module.num_batches_tracked.item() == 2


@check(2)
def a_model_is_saved_by_one_rank_and_loaded_by_all() -> None:
    rank, _ = me()
    parallel = DistributedDataParallel(model())
    file = io.BytesIO()
    if rank == 0:
        ng.save(parallel.state_dict(), file)
    listed = [np.frombuffer(file.getvalue(), np.uint8)]
    dist.broadcast_object_list(listed, 0)
    other = DistributedDataParallel(model(5))
    other.load_state_dict(ng.load(io.BytesIO(np.asarray(listed[0]).tobytes())))
    assert digest(other.parameters()) == digest(parallel.parameters())
    parallel(batch(2)).sum().backward()  # rank 0 has looked at its parameters
    assert same_everywhere(digest(grads(parallel)))


@check(2)
def wrappers_come_and_go() -> None:
    rank, size = me()
    inner = nn.Linear(2, 2)
    wrapper: Any = DistributedDataParallel(inner)
    del wrapper
    gc.collect()
    inner(ng.ones(1, 2) * (rank + 1)).sum().backward()  # a hook of the old wrapper would average it
    assert (inner.weight.grad == rank + 1).all()
    twin = copy.deepcopy(inner)
    twin.zero_grad()
    parallel = DistributedDataParallel(twin)
    parallel(ng.ones(1, 2) * (rank + 1)).sum().backward()
    assert (twin.weight.grad == sum(range(1, size + 1)) / size).all()
