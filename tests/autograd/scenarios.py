"""One text for two libraries: a scenario is a function of ``lib`` that returns plain Python values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng


def agree(scenario: Callable[[Any], Any], expected: Any = None) -> Any:
    """Run with numgrad, compare with what is expected and, where it is installed, with torch."""
    result = scenario(ng)
    if expected is not None:
        assert result == pytest.approx(expected) if isinstance(expected, (int, float)) else result == expected
    try:
        import torch
    except ImportError:  # the third opinion is not there
        return result
    assert plain(result) == plain(scenario(torch))
    return result


def plain(value: Any) -> Any:
    """Numbers rounded to what float32 holds, so that they compare."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def error_of(action: Callable[[], Any]) -> tuple[str, str]:
    """Class and text of the error that an action raises."""
    try:
        action()
    except Exception as error:
        return type(error).__name__, str(error)
    raise AssertionError("no error was raised")
