"""`DataLoader`: its arguments, and what it gives, without workers and with."""

from __future__ import annotations

import multiprocessing
import pickle
import threading

import pytest

import numgrad as ng
from numgrad.utils import data
from numgrad.utils.data import messages
from tests.utils.loading import Acts, Images, Stream, same

FORKS = "fork" in multiprocessing.get_all_start_methods()
# A start method for tests that need none in particular: the quickest.
QUICK = {"multiprocessing_context": "fork"} if FORKS else {}


def flat(loader):
    return [number for batch in loader for number in batch.tolist()]


# ---- without workers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, None])
def test_batches(torch, batch_size, drop_last):
    drop_last = drop_last and batch_size is not None
    for dataset in (range(5), Stream(5)):
        theirs = torch.utils.data.DataLoader(range(5), batch_size, drop_last=drop_last)
        ours = data.DataLoader(dataset, batch_size, drop_last=drop_last)
        assert len(ours) == len(theirs)
        assert [b if batch_size is None else b.tolist() for b in ours] == [
            b if batch_size is None else b.tolist() for b in theirs
        ]


def test_shuffle_sampler_and_batch_sampler():
    ng.manual_seed(0)
    loader = data.DataLoader(range(20), 4, shuffle=True)
    first, second = flat(loader), flat(loader)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))
    ng.manual_seed(0)
    assert flat(loader) == first
    generator = ng.Generator().manual_seed(1)
    one = flat(data.DataLoader(range(9), shuffle=True, generator=generator))
    assert flat(data.DataLoader(range(9), shuffle=True, generator=generator.manual_seed(1))) == one
    assert flat(data.DataLoader(range(9), 2, sampler=[3, 1, 8])) == [3, 1, 8]
    loader = data.DataLoader(range(9), batch_sampler=[[3, 1], [8]])
    assert [batch.tolist() for batch in loader] == [[3, 1], [8]]
    assert (len(loader), loader.batch_size) == (2, None)


def test_draws_come_in_torchs_order():
    # An iterator draws the workers' seed when it is made, and the order's when it is asked for the first batch.
    generator = ng.Generator().manual_seed(5)
    seed = data.sampler.drawn_seed(generator)
    order = ng.randperm(6, generator=generator).tolist()
    iterator = iter(data.DataLoader(range(6), shuffle=True, generator=generator.manual_seed(5)))
    assert iterator._base_seed == seed
    assert [batch.item() for batch in iterator] == order


@pytest.mark.parametrize(
    "words",
    [
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"num_workers": 1, "prefetch_factor": -1},
        {"persistent_workers": True},
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
        {"batch_size": 0},
        {"drop_last": 1},
        {"multiprocessing_context": "fork"},
        {"multiprocessing_context": "none", "num_workers": 1},
        {"multiprocessing_context": 3, "num_workers": 1},
    ],
    ids=str,
)
def test_refusals(torch, words):
    with pytest.raises((ValueError, TypeError)) as theirs:
        torch.utils.data.DataLoader(range(3), **words)
    with pytest.raises(theirs.type) as ours:
        data.DataLoader(range(3), **words)
    assert str(ours.value) == " ".join(str(theirs.value).split()) or str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("words", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}], ids=str)
def test_streams_refuse_an_order(words):
    (name,) = words
    with pytest.raises(
        ValueError, match=f"DataLoader with IterableDataset: expected unspecified {name} option, but got"
    ):
        data.DataLoader(Stream(), **words)


