"""The command line in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.runtime.processes import ROOT, environment

# A function for scripts: an interpreter's start and numgrad's import take most of a second, a fork some milliseconds.
FORK = """
import os, sys

def forked():
    # In a child None; in the process itself how the child ended: its exit code, and what it told on stderr.
    told = os.memfd_create("stderr")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        os.dup2(told, 2)
        return None
    _, status = os.waitpid(child, 0)
    text = os.pread(told, 1 << 20, 0).decode()
    os.close(told)
    return os.waitstatus_to_exitcode(status), text
"""
needs_fork = pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="what is told lies in memory, which this system does not offer"
)

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
