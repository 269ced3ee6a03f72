"""Samplers: the order in which a loader asks a dataset for its samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

from numgrad import dtypes
from numgrad.tensor import creation, random, sampling
from numgrad.tensor.random import Generator
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

_T_co = TypeVar("_T_co", covariant=True)
_DRAWN_AT_ONCE = 32  # with replacement, as in torch


class Sampler(Generic[_T_co]):
    """Base class of samplers: subclasses define ``__iter__`` over indices, or over lists of them, and mostly ``__len__``.

    >>> from numgrad.utils.data import DataLoader, Sampler
    >>> class Backwards(Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> [batch.item() for batch in DataLoader(range(3), sampler=Backwards())]
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[_T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """The indices of a dataset in their order.

    >>> from numgrad.utils.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The indices of a dataset in random order, or ``num_samples`` of them, drawn one by one with ``replacement``.

    Without replacement, more samples than the dataset has are several permutations. Without a generator, each pass draws
    its seed from the default one.

    Raises
    ------
    TypeError
        ``replacement`` is not a bool.
    ValueError
        ``num_samples`` is not a positive int, or the dataset is empty.

    >>> import numgrad as ng
    >>> from numgrad.utils.data import RandomSampler
    >>> sorted(RandomSampler(range(4))), len(list(RandomSampler(range(4), replacement=True, num_samples=50)))
    ([0, 1, 2, 3], 50)
    """

    data_source: Sized
    replacement: bool

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        """Indices of one pass: the dataset's length at the time, unless another number was given."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        count = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = Generator().manual_seed(drawn_seed(None))
        if self.replacement:
            rounds, rest = divmod(self.num_samples, _DRAWN_AT_ONCE)
            for size in [_DRAWN_AT_ONCE] * rounds + [rest]:
                yield from random.randint(0, count, (size,), generator=generator).tolist()
        else:
            rounds, rest = divmod(self.num_samples, count)
            for _ in range(rounds):
                yield from random.randperm(count, generator=generator).tolist()
            yield from random.randperm(count, generator=generator).tolist()[:rest]

    def __len__(self) -> int:
        return self.num_samples


def drawn_seed(generator: Generator | None) -> int:
    """A seed from 0 to 2**63 - 1, drawn from the generator, or from the default one."""
    return int(sampling.random_(creation.empty((), dtype=dtypes.int64), generator=generator).item())


class SubsetRandomSampler(Sampler[int]):
    """These indices, in random order.

    >>> from numgrad.utils.data import SubsetRandomSampler
    >>> sorted(SubsetRandomSampler([1, 5, 7]))
    [1, 5, 7]
    """

    indices: Sequence[int]

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for index in random.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[index]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` indices from 0 to ``len(weights) - 1``, each as likely as its weight; the weights need not sum up to 1.

    Raises
    ------
    ValueError
        ``num_samples`` is not a positive int, ``replacement`` not a bool, or the weights have not one dimension.

    >>> from numgrad.utils.data import WeightedRandomSampler
    >>> list(WeightedRandomSampler([0.0, 0.0, 3.0], 4))
    [2, 2, 2, 2]
    """

    weights: Tensor
    num_samples: int
    replacement: bool

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_positive("num_samples", num_samples)
        _check_bool("replacement", replacement)
        self.weights = creation.as_tensor(weights, dtype=dtypes.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = sampling.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler, in lists of ``batch_size``; the last list may be shorter, unless ``drop_last``.

    Raises
    ------
    ValueError
        ``batch_size`` is not a positive int, or ``drop_last`` not a bool.

    >>> from numgrad.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("batch_size", batch_size)
        _check_bool("drop_last", drop_last)
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count: int = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


def _check_bool(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} should be a boolean value, but got {name}={value}")
