"""Random programs that give names one array after another, against NumPy and differences; some 300 in a few seconds.

The programs of `generator` keep an array under one name, or swap it. Here nearly every statement names anew: whole-array
expressions, views, helpers that rename, return or swap what they are given, in branches and loops.
"""

from __future__ import annotations

import linecache
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.errors import TranslationError
from numgrad.loops import aliases, reading
from numgrad.loops.language import Loop
from tests.loops.running import Run

NAMES = "abcd"
POINT = np.array([0.2, 0.3, 0.7])
WAY = np.array([0.6, -0.8, 0.5])
LEAST_RIGHT = 0.65  # the others are refused: two names for one array, of which one is changed while both are in use
HELPERS = """import numpy as np

def squared(a):
    out = np.zeros_like(a)
    for i in range(a.shape[0]):
        out[i] = a[i] * a[i]
    return out

def renamed(a, b):
    a = a * 0.5 + b
    return a

def pair(a, b):
    c = a * 0.5
    return c, a

def same(a):
    return a

def swapped(a, b):
    return b, a

"""


def expression(draw: random.Random) -> str:
    x, y = draw.choice(NAMES), draw.choice(NAMES)
    forms = [
        x, x, f"{x} * 0.5", f"{x} + 0.3 * {y}", f"{x}[::-1] * 1.0", f"squared({x}) * 0.3", f"renamed({x}, {y})", f"same({x})",
        f"{x}[::-1]", f"squared({x})",
    ]  # fmt: skip
    return draw.choice(forms)


def statement(draw: random.Random, indent: int) -> list[str]:
    margin, kind = " " * indent, draw.random()
    x, y = draw.sample(NAMES, 2)
    if kind < 0.5:
        return [f"{margin}{x} = {expression(draw)}"]
    if kind < 0.7:
        both = [f"{expression(draw)}, {expression(draw)}", f"pair({draw.choice(NAMES)}, {y})", f"swapped({x}, {y})"]
        return [f"{margin}{x}, {y} = {draw.choice(both)}"]
    if kind < 0.8:
        return [f"{margin}{x} += 0.1 * {y}"]
    if kind < 0.85:
        return [f"{margin}{x}[{draw.randint(0, 2)}] = {y}[0] * 0.5"]
    if kind < 0.9:
        return [f"{margin}if {x}[0] > 0.3:", *statement(draw, indent + 4)]
    if indent < 8:
        body = [line for _ in range(draw.randint(1, 4)) for line in statement(draw, indent + 4)]
        return [f"{margin}for turn in range(2):", *body]
    return [f"{margin}a = a * 1.0"]


def source(seed: int) -> str:
    draw = random.Random(seed)
    rest = ["c = q * 0.3", "d = b"] if draw.random() < 0.5 else ["c = a", "d = q * 0.7"]
    body = ["    a = q * 1.0", "    b = q * q", *[f"    {line}" for line in rest]]
    for _ in range(draw.randint(2, 7)):
        body += statement(draw, 4)
    return HELPERS + "\n".join(["def program(q):", *body, "    return a + 2.0 * b, c * 3.0 + d"]) + "\n"


def made(seed: int) -> Callable[..., Any]:
    text, file = source(seed), f"<rebinding program {seed}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(text, file, "exec"), scope)
    function: Callable[..., Any] = scope["program"]
    return function


def difference(function: Callable[..., Any], step: float) -> float:
    ahead, behind = function(POINT + step * WAY), function(POINT - step * WAY)
    return sum(float(((one - two) / (2 * step)).sum()) for one, two in zip(ahead, behind, strict=True))


def outcome(seed: int) -> str:
    """right, refused, or what is wrong; skipped if numbers are wild, or differences see a jump between branches."""
    function = made(seed)
    want = function(POINT.copy())
    slope, other = difference(function, 1e-6), difference(function, 3e-6)
    if not (max(abs(each).max() for each in want) < 1e3 and abs(slope - other) < 1e-5 * max(1.0, abs(slope))):
        return "skipped"
    try:
        run = Run(function, [POINT.copy()])
        results = run.record()
    except TranslationError:
        return "refused"
    if not all(np.allclose(*each, 1e-13, 1e-13) for each in zip(results.values(), want, strict=True)):
        return f"values {results}, expected {want}\n{source(seed)}"
    [grad] = run.reverse({name: np.ones_like(each) for name, each in results.items()}).values()
    found = float(grad @ WAY)
    if abs(found - slope) > 1e-5 * max(1.0, abs(slope)):
        return f"a slope of {found}, expected {slope}\n{source(seed)}"
    return "right"


@pytest.mark.parametrize("part", [0, *[pytest.param(part, marks=pytest.mark.soak) for part in range(1, 8)]])
def test_names_that_are_given_one_array_after_another(part: int) -> None:
    tally = Counter(outcome(seed) for seed in range(300 * part, 300 * (part + 1)))
    wrong = [text for text in tally if text not in ("right", "refused", "skipped")]
    assert not wrong, "\n\n".join(wrong[:3])
    assert tally["right"] >= LEAST_RIGHT * 300, tally


def _no_conflict(*args: Any) -> None:
    return None


def _forgets(s: Any, state: Any) -> Any:
    return state if getattr(s, "what", "") == "same" else _marked(s, state)


def _looks_once(s: Any, state: Any) -> Any:
    return aliases._block(s.body, state) if isinstance(s, Loop) else _statement(s, state)


_marked, _statement = aliases._marked, aliases._statement
BROKEN = {
    "never refuses": (reading, "told_apart", _no_conflict),
    "does not note second names": (aliases, "_marked", _forgets),
    "looks at the body of a loop once": (aliases, "_statement", _looks_once),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BROKEN[name])
    assert any(outcome(seed) not in ("right", "refused", "skipped") for seed in range(500))
