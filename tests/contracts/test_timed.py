"""No public function is forgotten by ``python -m benchmarks.surface``."""

from __future__ import annotations

import inspect
import re

import pytest

import numgrad as ng
from benchmarks import surface_results
from benchmarks.surface_cases import NOT_TIMED, cases
from benchmarks.surface_operands import DIRECTIONS, DTYPES, LAYOUTS, SIDES, has_layout, operands, point_of, points
from benchmarks.surface_reasons import REASONS
from numgrad.nn import functional
from numgrad.tensor.surface import functions_of

HOMES = ("function", "functional", "linalg", "special", "method")


def test_each_public_function_is_timed_or_explained() -> None:
    named = set(re.findall(r"\w+", " ".join(cases()))) | set(NOT_TIMED)
    unwrap = inspect.unwrap
    timed = {unwrap(function) for home in HOMES for name, function in functions_of(home).items() if name in named}
    forgotten = {
        name
        for home in HOMES
        for name, function in functions_of(home).items()
        if name not in named
        and unwrap(function) not in timed
        and not (name.endswith("_") and not name.startswith("_"))
        and name.removesuffix("_copy") not in named  # the copy of a view
    }
    assert not forgotten, f"without a call in benchmarks/surface_cases.py: {' '.join(sorted(forgotten))}"


def test_what_is_not_timed_is_public_and_not_timed() -> None:
    public = {name for home in HOMES for name in functions_of(home)}
    assert set(NOT_TIMED) <= public
    assert not set(NOT_TIMED) & {name for text in cases() for name in re.findall(r"\.(\w+)\(", text)[:1]}


@pytest.mark.filterwarnings("ignore")  # torch warns of the same names
def test_each_call_runs() -> None:
    for text in cases():
        eval(text, {"lib": ng, "F": functional, **operands(ng, text, "1e2")})


def test_reasons_are_of_calls_and_points() -> None:
    every = list(points(SIDES, DTYPES, LAYOUTS, DIRECTIONS, [1]))
    assert [point_of(str(point)) for point in every] == every
    assert all(any(part in text for text in cases()) for reason in REASONS for part in reason.calls)
    assert all(any(reason.holds(reason.calls[0], point) for point in every) for reason in REASONS)


def test_operands_have_their_layout() -> None:
    assert [has_layout("F.conv2d(image, kernel2)", layout) for layout in LAYOUTS] == [True, True, True]
    assert [has_layout("lib.arange(x.numel())", layout) for layout in LAYOUTS] == [True, False, False]
    for layout in LAYOUTS:
        image = operands(ng, "lib.sin(image)", "1e2", "float64", layout)["image"]
        assert image.dtype == ng.float64
        assert image.is_contiguous() == (layout == "contiguous")
        assert image.is_contiguous(memory_format=ng.channels_last) == (layout == "channels_last")
        assert image.tolist() == operands(ng, "image", "1e2", "float64")["image"].tolist()


def test_results_merge_and_say_why(tmp_path) -> None:
    small, large = point_of("1e2 float32 contiguous forward 1"), point_of("1e6 float64 strided backward 2")
    results = surface_results.Results({"cpu": "A CPU (x)", "cpus": 2})
    results.add("lib.sin(x)", small, 1e-6, 2e-6)
    results.add("lib.sin(x)", large, 1e-3, 2e-3)
    results.save(tmp_path / "surface")
    again = surface_results.Results({"cpu": "A CPU (x)", "cpus": 2})
    again.add("lib.sin(x)", large, 3e-3, 2e-3)
    again.add("lib.floor(x)", large, 1e-3, 8e-3)
    again.save(tmp_path / "surface")
    merged = surface_results.read(tmp_path / "surface" / "a-cpu-x.json")
    assert merged.ratios() == {("lib.sin(x)", small): 0.5, ("lib.sin(x)", large): 1.5, ("lib.floor(x)", large): 0.125}
    surface_results.write_pages(tmp_path / "surface")
    page = (tmp_path / "surface" / "a-cpu-x.md").read_text()
    assert "3 points, median 0.50; 1 below 0.5, 2 below 0.8, 1 at 1 or above" in page
    assert (
        page.index("### Small: arguments")
        < page.index("`lib.sin(x)`")
        < page.index("### Not explained yet")
        < page.index("floor")
    )
    assert "[A CPU (x)](surface/a-cpu-x.md) | 3 | 0.50 |" in (tmp_path / "surface.md").read_text()
