"""Random stencils, for `generator`: shifts in one dimension and in two, borders, steps of time with two buffers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

_SHIFTS = {
    1: [(-2,), (-1,), (0,), (1,), (2,)],
    2: [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (1, -1), (-1, -2), (0, 2)],
}


def program(seed: int) -> str:
    """A program of stencils alone, in the form of `generator`'s."""
    r = random.Random(seed)
    count = itertools.count(1)

    def leaf() -> str:
        return r.choice(["x", "y", "s", "0.4", "a[1]", "m[0, 2]", str(round(r.uniform(-1, 1), 2))])

    lines = ["s = x * 0.5"]
    for _ in range(r.randint(1, 2)):
        lines += stencil(r, lambda letter: f"{letter}{next(count)}", leaf, "s")
        lines += _sum(r, f"q{next(count)}", leaf)
    return "\n".join(["def f(x, y, a, m, n):", *[f"    {line}" for line in [*lines, "return s"]]]) + "\n"


def _sum(r: random.Random, q: str, leaf: Callable[[], str]) -> list[str]:
    """A sum of what costly functions give, whose turns keep their order."""
    lines = [
        f"for {q} in range({r.choice(['4', 'n', '1, 4', '3, -1, -1'])}):",
        f"    d{q} = math.exp({leaf()} * 0.1 * {q}) + a[{q}]",
    ]
    if r.random() < 0.3:
        lines.append(f"    a[{q}] = math.sin(d{q} * {leaf()})")
    if r.random() < 0.3:
        lines += [f"    if d{q} > {leaf()}:", f"        d{q} = d{q} * 0.5 + {leaf()}"]
    lines.append(
        "    " + r.choice([f"s += d{q} * {leaf()}", f"s = max(s, d{q})", f"s = 0.5 * s + math.sin(d{q} + {leaf()})",
                          f"s += math.tanh(d{q}) * {q} + a[{q}]", f"s -= math.exp(0.1 * {leaf()}) - a[3 - {q}]"])
    )  # fmt: skip
    return [*lines, "s = math.tanh(s)"]


def stencil(r: random.Random, name: Callable[[str], str], leaf: Callable[[], str], target: str) -> list[str]:
    """Lines of a program: arrays of its own, steps of a stencil, and what `target` and ``a`` get of them."""
    ndim = r.choice([1, 1, 2])
    old, new, t = name("o"), name("n"), name("t")
    turns = [name(letter) for letter in "ij"[:ndim]]
    shape = ["6", "7"][:ndim]
    index = ", ".join(turns)
    lines = [f"{each} = np.zeros(({', '.join(shape)},))" for each in (old, new)]
    depth = 0
    for turn, extent in zip(turns, shape, strict=True):
        lines.append("    " * depth + f"for {turn} in range({extent}):")
        depth += 1
    lines.append("    " * depth + f"{old}[{index}] = math.tanh(a[{turns[0]} % 4] + {leaf()} * {turns[-1]})")
    lines.append(f"for {t} in range({r.choice(['1', '2', '3', 'n'])}):")
    inner = [name(letter) for letter in "ij"[:ndim]]
    depth = 1
    for turn, extent in zip(inner, shape, strict=True):
        # now and then up to the border, where an index counts from the end
        low = r.choice([2, 2, 2, 1]) if extent == shape[-1] else 1
        high = int(extent) - r.choice([2, 2, 2, 3])
        span = r.choice([f"{low}, {high}", f"{high - 1}, {low - 1}, -1"])
        lines.append("    " * depth + f"for {turn} in range({span}):")
        depth += 1
    chosen = r.sample(_SHIFTS[ndim], r.randint(2, 4))
    places = [
        f"{old}[{', '.join(_shifted(turn, by) for turn, by in zip(inner, each, strict=True))}]" for each in chosen
    ]
    if r.random() < 0.5:
        lines.append("    " * depth + f"d{t} = {places[0]} - {places[1]}")
        places = [f"d{t}", f"d{t} * {leaf()}", *places[2:], places[1]]
    value = " ".join(f"{r.choice('+-')} {place} * {r.choice([leaf(), '0.5', place])}" for place in places)
    written = r.choice([new, new, new, old]) if ndim == 1 else new
    lines.append("    " * depth + f"{written}[{', '.join(inner)}] {r.choice(['=', '=', '+='])} math.tanh({value})")
    if r.random() < 0.4:
        lines.append(f"    {new}[{', '.join(['0'] * ndim)}] = {old}[{', '.join(['1'] * ndim)}] * {leaf()}")
    if r.random() < 0.7:
        lines.append(f"    {old}, {new} = {new}, {old}")
    at = ", ".join(str(r.randrange(int(each))) for each in shape)
    lines.append(f"{target} = math.tanh({old}[{at}] - {new}[{', '.join(['2'] * ndim)}])")
    rest = ", ".join(["3"] * ndim)
    lines.append(f"a[{r.randrange(4)}] += math.tanh({old}[{rest}] * {new}[{rest}] + {old}[{at}])")
    return lines


def _shifted(turn: str, by: int) -> str:
    return turn if not by else f"{turn} {'-' if by < 0 else '+'} {abs(by)}"
