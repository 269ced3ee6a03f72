"""Random numbers of further distributions: their moments, reproducible, refused as torch does; ramps and windows beside torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.tensor.calls import Row, Table, assert_same, told

N = 40_000
Z = 5  # standard errors


def _generator(seed: int = 0) -> ng.Generator:
    return ng.Generator().manual_seed(seed)


# name -> (draw N numbers, mean, standard deviation)
DRAWS: dict[str, tuple[Callable[[ng.Generator], ng.Tensor], float, float]] = {
    "normal": (lambda g: ng.normal(1.0, 2.0, (N,), generator=g), 1.0, 2.0),
    "normal of tensors": (lambda g: ng.normal(ng.full((N,), 1.0), ng.full((1,), 2.0), generator=g), 1.0, 2.0),
    "normal of a mean": (lambda g: ng.normal(ng.full((N,), 1.0), 2.0, generator=g), 1.0, 2.0),
    "normal of a deviation": (lambda g: ng.normal(1.0, ng.full((N,), 2.0), generator=g), 1.0, 2.0),
    "poisson": (lambda g: ng.poisson(ng.full((N,), 3.0), g), 3.0, 3**0.5),
    "binomial": (lambda g: ng.binomial(ng.full((N,), 10.0), ng.full((N,), 0.3), g), 3.0, 2.1**0.5),
    "bernoulli_": (lambda g: ng.zeros(N).bernoulli_(0.3, generator=g), 0.3, 0.21**0.5),
    "bernoulli_ of integers": (lambda g: ng.zeros(N, dtype=ng.int64).bernoulli_(0.3, generator=g), 0.3, 0.21**0.5),
    "bernoulli_ of a tensor": (lambda g: ng.zeros(N).bernoulli_(ng.tensor([0.3]), generator=g), 0.3, 0.21**0.5),
    "random_": (lambda g: ng.zeros(N).random_(2, 6, generator=g), 3.5, (15 / 12) ** 0.5),
    "random_ up to": (lambda g: ng.zeros(N, dtype=ng.int64).random_(4, generator=g), 1.5, (15 / 12) ** 0.5),
    "random_ of bytes": (lambda g: ng.zeros(N, dtype=ng.uint8).random_(generator=g), 127.5, (65535 / 12) ** 0.5),
    "random_ of bools": (lambda g: ng.zeros(N, dtype=ng.bool).random_(generator=g), 0.5, 0.5),
    "exponential_": (lambda g: ng.zeros(N).exponential_(2.0, generator=g), 0.5, 0.5),
    "geometric_": (lambda g: ng.zeros(N).geometric_(0.25, generator=g), 4.0, 12**0.5),
    "log_normal_": (lambda g: ng.zeros(N).log_normal_(0.0, 0.25, generator=g).log(), 0.0, 0.25),
    "randint_like": (lambda g: ng.randint_like(ng.zeros(N), 2, 6, generator=g), 3.5, (15 / 12) ** 0.5),
    "multinomial": (lambda g: ng.multinomial(ng.tensor([1.0, 0.0, 3.0]), N, True, generator=g), 1.5, 0.75**0.5),
    "multinomial of one": (
        lambda g: ng.multinomial(ng.tensor([[1.0, 0.0, 3.0]]).expand(N, 3), 1, generator=g), 1.5, 0.75**0.5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_moments(name: str) -> None:
    draw, mean, std = DRAWS[name]
    drawn = draw(_generator()).double().numpy().ravel()
    assert len(drawn) == N
    assert abs(drawn.mean() - mean) < Z * std / N**0.5
    assert abs(drawn.std() - std) < Z * 3 * std / N**0.5
    assert draw(_generator()).tolist() == draw(_generator()).tolist()
    assert draw(_generator(1)).tolist() != draw(_generator()).tolist()


def test_cauchy_has_its_quartiles() -> None:
    drawn = ng.zeros(N).cauchy_(1.0, 2.0, generator=_generator()).numpy()
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [-1, 1, 3], atol=0.15)


def test_multinomial_without_replacement_draws_each_once() -> None:
    weights = ng.tensor([[0.1, 0.0, 5.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    drawn = ng.multinomial(weights, 3, generator=_generator())
    assert drawn.shape == (2, 3)
    assert sorted(drawn[0].tolist()) == [0, 2, 3]
    firsts = [ng.multinomial(weights[0], 3, generator=_generator(seed))[0].item() for seed in range(200)]
    assert 140 < firsts.count(2) < 190  # 5 of 6.1


def test_draws_have_no_gradient() -> None:
    mean = ng.ones(3, requires_grad=True)
    assert not ng.normal(mean, mean).requires_grad


REFUSED: dict[str, Any] = {
    "multinomial of integers": lambda lib: lib.multinomial(lib.tensor([1, 2]), 1),
    "multinomial of a cube": lambda lib: lib.multinomial(lib.ones(2, 2, 2), 1),
    "multinomial of none": lambda lib: lib.multinomial(lib.ones(2), 0),
    "multinomial of too many": lambda lib: lib.multinomial(lib.ones(2), 3),
    "multinomial of negative weights": lambda lib: lib.multinomial(lib.tensor([1.0, -1.0]), 1),
    "multinomial of NaN": lambda lib: lib.multinomial(lib.tensor([1.0, float("nan")]), 1),
    "multinomial of zeros": lambda lib: lib.multinomial(lib.zeros(2), 1, True),
    "normal of a negative deviation": lambda lib: lib.normal(lib.ones(2), -1.0),
    "normal of negative deviations": lambda lib: lib.normal(0.0, lib.tensor([-1.0])),
    "normal of other shapes": lambda lib: lib.normal(lib.ones(2), lib.ones(3)),
    "normal without a size": lambda lib: lib.normal(0.0, 1.0),
    "poisson of negative rates": lambda lib: lib.poisson(lib.tensor([-1.0])),
    "bernoulli_ of no probability": lambda lib: lib.zeros(2).bernoulli_(1.5),
    "bernoulli_ of a leaf": lambda lib: lib.zeros(2, requires_grad=True).bernoulli_(),
    "random_ of an empty range": lambda lib: lib.zeros(2).random_(3, 3),
    "random_ beyond the dtype": lambda lib: lib.zeros(2, dtype=lib.uint8).random_(0, 300),
    "exponential_ of no rate": lambda lib: lib.zeros(2).exponential_(0.0),
    "geometric_ of 1": lambda lib: lib.zeros(2).geometric_(1.0),
    "cauchy_ of no width": lambda lib: lib.zeros(2).cauchy_(0.0, 0.0),
    "log_normal_ of no width": lambda lib: lib.zeros(2).log_normal_(0.0, 0.0),
    "hann_window of a negative length": lambda lib: lib.hann_window(-1),
    "hann_window of integers": lambda lib: lib.hann_window(3, dtype=lib.int64),
    "logspace of negative steps": lambda lib: lib.logspace(0, 1, -1),
    "range by nothing": lambda lib: lib.range(0, 1, 0),
    "range away": lambda lib: lib.range(0, 1, -1),
    "empty_strided of other lengths": lambda lib: lib.empty_strided((2,), (1, 1)),
    "apply_ with a gradient": lambda lib: lib.ones(2, requires_grad=True).apply_(lambda x: x),
}


@pytest.mark.torch
@pytest.mark.parametrize("label", REFUSED)
def test_refusals_have_torchs_class(label: str, torch: ModuleType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: PT011 (its class is the question)
            REFUSED[label](torch)
        with pytest.raises(theirs.type):
            REFUSED[label](ng)


row = Table()
for _length in (0, 1, 2, 5, 8):
    for _periodic in (True, False):
        for _name in ("hann", "hamming", "blackman", "bartlett", "kaiser"):
            row(
                f"{_name}_window {_length} {_periodic}",
                lambda lib, n=_name, k=_length, p=_periodic: getattr(lib, f"{n}_window")(k, p, dtype=lib.float64),
                tolerance=1e5 if _name in ("kaiser", "blackman") else 1,
            )
row("window options", lambda lib: [lib.hamming_window(5, True, 0.5, 0.5), lib.kaiser_window(5, True, 3.0)])
row(
    "logspace",
    lambda lib: [lib.logspace(-1, 2, 5), lib.logspace(0, 3, 4, 2), lib.logspace(1, 1, 1), lib.logspace(0, 1, 0)],
)
row("range", lambda lib: [lib.range(1, 3), lib.range(0, 1, 0.25), lib.range(3, 1, -1), lib.range(2, 2)])
row("scalar_tensor", lambda lib: [lib.scalar_tensor(3), lib.scalar_tensor(True, dtype=lib.bool)])
row("empty_strided", lambda lib: lib.empty_strided((2, 3), (1, 2)).fill_(1))
row(
    "apply_",
    lambda lib, x: [x.detach().clone().apply_(abs), x.detach().clone().map_(x.detach(), max)],
    np.array([-1.0, 2.0]),
)
row("numel", lambda lib: [lib.numel(lib.ones(2, 3)), lib.ones(2).new_empty_strided((2, 2), (1, 2)).stride()])


@pytest.mark.torch
@pytest.mark.parametrize("row", row, ids=str)
def test_it_is_torchs(row: Row, torch: ModuleType) -> None:
    assert_same(told(ng, row), told(torch, row), row.tolerance)
