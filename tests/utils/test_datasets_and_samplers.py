"""Datasets and samplers, with torch's as the other opinion."""

from __future__ import annotations

import collections
import copy

import numpy as np
import pytest

import numgrad as ng
from numgrad.utils import data
from numgrad.utils.data.collate import collate, default_collate_fn_map


class Count(data.IterableDataset):
    def __init__(self, count=3):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


def test_module_paths_of_torch():
    from numgrad.utils.data.dataloader import DataLoader, default_collate
    from numgrad.utils.data.dataset import Dataset
    from numgrad.utils.data.distributed import DistributedSampler
    from numgrad.utils.data.sampler import Sampler

    names = (DataLoader, default_collate, Dataset, DistributedSampler, Sampler)
    assert all(name is getattr(ng.utils.data, name.__name__) for name in names)


# ---- datasets -----------------------------------------------------------------------------------------------------


def test_tensor_dataset():
    dataset = data.TensorDataset(ng.arange(6).reshape(3, 2), ng.arange(3))
    assert len(dataset) == 3
    assert [each.tolist() for each in dataset[-1]] == [[4, 5], 2]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(ng.zeros(3), ng.zeros(2))
    with pytest.raises(IndexError):
        dataset[3]


def test_batches_of_tensors_are_those_of_their_samples():
    generator = ng.Generator().manual_seed(0)
    rows, labels = ng.rand(7, 2, 3, generator=generator).transpose(1, 2), ng.arange(7)
    dataset = data.TensorDataset(rows, labels)
    order = [6, 0, 3, 3]
    quick = dataset._collated_batch(order)
    slow = data.default_collate([dataset[index] for index in order])
    assert type(quick) is type(slow) is list
    assert all(ng.equal(one, two) and one.dtype is two.dtype for one, two in zip(quick, slow, strict=True))
    part = data.Subset(data.Subset(dataset, [6, 5, 4, 3]), [0, 3])
    assert part._collated_batch([1, 0])[1].tolist() == [3, 6]


@pytest.mark.parametrize("index", [[7], [-1], [0.5], ["a"], [[0]], []])
def test_other_indices_go_the_long_way(index):
    assert data.TensorDataset(ng.zeros(7))._collated_batch(index) is None


def test_subclasses_have_their_own_samples():
    class Doubled(data.TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)[0] * 2

    class Listed(data.TensorDataset):
        def __getitems__(self, indices):
            return [-index for index in indices]

    class Part(data.Subset):
        def __getitems__(self, indices):
            return [10 * index for index in indices]

    values = ng.arange(4)
    assert next(iter(data.DataLoader(Doubled(values), 4))).tolist() == [0, 2, 4, 6]
    assert next(iter(data.DataLoader(Listed(values), 4))).tolist() == [0, -1, -2, -3]
    assert next(iter(data.DataLoader(Part(data.TensorDataset(values), [1, 2]), 2))).tolist() == [0, 10]
    with pytest.raises(NotImplementedError, match="overrides __getitem__ but not __getitems__"):
        type("Bad", (data.Subset,), {"__getitem__": lambda self, index: 0})(values, [0])


def test_gradients_reach_the_tensors():
    leaf = ng.ones(3, 2, requires_grad=True)
    (batch,) = next(iter(data.DataLoader(data.TensorDataset(leaf), 2)))
    batch.sum().backward()
    assert leaf.grad.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_stack_dataset():
    class Listed(data.Dataset):
        def __getitems__(self, indices):
            return [10 * index for index in indices][: len(indices) - self.missing]

        def __getitem__(self, index):
            return 10 * index

        def __len__(self):
            return 3

        missing = 0

    listed = Listed()
    assert data.StackDataset(listed, range(3)).__getitems__([2, 0]) == [(20, 2), (0, 0)]
    assert data.StackDataset(a=listed, b=range(3)).__getitems__([2]) == [{"a": 20, "b": 2}]
    listed.missing = 1
    with pytest.raises(ValueError, match="Nested dataset's output size mismatch. Expected 2, got 1"):
        data.StackDataset(listed).__getitems__([0, 1])
    for arguments, words, text in [
        ((range(2), range(3)), {}, "Size mismatch between datasets"),
        ((), {"a": range(2), "b": range(3)}, "Size mismatch between datasets"),
        ((), {}, "At least one dataset should be passed"),
        ((range(2),), {"a": range(2)}, "both types are given"),
    ]:
        with pytest.raises(ValueError, match=text):
            data.StackDataset(*arguments, **words)


