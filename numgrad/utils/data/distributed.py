"""`DistributedSampler`: one of several processes' share of a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

from numgrad.distributed.groups import get_rank, get_world_size
from numgrad.tensor import random
from numgrad.tensor.random import Generator
from numgrad.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every ``num_replicas``-th index from ``rank`` on, of a permutation that all replicas draw alike.

    All get the same number: either indices from the beginning are repeated, or with ``drop_last`` some are left out. Call
    `set_epoch` before each pass, or all passes have the same order.

    Parameters
    ----------
    dataset
        What has a length.
    num_replicas, rank
        The number of processes, and this one's number; None: those of `numgrad.distributed`.
    shuffle, seed
        Whether the order is random, and by which seed; it has to be the same in all processes.
    drop_last
        Leave indices out, instead of repeating some.

    Raises
    ------
    ValueError
        ``rank`` is not between 0 and ``num_replicas - 1``, or one of them is None and `init_process_group` was not called.

    >>> from numgrad.utils.data import DistributedSampler
    >>> [list(DistributedSampler(range(5), num_replicas=2, rank=rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:
            num_replicas = get_world_size()
        if rank is None:
            rank = get_rank()
        if rank >= num_replicas or rank < 0:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        count = len(dataset)
        self.num_samples = count // num_replicas if drop_last else math.ceil(count / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        if self.shuffle:
            generator = Generator().manual_seed(self.seed + self.epoch)
            indices = random.randperm(count, generator=generator).tolist()
        else:
            indices = list(range(count))
        if not self.drop_last and indices:
            indices = indices * math.ceil(self.total_size / count)
        indices = indices[: self.total_size]
        if len(indices) != self.total_size:
            raise AssertionError(
                f"Number of indices ({len(indices)}) does not match total_size ({self.total_size}): the dataset has changed"
            )
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass have the order that belongs to this number.

        >>> from numgrad.utils.data import DistributedSampler
        >>> sampler = DistributedSampler(range(50), num_replicas=2, rank=0)
        >>> first = list(sampler)
        >>> sampler.set_epoch(1)
        >>> list(sampler) == first
        False
        """
        self.epoch = epoch
