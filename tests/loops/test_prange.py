"""`prange`: parts that run as if at the same time; what is not independent runs serially, and the report says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.loops import independence
from numgrad.loops.forks import FORK
from tests.loops import parallel
from tests.loops.rewritten import gathered
from tests.loops.running import Run
from tests.loops.test_translate import agree


def id_of(value: Any) -> str:
    return getattr(value, "__name__", "args")


def results(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    given = [np.array(a) if isinstance(a, np.ndarray) else a for a in args]
    out = function(*given)
    return out if isinstance(out, tuple) else (out,)


@pytest.mark.parametrize("most", [32, 3])
@pytest.mark.parametrize(("function", "args"), parallel.TAKEN, ids=id_of)
def test_parts_that_see_nothing_of_each_other(
    function: Any, args: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(independence, "MOST_PARTS", most)
    run = Run(function, args)
    agree(run, np.random.default_rng(0), results(function, args))
    weights = {name: np.cos(np.arange(a.size)) for name, a in run.results.items()}
    again, watch = run.rewritten(weights)  # the text that is compiled
    for name, grad in run.reverse(weights).items():
        np.testing.assert_allclose(again[name], grad, rtol=1e-12, atol=1e-12)
    assert not watch.found
    assert "fork_parts(" in run.sweeps.plain.text
    assert "fork_parts(" in run.sweeps.record.text
    assert "fork_parts(" in run.sweeps.reverse.text
    assert "fork_parts(" in run.sweeps.tangent.text
    assert "prange runs in at most" in run.sweeps.report
    assert "serially" not in run.sweeps.report


@pytest.mark.parametrize(("function", "args", "reason"), parallel.SERIAL, ids=id_of)
def test_what_is_not_independent_runs_serially_and_the_report_says_why(function: Any, args: Any, reason: str) -> None:
    run = Run(function, args)
    agree(run, np.random.default_rng(0), results(function, args))
    line = function.__code__.co_firstlineno
    [said] = [each for each in run.sweeps.report.splitlines() if "prange runs serially" in each]
    assert reason in said
    assert line < int(said.split()[1].rstrip(":")) < line + 10


def test_loops_of_a_part_are_rewritten() -> None:
    """A stencil's reverse in gather form, a sum of costly terms taken apart, each part with its region of the buffers."""
    stencil = Run(parallel.stencil_in_time, (np.sin(np.arange(1.0, 71.0)), 6)).sweeps.reverse
    terms = Run(parallel.read_by_all, (np.sin(np.arange(1.0, 6.0)),)).sweeps.record
    for sweep in (stencil, terms):
        main, turns = gathered(sweep).text.split("def turns_")
        assert "for begin_0__" not in main
        assert "for begin_0__" in turns


def test_a_checkpointed_loop_round_it_has_the_same_bits() -> None:
    args = (np.sin(np.arange(1.0, 71.0)), 6)
    found = []
    for checkpoint in ((), ("t",)):
        run = Run(parallel.stencil_in_time, args, checkpoint=checkpoint)
        run.record()
        assert "fork_parts(" in run.sweeps.reverse.text
        found.append(run.reverse({"out_0": np.cos(run.results["out_0"])})["u"])
    np.testing.assert_array_equal(*found)


def test_a_checkpointed_prange_runs_serially() -> None:
    run = Run(parallel.own_elements, (np.sin(np.arange(1.0, 71.0)), 0.7), checkpoint=("i",))
    agree(run, np.random.default_rng(0))
    assert "prange runs serially: its tape is made in parts" in run.sweeps.report


def test_what_parts_have_for_themselves_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two, the adjoints of what all turns read are two."""
    x = np.sin(np.arange(1.0, 6.0))
    monkeypatch.setattr(independence, "MOST_SHARED", 2 * x.size + 1)
    run = Run(parallel.read_by_all, (x,))
    agree(run, np.random.default_rng(0), results(parallel.read_by_all, (x,)))
    function = run.sweeps.plain.function
    parts: list[int] = []

    def counted(turns: Any, count: int, given: tuple[Any, ...]) -> None:
        parts.append(count)
        for part in range(count):
            turns(part, *given)

    monkeypatch.setitem(function.__globals__, FORK, counted)
    run.plain()
    function(x, *[np.zeros(r.shape[0].evaluate({}, {}) if r.shape else 1) for r in run.sweeps.results],
             *[run._fresh(run._room(m), m.dtype) for m in run.sweeps.plain.memory], np.zeros(1, np.int64))  # fmt: skip
    assert parts == [2]
