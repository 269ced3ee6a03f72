"""Scripts run in processes of their own, with settings of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**settings: str | None) -> dict[str, str]:
    """This process's environment with settings of numgrad's changed (None: unset)."""
    kept = {name: value for name, value in os.environ.items() if name not in settings}
    return {**kept, "PYTHONPATH": str(ROOT), **{name: value for name, value in settings.items() if value is not None}}


def run(script: str, *arguments: str, timeout: float = 280, **settings: str | None) -> subprocess.CompletedProcess[str]:
    """Run a Python script; what it printed and how it ended."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output(script: str, *arguments: str, **settings: str | None) -> str:
    """What a script printed; it must have ended well and without a word on stderr."""
    done = run(script, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout
