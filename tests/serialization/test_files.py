"""`numgrad.files.opened`: flags of the system's, and a descriptor that no interrupt leaves open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from numgrad import files
from tests.engine import interrupts
from tests.engine.interruptible import SCENARIOS, Scenario, Subject

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell what is open")


def test_flags_and_mode_are_the_systems(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with files.opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, "r+b") as file:
        assert file.write(b"some") == 4
        assert file.readable()
    assert path.read_bytes() == b"some"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        files.opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="link"):
        files.opened(tmp_path / "link", os.O_RDONLY | os.O_NOFOLLOW)


@linux
def test_a_refused_folder_is_closed(tmp_path: Path) -> None:
    before = interrupts.open_files()
    with pytest.raises(IsADirectoryError):
        files.opened(tmp_path, os.O_RDONLY)
    assert interrupts.open_files() == before


@linux
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_an_interrupt_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        SCENARIOS, "planted", Scenario(lambda: Subject(lambda: files.opened(__file__, os.O_RDONLY).close(), lambda: []))
    )
    trial = interrupts.Trial("planted")
    assert all(trial.by_plan(number) for number in range(trial.points()))
