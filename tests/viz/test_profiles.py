"""Pictures of profiles, and what notebooks show of tensors, modules and profiles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import numgrad as ng
from numgrad.profiler import profile, record_function
from numgrad.viz.profiles import _rows


def seen() -> profile:
    model = ng.nn.Sequential(ng.nn.Linear(8, 4), ng.nn.Tanh())
    with profile(profile_memory=True) as p:
        with record_function("forward"):
            loss = model(ng.ones(2, 8)).sum()
        loss.backward()
    return p


def test_timeline_and_memory(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    p = seen()
    ax = ng.viz.timeline(p)
    assert len(ax.collections) == len(p.events)
    events = sorted(p.events, key=lambda event: event.start)
    rows = dict(zip([event.name for event in events], _rows(events), strict=True))
    assert rows["forward"] == 1
    assert rows["tanh"] == 2
    ax.figure.savefig(tmp_path / "timeline.png")
    ax = ng.viz.memory(p)
    used = ax.lines[0].get_ydata()
    assert len(used) == sum(event.kind == "op" for event in p.events)
    assert used.min() > 0
    with profile() as blind:
        ng.ones(2).exp()
    with pytest.raises(ValueError, match="profile_memory=True"):
        ng.viz.memory(blind)
    with pytest.raises(TypeError, match=r"viz.timeline: expected a numgrad.profiler.profile, got list"):
        ng.viz.timeline([])
    with pytest.raises(ValueError, match="has seen nothing"):
        ng.viz.timeline(profile())


def test_a_graph_is_drawn_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("igraph")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("shutil.which", lambda name: None)
    model = ng.nn.Sequential(ng.nn.Linear(2, 3), ng.nn.Tanh(), ng.nn.Linear(3, 1))
    picture = ng.viz.graph(model(ng.ones(1, 2)).sum(), params=model)._repr_mimebundle_()["image/svg+xml"]
    assert "<svg" in picture
    for text in ("0.weight", "Tanh", "output", "(3, 2)"):
        assert f"<!-- {text}" in picture or text in re.sub(r"\s+", " ", picture)


def test_what_a_notebook_shows() -> None:
    x = ng.tensor([[1.0, -2.0], [float("nan"), 0.5]], requires_grad=True)
    shown = x._repr_html_()
    assert "numgrad.float32, 2 × 2, requires_grad=True, -2 to 1, 1 not finite" in shown
    assert "&lt;" not in shown
    assert "grad_fn=&lt;ExpBackward0&gt;" in x.exp()._repr_html_()
    assert "<details>" in ng.zeros(40, 3)._repr_html_()
    model = ng.nn.Sequential(ng.nn.Linear(2, 3), ng.nn.LazyLinear(1))
    model[0].bias.requires_grad_(False)
    shown = model._repr_html_()
    assert "9 parameters, 3 frozen" in shown
    assert "not known yet" in shown
    assert shown.count("<details") == shown.count("</details>") == 3
    assert "<pre>op" in seen()._repr_html_()


def test_a_notebook_shows_every_kind_of_tensor_at_once() -> None:
    inf = float("inf")
    shown = ng.tensor([float("nan"), -inf, 1.0]).expand(10**8, 3)._repr_html_()  # in no time: it is not copied
    assert "1 to 1, 200000000 not finite" in shown
    for each in (
        ng.nn.LazyLinear(2).weight, ng.zeros(3, 0), ng.tensor(True), ng.ones(3, dtype=ng.bfloat16), ng.full((2,), inf),
    ):  # fmt: skip
        assert "<pre>" in each._repr_html_()
    texts = []
    ng.vmap(lambda x: texts.append(x._repr_html_()) or x)(ng.ones(2, 3))
    assert "BatchedTensor" in texts[0]


def test_a_timeline_of_thousands_of_ops_has_few_artists() -> None:
    pytest.importorskip("matplotlib")
    with ng.profiler.profile() as seen:
        x = ng.ones(2)
        for _ in range(1000):
            x = x * 2
    assert len(seen.events) >= 1000
    assert len(ng.viz.timeline(seen).collections) <= 4


def test_a_graph_of_no_tensor() -> None:
    w = ng.ones(2, requires_grad=True)
    for wrong in ([w * 2, 3], {"a": w * 2}, 3):
        with pytest.raises(TypeError, match="expected a tensor or a sequence of them, got"):
            ng.viz.graph(wrong)
