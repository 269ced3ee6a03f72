"""The command line in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.runtime.processes import ROOT, environment

# No network, and no checkpoint of the user's: what a test sees does not depend on the machine.
ALONE = {"NUMGRAD_OFFLINE": "1", "NUMGRAD_HOME": "/nonexistent", "TORCH_HOME": "/nonexistent"}


def numgrad(*arguments: str, **settings: str | None) -> subprocess.CompletedProcess[str]:
    """Run ``numgrad``; what it printed and how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "numgrad", *arguments],
        env=environment(**{**ALONE, **settings}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def report(*arguments: str, **settings: str | None) -> dict[str, Any]:
    """What ``numgrad train-step --json`` reports."""
    done = numgrad("train-step", "--json", *arguments, **settings)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)  # nothing else is on stdout
    return found


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The line that an expected error prints."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]