def test_attributes_are_fixed():
    loader = data.DataLoader(range(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader is initialized"):
            setattr(loader, name, None)
    loader.num_workers = 0
    with pytest.raises(NotImplementedError):
        pickle.dumps(iter(loader))
    with pytest.raises(AssertionError):
        iter(data.DataLoader(range(3), timeout=1))
    if FORKS:
        with pytest.raises(AssertionError, match="prefetch_factor must be greater than 0"):
            iter(data.DataLoader(range(3), num_workers=1, prefetch_factor=0))


def test_warnings(monkeypatch):
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        next(iter(data.DataLoader(range(3), pin_memory=True)))
    with pytest.warns(
        UserWarning, match="This DataLoader will create 9999 worker processes in total. Our suggested max"
    ):
        data.DataLoader(range(3), num_workers=9999)
    stream = Stream(3)
    loader = data.DataLoader(stream, None)
    stream.count = 2
    assert len(loader) == 2
    stream.count = 3
    with pytest.warns(UserWarning, match=r"was reported to be 2\(when accessing len\(dataloader\)\), but 3 samples"):
        assert list(loader) == [0, 1, 2]


def test_errors_of_a_dataset_are_its_own():
    with pytest.raises(KeyError, match="some key"):
        next(iter(data.DataLoader(Acts(), sampler=["key"])))
    with pytest.raises(
        RuntimeError, match=r"stack expects each tensor to be equal size, but got \[2\] at entry 0 and \[3\]"
    ):
        next(iter(data.DataLoader(Acts(), 2, sampler=["array", "unequal"])))


# ---- with workers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_give_what_one_process_gives(method):
    words = {"num_workers": 2, "multiprocessing_context": method}
    seen = []
    for images, labels in data.DataLoader(Images(), 8, drop_last=True, **words):
        assert images.shape == (8, 3, 32, 32)
        assert (images == labels.reshape(8, 1, 1, 1)).all()
        images.add_(1)  # memory of this process's own
        seen += labels.tolist()
    assert seen == list(range(16))


@pytest.mark.skipif(not FORKS, reason="no fork here")
class TestForked:
    def test_through_the_pipe(self, monkeypatch):
        monkeypatch.setattr(messages, "SHARES", False)
        loader = data.DataLoader(Images(8), 4, num_workers=1, **QUICK)
        assert [images.mean().item() for images, _ in loader] == [1.5, 5.5]

    @pytest.mark.parametrize("persistent", [False, True])
    @pytest.mark.parametrize("batch_size", [2, None])
    def test_streams(self, batch_size, persistent):
        loader = data.DataLoader(Stream(), batch_size, num_workers=2, persistent_workers=persistent, **QUICK)
        for _ in range(2):
            seen = [number for batch in loader for number in ([batch] if batch_size is None else batch.tolist())]
            assert sorted(seen) == list(range(11))
        assert len(loader) == (11 if batch_size is None else 6)

    def test_persistent_workers_are_the_same_ones(self):
        words = {"num_workers": 2, "collate_fn": same, "sampler": ["pid"] * 6, **QUICK}
        loader = data.DataLoader(Acts(), persistent_workers=True, **words)
        first = {pid for (pid,) in loader}
        next(iter(loader))  # a pass that is not finished
        assert {pid for (pid,) in loader} == first
        assert len(first) == 2
        loader = data.DataLoader(Acts(), **words)
        assert not {pid for (pid,) in loader} & {pid for (pid,) in loader}

    def test_what_a_worker_knows(self):
        loader = data.DataLoader(Acts(), None, sampler=["info", "info", "threads", "initial"], num_workers=2, **QUICK)
        iterator = iter(loader)
        seed = iterator._base_seed
        assert list(iterator) == [
            [0, 2, seed, "multiprocessing"],
            [1, 2, seed + 1, "multiprocessing"],
            1,
            seed + 1,
        ]
        assert data.get_worker_info() is None

    def test_random_numbers_of_workers(self):
        def drawn():
            ng.manual_seed(4)
            loader = data.DataLoader(Acts(), None, sampler=["random"] * 4, num_workers=2, **QUICK)
            return [number for sample in loader for number in sample]

        numbers = drawn()
        assert len(set(numbers)) == 12
        assert drawn() == numbers

    def test_worker_init_fn(self):
        def begin(worker_id):
            data.get_worker_info().dataset.count = 3 + worker_id

        loader = data.DataLoader(Stream(), None, num_workers=2, worker_init_fn=begin, **QUICK)
        assert sorted(loader) == [0, 1, 2, 3]

    def test_orders(self):
        for in_order in (True, False):
            loader = data.DataLoader(
                Images(30), 1, num_workers=2, prefetch_factor=3, in_order=in_order, timeout=60, **QUICK
            )
            labels = [label.item() for _, label in loader]
            assert (labels if in_order else sorted(labels)) == list(range(30))

    def test_two_at_a_time(self):
        loaders = [data.DataLoader(Images(8), 2, num_workers=2, **QUICK) for _ in range(2)]
        assert [one[1].tolist() == two[1].tolist() for one, two in zip(*loaders, strict=True)] == [True] * 4

    def test_from_another_thread(self):
        seen = []
        loader = data.DataLoader(Images(8), 2, num_workers=2, **QUICK)
        thread = threading.Thread(target=lambda: seen.extend(labels.tolist() for _, labels in loader))
        thread.start()
        thread.join(60)
        assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]]

    def test_an_epoch_of_no_batches(self):
        assert list(data.DataLoader(range(0), num_workers=2, **QUICK)) == []
