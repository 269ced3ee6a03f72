"""Ctrl-C: exit code 130, no traceback, at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from numgrad.cli.interrupt import Interruptible
from tests.cli.running import ALONE
from tests.runtime.processes import ROOT, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
COMMAND, SCRIPT = ["-m", "numgrad", "train-step"], ["scripts/train_step.py"]


def heed_interrupts() -> None:
    """A shell's background jobs, and so this test run perhaps, ignore the signal; the child shall not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("command", [COMMAND, SCRIPT], ids=["command", "script"])
@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0, 3.0])
def test_a_training_run_is_stopped(command: list[str], seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, *command, "--steps", "1000000"],
        env=environment(**ALONE),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stderr is not None
    first = process.stderr.readline()  # it has begun
    assert "random weights" in first
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "interrupted"


class InterruptedWhenFreed:
    """A finalizer that Ctrl-C arrives in."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def _usual_handler() -> object:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_usual_handler")
def test_an_interrupt_inside_a_finalizer_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    hook = sys.unraisablehook
    with Interruptible() as interruptible:
        interruptible.check()
        try:
            doomed = InterruptedWhenFreed()
            del doomed
            time.sleep(0.01)
        except KeyboardInterrupt:  # Python noticed the signal only after the finalizer
            pass
        with pytest.raises(KeyboardInterrupt):
            interruptible.check()
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is hook
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruptible():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
