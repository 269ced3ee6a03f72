"""Batching rules: every row of the table for many examples at once is what it is for one after the other."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops.family import Elementwise
from numgrad.registry import OPS
from tests.ops.applying import apply, as_array
from tests.ops.rows import Sample
from tests.ops.samples import all_samples
from tests.ops.samples_elementwise import EVERY_FORM
from tests.ops.test_forward import OF_MEMORY

SIZE = 3
# Parts of backwards that give way to rules made of ops, and windows on memory that only the engine opens.
ONE_BY_ONE = {
    "begins",
    "find_bins",
    "masked_scatter",
    "masked_select",
    "nonzero",
    "batch_norm_backward",
    "batch_norm_relu_backward",
    "layer_norm_backward",
    "conv2d_backward",
    "as_strided",
    "as_strided_backward",
}
SKIPPED = {"full", "arange", "eye", "linspace"} | {
    name for name, op in OPS.items() if op.random or op.aliases or op.public == 0
}


def rows() -> list[Sample]:
    """Of elementwise ops, which have one rule, one row each."""
    chosen: dict[Any, Sample] = {}
    for number, sample in enumerate(all_samples()):
        op = OPS[sample.op]
        if sample.op in SKIPPED or not sample.small or not any(x is not None for x in sample.arrays()):
            continue
        if sample.op in OF_MEMORY - {"to_strides", "view"} and sample.op not in ONE_BY_ONE:
            continue
        key = sample.op if isinstance(op, Elementwise) else number
        chosen.setdefault(key, sample)
    return list(chosen.values())


ROWS = rows()


def examples(x: Any) -> np.ndarray:
    """The same elements in other places: three examples."""
    return np.stack([np.roll(x.ravel(), 2 * k).reshape(x.shape) for k in range(SIZE)])


def patterns(sample: Sample) -> list[tuple[bool, ...]]:
    """Which inputs are batched: all, and each alone and all but each; the rule of elementwise ops is one, shown by some."""
    count = len(sample.arrays())
    there = [x is not None for x in sample.arrays()]
    found = {tuple(there)}
    if count <= 4 and (not isinstance(OPS[sample.op], Elementwise) or sample.op in EVERY_FORM):
        found |= {tuple(here and flag for here, flag in zip(there, flags, strict=True))
                  for flags in itertools.product([False, True], repeat=count)}  # fmt: skip
    if sample.changes:  # what changes in place must be batched where the input is
        found = {flags for flags in found if all(flags[place] for place in sample.changes if there[place])}
    if OPS[sample.op].mutates:
        found = {flags for flags in found if flags[0]}
    return sorted(flags for flags in found if any(flags))


@pytest.mark.parametrize("sample", ROWS, ids=str)
def test_many_examples_are_one_after_the_other(sample: Sample) -> None:
    arrays = sample.arrays()
    stacks = [None if x is None else examples(x) for x in arrays]
    for flags in patterns(sample):

        def of_example(index: int, flags: tuple[bool, ...] = flags) -> tuple[Any, ...]:
            each = [
                None if x is None else ng.tensor(s[index] if flag else x)
                for x, s, flag in zip(arrays, stacks, flags, strict=True)
            ]
            return tuple(as_array(y) for y in apply(sample.op, each, sample.params))

        expected = [np.stack(column) for column in zip(*[of_example(k) for k in range(SIZE)], strict=True)]
        given = [
            None if x is None else ng.tensor(s if flag else x) for x, s, flag in zip(arrays, stacks, flags, strict=True)
        ]
        dims = tuple(0 if flag else None for flag in flags)
        with warnings.catch_warnings():
            if sample.op in ONE_BY_ONE or (flags[1:2] == (True,) and sample.op in ("index_put", "index_put_")) or (
                sample.op.startswith("nll_loss") and flags[2]
            ):  # fmt: skip
                warnings.simplefilter("ignore", UserWarning)
            found = ng.func.vmap(lambda *each: apply(sample.op, each, sample.params), in_dims=dims)(*given)
        for got, want in zip(found, expected, strict=True):
            got = as_array(got)
            assert (got.shape, got.dtype) == (want.shape, want.dtype), flags
            scale = np.abs(want[np.isfinite(want)]).max(initial=0.0) if want.dtype.kind == "f" and want.size else 0.0
            np.testing.assert_allclose(got, want, rtol=1e-12 * sample.tolerance, atol=1e-13 * scale * sample.tolerance)


def test_an_op_without_a_rule_is_named() -> None:
    op = OPS["as_strided"]  # it has a rule for examples that are row-major alone
    x = ng.arange(6.0).reshape(3, 2).t()
    with pytest.warns(UserWarning, match="batching rule for as_strided: it is applied to 2 examples"):
        found = ng.func.vmap(lambda row: op(row, size=(2,), strides=(2,), offset=0))(x)
    assert found.tolist() == [[0.0, 2.0], [1.0, 3.0]]
    x = ng.arange(6.0).reshape(2, 3)
    assert ng.func.vmap(lambda row: op(row, size=(2,), strides=(2,), offset=0))(x).tolist() == [[0.0, 2.0], [3.0, 5.0]]


def test_every_row_with_a_rule_is_tested() -> None:
    assert {s.op for s in ROWS} >= {n for n, op in OPS.items() if op.batch_function} - SKIPPED
