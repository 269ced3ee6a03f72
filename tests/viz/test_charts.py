"""Charts: what is drawn has the numbers that were given, on the Axes that were given, without a screen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, viz
from tests.runtime.processes import environment

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
from matplotlib import pyplot  # noqa: E402

POINTS, LABELS = ng.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]]), ng.tensor([0, 1, 1])
EVERY: dict[str, Callable[..., Any]] = {
    "curves": lambda **how: viz.curves([1.0, 2.0], **how),
    "confusion_matrix": lambda **how: viz.confusion_matrix(LABELS, LABELS, **how),
    "histograms": lambda **how: viz.histograms({"x": POINTS}, **how),
    "scatter": lambda **how: viz.scatter(POINTS, LABELS, **how),
    "decision": lambda **how: viz.decision(lambda points: points, POINTS, LABELS, steps=5, **how),
    "images": lambda **how: viz.images(ng.ones(2, 1, 4, 4), **how),
    "filters": lambda **how: viz.filters(ng.ones(2, 3, 4, 4), **how),
}


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.mark.parametrize("name", EVERY)
def test_a_chart_draws_where_it_is_told_and_can_be_saved(name: str, tmp_path: Path) -> None:
    _, ax = pyplot.subplots()
    assert EVERY[name](ax=ax) is ax
    assert EVERY[name]() is not ax
    assert len(pyplot.get_fignums()) == 2
    EVERY[name]().figure.savefig(tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()


@pytest.mark.parametrize("name", EVERY)
def test_axes_must_be_axes(name: str) -> None:
    _, several = pyplot.subplots(1, 2)
    with pytest.raises(TypeError, match=rf"viz\.{name}: ax must be one matplotlib Axes, got ndarray"):
        EVERY[name](ax=several)


def test_without_matplotlib_an_error_says_what_to_install_and_the_module_is_there() -> None:
    script = """
import sys
sys.modules["matplotlib"] = None
import numgrad as ng
try:
    ng.viz.curves([1.0])
except ImportError as error:
    print(error)
print(ng.viz.graph(ng.ones(1, requires_grad=True) * 2).dot[:7])
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert "viz.curves draws by matplotlib" in done.stdout
    assert "'numgrad[viz]'" in done.stdout
    assert done.stdout.endswith("digraph\n")


# ---- curves


def test_curves_are_lines_by_name() -> None:
    values = ng.tensor([3.0, 2.0], requires_grad=True)
    ax = viz.curves({"train": values, "test": [ng.tensor(4.0), ng.tensor(5.0)]}, every=10, log=True, ylabel="nats")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[3, 2], [4, 5]]
    assert ax.lines[0].get_xdata().tolist() == [0, 10]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "nats")


@pytest.mark.parametrize("width", [2, 3, 9])
def test_a_smooth_curve_is_the_mean_of_its_neighbours(width: int) -> None:
    line = np.arange(6.0) ** 2
    pale, smooth = viz.curves(line, smooth=width).lines
    assert pale.get_ydata().tolist() == line.tolist()
    width = min(width, 6)
    for place, value in enumerate(smooth.get_ydata()):
        first = place - width // 2
        assert value == pytest.approx(line[max(first, 0) : first + width].mean())


def test_curves_of_nothing_and_of_nan() -> None:
    assert len(viz.curves([], smooth=3).lines[1].get_xdata()) == 0
    assert np.isnan(viz.curves([1.0, ng.nan]).lines[0].get_ydata()[1])


