"""Every example runs as its text says, is short, and prints the result that `table` states."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.table import EXAMPLES, Example
from tests.runtime.processes import ROOT, environment

FILES = sorted((ROOT / "examples").glob("*.py"))


def test_every_example_has_a_row() -> None:
    assert sorted(example.name for example in EXAMPLES) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 100
    assert f"python examples/{path.name}" in (ast.get_docstring(ast.parse(text)) or "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_it_shows(example: Example, tmp_path: Path) -> None:
    command = [sys.executable, f"examples/{example.name}.py"]
    figure = tmp_path / "figure.png"
    if example.drawn:
        pytest.importorskip("matplotlib")
        command += ["--out", str(figure)]
    # The other CPUs run other tests, which two threads would wait for at each step; the numbers are the same for any count.
    settings = environment(MPLBACKEND="agg", NUMGRAD_NUM_THREADS="1")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=settings, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    text, numbers = example.found(done.stdout)
    assert len(numbers) == len(example.bounds)
    for number, (least, largest) in zip(numbers, example.bounds, strict=True):
        assert least <= number <= largest, text
    if example.drawn:
        assert figure.read_bytes().startswith(b"\x89PNG")
