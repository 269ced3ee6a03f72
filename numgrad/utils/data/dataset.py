"""Datasets: a map from indices to samples, or a stream of samples, and what is put together from these."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from numgrad.errors import warn
from numgrad.tensor import creation, indexing, random
from numgrad.tensor.random import Generator, default_generator
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Dataset(Generic[_T_co]):
    """Base class of datasets with an index: subclasses define ``__getitem__(index)``, and ``__len__`` for most samplers.

    A subclass may define ``__getitems__(indices)``, which returns the list of a batch's samples at once; a `DataLoader` then
    calls that. Two datasets are joined by ``+``.

    >>> from numgrad.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index * index
    ...     def __len__(self):
    ...         return 4
    >>> [Squares()[i] for i in range(4)], len(Squares() + Squares())
    ([0, 1, 4, 9], 8)
    """

    def __getitem__(self, index: Any) -> _T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])

    def _collated_batch(self, indices: list[int]) -> Any:
        """What `default_collate` makes of these samples, where that takes one step; None where samples have to be asked for."""
        return None


class IterableDataset(Dataset[_T_co], Iterable[_T_co]):
    """Base class of streams: subclasses define ``__iter__``.

    Each worker of a `DataLoader` has a copy of the whole stream. `get_worker_info` tells which part is a worker's, in
    ``__iter__`` or in the loader's ``worker_init_fn``.

    >>> from numgrad.utils.data import DataLoader, IterableDataset, get_worker_info
    >>> class Count(IterableDataset):
    ...     def __iter__(self):
    ...         info = get_worker_info()
    ...         return iter(range(6) if info is None else range(info.id, 6, info.num_workers))
    >>> list(DataLoader(Count(), batch_size=4))
    [tensor([0, 1, 2, 3]), tensor([4, 5])]
    """

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors with one extent of their first dimension; a sample is the tuple of their rows.

    A `DataLoader` with the default collation takes a batch from each tensor by one `index_select`.

    Raises
    ------
    AssertionError
        The first extents differ.

    >>> import numgrad as ng
    >>> from numgrad.utils.data import TensorDataset
    >>> data = TensorDataset(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([0, 1]))
    >>> data[1], len(data)
    ((tensor([3., 4.]), tensor(1)), 2)
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensors[0].size(0) != tensor.size(0) for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)  # type: ignore[no-any-return]

    def _collated_batch(self, indices: list[int]) -> list[Tensor] | None:
        if type(self).__getitem__ is not TensorDataset.__getitem__ or hasattr(self, "__getitems__"):
            return None  # a subclass, whose samples are others
        return rows(self.tensors, indices)


def rows(tensors: Sequence[Tensor], indices: list[int]) -> list[Tensor] | None:
    """The rows of each tensor at these indices, or None if an index is no int within the first extent."""
    count = tensors[0].shape[0] if tensors else 0
    index = np.array(indices)
    if index.ndim != 1 or index.dtype != np.int64 or not index.size or index.min() < 0 or index.max() >= count:
        return None  # these go the long way, which explains what is wrong
    chosen = creation.from_numpy(index)
    return [indexing.index_select(tensor, 0, chosen) for tensor in tensors]


class StackDataset(Dataset[Any]):
    """Datasets of one length beside each other: a sample is the tuple of theirs, or a dict for datasets given by keyword.

    Raises
    ------
    ValueError
        The lengths differ, there is no dataset, or some are given by keyword and some are not.

    >>> from numgrad.utils.data import StackDataset
    >>> StackDataset(range(3), "abc")[1], StackDataset(number=range(3), letter="abc")[2]
    ((1, 'b'), {'number': 2, 'letter': 'c'})
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or"
                "``dict``- (via ``kwargs``) like input/output, but both types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets = args or kwargs
        lengths = {len(dataset) for dataset in args or kwargs.values()}
        if len(lengths) > 1:
            raise ValueError("Size mismatch between datasets")
        self._length = lengths.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        if isinstance(self.datasets, dict):
            columns = [_samples(dataset, indices) for dataset in self.datasets.values()]
            return [dict(zip(self.datasets, sample, strict=True)) for sample in zip(*columns, strict=True)]
        return list(zip(*[_samples(dataset, indices) for dataset in self.datasets], strict=True))

    def __len__(self) -> int:
        return self._length


def _samples(dataset: Any, indices: list[Any]) -> list[Any]:
    if not callable(getattr(dataset, "__getitems__", None)):
        return [dataset[index] for index in indices]
    items = dataset.__getitems__(indices)
    if len(items) != len(indices):
        raise ValueError(f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(items)}")
    return items  # type: ignore[no-any-return]


