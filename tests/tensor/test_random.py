"""Random tensors: arguments as torch takes them, and draws of several threads from one generator."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

# ---- arguments --------------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
REFUSED: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "bernoulli below 0": (lambda lib: lib.bernoulli(lib.tensor([-1.0, 0.5])), RuntimeError, "Expected p_in"),
    "bernoulli above 1": (lambda lib: lib.bernoulli(lib.tensor([0.5] * 1000 + [1.5])), RuntimeError, "Expected p_in"),
    "bernoulli of NaN": (lambda lib: lib.bernoulli(lib.tensor([NAN])), RuntimeError, "Expected p_in"),
    "bernoulli of ints": (lambda lib: lib.bernoulli(lib.tensor([1])), RuntimeError, "bernoulli"),
    "bernoulli of a number": (lambda lib: lib.bernoulli(0.5), TypeError, "must be Tensor, not float"),
    "randint above uint8": (lambda lib: lib.randint(0, 1000, (3,), dtype=lib.uint8), RuntimeError, "to - 1 is out of"),
    "randint just above uint8": (lambda lib: lib.randint(0, 257, (3,), dtype=lib.uint8), RuntimeError, "to - 1 is out"),
    "randint below uint8": (lambda lib: lib.randint(-1, 5, (3,), dtype=lib.uint8), RuntimeError, "from is out of"),
    "randint below int8": (lambda lib: lib.randint(-129, 5, (3,), dtype=lib.int8), RuntimeError, "from is out of"),
    "randint above int16": (
        lambda lib: lib.randint(0, 2**15 + 1, (3,), dtype=lib.int16),
        RuntimeError,
        "out of bounds",
    ),
    "randint above int32": (
        lambda lib: lib.randint(0, 2**31 + 1, (3,), dtype=lib.int32),
        RuntimeError,
        "out of bounds",
    ),
    "randint above bool": (lambda lib: lib.randint(0, 3, (3,), dtype=lib.bool), RuntimeError, "out of bounds"),
    "randint of nothing": (lambda lib: lib.randint(5, 5, (3,)), RuntimeError, "'from' to be less than 'to'"),
    "randint from a float": (lambda lib: lib.randint(1.5, 5, (3,)), TypeError, "randint"),
    "randint to a float": (lambda lib: lib.randint(1, 5.5, (3,)), TypeError, "randint"),
    "randint from a bool": (lambda lib: lib.randint(True, 5, (3,)), TypeError, "randint"),
    "randint without a size": (lambda lib: lib.randint(1, 5), TypeError, "size|randint"),
    "randint with an int as size": (lambda lib: lib.randint(1, 5, 3), TypeError, "size|randint"),
    "uniform_ the wrong way": (lambda lib: lib.zeros(2).uniform_(2, 1), RuntimeError, "found from=2.* > to=1"),
    "uniform_ of nothing": (lambda lib: lib.zeros(0).uniform_(2, 1), RuntimeError, "found from=2.* > to=1"),
    "uniform_ from NaN": (lambda lib: lib.zeros(2).uniform_(NAN, 1), RuntimeError, "from is out of bounds"),
    "uniform_ to NaN": (lambda lib: lib.zeros(2).uniform_(0, NAN), RuntimeError, "to is out of bounds"),
    "uniform_ to infinity": (lambda lib: lib.zeros(2).uniform_(0, INF), RuntimeError, "to is out of bounds"),
    "uniform_ beyond float32": (lambda lib: lib.zeros(2).uniform_(-1e39, 0), RuntimeError, "from is out of bounds"),
    "uniform_ too wide": (lambda lib: lib.zeros(2).uniform_(-3e38, 3e38), RuntimeError, "expects to-from <="),
    "uniform_ of ints": (lambda lib: lib.zeros(2, dtype=lib.int64).uniform_(0, 1), RuntimeError, "uniform"),
    "uniform_ of text": (lambda lib: lib.zeros(2).uniform_("a"), TypeError, "'from'.* must be float, not str"),
    "uniform_ across": (lambda lib: lib.zeros(4, 2)[:, 0].uniform_(2, 1), RuntimeError, "found from=2.* > to=1"),
    "normal_ with std < 0": (lambda lib: lib.zeros(2).normal_(0, -1), RuntimeError, "std >= 0.0, but found std -1"),
    "normal_ of nothing": (lambda lib: lib.zeros(0).normal_(0, -1), RuntimeError, "std >= 0.0, but found std -1"),
    "normal_ with std NaN": (lambda lib: lib.zeros(2).normal_(0, NAN), RuntimeError, "std >= 0.0, but found std nan"),
    "normal_ across": (lambda lib: lib.zeros(4, 2)[:, 0].normal_(0, -1), RuntimeError, "std >= 0.0, but found std -1"),
    "normal_ of ints": (lambda lib: lib.zeros(2, dtype=lib.int64).normal_(0, 1), RuntimeError, "normal"),
    "normal_ of text": (lambda lib: lib.zeros(2).normal_("a"), TypeError, "'mean'.* must be float, not str"),
    "rand of ints": (lambda lib: lib.rand(2, dtype=lib.int64), RuntimeError, "not implemented for 'Long'"),
    "randn of bools": (lambda lib: lib.randn(2, dtype=lib.bool), RuntimeError, "not implemented for 'Bool'"),
    "rand with text as dtype": (lambda lib: lib.rand(2, dtype="float32"), TypeError, "dtype"),
    "rand with an int as generator": (lambda lib: lib.rand(2, generator=3), TypeError, "generator"),
    "rand_like of a number": (lambda lib: lib.rand_like(3), TypeError, "must be Tensor, not int"),
    "randn_like of a list": (lambda lib: lib.randn_like([1.0]), TypeError, "must be Tensor, not list"),
    "rand_like of ints": (lambda lib: lib.rand_like(lib.tensor([1])), RuntimeError, "not implemented for 'Long'"),
    "randperm below 0": (lambda lib: lib.randperm(-1), RuntimeError, "negative"),
    "randperm of a float": (lambda lib: lib.randperm(2.0), TypeError, "must be int, not float"),
    "randperm of a bool": (lambda lib: lib.randperm(True), TypeError, "must be int, not bool"),
    "randperm of text": (lambda lib: lib.randperm("a"), TypeError, "must be int, not str"),
    "a seed of 65 bits": (lambda lib: lib.Generator().manual_seed(2**64), ValueError, "seed|Overflow"),
    "dropout of 2": (lambda lib: lib.dropout(lib.ones(3), 2, True), RuntimeError, "between 0 and 1, but got 2"),
    "dropout of NaN": (lambda lib: lib.dropout(lib.ones(3), NAN, True), RuntimeError, "between 0 and 1, but got nan"),
    "set_rng_state of an int": (lambda lib: lib.set_rng_state(3), TypeError, "Tensor"),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_refused_arguments(call: tuple[Callable[[Any], Any], type[Exception], str]) -> None:
    function, error, match = call
    before = ng.get_rng_state()
    with pytest.raises(error, match=match):
        function(ng)
    assert ng.equal(ng.get_rng_state(), before)


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_torch_refuses_the_same(call: tuple[Callable[[Any], Any], type[Exception], str], torch: ModuleType) -> None:
    with pytest.raises(call[1]):
        call[0](torch)


def test_a_refused_fill_has_changed_nothing() -> None:
    x = ng.ones(3)
    for fill in (lambda: x.uniform_(2, 1), lambda: x.normal_(0, -1), lambda: x[::2].uniform_(0, INF)):
        with pytest.raises(RuntimeError):
            fill()
    assert x.tolist() == [1, 1, 1]


def test_the_ends_of_dtypes_are_taken() -> None:
    for dtype in (ng.uint8, ng.int8, ng.int16, ng.int32, ng.int64):
        ends = np.iinfo(dtype.name)
        assert set(ng.randint(ends.min, ends.min + 2, (100,), dtype=dtype).tolist()) == {ends.min, ends.min + 1}
        assert set(ng.randint(int(ends.max) - 1, int(ends.max) + 1, (100,), dtype=dtype).tolist()) == {
            ends.max - 1,
            ends.max,
        }
    assert set(ng.randint(0, 2, (100,), dtype=ng.bool).tolist()) == {False, True}


def test_forms_of_randint() -> None:
    ng.manual_seed(5)
    first = ng.randint(0, 9, (4,)).tolist()
    for call in (
        lambda: ng.randint(9, (4,)),
        lambda: ng.randint(9, size=(4,)),
        lambda: ng.randint(high=9, size=(4,)),
        lambda: ng.randint(low=0, high=9, size=[4]),
        lambda: ng.randint(ng.tensor(0), np.int64(9), (4,)),
    ):
        ng.manual_seed(5)
        assert call().tolist() == first


def test_randint_of_floats_warns_of_integers_that_they_do_not_have(torch: ModuleType) -> None:
    for lib in (ng, torch):
        with pytest.warns(UserWarning, match="is out of bounds"):
            lib.randint(0, 2**25, (3,), dtype=lib.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            lib.randint(0, 2**24 + 1, (3,), dtype=lib.float32)
            lib.randint(0, 2**25, (3,), dtype=lib.float64)


def test_seeds_are_those_of_torch(torch: ModuleType) -> None:
    for seed in (0, 7, -1, -(2**63), 2**64 - 1, 2**63):
        found = [lib.Generator().manual_seed(seed).initial_seed() for lib in (ng, torch)]
        assert found[0] == found[1]
    same = [ng.rand(5, generator=ng.Generator().manual_seed(seed)).tolist() for seed in (-1, 2**64 - 1)]
    assert same[0] == same[1]


def test_probabilities_at_the_ends() -> None:
    assert ng.bernoulli(ng.tensor([0.0, 1.0, -0.0])).tolist() == [0, 1, 0]
    assert ng.bernoulli(ng.tensor([[0.0, 1.0], [1.0, 0.0]]).t()).tolist() == [[0, 1], [1, 0]]
    with pytest.raises(RuntimeError, match="Expected p_in"):
        ng.bernoulli(ng.tensor([[0.5, 0.5], [2.0, 0.5]])[:, 0])
    assert ng.bernoulli(ng.tensor([[0.5, 0.5], [2.0, 0.5]])[:, 1]).shape == (2,)
    assert ng.zeros(3).uniform_(1, 1).tolist() == [1, 1, 1]
    assert ng.zeros(3).normal_(2, 0).tolist() == [2, 2, 2]


# ---- threads ----------------------------------------------------------------------------------------------------

LARGE = 100_000  # elements, which a launch draws without the interpreter's lock
DRAWS: dict[str, Callable[[], ng.Tensor]] = {
    "rand": lambda: ng.rand(LARGE),
    "rand float64": lambda: ng.rand(LARGE, dtype=ng.float64),
    "randn": lambda: ng.randn(LARGE),
    "randint": lambda: ng.randint(0, 1 << 40, (LARGE,)),
    "randperm": lambda: ng.randperm(20_000),
    "bernoulli": lambda: ng.bernoulli(ng.full((LARGE,), 0.5)),
    "dropout": lambda: ng.dropout(ng.ones(LARGE), 0.5, True),
    "uniform_": lambda: ng.empty(LARGE).uniform_(),
    "normal_": lambda: ng.empty(LARGE).normal_(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_threads_draw_different_numbers(draw: Callable[[], ng.Tensor]) -> None:
    """Of many threads' draws no two are the same, and the counter has moved by what all of them used."""
    rounds, count = 25, 8
    ng.manual_seed(0)
    draw()
    used = int(ng.get_rng_state()[1])
    ng.manual_seed(0)
    drawn: list[bytes] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        for _ in range(rounds):
            barrier.wait()
            drawn.append(draw().numpy().tobytes())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == rounds * count == len(set(drawn))
    assert int(ng.get_rng_state()[1]) == used * rounds * count


def test_what_threads_draw_is_what_one_draws() -> None:
    ng.manual_seed(3)
    one = {ng.rand(LARGE).numpy().tobytes() for _ in range(16)}
    ng.manual_seed(3)
    many: set[bytes] = set()
    threads = [threading.Thread(target=lambda: many.add(ng.rand(LARGE).numpy().tobytes())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert many == one
