"""The profiler."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import numgrad as ng
from numgrad.profiler import profile, record_function
from numgrad.registry import chain


def work() -> None:
    x = ng.ones(4, 4, requires_grad=True)
    (x @ x).exp().sum().backward()


def test_ops_of_forward_and_backward_are_counted() -> None:
    work()
    with profile() as p:
        work()
        work()
    rows = {row.name: row for row in p.rows()}
    assert rows["exp"].calls == 2
    assert rows["exp"].nbytes == 2 * 2 * 16 * 4
    assert any("backward" in name for name in rows)
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert all(row.total > 0 and row.mean > 0 for row in rows.values())
    assert p.seconds >= sum(row.total for row in rows.values())


def test_nothing_is_left_behind() -> None:
    before = chain.dispatch
    outer, inner = profile(), profile()

    def fail() -> None:
        with outer, inner:
            ng.ones(2) * 2
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert chain.dispatch is before
    assert len(outer.events) == len(inner.events) == 2
    ng.ones(2) * 2
    assert len(outer.events) == 2


def test_table() -> None:
    with profile(record_shapes=True) as p, record_function("all of it"):
        work()
    text = p.table(sort_by="calls")
    for part in ("calls", "share %", "GB/s", "[all of it]", "exp (4, 4)", "outside of ops"):
        assert part in text
    assert len({len(line) for line in text.splitlines()[:3]}) == 1
    assert str(p) == p.table()
    assert len(p.table(row_limit=1).splitlines()) == 5
    with pytest.raises(ValueError, match="sort_by is 'weight'"):
        p.rows("weight")


def test_trace(tmp_path: Path) -> None:
    with profile() as p, record_function("step"):
        work()
    p.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    (step,) = [event for event in events if event["name"] == "step"]
    for event in events:
        assert event["ph"] == "X"
        assert step["ts"] <= event["ts"]
        assert event["ts"] + event["dur"] <= step["ts"] + step["dur"] + 1e-6
    assert any(event["args"]["kernels"] for event in events)


def test_other_threads_are_not_measured() -> None:
    with profile() as p:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not p.events


def test_results_are_the_same_bits() -> None:
    x = ng.rand(100)
    plain = ng.tanh(x).sum().item()
    with profile():
        assert ng.tanh(x).sum().item() == plain


def test_a_stretch_without_a_profile_does_nothing() -> None:
    with record_function("alone"):
        ng.ones(1)


def test_flops_of_products() -> None:
    x = ng.rand(2, 3, 8, 8, requires_grad=True)
    w = ng.rand(6, 3, 3, 3, requires_grad=True)
    a, b = ng.rand(4, 5, requires_grad=True), ng.rand(7, 5, requires_grad=True)
    with profile() as p:
        ng.nn.functional.conv2d(x, w, padding=1).sum().backward()
        ng.nn.functional.linear(a, b).sum().backward()
        ng.exp(a)
    flops = {row.name: row.flops for row in p.rows(sort_by="flops")}
    one = 2 * (2 * 6 * 8 * 8) * (3 * 3 * 3)
    assert (flops["conv2d"], flops["conv2d_backward"]) == (one, 2 * one)
    assert flops["linear"] == 2 * 4 * 5 * 7
    assert flops["mm"] == 2 * 2 * 4 * 5 * 7  # two gradients
    assert flops["exp"] == 0
    assert "GFLOP/s" in p.table()
