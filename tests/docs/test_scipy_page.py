"""The blocks of docs/scipy.md run, in order, as one program."""

from __future__ import annotations

import re

import pytest

from tests.runtime.processes import ROOT

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_runs() -> None:
    pytest.importorskip("scipy")
    blocks = BLOCK.findall((ROOT / "docs" / "scipy.md").read_text("utf-8"))
    assert len(blocks) == 6
    exec("\n".join(blocks), {"__name__": "scipy_page"})
