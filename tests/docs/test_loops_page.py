"""docs/loops.md: its blocks run, in order, as one program; its links lead somewhere; the table is of loops that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import overwritten

PAGE = Path(__file__).parents[2] / "docs" / "loops.md"
TEXT = PAGE.read_text("utf-8")


def test_the_blocks_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    names: dict[str, object] = {"__name__": "loops"}
    for block in blocks:
        # In the lines where the page has them: a function's text is read from its file.
        line = TEXT[: TEXT.index(block)].count("\n")
        exec(compile("\n" * line + block, str(PAGE), "exec"), names)


def test_there_are_eight_examples() -> None:
    assert len(re.findall(r"^## \d\. ", TEXT, re.MULTILINE)) == 8


def test_links() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", TEXT):
        assert (PAGE.parent / path).exists(), path


@pytest.mark.parametrize("name", overwritten.LOOPS)
def test_the_table_of_overwritten_values(name: str) -> None:
    """What it says of numgrad is what numgrad says, and that is right."""
    rows = [row.split(" | ") for row in TEXT.splitlines() if row.startswith(f"| {name} |")]
    assert len(rows) == len(overwritten.TURNS)
    for row in rows:
        n, right, ours = int(row[1]), row[2], row[3]
        assert f"{overwritten.truth(name, n):.6g}" == right == ours
        assert overwritten.numgrad(name, n) == pytest.approx(overwritten.truth(name, n), rel=1e-12)
