"""`DataLoader`: batches of a dataset's samples, fetched in this process or by others."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from numgrad.errors import warn
from numgrad.tensor.random import Generator
from numgrad.utils.data.collate import default_collate, default_convert
from numgrad.utils.data.dataset import IterableDataset
from numgrad.utils.data.fetch import fetcher
from numgrad.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, drawn_seed
from numgrad.utils.data.worker import Again, Ended, Failure, Job, get_worker_info

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

_T_co = TypeVar("_T_co", covariant=True)
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Indexed(Protocol[_T_co]):
    """What is a dataset to type checkers, unless it is an Iterable."""

    def __getitem__(self, index: Any, /) -> _T_co: ...


class _Endless(Sampler[Any]):
    """The sampler of a stream, which has no indices."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.repeat(None)


class DataLoader(Generic[_T_co]):
    """An iterable over a dataset in batches.

    Parameters
    ----------
    dataset
        Has an index, ``dataset[i]`` and mostly ``len(dataset)``, or is an `IterableDataset`.
    batch_size
        Samples of a batch; None: single samples, which ``collate_fn`` converts.
    shuffle
        A new random order in each pass.
    sampler, batch_sampler
        Give the indices, or lists of them, in the place of ``shuffle``, or of ``batch_size``, ``shuffle`` and ``drop_last``.
    num_workers
        Processes that fetch; 0: this one does. Each has a copy of the dataset, one thread, and random numbers of its own.
        Arrays come back by shared memory (on Linux).
    collate_fn
        Makes a batch of a list of samples; `default_collate`, or for single samples `default_convert`.
    pin_memory, pin_memory_device
        Accepted, with a warning: there is no device but the CPU.
    drop_last
        Leave out the last batch if it is not full.
    timeout
        Seconds to wait for a worker's batch; 0: for ever.
    worker_init_fn
        Called in each worker with its number, after its random numbers are seeded.
    multiprocessing_context
        A start method, or a context of ``multiprocessing``; None: the platform's. numgrad may be forked.
    generator
        Random numbers for the order and for the workers' seeds; None: the default generator.
    prefetch_factor
        Batches that each worker fetches ahead; 2 unless given.
    persistent_workers
        Keep the workers from one pass to the next.
    in_order
        Give batches in the sampler's order, and not as they are ready.

    Raises
    ------
    ValueError
        Arguments are out of range, or exclude each other.
    TypeError
        ``multiprocessing_context`` is none.

    >>> import numgrad as ng
    >>> from numgrad.utils.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(ng.arange(5)), batch_size=2)
    >>> list(loader), len(loader)
    ([[tensor([0, 1])], [tensor([2, 3])], [tensor([4])]], 3)
    """

    dataset: Any
    batch_size: int | None
    num_workers: int
    pin_memory: bool
    drop_last: bool
    timeout: float
    sampler: Any
    pin_memory_device: str
    prefetch_factor: int | None
    _is_fixed = False

    def __init__(
        self,
        dataset: _Indexed[_T_co] | Iterable[_T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams:
            _check_stream(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None and self._streams:
            sampler = _Endless()
        elif sampler is None:
            sized: Any = dataset
            sampler = RandomSampler(sized, generator=generator) if shuffle else SequentialSampler(sized)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.persistent_workers = persistent_workers
        self._is_fixed = True
        self._said_length: int | None = None  # of a stream, by its own `len`
        self._iterator: _MultiProcessingDataLoaderIter | None = None
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        """The context that makes the workers, or None: the default one."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, multiprocessing_context: Any) -> None:
        context = multiprocessing_context
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        f"multiprocessing_context option should specify a valid start method in {methods!r}, but got "
                        f"multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self._context = context

    def __setattr__(self, attr: str, val: Any) -> None:
        if self._is_fixed and attr in _FIXED:
            raise ValueError(f"{attr} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(attr, val)

    def __iter__(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        if not self.persistent_workers:
            return _MultiProcessingDataLoaderIter(self)
        if self._iterator is None or self._iterator.is_over:
            self._iterator = _MultiProcessingDataLoaderIter(self)
        else:
            self._iterator._reset(self)
        return self._iterator

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __len__(self) -> int:
        if not self._streams:
            return len(self._index_sampler)
        length = self._said_length = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn if there are to be more workers than CPUs.

        >>> from numgrad.utils.data import DataLoader
        >>> DataLoader(range(3)).check_worker_number_rationality()
        """
        if not self.num_workers:
            return
        knows_cpus = hasattr(os, "sched_getaffinity")
        cpus = len(os.sched_getaffinity(0)) if knows_cpus else os.cpu_count()
        if cpus is not None and self.num_workers <= cpus:
            return
        suggestion = (
            "DataLoader is not able to compute a suggested max number of worker in current system."
            if cpus is None
            else f"Our suggested max number of worker in current system is {cpus}"
            f"{'' if knows_cpus else ' (`cpuset` is not taken into account)'}, which is smaller than what this DataLoader is "
            "going to create."
        )
        warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. {suggestion} Please be aware that "
            "excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to avoid "
            "potential slowness/freeze if necessary."
        )


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle: bool | None, sampler: Any, batch_sampler: Any) -> None:
    given = "DataLoader with IterableDataset: expected unspecified"
    if shuffle not in (False, None):
        raise ValueError(f"{given} shuffle option, but got shuffle={shuffle}")
    if sampler is not None:
        raise ValueError(f"{given} sampler option, but got sampler={sampler}")
    if batch_sampler is not None:
        raise ValueError(f"{given} batch_sampler option, but got batch_sampler={batch_sampler}")


# ---- iterators, with torch's names for them -------------------------------------------------------------------------


class _BaseDataLoaderIter:
    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset = loader.dataset
        self._streams = loader._streams
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        if loader.pin_memory:
            warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used."
            )
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = drawn_seed(loader.generator)
        self._num_yielded = 0
        self._said_length = loader._said_length

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def _reset(self, loader: DataLoader[Any]) -> None:
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._said_length = loader._said_length

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        if self._streams and self._said_length is not None and self._num_yielded > self._said_length:
            advice = (
                "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset "
                "replica at each worker: see get_worker_info."
            )
            warn(
                f"Length of IterableDataset {self._dataset} was reported to be {self._said_length}(when accessing "
                f"len(dataloader)), but {self._num_yielded} samples have been fetched. {advice if self._num_workers else ''}"
            )
        return data

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError("DataLoader: a timeout is for workers; pass num_workers= too")
        self._fetch = fetcher(self._dataset, self._streams, loader._auto_collation, loader.collate_fn, loader.drop_last)

    def _next_data(self) -> Any:
        return self._fetch(next(self._sampler_iter))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Keeps each worker busy with some tasks ahead. A task is a number, counted from 0 in each pass, and its indices.

    Tasks go to the workers in turn. What a worker answers stays in ``_ready`` until it is its turn.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        from numgrad.utils.data.crew import Crew  # needs sockets, which not every program has to load

        if not loader.prefetch_factor:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._most_tasks = loader.prefetch_factor * self._num_workers
        self._in_order = loader.in_order
        self._persistent_workers = loader.persistent_workers
        job = Job(
            dataset=self._dataset,
            streams=self._streams,
            batches=loader._auto_collation,
            collate_fn=loader.collate_fn,
            drop_last=loader.drop_last,
            base_seed=self._base_seed,
            init_fn=loader.worker_init_fn,
            num_workers=self._num_workers,
        )
        self._crew = Crew(loader.multiprocessing_context or multiprocessing.get_context(), job)
        self._end = weakref.finalize(self, self._crew.stop)  # also when the interpreter exits
        self._begin()

    @property
    def is_over(self) -> bool:
        """Whether the workers have ended, after a pass or an error."""
        return self._crew.is_stopped

    @property
    def _workers(self) -> list[Any]:
        return self._crew._processes

    def _reset(self, loader: DataLoader[Any]) -> None:
        super()._reset(loader)
        waits_for = set(range(self._num_workers))
        for worker_id in waits_for:
            self._crew.give(worker_id, (None, Again()))
        while waits_for:  # answers to tasks of the pass before may come first
            for worker_id, (number, answer) in self._answers():
                if number is None:
                    waits_for.discard(worker_id)
                    if isinstance(answer, Failure):
                        self._crew.stop()
                        answer.reraise()
        self._begin()

    def _begin(self) -> None:
        self._given: dict[int, int] = {}  # tasks that are under way, and their workers
        self._ready: dict[int, Any] = {}
        self._sent = 0  # the number of the next task to be sent
        self._next = 0  # and of the next one to be given out
        self._active = [True] * self._num_workers
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._most_tasks):
            self._give_task()

    def _give_task(self) -> None:
        if not any(self._active):
            return
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        most = self._most_tasks // sum(self._active)
        busy = list(self._given.values())
        for worker_id in itertools.islice(self._turns, self._num_workers):
            if self._active[worker_id] and (self._in_order or busy.count(worker_id) < most):
                break
        else:
            return
        self._given[self._sent] = worker_id
        self._crew.give(worker_id, (self._sent, index))
        self._sent += 1

    def _next_data(self) -> Any:
        while True:
            self._skip_dropped()
            number = self._next if self._in_order else next(iter(self._ready), self._next)
            if number in self._ready:
                data = self._ready.pop(number)
                self._give_task()
                if isinstance(data, Failure):
                    data.reraise()
                return data
            if not self._given:
                if not self._persistent_workers:
                    self._crew.stop()
                raise StopIteration
            for worker_id, (answered, data) in self._answers():
                if isinstance(data, Ended):
                    self._end_stream(worker_id)
                elif self._given.pop(answered, None) is not None:  # and was not dropped
                    self._ready[answered] = data

    def _skip_dropped(self) -> None:
        """Go past tasks that were given out, or that went to a worker whose stream had ended."""
        while self._next < self._sent and self._next not in self._ready and self._next not in self._given:
            self._next += 1

    def _end_stream(self, worker_id: int) -> None:
        if not self._active[worker_id]:
            return  # it has answered so to an earlier task, and all of its tasks are dropped
        self._active[worker_id] = False
        dropped = [number for number, worker in self._given.items() if worker == worker_id]
        for number in dropped:
            del self._given[number]
        if not self._persistent_workers:
            self._crew.dismiss(worker_id)
        for _ in dropped:
            self._give_task()

    def _answers(self) -> list[tuple[int, Any]]:
        """What workers have to say; without them after an error, for nobody knows which batches are missing."""
        try:
            answers = self._crew.answers(self._timeout)
        except BaseException:
            self._crew.stop()
            raise
        if not answers:
            self._crew.stop()
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        return answers
