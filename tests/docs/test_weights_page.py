"""docs/weights.md: its program runs, and its commands are commands."""

from __future__ import annotations

import hashlib
import re
import runpy
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from numgrad import cli, weights
from numgrad.weights import entries
from tests.runtime.processes import ROOT
from tests.serialization.dialects import resnet18_arrays, resnet18_checkpoint

PAGE = (ROOT / "docs" / "weights.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file like the published one, which the registry knows, in the cache of a machine without a network."""
    data = resnet18_checkpoint(resnet18_arrays())
    entry = weights.entry("resnet18")
    source = replace(entry.usable[0], sha256=hashlib.sha256(data).hexdigest())
    path = tmp_path / "home" / "weights" / source.file
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    monkeypatch.setitem(entries.table(), entry.name, replace(entry, sources=(source,)))
    monkeypatch.setenv("NUMGRAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")


def test_the_page_runs(
    published: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks("python")))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program))
    category, refusal = capsys.readouterr().out.splitlines()
    assert category in weights.categories("resnet18")
    assert re.match(r"damaged\.pth the checksum of storage \d+ is", refusal)


def test_the_commands_are_commands() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        assert program == "numgrad"
        cli.make_parser().parse_args(words)  # leaves with code 2 if there is no such option