class ConcatDataset(Dataset[_T_co]):
    """Datasets one after the other.

    Raises
    ------
    AssertionError
        There is no dataset, or one of them has no index.

    >>> from numgrad.utils.data import ConcatDataset
    >>> both = ConcatDataset([range(3), range(10, 12)])
    >>> [both[i] for i in range(len(both))], both[-1]
    ([0, 1, 2, 10, 11], 11)
    """

    datasets: list[Any]
    cumulative_sizes: list[int]

    @staticmethod
    def cumsum(sequence: Iterable[Any]) -> list[int]:
        """The running sums of the lengths.

        >>> ConcatDataset.cumsum([range(3), range(2)])
        [3, 5]
        """
        return list(itertools.accumulate(len(each) for each in sequence))

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = self.cumsum(self.datasets)

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> _T_co:
        if idx < 0:
            if -idx > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][idx - before]  # type: ignore[no-any-return]

    @property
    def cummulative_sizes(self) -> list[int]:
        """An old spelling of ``cumulative_sizes``."""
        warn("`cummulative_sizes` attribute is renamed to `cumulative_sizes`", FutureWarning)
        return self.cumulative_sizes


class ChainDataset(IterableDataset[_T_co]):
    """Streams one after the other.

    Raises
    ------
    AssertionError
        When it comes to one that is no stream.

    >>> from numgrad.utils.data import ChainDataset, IterableDataset
    >>> class Count(IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(2))
    >>> list(ChainDataset([Count(), Count()]))
    [0, 1, 0, 1]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[_T_co]:
        for dataset in self._streams():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._streams())

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset


class Subset(Dataset[_T_co]):
    """The samples of a dataset at some of its indices.

    Raises
    ------
    NotImplementedError
        A subclass defines ``__getitem__`` and not ``__getitems__``, which a `DataLoader` calls.

    >>> from numgrad.utils.data import Subset
    >>> list(Subset("abcdef", [0, 2, 4]))
    ['a', 'c', 'e']
    """

    dataset: Any
    indices: Sequence[int]

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices
        if self._differs("__getitem__") and not self._differs("__getitems__"):
            raise NotImplementedError(
                f"{type(self).__name__} overrides __getitem__ but not __getitems__. When subclassing Subset and overriding "
                "__getitem__, you must also override __getitems__ to ensure DataLoader works correctly with your custom "
                "logic. A simple implementation:\n\n"
                "def __getitems__(self, indices):\n"
                "    return [self.__getitem__(idx) for idx in indices]"
            )

    def __getitem__(self, idx: Any) -> _T_co:
        if isinstance(idx, list):
            return self.dataset[[self.indices[each] for each in idx]]  # type: ignore[no-any-return]
        return self.dataset[self.indices[idx]]  # type: ignore[no-any-return]

    def __getitems__(self, indices: list[int]) -> list[_T_co]:
        inner = [self.indices[index] for index in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.dataset.__getitems__(inner)  # type: ignore[no-any-return]
        return [self.dataset[index] for index in inner]

    def __len__(self) -> int:
        return len(self.indices)

    def _differs(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(Subset, method)

    def _collated_batch(self, indices: list[int]) -> Any:
        if self._differs("__getitems__") or not isinstance(self.dataset, Dataset):
            return None
        return self.dataset._collated_batch([self.indices[index] for index in indices])


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = default_generator
) -> list[Subset[Any]]:
    """Split a dataset at random into subsets of these lengths, or of these fractions, which sum up to 1.

    Fractions are rounded down, and the samples that are left go to the first subsets, one to each. A subset of no samples
    gets a warning.

    Raises
    ------
    ValueError
        The lengths do not sum up to the dataset's, or a fraction is not between 0 and 1.

    >>> import numgrad as ng
    >>> from numgrad.utils.data import random_split
    >>> parts = random_split(range(10), [0.7, 0.3], generator=ng.Generator().manual_seed(0))
    >>> [len(part) for part in parts], sorted([*parts[0], *parts[1]]) == list(range(10))
    ([7, 3], True)
    """
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _from_fractions(len(dataset), lengths)
    if sum(lengths) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = random.randperm(len(dataset), generator=generator).tolist()
    ends: list[Any] = list(itertools.accumulate(lengths))
    return [Subset(dataset, order[end - length : end]) for end, length in zip(ends, lengths, strict=True)]


def _from_fractions(count: int, fractions: Sequence[float]) -> list[int]:
    for index, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {index} is not between 0 and 1")
    lengths = [math.floor(count * fraction) for fraction in fractions]
    for index in range(count - sum(lengths)):
        lengths[index % len(lengths)] += 1
    for index, length in enumerate(lengths):
        if length == 0:
            warn(f"Length of split at index {index} is 0. This might result in an empty dataset.")
    return lengths
