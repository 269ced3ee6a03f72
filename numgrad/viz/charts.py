"""Charts of numbers: curves of a training, confusion matrices, histograms by layer, points and decisions in the plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.autograd import no_grad
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor
from numgrad.viz.canvas import array, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["confusion_matrix", "curves", "decision", "histograms", "scatter"]

_CLASSES = "tab10"
_SQUARE = (4.0, 4.0)


def curves(
    values: Any,
    *,
    ax: Axes | None = None,
    smooth: int = 1,
    log: bool = False,
    every: float = 1,
    xlabel: str = "step",
    ylabel: str = "loss",
) -> Axes:
    """Numbers of a training, one after the other, as lines.

    Parameters
    ----------
    values
        [N], a sequence of numbers or a tensor; or several by name, in a dict.
    ax
        Where to draw; by default in a new figure.
    smooth
        Draw the mean of this many values around each, and the values themselves pale behind it.
    log
        A logarithmic axis.
    every
        The steps between two values.
    xlabel, ylabel
        The names of the axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; ``.figure.savefig(path)`` saves it.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        The values are no numbers.
    ValueError
        They have more than one dimension, or ``smooth`` is less than 1.

    >>> import numgrad as ng
    >>> ax = ng.viz.curves({"train": [3.0, 2.0, 1.5], "test": [3.1, 2.4, 2.2]})
    >>> [line.get_label() for line in ax.lines]
    ['train', 'test']
    """
    named = dict(values) if isinstance(values, Mapping) else {"": values}
    lines = {str(name): array("curves", f"values {name}".strip(), each) for name, each in named.items()}
    for name, line in lines.items():
        if line.ndim != 1:
            raise ValueError(f"viz.curves: values {name} must have one dimension, got the shape {list(line.shape)}")
    if smooth < 1:
        raise ValueError(f"viz.curves: smooth must be at least 1, got {smooth}")
    ax = axes("curves", ax)
    for name, line in lines.items():
        steps = np.arange(len(line)) * every
        if smooth > 1:
            (pale,) = ax.plot(steps, line, alpha=0.25, linewidth=0.8)
            ax.plot(steps, _smoothed(line, smooth), color=pale.get_color(), label=name or None)
        else:
            ax.plot(steps, line, label=name or None)
    if log:
        ax.set_yscale("log")
    if any(lines):
        ax.legend(frameon=False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    _plain_frame(ax)
    return ax


def _smoothed(line: np.ndarray, width: int) -> np.ndarray:
    """The mean of up to ``width`` values around each: fewer at the ends."""
    weights = np.ones(min(width, max(len(line), 1)))
    if not len(line):
        return line
    return np.convolve(line, weights, "same") / np.convolve(np.ones(len(line)), weights, "same")


def confusion_matrix(
    targets: Any,
    predictions: Any,
    *,
    classes: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often each class was taken for which: a row for each true class, a column for each prediction.

    Parameters
    ----------
    targets
        [N], the numbers of the true classes.
    predictions
        [N] numbers of classes, or [N, C] scores, whose largest is the prediction.
    classes
        The classes' names; by default their numbers.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        Shapes do not fit, or a class has no name.

    >>> import numgrad as ng
    >>> ax = ng.viz.confusion_matrix(ng.tensor([0, 1, 1]), ng.tensor([0, 1, 0]), classes=["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '1', '1']
    """
    true = array("confusion_matrix", "targets", targets)
    predicted = array("confusion_matrix", "predictions", predictions)
    predicted = predicted.argmax(1) if predicted.ndim == 2 else predicted
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            "viz.confusion_matrix: expected targets [N] and predictions [N] or [N, C], "
            f"got the shapes {list(true.shape)} and {list(predicted.shape)}"
        )
    if true.dtype.kind not in "biu" or predicted.dtype.kind not in "biu":
        raise ValueError(f"viz.confusion_matrix: classes are integers, got {true.dtype} and {predicted.dtype}")
    count = max([len(classes or ()), *(int(each.max()) + 1 for each in (true, predicted) if each.size)])
    names = [str(number) for number in range(count)] if classes is None else list(map(str, classes))
    if len(names) < count or any(each.size and each.min() < 0 for each in (true, predicted)):
        raise ValueError(f"viz.confusion_matrix: numbers of classes must be from 0 to {len(names) - 1}")
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (true.astype(np.int64), predicted.astype(np.int64)), 1)
    side = min(2.0 + 0.4 * count, 10.0)
    ax = axes("confusion_matrix", ax, (side, side))
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 30:
        for row, column in np.argwhere(table):
            color = "white" if shares[row, column] > 0.5 else "black"
            ax.text(column, row, str(table[row, column]), ha="center", va="center", color=color, fontsize=8)
    crowded = count > 1 and max(map(len, names)) * (count + 4) > 40
    ax.set_xticks(range(count), names, rotation=90 if crowded else 0)
    ax.set_yticks(range(count), names)
    ax.set(xlabel="predicted", ylabel="true")
    return ax


