"""A graph in layers as SVG without Graphviz's program: igraph places the nodes (Sugiyama's method), matplotlib draws them."""

from __future__ import annotations

import io
import re
from importlib.util import find_spec
from typing import Any

_INCH, _LINE = 0.07, 0.19  # of a character's width and of a line's height, in the monospaced font of 8 points
_GAP = 0.35  # between nodes and between layers, in inches
_NODE = re.compile(r'^  (\w+) \[label="((?:[^"\\]|\\.)*)"(.*)\];$', re.MULTILINE)
_EDGE = re.compile(r"^  (\w+) -> (\w+);$", re.MULTILINE)


def available() -> bool:
    """Whether the two packages are installed."""
    return find_spec("igraph") is not None and find_spec("matplotlib") is not None


def svg(dot: str) -> str:
    """The picture of a text that `numgrad.viz.graph` made.

    >>> import numgrad as ng
    >>> drawing = ng.viz.graph((ng.ones(2, requires_grad=True) * 2).sum())
    >>> "<svg" in svg(drawing.dot) if available() else True
    True
    """
    import igraph
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch

    nodes = [(name, _lines(label), look) for name, label, look in _NODE.findall(dot)]
    number = {name: n for n, (name, _, _) in enumerate(nodes)}
    edges = [(number[a], number[b]) for a, b in _EDGE.findall(dot)]
    sizes = [(_INCH * (2 + max(map(len, lines))), _LINE * (len(lines) + 0.6)) for _, lines, _ in nodes]
    places = _places(igraph.Graph(len(nodes), edges, directed=True), sizes)
    width = max(x + w / 2 for (x, _), (w, _) in zip(places, sizes, strict=True)) + _GAP
    height = max(y + h / 2 for (_, y), (_, h) in zip(places, sizes, strict=True)) + _GAP
    figure = Figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    for a, b in edges:
        (x, y), (to_x, to_y) = places[a], places[b]
        start, end = (x, y + sizes[a][1] / 2), (to_x, to_y - sizes[b][1] / 2)
        ax.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=7, color="#555555", linewidth=0.7, shrinkA=0, shrinkB=0
            )
        )
    for (x, y), (w, h), (_, lines, look) in zip(places, sizes, nodes, strict=True):
        color = re.search(r'fillcolor="(#\w+)"', look)
        style: dict[str, Any] = {
            "facecolor": color[1] if color else "#f2f2f2",
            "edgecolor": "#333333",
            "linewidth": 0.7,
        }
        if "ellipse" in look:
            ax.add_patch(Ellipse((x, y), w * 1.2, h * 1.2, **style))
        else:
            ax.add_patch(FancyBboxPatch((x - w / 2, y - h / 2), w, h, boxstyle="square,pad=0", **style))
        ax.text(x, y, "\n".join(lines), ha="center", va="center", family="monospace", fontsize=8)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()


def _lines(label: str) -> list[str]:
    """The lines of a label in DOT, where a backslash quotes."""
    return [re.sub(r"\\(.)", r"\1", line) for line in re.split(r"(?<!\\)\\n", label)]


def _places(graph: Any, sizes: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The middle of each node, in inches from the upper left corner."""
    layout = graph.layout_sugiyama(hgap=1.0, vgap=1.0)
    columns = [x for x, _ in layout.coords[: len(sizes)]]
    layers = [round(y) for _, y in layout.coords[: len(sizes)]]
    wide = max(w for w, _ in sizes) + _GAP
    left = min(columns)
    tops: list[float] = []
    top = _GAP
    for layer in range(max(layers) + 1):
        high = max((h for (_, h), own in zip(sizes, layers, strict=True) if own == layer), default=0.0)
        tops.append(top + high / 2)
        top += high + 1.2 * _GAP
    return [((x - left) * wide + wide / 2 + _GAP / 2, tops[layer]) for x, layer in zip(columns, layers, strict=True)]
