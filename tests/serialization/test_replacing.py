"""How a save takes a file's place: permissions, owners, temporary files, interrupts."""

from __future__ import annotations

import os
import pathlib
import stat
import sys
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import load, save

ONES = np.ones((2, 3), np.float32)


def has_unnamed_files(folder: pathlib.Path) -> bool:
    """Whether there are files without a name in this folder."""
    try:
        os.close(os.open(folder, os.O_RDWR | os.O_TMPFILE))
    except (AttributeError, OSError):
        return False
    return True


@pytest.fixture(params=["unnamed", "named", "copied"])
def kind_of_temporary(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> str:
    """With unnamed temporary files, as systems that have none do it, and as those that let none be linked."""

    def forbidden(*_: Any, **__: Any) -> None:
        raise PermissionError("links are forbidden")

    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not has_unnamed_files(tmp_path):
        pytest.skip("this file system has no files without a name")
    elif request.param == "copied":
        monkeypatch.setattr(os, "link", forbidden)
    return str(request.param)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400, 0o666, 0o755])
def test_permissions_of_an_existing_file_are_kept(mode: int, tmp_path: pathlib.Path, kind_of_temporary: str) -> None:
    path = tmp_path / "a.pth"
    save({"a": ONES}, path)
    path.chmod(mode)
    save({"a": ONES + 1}, path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    np.testing.assert_array_equal(load(path)["a"], ONES + 1)
    link = tmp_path / "link.pth"
    link.symlink_to(path)
    save({"a": ONES}, link)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert sorted(os.listdir(tmp_path)) == ["a.pth", "link.pth"]


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files away")
def test_the_owner_of_an_existing_file_is_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.pth"
    save({"a": ONES}, path)
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    save({"a": ONES + 1}, path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o640)


def test_nobody_can_read_the_temporary_file_who_could_not_read_the_old_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, kind_of_temporary: str
) -> None:
    path = tmp_path / "a.pth"
    save({"a": ONES}, path)
    path.chmod(0o600)
    modes = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (modes.append(stat.S_IMODE(os.fstat(file).st_mode)), real(file))[1])
    save({"a": ONES}, path)
    assert modes[0] == 0o600


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_an_interrupt_at_any_moment_comes_out_as_one(
    format: Any, tmp_path: pathlib.Path, kind_of_temporary: str
) -> None:
    """KeyboardInterrupt is raised at one line of a save after the other, in whatever file the line is."""
    path = tmp_path / "a.pth"
    new = {"a": ONES + 1, **({"b": [ONES]} if format == "torch" else {})}

    def interrupted_at(moment: int) -> bool:
        events = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal events
            events += event in ("line", "call")
            if events == moment:
                events += 1
                raise KeyboardInterrupt
            return trace

        save({"a": ONES}, path, format=format)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            save(new, path, format=format)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return events > moment

    moment = 1
    while interrupted_at(moment):
        state = load(path)["a"]
        assert np.array_equal(state, ONES) or np.array_equal(state, ONES + 1)
        assert os.listdir(tmp_path) == ["a.pth"], f"at line {moment}"
        moment += 1 if (kind_of_temporary, format) == ("unnamed", "torch") else 3
    assert moment > 100
