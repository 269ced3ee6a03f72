"""From indices to a batch, in this process or in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.utils.data.collate import is_default
from numgrad.utils.data.dataset import Dataset

Fetch = Callable[[Any], Any]


def fetcher(dataset: Any, streams: bool, batches: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetch:
    """A function from what the sampler gives, an index or with ``batches`` a list of them, to the collated samples.

    Of a dataset that ``streams``, only the number of indices counts, and StopIteration says that it has ended.
    """
    if streams:
        return _Stream(dataset, batches, collate_fn, drop_last)
    if not batches:
        return lambda index: collate_fn(dataset[index])
    return lambda indices: _batch(dataset, indices, collate_fn)


def _batch(dataset: Any, indices: Any, collate_fn: Callable[[Any], Any]) -> Any:
    if isinstance(dataset, Dataset) and is_default(collate_fn):
        batch = dataset._collated_batch(indices)
        if batch is not None:
            return batch
    samples = getattr(dataset, "__getitems__", None)
    return collate_fn(samples(indices) if samples else [dataset[index] for index in indices])


class _Stream:
    def __init__(self, dataset: Any, batches: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        self._samples = iter(dataset)
        self._batches = batches
        self._collate = collate_fn
        self._drop_last = drop_last
        self._ended = False

    def __call__(self, indices: Any) -> Any:
        if self._ended:
            raise StopIteration
        samples: list[Any] = []
        for _ in indices if self._batches else (None,):
            try:
                samples.append(next(self._samples))
            except StopIteration:
                self._ended = True
                break
        if not self._batches and samples:
            return self._collate(samples[0])
        if not samples or (self._drop_last and len(samples) < len(indices)):
            raise StopIteration
        return self._collate(samples)
