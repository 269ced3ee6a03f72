"""Gradients of windows of a tensor, which a backward pass puts off until all have come, and joins: see `Op.join_windows`.

Each alone would be zeros of the whole tensor with the window in them, and one more sum of whole tensors: for the steps of a
sequence, time and memory that grow with the square of their number.
"""

from __future__ import annotations

from typing import Any

from numgrad.registry.op import OPS

LEAST_JOINED = 2048  # elements of a tensor: of a smaller one zeros and sums take less time than the joining


class Windows(dict[Any, list[tuple[Any, Any]]]):
    """For each edge, the nodes of windows of its tensor, and the gradients that arrived at them."""

    def put(self, node: Any, grad: Any) -> Any:
        """Put off the backward of a node whose record ``joins``; the node where its gradient is to arrive."""
        edge = node.edges[0]
        self.setdefault(edge, []).append((node, grad))
        return edge[0]

    def add_to(self, node: Any, grads: list[Any], strided: bool) -> bool:
        """Add to the gradients of a node's outputs what was put off; whether there was something.

        ``strided`` allows a gradient with the strides of its tensor, which is a view of new memory.
        """
        arrived = [(number, self.pop((node, number))) for number in range(len(grads)) if (node, number) in self]
        for number, windows in arrived:
            total = _joined(windows, strided)
            grads[number] = total if grads[number] is None else OPS["add"](grads[number], total)
        return bool(arrived)


def _joined(windows: list[tuple[Any, Any]], strided: bool) -> Any:
    first = windows[0][0]
    if len(windows) > 1:
        total = first.op.join_function(first.input_specs[0], [(node.params, grad) for node, grad in windows], strided)
        if total is not None:
            return total
    total = None
    windows.reverse()
    while windows:  # a gradient goes as soon as it is added
        node, grad = windows.pop()
        own = node.apply([grad], False)[0]
        total = own if total is None else OPS["add"](total, own)
    return total