def test_concatenation_and_chains():
    both = data.ConcatDataset([range(3), range(10, 12)])
    assert [both[index] for index in range(-5, 5)] == [0, 1, 2, 10, 11] * 2
    with pytest.raises(ValueError, match="absolute value of index should not exceed dataset length"):
        both[-6]
    with pytest.raises(IndexError):
        both[5]
    with pytest.raises(AssertionError, match="datasets should not be an empty iterable"):
        data.ConcatDataset([])
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        data.ConcatDataset([Count()])
    with pytest.warns(FutureWarning, match="renamed to `cumulative_sizes`"):
        assert both.cummulative_sizes == [3, 5]
    chain = Count(2) + Count(1)
    assert (list(chain), len(chain)) == ([0, 1, 0], 3)
    with pytest.raises(AssertionError, match="ChainDataset only supports IterableDataset"):
        list(data.ChainDataset([range(2)]))


@pytest.mark.parametrize("lengths", [[3, 7], [0.5, 0.25, 0.25], [1.0], [0.1] * 10, [0.34, 0.33, 0.33]])
def test_random_split(torch, lengths):
    ours = data.random_split(range(10), lengths, generator=ng.Generator().manual_seed(1))
    theirs = torch.utils.data.random_split(range(10), lengths)
    assert [len(part) for part in ours] == [len(part) for part in theirs]
    assert sorted(index for part in ours for index in part) == list(range(10))


def test_random_split_refuses_and_warns():
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length of the input dataset!"):
        data.random_split(range(10), [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        data.random_split(range(10), [-0.5, 1.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0. This might result in an empty dataset."):
        data.random_split(range(1), [0.5, 0.5])


# ---- samplers -----------------------------------------------------------------------------------------------------


def seeded():
    return ng.Generator().manual_seed(3)


def test_random_sampler():
    assert sorted(data.RandomSampler(range(5), generator=seeded())) == [0, 1, 2, 3, 4]
    assert list(data.RandomSampler(range(5), generator=seeded())) == list(
        data.RandomSampler(range(5), generator=seeded())
    )
    more = list(data.RandomSampler(range(3), num_samples=8, generator=seeded()))
    assert len(more) == 8
    assert sorted(more[:3]) == sorted(more[3:6]) == [0, 1, 2]
    drawn = list(data.RandomSampler(range(4), replacement=True, num_samples=70, generator=seeded()))
    assert len(drawn) == 70
    assert set(drawn) == {0, 1, 2, 3}


def test_each_pass_draws_its_seed():
    sampler = data.RandomSampler(range(50))
    ng.manual_seed(0)
    first, second = list(sampler), list(sampler)
    assert first != second
    ng.manual_seed(0)
    assert list(sampler) == first


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda lib: lib.RandomSampler([]), ValueError),
        (lambda lib: lib.RandomSampler([1], replacement=1), TypeError),
        (lambda lib: lib.RandomSampler([1], num_samples=0), ValueError),
        (lambda lib: lib.RandomSampler([1], num_samples=1.0), ValueError),
        (lambda lib: lib.WeightedRandomSampler([1], True), ValueError),
        (lambda lib: lib.WeightedRandomSampler([1], 1, None), ValueError),
        (lambda lib: lib.WeightedRandomSampler([[1.0]], 1), ValueError),
        (lambda lib: lib.BatchSampler([1], 0, False), ValueError),
        (lambda lib: lib.BatchSampler([1], True, False), ValueError),
        (lambda lib: lib.BatchSampler([1], 2, 0), ValueError),
        (lambda lib: lib.DistributedSampler([1], 2, 2), ValueError),
        (lambda lib: lib.DistributedSampler([1], 2, -1), ValueError),
    ],
)
def test_samplers_refuse(torch, make, error):
    with pytest.raises(error) as theirs:
        make(torch.utils.data)
    with pytest.raises(error) as ours:
        make(data)
    assert str(ours.value) == str(theirs.value)


def test_weighted_and_subset_samplers():
    weighted = data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=seeded())
    counts = collections.Counter(weighted)
    assert counts[0] == 0
    assert 0.7 < counts[2] / len(weighted) < 0.8
    assert sorted(data.WeightedRandomSampler([1.0, 1.0, 1.0], 3, replacement=False)) == [0, 1, 2]
    assert sorted(data.SubsetRandomSampler([5, 7], generator=seeded())) == [5, 7]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6])
