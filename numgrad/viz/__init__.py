"""Pictures of graphs."""

from __future__ import annotations

from numgrad.viz.dot import Drawing, graph

__all__ = ["Drawing", "graph"]
