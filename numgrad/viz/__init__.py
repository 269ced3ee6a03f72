"""Pictures: `curves` of a training, `images` and `filters`, `confusion_matrix`, `histograms` of weights and gradients,
`scatter` and `decision` in the plane, `timeline` and `memory` of a profile, all by matplotlib; and `graph`, the graph behind a
tensor.

>>> import numgrad as ng
>>> ax = ng.viz.curves([3.0, 2.0, 1.5])
>>> ax.get_xlabel(), ax.get_ylabel()
('step', 'loss')

A chart draws on ``ax=``, or makes a figure of its own, and returns the Axes; matplotlib is imported by the first that draws.
"""

from __future__ import annotations

from numgrad.viz.charts import confusion_matrix, curves, decision, histograms, scatter
from numgrad.viz.dot import Drawing, graph
from numgrad.viz.pictures import filters, images
from numgrad.viz.profiles import memory, timeline

__all__ = [
    "Drawing",
    "confusion_matrix",
    "curves",
    "decision",
    "filters",
    "graph",
    "histograms",
    "images",
    "memory",
    "scatter",
    "timeline",
]
