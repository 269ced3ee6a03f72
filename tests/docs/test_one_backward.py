"""docs/one-backward.md: its blocks run one after the other, and its links are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "one-backward.md"
TEXT = PAGE.read_text("utf-8")


def test_the_blocks_run() -> None:
    blocks = list(re.finditer(r"```python\n(.*?)```", TEXT, re.DOTALL))
    names: dict[str, Any] = {}
    for block in blocks:
        before = "\n" * TEXT[: block.start(1)].count("\n")  # so that an error names the page's line
        exec(compile(before + block[1], str(PAGE), "exec"), names)
    assert len(blocks) >= 8


def test_links() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert all((PAGE.parent / link).exists() for link in links)
