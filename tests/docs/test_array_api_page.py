"""docs/array-api.md: its blocks run, in order, as one program; its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "array-api.md"
TEXT = PAGE.read_text("utf-8")


def test_the_page_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "array_api_page"})


def test_links() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert len(links) == 2
    assert all((PAGE.parent / link).exists() for link in links)
