"""docs/models.md: its program runs and prints what stands there, and its table has every model."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from numgrad import models, weights
from tests.runtime.processes import ROOT

PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)))
    runpy.run_path(str(program))
    [shown] = re.findall(r"^```\n(layer .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == shown


def test_every_family_is_in_the_table() -> None:
    families = {re.split(r"[0-9_]", name)[0] for name in models.list_models()} - {"wide", "googlenet"}
    for family in families:
        assert f"`{family}" in PAGE, family
    assert f"{len(models.list_models())} networks" in (ROOT / "README.md").read_text("utf-8")
    assert f"all {len(models.list_models())} agree" in PAGE


def test_families_without_a_known_hash_say_so() -> None:
    known = {entry.model for entry in weights.list_weights() if entry.verified}
    rows = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) == 13
    for family, names, here in rows:
        first = re.findall(r"`([a-z0-9_]+)`", names)[0]
        kind = re.split(r"[0-9]|_[xybl]", first)[0]
        assert ("none" in here) != any(name.startswith(kind) for name in known), family
