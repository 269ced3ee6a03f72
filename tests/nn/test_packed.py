"""Packed and padded sequences (`nn.utils.rnn`) against torch's: values, gradients, conversions, words of refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import Library, array, ours, outcome, theirs

rnn = nn.utils.rnn


def counted(lib: Library, *shape: int) -> Any:
    return lib.t.arange(float(np.prod(shape))).reshape(*shape)


def pieces(lib: Library, *lengths: int) -> list[Any]:
    return list(counted(lib, sum(lengths), 2).split(list(lengths)))


CASES: dict[str, Callable[[Library], Any]] = {
    "pack": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [4, 2, 1]),
    "pack a tensor of lengths": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), lib.t.tensor([4, 2, 1])),
    "pack floats": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [4.5, 2, 1]),
    "pack shorter": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [3, 2, 1]),
    "pack, batch first": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 3, 4, 2), [3, 3, 1], True),
    "pack unsorted": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 3, 4, 2), [1, 4, 3], True, False),
    "pack ints": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3).long(), [4, 4, 4]),
    "too few lengths": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [4, 2]),
    "out of order": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [2, 4, 1]),
    "a length 0": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 3), [4, 2, 0]),
    "one number": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(counted(lib, 4, 1), lib.t.tensor(4)),
    "nothing": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.t.zeros(4, 0), []),
    "no steps": lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.t.zeros(0, 2), [1, 1]),
    "pad": lambda lib: lib.nn.utils.rnn.pad_packed_sequence(lib.nn.utils.rnn.pack_sequence(pieces(lib, 3, 1))),
    "pad to a length": lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_sequence(pieces(lib, 1, 3, 2), False), True, -1.0, 5
    ),
    "pad to too short a length": lambda lib: lib.nn.utils.rnn.pad_packed_sequence(
        lib.nn.utils.rnn.pack_sequence(pieces(lib, 3, 1)), total_length=2
    ),
    "pad_sequence": lambda lib: lib.nn.utils.rnn.pad_sequence(pieces(lib, 2, 3, 1)),
    "pad_sequence, batch first": lambda lib: lib.nn.utils.rnn.pad_sequence(pieces(lib, 2, 3, 1), True, -1.0),
    "pad_sequence, left": lambda lib: lib.nn.utils.rnn.pad_sequence(pieces(lib, 2, 1), padding_value=2.0, padding_side="left"),
    "pad_sequence of a tensor": lambda lib: lib.nn.utils.rnn.pad_sequence(counted(lib, 2, 3)),
    "pad_sequence of nothing": lambda lib: lib.nn.utils.rnn.pad_sequence([]),
    "pad_sequence on a side": lambda lib: lib.nn.utils.rnn.pad_sequence(pieces(lib, 2, 1), padding_side="top"),
    "pad_sequence of a number": lambda lib: lib.nn.utils.rnn.pad_sequence(3),
    "unpad": lambda lib: lib.nn.utils.rnn.unpad_sequence(counted(lib, 4, 3), lib.t.tensor([1, 2, 9])),
    "unpad, batch first": lambda lib: lib.nn.utils.rnn.unpad_sequence(counted(lib, 2, 3, 2), lib.t.tensor([1, 0]), True),
    "pack_sequence": lambda lib: lib.nn.utils.rnn.pack_sequence(pieces(lib, 3, 3, 1)),
    "pack_sequence out of order": lambda lib: lib.nn.utils.rnn.pack_sequence(pieces(lib, 1, 2)),
    "unpack": lambda lib: lib.nn.utils.rnn.unpack_sequence(lib.nn.utils.rnn.pack_sequence(pieces(lib, 1, 3, 2), False)),
    "inverse": lambda lib: lib.nn.utils.rnn.invert_permutation(lib.t.tensor([2, 0, 1])),
    "inverse of none": lambda lib: lib.nn.utils.rnn.invert_permutation(None),
    "a pair": lambda lib: lib.nn.utils.rnn.PackedSequence((counted(lib, 3), lib.t.tensor([2, 1]))),
    "no pair": lambda lib: lib.nn.utils.rnn.PackedSequence(counted(lib, 3)),
    "converted": lambda lib: [
        lib.nn.utils.rnn.PackedSequence(counted(lib, 3), lib.t.tensor([2, 1])).to(lib.t.float64),
        lib.nn.utils.rnn.PackedSequence(counted(lib, 3), lib.t.tensor([2, 1]), lib.t.tensor([1, 0])).long(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("label", list(CASES))
def test_values_and_words(torch_says: Any, label: str) -> None:
    case = CASES[label]
    assert list(outcome(case, ours())) == torch_says(lambda torch: outcome(case, theirs(torch)))


def test_conversions() -> None:
    packed = rnn.PackedSequence(ng.tensor([1.0, 3.0, 2.0]), ng.tensor([2, 1]))
    assert packed.float() is packed.cpu() is packed.to("cpu") is packed
    for name in ("double", "half", "long", "int", "short", "char", "byte"):
        converted = getattr(packed, name)()
        assert type(converted) is rnn.PackedSequence
        assert converted.data.dtype is getattr(packed.data, name)().dtype
        assert converted.batch_sizes is packed.batch_sizes
    assert not packed.is_cuda
    assert not packed.is_pinned()
    for refused in (packed.cuda, packed.pin_memory):
        with pytest.raises((RuntimeError, AssertionError)):
            refused()


def test_what_torch_does_not_refuse() -> None:
    with pytest.raises(RuntimeError, match="a length is 5, but the sequences have 4 steps"):
        rnn.pack_padded_sequence(ng.zeros(4, 3), [5, 2, 1])
    with pytest.raises(RuntimeError, match=r"sequence 1 has shape \[1, 4\], expected \[length, 3\]"):
        rnn.pad_sequence([ng.zeros(2, 3), ng.zeros(1, 4)])
    with pytest.raises(RuntimeError, match="sequence 0 has shape"):
        rnn.pad_sequence([ng.zeros(())])
    with pytest.raises(ValueError, match="got 2 lengths of 3 sequences"):
        rnn.unpad_sequence(ng.zeros(4, 3), ng.tensor([1, 2]))


def test_a_padded_tensor_is_not_changed() -> None:
    padded = ng.zeros(4, 3)
    rnn.unpad_sequence(padded, ng.tensor([1, 2, 3]))
    assert padded.shape == (4, 3)


@pytest.mark.parametrize("batch_first", [False, True])
def test_gradients(torch: Any, batch_first: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 2) if batch_first else (5, 3, 2))
    results = []
    for lib in (ng, torch):
        leaf = lib.tensor(x, requires_grad=True)
        packed = lib.nn.utils.rnn.pack_padded_sequence(leaf, [2, 5, 4], batch_first, enforce_sorted=False)
        padded, lengths = lib.nn.utils.rnn.pad_packed_sequence(packed, batch_first, padding_value=3.0, total_length=6)
        (padded**3).sum().backward()
        results.append([packed.data, padded, lengths, leaf.grad])
    for mine, other in zip(*results, strict=True):
        np.testing.assert_allclose(array(mine), array(other), rtol=1e-12)
    for make in (
        lambda a, b: rnn.pad_sequence([a, b], batch_first),
        lambda a, b: rnn.pack_sequence([a, b], False).data,
    ):
        assert ng.autograd.gradcheck(
            make, [ng.rand(2, 3, dtype=ng.float64, requires_grad=True), ng.rand(4, 3, dtype=ng.float64)]
        )
