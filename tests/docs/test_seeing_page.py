"""The blocks of docs/seeing.md are one program, which runs and writes its figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime.processes import ROOT, environment

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("tensorboardX")
    blocks = BLOCK.findall((ROOT / "docs" / "seeing.md").read_text("utf-8"))
    assert len(blocks) == 3
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(MPLBACKEND="agg"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    figures = {path.name for path in tmp_path.glob("*.png")}
    assert figures == {"loss.png", "decision.png", "confusion.png", "gradients.png"}
    assert list((tmp_path / "runs").glob("events*"))
