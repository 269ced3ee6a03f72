"""`prange`: parts in any order, on any number of threads, with the same bits; what is not independent runs serially, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.loops import independence
from tests.loops import parallel
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
def test_parts_in_any_order(function: Any, args: Any, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independence, "MOST_PARTS", most)
    run = Run(function, args)
    agree(run, np.random.default_rng(0), results(function, args))
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
