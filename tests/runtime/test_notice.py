"""The line that a program shows on a terminal while it compiles for the first time."""

from __future__ import annotations

import io

import pytest

from numgrad import command
from numgrad.runtime import build, notice, store


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(notice, "_spent", 0.0)
    return stream


def test_one_line_once_it_takes_long(terminal: io.StringIO) -> None:
    notice.compiled("first", 1.5)
    assert not terminal.getvalue()
    notice.compiled("second", 0.5)
    said = terminal.getvalue()
    assert said.startswith("numgrad: compiling kernels, which only the first run has to: they are kept in ")
    assert f"{store.folder()} (NUMGRAD_PROGRESS=0 hides this line)\n" in said
    notice.compiled("third", 10.0)
    assert terminal.getvalue() == said


def test_without_a_store_every_run_compiles(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "problem", lambda: "NUMGRAD_KERNEL_STORE is off")
    notice.compiled("first", 3.0)
    assert "as each run has to: NUMGRAD_KERNEL_STORE is off (" in terminal.getvalue()


@pytest.mark.parametrize("why", ["a pipe", "closed", "switched off", "a command"])
def test_not_where_nobody_reads_it(why: str, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "a pipe":
        terminal.isatty = lambda: False  # type: ignore[method-assign]
    elif why == "closed":
        monkeypatch.setattr("sys.stderr", None)
    elif why == "switched off":
        monkeypatch.setenv("NUMGRAD_PROGRESS", "off")
    else:
        monkeypatch.setattr(command, "is_running", lambda: True)
    notice.compiled("first", 3.0)
    assert not terminal.getvalue()


def test_whatever_is_compiled_counts(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notice, "_PATIENCE", 1e-9)
    build._compile("name", "symbol", lambda symbol: symbol.encode())
    assert terminal.getvalue().count("\n") == 1
