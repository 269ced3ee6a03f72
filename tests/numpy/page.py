"""docs/numpy-functions.md, made from the tables: ``python -m tests.numpy.page`` writes it anew."""

from __future__ import annotations

from pathlib import Path

import numgrad.numpy as np
from numgrad.numpy import table
from numgrad.numpy.refusals import REFUSED
from tests.numpy.samples import WITHOUT_GRADIENT

PAGE = Path(__file__).parents[2] / "docs" / "numpy-functions.md"
RANDOM = [f"random.{name}" for name in np.random.__all__]


def listed(names: list[str]) -> str:
    lines, line = [], ""
    for name in sorted(names):
        word = f"`{name}`, "
        if len(line) + len(word) > 128:
            lines.append(line.rstrip())
            line = ""
        line += word
    return "\n".join([*lines, line.rstrip(", ")])


def text() -> str:
    functions = [
        name
        for name in (*table.BY_NAME, "c_", "mgrid", "ogrid", "r_", "vectorize", "ndenumerate")
        if name not in RANDOM
    ]
    steps = [name for name in functions if name in WITHOUT_GRADIENT]
    groups: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        groups.setdefault(reason, []).append(name)
    refused = "\n".join(
        f"- {', '.join(f'`{name}`' for name in sorted(names))}: {reason}." for reason, names in groups.items()
    )
    plain = [name for name in np.PLAIN if hasattr(np, name)]
    return f"""# Every name of NumPy's

Made by `python -m tests.numpy.page` from the tables of the functions and of the tests; [numpy.md](numpy.md) is the guide.
All names are those of `numgrad.numpy`, and functions and ufuncs are also what NumPy's own do when they are given tensors.

## Differentiable

{listed([name for name in functions if name not in steps])}

The ufuncs among them have `reduce`, `accumulate`, `reduceat`, `outer` and, where an element may be met twice, `at`.

## Without a gradient: counts, places, truths, texts, constants and steps

{listed(steps)}

## Random numbers: NumPy's, of the same seed

{listed(RANDOM)}

## NumPy's own, as they are

{listed(plain)}

## Refused

{refused}
"""


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