def test_batch_sampler(torch, count, drop_last):
    ours, theirs = (lib.BatchSampler(range(count), 2, drop_last) for lib in (data, torch.utils.data))
    assert (list(ours), len(ours)) == (list(theirs), len(theirs))


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("count", "replicas"), [(10, 3), (2, 5), (6, 3), (1, 1), (0, 2)])
def test_distributed_sampler(torch, count, replicas, drop_last):
    for rank in range(replicas):
        ours, theirs = (
            lib.DistributedSampler(range(count), replicas, rank, shuffle=False, drop_last=drop_last)
            for lib in (data, torch.utils.data)
        )
        assert (list(ours), len(ours)) == (list(theirs), len(theirs))
    shuffled = [list(data.DistributedSampler(range(count), replicas, rank)) for rank in range(replicas)]
    assert set().union(*shuffled) == set(range(count))
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        data.DistributedSampler(range(count))


# ---- collation ----------------------------------------------------------------------------------------------------

Point = collections.namedtuple("Point", ["x", "y"])


@pytest.mark.parametrize(
    "batch",
    [
        [np.float32(1), np.float32(2)],
        [1.5, 2],
        [1, 2],
        [True, False],
        [np.int8(1), np.int8(2)],
        [np.zeros((2, 2), np.float32)] * 2,
        [{"a": 1, "b": [1.0, "x"]}, {"a": 2, "b": [2.0, "y"]}],
        [(1, 2), (3, 4)],
        [[1, 2], [3, 4]],
        [range(2), range(2)],
        [Point(1, 2.0), Point(3, 4.0)],
        [collections.OrderedDict(a=1)] * 2,
        [collections.deque([1, 2])] * 2,
        [b"a", b"b"],
    ],
)
def test_default_collate(torch, batch):
    ours, theirs = data.default_collate(copy.deepcopy(batch)), torch.utils.data.default_collate(copy.deepcopy(batch))
    assert str(ours).replace("numgrad.", "") == str(theirs).replace("torch.", "")
    assert type(ours).__name__ == type(theirs).__name__
    one, other = data.default_convert(batch[0]), torch.utils.data.default_convert(batch[0])
    assert str(one).replace("numgrad.", "") == str(other).replace("torch.", "")


@pytest.mark.parametrize(
    ("batch", "error", "text"),
    [
        (
            [None],
            TypeError,
            "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found",
        ),
        ([np.array(["a"])], TypeError, "found <U1"),
        ([(1, 2), (3,)], RuntimeError, "each element in list of batch should be of equal size"),
        (
            [np.zeros(2), np.zeros(3)],
            RuntimeError,
            r"stack expects each tensor to be equal size, but got \[2\] at entry 0",
        ),
    ],
)
def test_default_collate_refuses(batch, error, text):
    with pytest.raises(error, match=text):
        data.default_collate(batch)


def test_types_of_a_program(monkeypatch):
    class Mine:
        pass

    monkeypatch.setitem(default_collate_fn_map, Mine, lambda batch, *, collate_fn_map: len(batch))
    assert data.default_collate([(Mine(), 1), (Mine(), 2)])[0] == 2
    assert collate([1, 2], collate_fn_map={int: lambda batch, *, collate_fn_map: sum(batch)}) == 3
    monkeypatch.setitem(default_collate_fn_map, ng.Tensor, lambda batch, *, collate_fn_map: "tensors")
    assert list(data.DataLoader(data.TensorDataset(ng.zeros(2)), 2)) == [["tensors"]]


def test_arrays_share_their_memory_with_converted_samples():
    array = np.zeros(2)
    data.default_convert([array])[0][0] = 5
    assert array.tolist() == [5, 0]
