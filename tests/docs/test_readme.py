"""The README's Python blocks run, in order, as one program; its commands are the ones that are tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def text() -> str:
    if not README.exists():
        pytest.fail("README.md is missing: it is the first thing that a newcomer reads, and its blocks are tests")
    return README.read_text("utf-8")


def test_the_blocks_run(text: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks, "README.md shows no Python"
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_the_test_command_is_the_one_that_ci_runs(text: str) -> None:
    command = "python -m pip install -e '.[test]' && python -m pytest"
    assert command in text
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "README.md" in ci, ".ci/run takes the command from the README"


def test_every_folder_of_the_map_exists(text: str) -> None:
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert rows
    for folder in ("numgrad", "tests", "scripts", "weights"):
        assert any(f"`{folder}" in row for row in rows), folder
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / path).exists(), f"README.md points to {path}, which is not there"