@pytest.mark.parametrize(
    ("values", "how", "error", "match"),
    [
        (ng.ones(2, 2), {}, ValueError, r"must have one dimension, got the shape \[2, 2\]"),
        ({"a": 1.0}, {}, ValueError, r"values a must have one dimension, got the shape \[\]"),
        ([1.0], {"smooth": 0}, ValueError, "smooth must be at least 1, got 0"),
        ("text", {}, TypeError, "must be real numbers"),
        ([[1.0], [1.0, 2.0]], {}, TypeError, "numbers of one shape"),
    ],
)
def test_curves_refused(values: Any, how: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        viz.curves(values, **how)
    assert not pyplot.get_fignums()


# ---- the confusion matrix


def test_a_confusion_matrix_counts() -> None:
    true, found = ng.tensor([0, 0, 0, 2]), ng.tensor([0, 0, 1, 2])
    scores = nn.functional.one_hot(found, 3).float()
    for predictions in (found, scores, scores.bfloat16()):
        ax = viz.confusion_matrix(true, predictions)
        assert {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts} == {
            (0, 0): "2",
            (0, 1): "1",
            (2, 2): "1",
        }
        np.testing.assert_allclose(ax.images[0].get_array(), [[2 / 3, 1 / 3, 0], [0, 0, 0], [0, 0, 1]])
    assert [label.get_text() for label in viz.confusion_matrix(true, found, classes="abcd").get_yticklabels()] == list(
        "abcd"
    )


@pytest.mark.parametrize(
    ("true", "found", "classes", "match"),
    [
        (ng.tensor([0, 1]), ng.tensor([0]), None, r"got the shapes \[2\] and \[1\]"),
        (ng.tensor([0.0]), ng.tensor([0]), None, "classes are integers, got float32"),
        (ng.tensor([2]), ng.tensor([0]), ["a", "b"], "from 0 to 1"),
        (ng.tensor([-1]), ng.tensor([0]), None, "from 0 to 0"),
    ],
)
def test_confusion_matrices_refused(true: Any, found: Any, classes: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        viz.confusion_matrix(true, found, classes=classes)


# ---- histograms


def rows(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_histograms_of_a_module_and_of_its_gradients() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    assert rows(viz.histograms(model)) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    with pytest.raises(ValueError, match="no tensor with a gradient"):
        viz.histograms(model, grad=True)
    model[1](ng.ones(2, 3)).sum().backward()
    ax = viz.histograms(model, grad=True, log=True)
    assert rows(ax) == ["1.weight", "1.bias"]
    assert ax.get_xlabel() == "log10 |gradient|"


def test_a_histogram_has_the_counts_of_numpy() -> None:
    numbers = ng.tensor([0.0, 0.1, 0.1, 0.9, 1.0, ng.nan, ng.inf])
    ax = viz.histograms({"x": numbers}, bins=4)
    assert rows(ax) == ["x (2 not finite)"]
    heights = 0.4 - ax.collections[0].get_paths()[0].vertices[:, 1]
    counts = np.histogram([0.0, 0.1, 0.1, 0.9, 1.0], 4)[0]
    assert counts.tolist() == [3, 0, 0, 2]
    assert set(np.round(heights, 6)) == set(np.round(0.85 * counts / counts.max(), 6))


def test_histograms_of_nothing_but_zeros_and_refused() -> None:
    assert rows(viz.histograms({"zeros": ng.zeros(3), "none": ng.ones(0)}, log=True)) == ["zeros", "none"]
    with pytest.raises(TypeError, match="in a dict, or a module, got Tensor"):
        viz.histograms(ng.ones(3))
    with pytest.raises(ValueError, match="there is no tensor"):
        viz.histograms({})


# ---- the plane


def test_points_have_the_colors_of_their_classes() -> None:
    ax = viz.scatter(POINTS, LABELS)
    assert ax.collections[0].get_offsets().tolist() == POINTS.tolist()
    assert ax.collections[0].get_array().tolist() == [0, 1, 1]
    assert viz.scatter(ng.ones(0, 2), ax=ax) is ax


def test_a_decision_is_asked_where_it_is_drawn() -> None:
    def right(points: ng.Tensor) -> ng.Tensor:
        assert points.dtype is ng.float32
        assert not ng.is_grad_enabled()
        return ng.stack([1.5 - points[:, 0], points[:, 0] - 1.5], 1)

    image = viz.decision(right, POINTS, LABELS, steps=11, margin=0.0).images[0]
    assert image.get_extent() == [0, 3, 0, 2]
    assert image.get_array()[:, :5].max() == 0
    assert image.get_array()[:, 6:].min() == 1
    heights = viz.decision(lambda points: points[:, 1:], POINTS, steps=3, margin=0.0).images[0]
    np.testing.assert_allclose(heights.get_array(), [[0] * 3, [1] * 3, [2] * 3])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: viz.scatter(ng.ones(3)), r"expected points \[N, 2\], got the shape \[3\]"),
        (lambda: viz.scatter(POINTS, ng.tensor([0])), r"expected labels \[3\], got the shape \[1\]"),
        (
            lambda: viz.decision(lambda points: points.sum(), POINTS),
            r"function's values \[10000, C\] or \[10000\], got the shape \[\]",
        ),
        (lambda: viz.decision(lambda points: points, ng.ones(0, 2)), r"at least one, got the shape \[0, 2\]"),
    ],
)
def test_charts_of_the_plane_refused(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
    assert not pyplot.get_fignums()


# ---- pictures


def test_images_lie_in_rows_under_their_titles() -> None:
    shown = [ng.rand(1, 4, 6), ng.rand(3, 2, 2), ng.rand(4, 6)]
    ax = viz.images(shown, titles=["a", "b", 3], nrow=2)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "3"]
    first, second, _ = ax.images
    np.testing.assert_array_equal(first.get_array(), shown[0][0].numpy())
    np.testing.assert_array_equal(second.get_array(), shown[1].permute(1, 2, 0).numpy())
    (left, right, bottom, top), other, below = (image.get_extent() for image in ax.images)
    assert (right - left, bottom - top) == (6, 4)
    assert other[0] > right
    assert other[3] == top
    assert below[0] == left
    assert below[3] > bottom
    low, high = ax.get_ylim()[::-1]
    assert low < top
    assert high > below[2]


