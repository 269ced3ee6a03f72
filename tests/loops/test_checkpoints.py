"""Loops whose tapes are made in parts: the same bits, the memory that is said, and no more turns than the schedule takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.errors import TranslationError
from numgrad.loops.schedule import stretches, turns_again, turns_ahead
from numgrad.loops.translation import translate
from numgrad.loops.vocabulary import declare_rule
from tests.loops.running import Run, kind_of

CALLS = [0]
STEPS = (0, 1, 2, 7, 30)
SNAPSHOTS = (None, 1, 2, 3, 8)


def counted(v: float) -> float:
    """Notes each call."""
    CALLS[0] += 1
    return math.sin(v)


declare_rule(counted, math.cos)


def over_a_range(x, steps):
    a, b = np.zeros_like(x), np.zeros_like(x)
    a[:] = x
    k = 0
    for t in range(3, 3 + 2 * steps, 2):
        for i in range(1, x.shape[0]):
            b[i] = 0.4 * math.sin(a[i] * a[i - 1]) + 0.1 * b[i] + 0.01 * (t % 5)
        b[k] = counted(a[2]) + 0.1 * b[k]
        k = (k + 1) % 3
        a, b = b, a
    return a


def with_a_condition(x, steps):
    a = x.copy()
    s, k = 1.0, 0
    while k < steps and s < 1e9:
        old = a[k % 4]
        while s < 3.0:
            s = s * s + 1.1
        a[k % 4] = counted(s * old) + 0.5
        s = s * 0.7 + old
        k += 1
    return a * s


def left_early(x, steps):
    a = x.copy()
    s = 1.0
    for t in range(100):
        last = t + 1 >= steps
        if t % 3 == 1:
            a[1] = counted(a[1]) * s
            if last:
                break
            continue
        s = counted(s) * a[t % 4] + 0.2
        if last:
            break
    else:
        s = s * 2.0
    return a + s


PROGRAMS = {over_a_range: "t", with_a_condition: "while", left_early: "t"}


def measured(program: Callable[..., Any], checkpoint: dict[str, int | None], steps: int) -> tuple[Any, int, int]:
    """The gradient, how many turns the reverse ran, and the elements on the tapes."""
    run = Run(program, (np.array([0.3, 1.7, -0.6, 0.2]), steps), checkpoint=checkpoint)
    run.record()
    CALLS[0] = 0
    grad = run.reverse({"out_0": np.array([1.0, -0.5, 2.0, 0.1])})["x"]
    turns = CALLS[0]
    np.testing.assert_array_equal(run.reverse({"out_0": np.array([1.0, -0.5, 2.0, 0.1])})["x"], grad)
    return grad, turns, int(run.used.sum())


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_same_bits_with_the_turns_that_the_schedule_takes(program: Callable[..., Any], steps: int) -> None:
    whole, none, _ = measured(program, {}, steps)
    assert none == 0
    wanted = max(1, steps) if program is left_early else steps
    for snapshots in SNAPSHOTS:
        grad, turns, _ = measured(program, {PROGRAMS[program]: snapshots}, steps)
        np.testing.assert_array_equal(grad, whole)
        lengths = stretches(wanted, snapshots or 0, program is over_a_range)
        assert sum(lengths) == wanted
        assert turns == wanted + sum(turns_again(n, snapshots + 1) for n in lengths if snapshots)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_the_memory_is_that_of_the_states(program: Callable[..., Any]) -> None:
    steps = 99 if program is left_early else 1500
    sizes = [measured(program, {PROGRAMS[program]: k}, steps)[2] for k in (None, 2, 8)]
    per_state = (sizes[2] - sizes[1]) / (len(stretches(steps, 8, program is over_a_range)) - len(
        stretches(steps, 2, program is over_a_range)
    ))  # fmt: skip
    assert per_state <= 12
    assert sizes[0] - sizes[1] <= 4 * math.sqrt(steps) * per_state
    assert 2 * sizes[1] < sizes[0] < measured(program, {}, steps)[2] / 2


@functools.cache
def fewest(turns: int, states: int) -> int:
    """By trying every schedule."""
    if turns <= 1:
        return 0
    if states == 1:
        return turns * (turns - 1) // 2
    return min(m + fewest(m, states) + fewest(turns - m, states - 1) for m in range(1, turns))


def test_no_schedule_takes_fewer_turns() -> None:
    for states in range(1, 7):
        for turns in range(60):
            assert turns_again(turns, states) == fewest(turns, states)
            if turns > 1 and states > 1:
                m = turns_ahead(turns, states)
                assert m + fewest(m, states) + fewest(turns - m, states - 1) == fewest(turns, states)


def test_stretches_of_a_counted_loop_are_the_best_there_are() -> None:
    """Of all ways to place 3 states: dynamic programming."""
    for turns in range(3, 40):
        best = min(
            sum(turns_again(n, 4) for n in (a, b, turns - a - b))
            for a in range(1, turns - 1) for b in range(1, turns - a)
        )  # fmt: skip
        assert sum(turns_again(n, 4) for n in stretches(turns, 3, True)) == best


def nested_only(x, steps):
    total = x
    for k in range(steps):
        for t in range(k):
            total = total * 0.9 + t
    return total


@pytest.mark.parametrize("name", ["q", "t", "while"])
def test_a_checkpoint_names_a_loop_of_the_functions_own_level(name: str) -> None:
    with pytest.raises(TranslationError, match=f"there is no .*{name}.* of the function's own level"):
        translate(nested_only, [kind_of(a) for a in (1.0, 2)], checkpoint=(name,))
