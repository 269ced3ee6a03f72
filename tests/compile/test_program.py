"""Captured programs: their text, what is left out of them, and the plan of their memory."""

from __future__ import annotations

import random

import pytest

import numgrad as ng
from numgrad.compile import arena, verifier
from numgrad.errors import KernelError
from tests.compile import random_steps

TEXT = """\
program 0: 8 launches, arena of 192 bytes
  %0 float32[2] = mul(held 0, argument 0)  [mul]
  %1 float32[2] = exp(%0)  [exp]
  %2 float32[] = sum(%1)  [sum_inner]
  %3 float32[] = full()  [fill]
  %4 float32[2] = exp_backward(%3, %1)  [exp_backward]
  %5 float32[2] = mul_backward_input(%4, argument 0)  [mul_backward_input]
  again: the options of SGD
  sgd(table 0, none, held 1) changes held 0  [sgd_factors, sgd]"""


def test_the_text_of_a_step() -> None:
    weight = ng.ones(2, requires_grad=True)
    optimizer = ng.optim.SGD([weight], lr=0.5)

    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = (weight * x).exp().sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step(ng.ones(2))
    assert ng.jit.text(step) == TEXT


def test_what_nobody_reads_is_left_out() -> None:
    @ng.jit
    def step(x: ng.Tensor) -> ng.Tensor:
        (x * 3).exp()
        ng.rand(2)  # the generator goes on
        return x * 2

    step(ng.ones(2))
    stats = ng.jit.stats(step)
    assert stats.passes["dead"] == {"ops": 2}
    assert "uniform" in ng.jit.text(step)
    assert "exp" not in ng.jit.text(step)


def test_blocks_share_memory_by_their_lives() -> None:
    chance = random.Random(0)
    for _ in range(50):
        lives = []
        for _ in range(chance.randrange(1, 40)):
            first = chance.randrange(30)
            lives.append(arena.Life(chance.randrange(0, 5000), first, first + chance.randrange(8)))
        layout = arena.lay_out(lives)
        placed = [(life, ("arena", offset)) for life, offset in zip(lives, layout.offsets, strict=True)]
        verifier.check_layout(placed, {"arena": layout.nbytes})
        assert layout.fullest <= layout.nbytes <= 1.2 * layout.fullest
    assert arena.lay_out([]) == arena.Layout([], 0, 0)


def test_a_wrong_plan_is_noticed() -> None:
    lives = [arena.Life(100, 0, 2), arena.Life(100, 2, 3)]
    for offsets, nbytes in (([0, 64], 192), ([0, 128], 192), ([0, 100], 228), ([-64, 128], 256)):
        placed = [(life, ("arena", offset)) for life, offset in zip(lives, offsets, strict=True)]
        with pytest.raises(KernelError, match="memory plan"):
            verifier.check_layout(placed, {"arena": nbytes})


def test_random_programs_have_the_same_bits() -> None:
    wrong, replayed, count = random_steps.mismatches(range(100))
    assert not wrong, wrong[0]
    assert replayed > count // 2


@pytest.mark.soak
def test_many_random_programs_have_the_same_bits() -> None:
    wrong, *_ = random_steps.mismatches(range(100, 1000))
    assert not wrong, wrong[0]
