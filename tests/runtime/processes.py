"""Scripts run in processes of their own, with settings of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**settings: str | None) -> dict[str, str]:
    """This process's environment with settings of numgrad's changed (None: unset)."""
    kept = {name: value for name, value in os.environ.items() if name not in settings}
    return {**kept, "PYTHONPATH": str(ROOT), **{name: value for name, value in settings.items() if value is not None}}


def run(script: str, *arguments: str, timeout: float = 280, **settings: str | None) -> subprocess.CompletedProcess[str]:
    """Run a Python script; what it printed and how it ended. If it takes too long, it ends with all that it has started.

    Raises
    ------
    AssertionError
        It took too long; with what it had printed.
    """
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(
        command,
        env=environment(**settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, error = process.communicate(timeout=timeout)
        except BaseException as reason:
            end_group(process)
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            out, error = process.communicate()
            raise AssertionError(f"still running after {timeout} s; it printed\n{out}\n{error}") from None
        if process.returncode:
            end_group(process)  # whatever it has left behind
    return subprocess.CompletedProcess(command, process.returncode, out, error)


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill a process that leads a session, and all in its group."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended by itself
    else:
        process.kill()


def output(script: str, *arguments: str, **settings: str | None) -> str:
    """What a script printed; it must have ended well and without a word on stderr."""
    done = run(script, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout
