"""The graph behind a tensor, in Graphviz's language DOT, and as SVG by Graphviz or by igraph and matplotlib."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from numgrad.engine.tape import AccumulateGrad, Node
from numgrad.node_types import stem_of
from numgrad.tensor.tensor import Tensor
from numgrad.viz import layered


class Drawing:
    """A drawn graph. A notebook shows it, as a picture if Graphviz, or igraph and matplotlib (``numgrad[viz]``), are installed.

    Attributes
    ----------
    dot
        The graph in DOT.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> drawing = ng.viz.graph((x * 2).sum())
    >>> drawing.dot.startswith("digraph")
    True
    """

    def __init__(self, dot: str) -> None:
        self.dot = dot

    def svg(self) -> str:
        """The picture in SVG, made by Graphviz's program ``dot`` or, where that is not installed, by igraph and matplotlib.

        Raises
        ------
        RuntimeError
            Neither is installed, or Graphviz refuses the text.
        """
        program = shutil.which("dot")
        if program is None:
            if layered.available():
                return layered.svg(self.dot)
            raise RuntimeError(
                "viz: nothing that draws graphs is installed: python -m pip install 'numgrad[viz]' brings igraph and "
                "matplotlib; or install Graphviz (https://graphviz.org/download), or paste the text in .dot into a viewer"
            )
        done = subprocess.run([program, "-Tsvg"], input=self.dot, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"viz: dot failed: {done.stderr.strip()}")
        return done.stdout

    def save(self, path: Any) -> None:
        """Write the picture (to a path that ends in ``.svg``) or the DOT text (to any other path)."""
        text = self.svg() if str(path).endswith(".svg") else self.dot
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        picture = self._repr_svg_()
        return {"text/plain": self.dot} if picture is None else {"text/plain": self.dot, "image/svg+xml": picture}

    def _repr_svg_(self) -> str | None:
        return self.svg() if shutil.which("dot") is not None or layered.available() else None

    def __str__(self) -> str:
        return self.dot

    def __repr__(self) -> str:
        return f"<Drawing of {self.dot.count('[label=')} nodes>"


def graph(
    outputs: Tensor | Sequence[Tensor],
    params: Mapping[str, Tensor] | Any = None,
    show_saved: bool = False,
) -> Drawing:
    """Draw the graph that the backward of these tensors would go through.

    Parameters
    ----------
    outputs
        The tensor whose graph is drawn, or a tuple or list of them.
    params
        Names of leaves: a dict from names to tensors, pairs of them, or a module.
    show_saved
        Also label each op with its saved tensors and their size in bytes.

    Returns
    -------
    Drawing
        Ops are boxes with the shape of their output, leaves are ellipses with name and shape.

    Raises
    ------
    ValueError
        No output requires a gradient, so there is no graph.
    TypeError
        One is no tensor.

    >>> import numgrad as ng
    >>> w = ng.ones(2, requires_grad=True)
    >>> print(ng.viz.graph((w * 3).sum(), params={"w": w}))
    digraph numgrad {
      graph [rankdir=TB];
      node [fontname="monospace", fontsize=10, shape=box, style=filled, fillcolor="#f2f2f2"];
      n0 [label="Sum\\n()"];
      n1 [label="Mul\\n(2)"];
      n2 [label="w\\n(2)", shape=ellipse, fillcolor="#cfe8cf"];
      root0 [label="output\\n()", shape=ellipse, fillcolor="#f7d9b0"];
      n1 -> n0;
      n2 -> n1;
      n0 -> root0;
    }
    """
    roots: list[Any] = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    for root in roots:
        if not isinstance(root, Tensor):
            raise TypeError(f"viz.graph: expected a tensor or a sequence of them, got {type(root).__name__}")
    names = {id(tensor): name for name, tensor in _named(params)}
    order = _in_order([root for root in roots if root.grad_fn is not None])
    if not order:
        raise ValueError("viz.graph: none of the outputs was computed from tensors that require a gradient")
    identifier = {node: f"n{index}" for index, node in enumerate(order)}
    lines = [
        "digraph numgrad {",
        "  graph [rankdir=TB];",
        '  node [fontname="monospace", fontsize=10, shape=box, style=filled, fillcolor="#f2f2f2"];',
    ]
    for node in order:
        if isinstance(node, AccumulateGrad):
            name = names.get(id(node.variable), "leaf")
            look = ', shape=ellipse, fillcolor="#cfe8cf"'
            lines.append(f'  {identifier[node]} [label="{_text(name, _shape(node.variable._spec))}"{look}];')
        else:
            lines.append(f'  {identifier[node]} [label="{_text(*_described(node, show_saved))}"];')
    for index, root in enumerate(roots):
        label = _text(names.get(id(root), "output"), _shape(root._spec))
        lines.append(f'  root{index} [label="{label}", shape=ellipse, fillcolor="#f7d9b0"];')
    for node in order:
        lines += [f"  {identifier[other]} -> {identifier[node]};" for other in _others(node)]
    for index, root in enumerate(roots):
        if root.grad_fn is not None:
            lines.append(f"  {identifier[root.grad_fn]} -> root{index};")
    return Drawing("\n".join([*lines, "}"]))


def _named(params: Any) -> list[tuple[str, Tensor]]:
    if params is None:
        return []
    if hasattr(params, "named_parameters"):
        params = params.named_parameters()
    return list(params.items()) if isinstance(params, Mapping) else list(params)


def _in_order(roots: list[Tensor]) -> list[Node]:
    """All nodes, the latest first."""
    nodes: dict[Node, None] = {}
    stack = [root.grad_fn for root in roots if root.grad_fn is not None]
    while stack:
        node = stack.pop()
        if node not in nodes:
            nodes[node] = None
            stack += _others(node)
    return sorted(nodes, key=lambda node: (isinstance(node, AccumulateGrad), -node.sequence))


def _others(node: Node) -> list[Node]:
    """The nodes to which a node sends gradients."""
    return [other for other, _ in node.next_functions if other is not None]


def _described(node: Node, show_saved: bool) -> list[str]:
    lines = [stem_of(node.name())]
    lines.append(", ".join(_shape(spec) for spec in node.output_specs if spec is not None))
    if show_saved and node.saved.__class__ is list:
        saved = [tensor for tensor in node.saved or () if tensor is not None]
        if saved:
            total = sum(tensor._spec.numel * tensor._spec.dtype.itemsize for tensor in saved)
            lines.append(f"saves {', '.join(_shape(tensor._spec) for tensor in saved)}: {total} bytes")
    return lines


def _shape(spec: Any) -> str:
    return f"({', '.join(map(str, spec.shape))})"


def _text(*lines: str) -> str:
    return "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines if line)
