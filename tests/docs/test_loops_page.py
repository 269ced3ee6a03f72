"""docs/loops.md: its blocks run, in order, as one program; its links lead somewhere; the table is of loops that there are."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

import pytest

from benchmarks import overwritten

PAGE = Path(__file__).parents[2] / "docs" / "loops.md"
TEXT = PAGE.read_text("utf-8")


def program() -> str:
    """The page's Python, in the lines where the page has it; all else is left empty."""
    inside, lines = False, []
    for line in TEXT.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        lines.append(line if inside else "")
    return "\n".join(lines) + "\n"


def test_the_blocks_run(capsys: pytest.CaptureFixture[str]) -> None:
    text, file = program(), "<docs/loops.md>"
    assert text.count("@ng.differentiable") >= 8
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # where functions' texts are read
    exec(compile(text, file, "exec"), {"__name__": "loops"})
    assert "def anomaly" in capsys.readouterr().out


def test_there_are_nine_examples() -> None:
    assert re.findall(r"^## (\d)\. ", TEXT, re.MULTILINE) == list("123456789")


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
