"""Ctrl-C: exit code 130, no traceback, at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from numgrad.cli.interrupt import Interruptible
from tests.cli.running import ALONE, FORK, needs_fork
from tests.runtime.processes import ROOT, environment, output

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
COMMAND, SCRIPT = ["-m", "numgrad", "train-step"], ["scripts/train_step.py"]


@pytest.mark.parametrize(
    ("command", "seconds"),
    [(COMMAND, 0.0), (COMMAND, 0.2), (COMMAND, 1.0), (COMMAND, 2.0), (SCRIPT, 0.0), (SCRIPT, 1.0)],
    ids=lambda value: value if isinstance(value, float) else value[-1],
)
def test_a_training_run_is_stopped(command: list[str], seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, *command, "--steps", "1000000"],
        env=environment(**ALONE),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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


AT_AN_IMPORT = (
    FORK
    + """
import json, signal
searches, ended = 0, []
class Interrupting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        global searches
        searches += signal.getsignal(signal.SIGINT) is not signal.default_int_handler  # numgrad has run its first lines
        if searches in (1, 2, 3, 10) or (searches and searches % 25 == 0):
            how = forked()
            if how is None:
                sys.meta_path.remove(Interrupting)
                os.kill(os.getpid(), signal.SIGINT)
            ended.append((searches, how))
sys.meta_path.insert(0, Interrupting)
sys.argv[:1] = ["numgrad"]
from numgrad.cli import main
code = main()
print(json.dumps([code, searches, ended]))
sys.exit(code)
"""
)


@needs_fork
@pytest.mark.parametrize("command", [("info",), ("ops", "relu"), ("weights", "list")], ids=lambda command: command[0])
def test_an_interrupt_during_imports(command: tuple[str, ...]) -> None:
    """A child is interrupted where a module is looked for; the process itself goes on to the next."""
    code, searches, ended = json.loads(output(AT_AN_IMPORT, *command, **ALONE).splitlines()[-1])
    assert code == 0
    assert searches > 200  # modules that are looked for
    assert {1, 2, 3, 10, *range(25, searches, 25)} <= {number for number, _ in ended}
    assert [each for each in ended if each[1] != [130, "interrupted\n"]] == []


def test_an_interrupt_that_somebody_swallows_or_translates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from numgrad import cli
    from numgrad.cli import ops

    def translated(args: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("a module failed to import") from None
        return 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(ops, "run", translated)
        assert cli.main(["ops"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "interrupted\n"


def test_an_interrupt_inside_executed_source(tmp_path: Path) -> None:
    script = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[:] = ["numgrad", "ops"]
from numgrad import cli
from numgrad.cli import ops
ops.run = lambda args: exec("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)")
sys.exit(cli.main())
"""
    (tmp_path / "interrupted.py").write_text(script)  # Python ends by the signal after `python -m` alone
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        env={**environment(), "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_second_interrupt_ends_the_process_at_once() -> None:
    script = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[:] = ["numgrad", "ops"]
from numgrad import cli
from numgrad.cli import ops
def stubborn(args):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
ops.run = stubborn
sys.exit(cli.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(**ALONE), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


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
