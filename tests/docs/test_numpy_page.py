"""docs/numpy.md: its blocks are one program, which runs; docs/numpy-functions.md is what the tables say; links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from tests.numpy import page

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
TEXT = PAGE.read_text("utf-8")


def test_the_blocks_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "page"})


def test_links() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 3
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_the_list_is_that_of_the_tables() -> None:
    assert page.PAGE.read_text("utf-8") == page.text(), "write it anew: python -m tests.numpy.page"
