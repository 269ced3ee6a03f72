"""docs/distributed.md: its program runs, on one rank and on two."""

from __future__ import annotations

import re
from pathlib import Path

from tests.distributed.running import on_ranks
from tests.runtime.processes import ROOT, run

PAGE = ROOT / "docs" / "distributed.md"


def program() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_program_runs_alone() -> None:
    done = run(program())
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"loss of the last batch: 0\.\d{4}\n", done.stdout)


def test_the_program_runs_on_two_ranks(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(program())
    done = on_ranks(2, str(path))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"loss of the last batch: 0\.\d{4}\n", done.stdout)