def histograms(
    tensors: Any,
    *,
    grad: bool = False,
    log: bool = False,
    bins: int = 80,
    ax: Axes | None = None,
) -> Axes:
    """How the numbers of several tensors are spread, each in a row of its own: weights, gradients, activations.

    Parameters
    ----------
    tensors
        By name, in a dict; or a module, for its parameters. The first is drawn at the top.
    grad
        Draw the tensors' gradients in place of themselves; tensors without one are left out.
    log
        Draw log10 of the magnitudes, without zeros: what vanishes and what explodes is seen at once.
    bins
        The intervals of the axis.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. NaN and infinities are left out; a row's name says how many there were.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        It is neither a dict nor a module.
    ValueError
        There is nothing to draw.

    >>> import numgrad as ng
    >>> ax = ng.viz.histograms(ng.nn.Linear(8, 4))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['weight', 'bias']
    """
    rows = {name: tensor.grad if grad else tensor for name, tensor in _named(tensors).items()}
    numbers = {name: array("histograms", name, row).ravel() for name, row in rows.items() if row is not None}
    if not numbers:
        raise ValueError("viz.histograms: there is no tensor" + (" with a gradient" if grad else ""))
    names, finite = [], []
    for name, row in numbers.items():
        kept = row[np.isfinite(row)].astype(np.float64)
        names.append(name if len(kept) == len(row) else f"{name} ({len(row) - len(kept)} not finite)")
        finite.append(np.log10(np.abs(kept[kept != 0])) if log else kept)
    ax = axes("histograms", ax, (6.0, min(1.0 + 0.45 * len(names), 14.0)))
    edges = np.histogram_bin_edges(np.concatenate(finite), bins)  # of 0 to 1 where there are no numbers
    for row_number, row in enumerate(finite):
        heights = np.histogram(row, edges)[0]
        top = row_number + 0.4 - 0.85 * heights / max(heights.max(), 1)
        ax.fill_between(edges, np.append(top, top[-1]), row_number + 0.4, step="post", linewidth=0, alpha=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.6)
    what = "gradient" if grad else "value"
    ax.set_xlabel(f"log10 |{what}|" if log else what)
    _plain_frame(ax)
    ax.tick_params(axis="y", length=0)
    return ax


def _named(tensors: Any) -> dict[str, Tensor]:
    if hasattr(tensors, "named_parameters"):
        return dict(tensors.named_parameters())
    if isinstance(tensors, Mapping):
        return {str(name): tensor for name, tensor in tensors.items()}
    raise TypeError(f"viz.histograms: expected tensors by name, in a dict, or a module, got {type(tensors).__name__}")


def scatter(points: Any, labels: Any = None, *, ax: Axes | None = None, size: float = 12.0, **kwargs: Any) -> Axes:
    """Points of the plane, in the colors of their classes.

    Parameters
    ----------
    points
        [N, 2].
    labels
        [N], integers.
    ax
        Where to draw; by default in a new figure.
    size
        Of a point, in points².
    kwargs
        For matplotlib's ``scatter``.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        The shapes are others.

    >>> import numgrad as ng
    >>> ax = ng.viz.scatter(ng.randn(10, 2), ng.arange(10) % 3)
    >>> len(ax.collections)
    1
    """
    places = array("scatter", "points", points)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"viz.scatter: expected points [N, 2], got the shape {list(places.shape)}")
    if labels is not None:
        numbers = array("scatter", "labels", labels)
        if numbers.shape != places.shape[:1]:
            raise ValueError(f"viz.scatter: expected labels [{len(places)}], got the shape {list(numbers.shape)}")
        kwargs = {"c": numbers % 10, "cmap": _CLASSES, "vmin": -0.5, "vmax": 9.5, **kwargs}
    ax = axes("scatter", ax, _SQUARE)
    ax.scatter(places[:, 0], places[:, 1], **{"s": size, "linewidths": 0, **kwargs})
    ax.set_aspect("equal")
    return ax


@no_grad()
def decision(
    function: Callable[[Tensor], Tensor],
    points: Any,
    labels: Any = None,
    *,
    ax: Axes | None = None,
    steps: int = 100,
    margin: float = 0.1,
) -> Axes:
    """What a function of points says all over the plane, with points in front.

    Parameters
    ----------
    function
        Of [N, 2]: to [N, C], scores of classes, or to [N] or [N, 1], which are drawn as they are.
    points, labels
        As of `scatter`. The picture has the points and a margin around them.
    ax
        Where to draw; by default in a new figure.
    steps
        The function is asked at steps² places.
    margin
        The share of the points' extent that is added at each side.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        Shapes are others.

    >>> import numgrad as ng
    >>> ax = ng.viz.decision(ng.nn.Linear(2, 3), ng.randn(10, 2), ng.arange(10) % 3)
    >>> len(ax.images)
    1
    """
    places = array("decision", "points", points)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ValueError(f"viz.decision: expected points [N, 2], at least one, got the shape {list(places.shape)}")
    low, high = places.min(0), places.max(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    across, up = (np.linspace(low[side], high[side], steps) for side in (0, 1))
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, 2)
    dtype = points.dtype if isinstance(points, Tensor) else None
    levels = array("decision", "the function's values", function(creation.tensor(grid, dtype=dtype)))
    if levels.shape[:1] != grid.shape[:1] or levels.ndim > 2:
        raise ValueError(
            f"viz.decision: expected the function's values [{len(grid)}, C] or [{len(grid)}], got the shape {list(levels.shape)}"
        )
    ax = axes("decision", ax, _SQUARE)
    look: dict[str, Any] = {"origin": "lower", "extent": (low[0], high[0], low[1], high[1])}
    if levels.ndim == 2 and levels.shape[1] > 1:
        levels, look = levels.argmax(1) % 10, {**look, "cmap": _CLASSES, "vmin": -0.5, "vmax": 9.5, "alpha": 0.3}
    else:
        look = {**look, "cmap": "Blues", "interpolation": "bilinear"}
    ax.imshow(levels.reshape(steps, steps), **look)
    scatter(places, labels, ax=ax, size=16, edgecolors="white", linewidths=0.4)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return ax


def _plain_frame(ax: Axes) -> None:
    """Only the lines that carry ticks."""
    ax.spines[["top", "right"]].set_visible(False)
