"""How a save takes a file's place: permissions, owners, temporary files, interrupts."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import load, save

ROOT = pathlib.Path(__file__).parents[2]
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_processes_leave_the_old_file_or_the_new_one() -> None:
    command = [sys.executable, "-m", "tests.serialization.killed_saves", "--kills", "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert ".pth" in done.stdout
    assert ".safetensors" in done.stdout
    if has_unnamed_files(pathlib.Path(tempfile.gettempdir())):  # but for one moment, which few kills come upon
        assert all(int(left) <= 2 for left in re.findall(r"'left': (\d+)", done.stdout)), done.stdout


@pytest.fixture
def another_user(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder that can be read and not be written, by a user who is not root."""
    save({"a": ONES}, tmp_path / "first.pth")  # whatever is imported for it: another user may not be able to
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        save({"a": ONES}, folder / "a.pth")
        (folder / "a.pth").chmod(0o666)
        folder.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_a_folder_that_cannot_be_written(another_user: pathlib.Path, kind_of_temporary: str) -> None:
    for name in ("a.pth", "new.pth"):
        with pytest.raises(PermissionError, match="Permission denied.*pth'"):
            save({"a": ONES + 1}, another_user / name)
    assert os.listdir(another_user) == ["a.pth"]
    np.testing.assert_array_equal(load(another_user / "a.pth")["a"], ONES)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_a_full_device(format: Any) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        save({"a": ONES}, "/dev/full", format=format)


@pytest.mark.skipif(sys.platform != "linux" or getattr(os, "geteuid", lambda: 1)() != 0, reason="mounts are root's")
@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_a_full_disk_leaves_the_old_file_and_its_room(
    format: Any, tmp_path: pathlib.Path, kind_of_temporary: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        path, small, large = disk / "a.pth", {"a": ONES}, {"a": np.zeros(200_000, np.float64)}
        save(small, path, format=format)
        path.chmod(0o600)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left on device"):
                save(large, path, format=format)
            assert os.listdir(disk) == ["a.pth"]
            np.testing.assert_array_equal(load(path)["a"], ONES)
        save({"a": ONES + 1}, path, format=format)  # the room that was taken is there again
        np.testing.assert_array_equal(load(path)["a"], ONES + 1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_link_to_nothing_gets_a_target_and_a_loop_is_refused(tmp_path: pathlib.Path, kind_of_temporary: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.pth").symlink_to("folder/target.pth")
    save({"a": ONES}, tmp_path / "link.pth")
    assert os.readlink(tmp_path / "link.pth") == "folder/target.pth"
    assert os.listdir(tmp_path / "folder") == ["target.pth"]
    (tmp_path / "loop.pth").symlink_to("loop.pth")
    with pytest.raises(OSError, match="loop"):
        save({"a": ONES}, tmp_path / "loop.pth")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link.pth", "loop.pth"]
