"""Launches that run beside each other: every chunk once, in any number of threads, time after time."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from numgrad.dtypes import int64
from numgrad.errors import KernelError
from numgrad.layout import spec_of
from numgrad.runtime import program, threads
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, Plan, PlanBuilder
from numgrad.runtime.program import Pair


@kernel("i8[:], i8, i8[:]")
def count_and_report(out, by, status, start, stop):
    for i in range(start, stop):
        out[i] += by
        if by < 0:
            status[0] = -by


def plan(
    works: tuple[int, int], grains: tuple[int, int], by: tuple[int, int] = (1, 10), cost: int = GRAIN_COST
) -> Plan:
    """Two launches over two arrays, beside each other."""
    b = PlanBuilder(tuple(spec_of(int64, (max(1, work),)) for work in works))

    def add(place: int) -> None:
        operand = b.inputs[place]
        assert operand is not None
        arguments = (operand.array(max(1, works[place])), by[place], STATUS)
        b.launch(count_and_report, *arguments, work=works[place], grain=grains[place], cost=cost)

    b.together(lambda: add(0), lambda: add(1))
    return b.finish()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("works", "grains"), [((1, 1), (1, 1)), ((7, 40), (7, 1)), ((100, 9), (3, 2)), ((5000, 5000), (1, 7))]
)
def test_every_chunk_runs_once_each_time(works: tuple[int, int], grains: tuple[int, int], count: int) -> None:
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(count)
        made = plan(works, grains)
        assert made.program is not None
        assert isinstance(made.program.launches[0], Pair)
        arrays = [np.zeros(work, np.int64) for work in works]
        for _ in range(3):
            assert made.run([array.ctypes.data for array in arrays]) == 0
        assert [set(array.tolist()) for array in arrays] == [{3}, {30}]
        status = np.zeros(1, np.int64)
        ((entry, slots, work, grain, workers),) = made.program.bound_launches(
            [array.ctypes.data for array in arrays], status.ctypes.data
        )
        rows = np.array([[entry, slots.ctypes.data, work, grain, workers]] * 4, np.int64)
        run_rows(rows)
        assert [set(array.tolist()) for array in arrays] == [{7}, {70}]
    finally:
        threads.set_num_threads(before)


def run_rows(rows: np.ndarray) -> None:
    """The replay loop."""
    threads.start()
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(program.run_bound.address())
    run(threads.ADDRESS, rows.ctypes.data, len(rows))


@pytest.mark.parametrize("by", [(-3, 1), (1, -3)])
def test_a_status_of_either_is_reported(by: tuple[int, int]) -> None:
    arrays = [np.zeros(8, np.int64) for _ in range(2)]
    assert plan((8, 8), (1, 1), by).run([array.ctypes.data for array in arrays]) == 3


def test_what_is_small_or_alone_is_not_paired() -> None:
    for made in (plan((8, 8), (1, 1), cost=8), plan((0, 8), (1, 1)), plan((8, 0), (1, 1))):
        assert made.program is not None
        assert not any(isinstance(launch, Pair) for launch in made.program.launches)
    assert plan((0, 0), (1, 1)).program is None


def test_the_costliest_run_beside_each_other_and_the_rest_in_order() -> None:
    b = PlanBuilder((spec_of(int64, (8,)),))
    (operand,) = b.inputs

    def add(*costs: int) -> None:
        assert isinstance(operand, Operand)
        for cost in costs:
            b.launch(count_and_report, operand.array(8), 1, STATUS, work=8, grain=1, cost=GRAIN_COST * cost)

    b.together(lambda: add(1, 2, 9, 3), lambda: add(8, 4, 5))
    costs = [[part.cost // GRAIN_COST for part in launch.parts] for launch in b.launches]
    assert costs == [[1], [2], [9, 8], [3, 4], [5]]


def test_errors_name_both_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [np.zeros(8, np.int64) for _ in range(2)]
    made = plan((8, 8), (1, 1), (1, 1)).program
    assert made is not None
    monkeypatch.setattr(program, "_execute", lambda *_: program.OUT_OF_BOUNDS)
    with pytest.raises(KernelError, match=r"kernels: count_and_report\+count_and_report"):
        program.launch(made, *[array.ctypes.data for array in arrays])
