"""Sobol's sequence: torch's points, evenly spread."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

SobolEngine = ng.quasirandom.SobolEngine


@pytest.mark.parametrize("dimension", [1, 2, 3, 40, 1111])
def test_the_points_are_torchs(dimension: int, torch: ModuleType) -> None:
    mine, theirs = SobolEngine(dimension), torch.quasirandom.SobolEngine(dimension)
    for n in (1, 6, 20):
        got, expected = mine.draw(n, dtype=ng.float64), theirs.draw(n, dtype=torch.float64)
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    mine.fast_forward(1000)
    theirs.fast_forward(1000)
    np.testing.assert_array_equal(mine.draw(3).numpy(), theirs.draw(3).numpy())
    assert ng.equal(mine.reset().draw(2), SobolEngine(dimension).draw(2))


def test_first_points_of_three_dimensions() -> None:
    points = SobolEngine(3).draw_base2(3)
    assert points[4].tolist() == [0.375, 0.375, 0.625]
    for axis in range(3):
        assert sorted(points[:, axis].tolist()) == [k / 8 for k in range(8)]


@pytest.mark.parametrize("scramble", [False, True])
def test_every_cell_has_its_points(scramble: bool) -> None:
    """The 64 points of two dimensions: one in each of 8 x 8 squares, and of each 64 strips."""
    points = SobolEngine(2, scramble=scramble, seed=5 if scramble else None).draw_base2(6).numpy()
    squares = (points * 8).astype(int)
    assert len({tuple(square) for square in squares.tolist()}) == 64
    for axis in range(2):
        assert sorted((points[:, axis] * 64).astype(int).tolist()) == list(range(64))


def test_a_seed_gives_the_same_points() -> None:
    first, second, other = (SobolEngine(4, scramble=True, seed=seed).draw(5) for seed in (1, 1, 2))
    assert ng.equal(first, second)
    assert not ng.equal(first, other)
    ng.manual_seed(3)
    drawn = SobolEngine(4, scramble=True).draw(5)
    ng.manual_seed(3)
    assert ng.equal(SobolEngine(4, scramble=True).draw(5), drawn)


def test_what_is_refused(torch_says: Any) -> None:
    assert repr(SobolEngine(3, True, 4)) == torch_says(lambda lib: repr(lib.quasirandom.SobolEngine(3, True, 4)))
    for call, match in (
        (lambda: SobolEngine(0), r"is \[1, 1111\]"),
        (lambda: SobolEngine(1112), r"is \[1, 1111\]"),
        (lambda: SobolEngine(2).fast_forward(3).draw_base2(2), "require n to be a power of 2"),
        (lambda: SobolEngine(2).draw(-1), "n is -1 after 0 points"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    engine, out = SobolEngine(2), ng.empty(0)
    assert engine.draw(3, out=out) is out
    assert out.shape == (3, 2)