def test_the_range_of_images() -> None:
    limits = [image.get_clim() for image in viz.images(ng.tensor([[[0.0, 2.0]], [[5.0, ng.nan]]])).images]
    assert limits == [(0, 5), (0, 5)]
    assert viz.images(ng.ones(1, 2, 2, dtype=ng.uint8)).images[0].get_clim() == (0, 255)
    assert viz.images(ng.ones(1, 2, 2), value_range=(-1, 1)).images[0].get_clim() == (-1, 1)


def test_filters_in_colors_and_by_channel() -> None:
    layer = nn.Conv2d(3, 4, 5)
    colored = viz.filters(layer).images
    assert len(colored) == 4
    assert all(image.get_array().min() == 0 and image.get_array().max() == 1 for image in colored)
    channels = viz.filters(ng.tensor([[[[-2.0, 1.0]], [[0.0, 0.5]]]])).images
    assert [image.get_clim() for image in channels] == [(-2, 2)] * 2
    assert viz.filters(ng.zeros(2, 3, 3)).images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: viz.images([]), "there are no images"),
        (lambda: viz.images(ng.ones(2, 2, 4, 4)), r"1, 3 or 4 channels, got the shape \[2, 4, 4\]"),
        (lambda: viz.images(ng.ones(2, 0, 4)), r"no pixels: \[0, 4\]"),
        (lambda: viz.images(ng.ones(2, 4, 4), titles=["a"]), "expected 2 titles, got 1"),
        (lambda: viz.images(ng.ones(2, 4, 4), nrow=0), "nrow must be at least 1, got 0"),
        (lambda: viz.filters(ng.ones(3, 4)), r"\[K, C, R, S\] or \[K, R, S\], got the shape \[3, 4\]"),
    ],
)
def test_pictures_refused(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()
    assert not pyplot.get_fignums()
