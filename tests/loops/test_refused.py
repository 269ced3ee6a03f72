"""What cannot be differentiated is refused when it is declared or first met, by function, line and text, with what to do."""

from __future__ import annotations

import inspect
import linecache
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.errors import KernelError
from numgrad.loops.translation import translate
from tests.loops import refused, sources
from tests.loops.running import kind_of

TABLE = [f for f in vars(refused).values() if inspect.isfunction(f) and f.__module__ == refused.__name__]
ARGUMENTS = [np.array([1.0, 2.0, 3.0]), 2]
SOAK = [pytest.param(part, marks=pytest.mark.soak) for part in range(1, 6)]


def marked(function: Callable[..., Any]) -> tuple[int, str]:
    """The line that is refused, and the words that the refusal has to have."""
    lines, first = inspect.getsourcelines(function)
    (found,) = [(first + k, line.partition("# refused: ")[2]) for k, line in enumerate(lines) if "# refused: " in line]
    return found[0], found[1].strip()


def in_short(text: str) -> str:
    """Without what Python's own printer of syntax writes in another way."""
    return re.sub(r"[\s()'\"]", "", text)


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 40


@pytest.mark.parametrize("function", TABLE, ids=lambda f: f.__name__)
def test_refused(function: Callable[..., Any]) -> None:
    number, words = marked(function)
    with pytest.raises(KernelError) as caught:
        translate(function, [kind_of(a) for a in ARGUMENTS])
    found = re.fullmatch(r"differentiable (\w+), (.*):(\d+)(?:: `(.*?)`)?: (.*)", str(caught.value))
    assert found is not None, caught.value
    name, file, line, text, said = found.groups()
    assert (name, file, int(line)) == (function.__name__, refused.__file__, number), caught.value
    if text is not None:
        assert in_short(text) in in_short(linecache.getline(file, number)), text
    assert re.search(words, said, re.IGNORECASE), said


@pytest.mark.parametrize("part", [0, *SOAK])
def test_the_standard_library_is_refused_or_right(part: int) -> None:
    tally, wrong = sources.findings(range(400 * part, 400 * (part + 1)))
    assert not wrong, "\n\n".join(wrong)
    assert tally["refused"] > 200
    assert tally["right"] > 0
