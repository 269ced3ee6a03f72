"""Datasets, samplers, and `DataLoader`, which makes batches of them.

>>> import numgrad as ng
>>> from numgrad.utils.data import DataLoader, TensorDataset
>>> images, labels = ng.rand(10, 3), ng.arange(10)
>>> [len(batch) for _, batch in DataLoader(TensorDataset(images, labels), batch_size=4, shuffle=True)]
[4, 4, 2]
"""

from __future__ import annotations

from numgrad.utils.data.collate import default_collate, default_convert
from numgrad.utils.data.dataloader import DataLoader
from numgrad.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from numgrad.utils.data.distributed import DistributedSampler
from numgrad.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from numgrad.utils.data.worker import get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]
