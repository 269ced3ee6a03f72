"""What cannot be differentiated is refused when it is declared or first met, by function, line and text, with what to do."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.adjoint import translate
from numgrad.errors import KernelError
from tests.adjoint import refused, sources
from tests.adjoint.running import kind_of

TABLE = [f for f in vars(refused).values() if inspect.isfunction(f) and f.__module__ == refused.__name__]
ARGUMENTS = [np.array([1.0, 2.0, 3.0]), 2]
SOAK = [pytest.param(part, marks=pytest.mark.soak) for part in range(1, 6)]


def marked(function: Callable[..., Any]) -> tuple[int, str, str]:
    """The line that is refused, its text, and the words that the refusal has to have."""
    lines, first = inspect.getsourcelines(function)
    (found,) = [(first + k, line) for k, line in enumerate(lines) if "# refused: " in line]
    text, _, words = found[1].partition("# refused: ")
    return found[0], text.partition("#")[0].strip(), words.strip()


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 40


@pytest.mark.parametrize("function", TABLE, ids=lambda f: f.__name__)
def test_refused(function: Callable[..., Any]) -> None:
    number, text, words = marked(function)
    with pytest.raises(KernelError) as caught:
        translate(function, [kind_of(a) for a in ARGUMENTS])
    said = str(caught.value)
    assert function.__name__ in said
    assert re.search(rf"\b{number}\b", said), f"line {number} is not named: {said}"
    assert text in said, said
    assert re.search(words, said, re.IGNORECASE), said


@pytest.mark.parametrize("part", [0, *SOAK])
def test_the_standard_library_is_refused_or_right(part: int) -> None:
    tally, wrong = sources.findings(range(400 * part, 400 * (part + 1)))
    assert not wrong, "\n\n".join(wrong)
    assert tally["refused"] > 200
    assert tally["right"] > 0
