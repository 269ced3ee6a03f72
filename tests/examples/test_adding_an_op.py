"""The program that docs/adding-an-op.md tells in pieces runs from its beginning to its end."""

from __future__ import annotations

import re
from pathlib import Path

from tests.runtime.processes import ROOT, run

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "adding-an-op.md").read_text())
    assert len(blocks) == 8
    program = tmp_path / "page.py"  # a file, since the source of a formula is read
    program.write_text("\n".join(blocks))
    done = run(f"import runpy; runpy.run_path({str(program)!r})", timeout=240)
    assert done.returncode == 0, done.stderr


def test_an_op_takes_twelve_lines() -> None:
    second = BLOCK.findall((ROOT / "docs" / "adding-an-op.md").read_text())[1]
    spec = second[second.index("logcosh =") : second.index("assert")]
    assert len([line for line in spec.splitlines() if line.strip()]) <= 12
