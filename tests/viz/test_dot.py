"""Pictures of graphs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.viz import graph, layered


def test_a_model_s_graph_names_ops_shapes_and_parameters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    loss = (model(ng.rand(4, 2)) ** 2).mean()
    dot = graph(loss, params=dict(model.named_parameters())).dot
    assert graph(loss, params=model).dot == dot
    for text in ("Relu\\n(4, 3)", "Pow\\n(4, 1)", "0.weight\\n(3, 2)", "2.bias\\n(1)", "output\\n()"):
        assert f'label="{text}"' in dot
    nodes = set(re.findall(r"^  (\w+) \[label", dot, re.M))
    edges = re.findall(r"^  (\w+) -> (\w+);", dot, re.M)
    assert {end for edge in edges for end in edge} == nodes


def test_a_node_that_is_used_twice_is_drawn_once() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x.exp()
    dot = graph([(y * y).sum(), y]).dot
    assert dot.count("Exp") == 1
    assert dot.count("leaf") == 1
    assert len(re.findall(r"root\d \[label", dot)) == 2


def test_what_is_saved_is_told() -> None:
    x = ng.ones(2, requires_grad=True)
    assert "saves (2): 8 bytes" in graph(x.exp(), show_saved=True).dot
    assert "saves" not in graph(x.exp()).dot


def test_a_long_chain_and_a_name_with_quotes() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x
    for _ in range(5000):
        y = y + 1
    assert graph(y, {'a "name"': x}).dot.count("Add") == 5000
    assert 'a \\"name\\"' in graph(x + 1, {'a "name"': x}).dot


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="require a gradient"):
        graph(ng.ones(2))


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = graph(ng.ones(2, requires_grad=True) * 2)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(layered, "available", lambda: False)
    with pytest.raises(RuntimeError, match="install Graphviz"):
        drawing.svg()
    assert drawing._repr_svg_() is None
    assert drawing._repr_mimebundle_() == {"text/plain": drawing.dot}


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")
def test_svg() -> None:
    assert "<svg" in graph(ng.ones(2, requires_grad=True) * 2).svg()


def test_save(tmp_path: Path) -> None:
    drawing = graph(ng.ones(2, requires_grad=True) * 2)
    drawing.save(tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text() == drawing.dot
