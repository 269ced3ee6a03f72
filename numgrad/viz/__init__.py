"""Pictures of the graph behind a tensor: `graph` draws it, a `Drawing` shows or saves it."""

from __future__ import annotations

from numgrad.viz.dot import Drawing, graph

__all__ = ["Drawing", "graph"]
