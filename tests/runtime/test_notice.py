"""The line that a program shows on a terminal while it compiles for the first time."""

from __future__ import annotations

import io

import pytest

from numgrad import command
from numgrad.runtime import build, notice, store


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal as stderr. Not a fixture: pytest puts a stream of its own there before it calls a test."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(notice, "_spent", 0.0)
    return stream


def test_one_line_once_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    notice.compiled("first", 1.5)
    assert not terminal.getvalue()
    notice.compiled("second", 0.5)
    said = terminal.getvalue()
    assert said.startswith("numgrad: compiling kernels, which only the first run has to: they are kept in ")
    assert f"{store.folder()} (NUMGRAD_PROGRESS=0 hides this line)\n" in said
    notice.compiled("third", 10.0)
    assert terminal.getvalue() == said


def test_without_a_store_every_run_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setattr(store, "problem", lambda: "NUMGRAD_KERNEL_STORE is off")
    notice.compiled("first", 3.0)
    assert "as each run has to: NUMGRAD_KERNEL_STORE is off (" in terminal.getvalue()


@pytest.mark.parametrize("why", ["a pipe", "closed", "switched off", "a command"])
def test_not_where_nobody_reads_it(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
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


def test_whatever_is_compiled_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setattr(notice, "_PATIENCE", 1e-9)
    build._compile("name", "symbol", lambda symbol: symbol.encode())
    assert terminal.getvalue().count("\n") == 1
