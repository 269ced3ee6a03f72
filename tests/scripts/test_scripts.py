"""The scripts are thin doors to the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ALONE, report
from tests.runtime.processes import ROOT, environment

SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


def run(script: Path, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, str(script), *arguments],
        env=environment(**ALONE),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_has_help(script: Path) -> None:
    done = run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_the_training_step_is_the_commands() -> None:
    done = run(ROOT / "scripts" / "train_step.py", "--json", "--steps", "1")
    assert done.returncode == 0, done.stderr
    own = json.loads(done.stdout)
    other = report("--steps", "1")
    assert own["loss"] == other["loss"]
    assert own["gradient_norm"] == other["gradient_norm"]


def test_without_an_installation_it_says_what_to_do() -> None:
    done = run(ROOT / "scripts" / "train_step.py", options=("-I", "-S"))
    assert done.returncode == 1
    assert done.stderr == "No module named 'numgrad'; install numgrad first: python -m pip install .\n"
