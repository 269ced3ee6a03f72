"""Checks of whole trainings, run by ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad as ng
from numgrad import distributed as dist
from numgrad import nn, optim
from numgrad.models import resnet18
from numgrad.nn.parallel import DistributedDataParallel
from numgrad.utils.data import DataLoader, DistributedSampler, TensorDataset
from tests.distributed.averages import digest, same_everywhere
from tests.distributed.functions import me
from tests.distributed.program import check

STEPS, BATCH = 20, 8


def perceptron() -> nn.Module:
    ng.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 300), nn.Tanh(), nn.Linear(300, 10))


def residual() -> nn.Module:
    ng.manual_seed(0)
    return resnet18(weights=None, num_classes=10, zero_init_residual=True)  # without statistics it would explode


def data(*shape: int) -> tuple[ng.Tensor, ng.Tensor]:
    ng.manual_seed(1)
    return ng.randn(BATCH, *shape), ng.randint(0, 10, (BATCH,))


def trained(module: nn.Module, parts: list[tuple[ng.Tensor, ng.Tensor]], lr: float) -> list[float]:
    """Train on the mean loss of the parts, with gradients that are accumulated; the losses."""
    optimizer = optim.SGD(module.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        total = 0.0
        for inputs, labels in parts:
            loss = nn.functional.cross_entropy(module(inputs), labels) / len(parts)
            loss.backward()
            total += loss.item()
        optimizer.step()
        losses.append(total)
    return losses


def compared(build: Callable[[], nn.Module], shape: tuple[int, ...], lr: float, frozen_norms: bool) -> None:
    """Ranks against one process with micro-batches, bit for bit, and with the whole batch, to rounding."""
    rank, size = me()
    inputs, labels = data(*shape)
    parts = list(zip(inputs.chunk(size), labels.chunk(size), strict=True))

    def built() -> nn.Module:
        return build().eval() if frozen_norms else build()

    parallel = DistributedDataParallel(built(), broadcast_buffers=False)
    losses = trained(parallel, [parts[rank]], lr)
    assert same_everywhere(digest(parallel.parameters()))
    if rank == 0:
        alone = built()
        trained(alone, parts, lr)
        assert digest(alone.parameters()) == digest(parallel.parameters())
        if frozen_norms or not shape[1:]:
            whole = built()
            assert trained(whole, [(inputs, labels)], lr)[-1] < losses[0]
            for one, many in zip(whole.parameters(), parallel.parameters(), strict=True):
                a, b = one.detach().clone().numpy(), many.detach().clone().numpy()
                assert np.abs(a - b).max() <= 1e-5 * max(1.0, np.abs(a).max())


@check(2, 4)
def a_perceptron_learns_as_in_one_process() -> None:
    compared(perceptron, (20,), 0.01, frozen_norms=False)


@check(2)
def a_residual_network_learns_as_in_one_process() -> None:
    """Batch norm computes with a rank's own images, as it does with micro-batches; the whole batch is something else."""
    compared(residual, (3, 64, 64), 0.01, frozen_norms=False)


@check(2)
def a_residual_network_without_statistics_learns_as_with_the_whole_batch() -> None:
    compared(residual, (3, 32, 32), 1e-3, frozen_norms=True)


@check(2)
def loaders_with_workers_feed_ranks() -> None:
    """Workers are forks of a rank, and no ranks: they may not touch MPI, whose ends are the parent's."""
    rank, size = me()
    dataset = TensorDataset(ng.arange(40).float().unsqueeze(1))
    sampler: Any = DistributedSampler(dataset)
    assert (sampler.rank, sampler.num_replicas) == (rank, size)
    parallel = DistributedDataParallel(nn.Linear(1, 1))
    optimizer = optim.SGD(parallel.parameters(), lr=1e-4)
    for workers in (0, 2):
        seen = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            loader = DataLoader(dataset, batch_size=5, sampler=sampler, num_workers=workers, worker_init_fn=_is_no_rank)
            for (inputs,) in loader:
                optimizer.zero_grad()
                parallel(inputs).square().sum().backward()
                optimizer.step()
                seen += inputs.flatten().tolist()
        everybody: list[Any] = [None] * size
        dist.all_gather_object(everybody, seen)
        for epoch in range(2):
            assert sorted(x for each in everybody for x in each[20 * epoch : 20 * (epoch + 1)]) == list(range(40))
        assert everybody[0][:20] != everybody[0][20:]
    assert same_everywhere(digest(parallel.parameters()))


def _is_no_rank(worker: int) -> None:
    assert not dist.is_initialized()
