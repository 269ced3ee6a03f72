"""The command line as a whole: help, version, unknown commands, broken pipes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from numgrad import cli
from tests.cli.running import ALONE, numgrad
from tests.runtime.processes import environment, output


@pytest.mark.parametrize("command", [(), *((name,) for name in cli.COMMANDS)])
def test_help_is_printed_on_stdout(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main([*command, "--help"])
    assert leaving.value.code == 0
    printed = capsys.readouterr()
    assert "usage: numgrad" in printed.out
    assert printed.err == ""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out.startswith("numgrad 0.")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["--nonsense"], ["info", "more"]])
def test_bad_usage_is_code_2_and_a_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(arguments)
    assert leaving.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]


def test_python_dash_m_is_the_command() -> None:
    done = numgrad("ops", "relu")
    assert done.returncode == 0
    assert done.stdout.startswith("relu(input) -> out\n")


def test_help_imports_no_compiler() -> None:
    script = """
import sys
from numgrad import cli
try:
    cli.main(["train-step", "--help"])
except SystemExit:
    pass
print([name for name in ("numba", "llvmlite", "pooch", "requests", "numgrad.models") if name in sys.modules])
"""
    assert output(script).splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's pipe")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m numgrad ops | head -n 1"
    done = subprocess.run(
        command, shell=True, env=environment(**ALONE), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_an_interrupt_is_code_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from numgrad.cli import info

    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", interrupted)
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
