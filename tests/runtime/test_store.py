"""The store of compiled kernels: whatever happens to it, kernels compile and give the right numbers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from numgrad import config
from numgrad.runtime import store

from . import processes

# Uses one kernel, and prints its result, how many kernels were compiled and whether Numba was imported.
USE = """
import sys, resource
import numpy as np
from numgrad.runtime import build
from numgrad.runtime.kernel import kernel
from tests.runtime.direct import call
LIMIT = {limit}
if LIMIT is not None:
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
compiled = []
build.listeners.append(lambda name, seconds: compiled.append(name))
@kernel("f4[:]")
def triple(x, start, stop):
    x = x[start:stop]
    for i in range(x.shape[0]):
        x[i] = x[i] + x[i] + x[i]
x = np.arange(5, dtype=np.float32)
call(triple, x)
print(x.astype(int).tolist(), len(compiled), "numba" in sys.modules)
"""
KERNEL = f"kernel-{'0' * 32}.o"
COLD, WARM = "[0, 3, 6, 9, 12] 1 True\n", "[0, 3, 6, 9, 12] 0 False\n"


def use(place: Path | str | None, limit: int | None = None, stderr: str = "", **settings: str | None) -> str:
    chosen = None if place is None else str(place)
    done = processes.run(USE.format(limit=limit), NUMGRAD_KERNEL_STORE=chosen, NUMGRAD_DEBUG=None, **settings)
    assert done.returncode == 0, done.stderr
    assert re.search(stderr, done.stderr) if stderr else not done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    place = tmp_path_factory.mktemp("stores") / "filled"
    assert use(place) == COLD
    return place


@pytest.fixture
def copy(filled, tmp_path):
    """A store of one's own that has the kernels."""
    import shutil

    return Path(shutil.copytree(filled, tmp_path / "copy"))


def files(place: Path) -> list[Path]:
    return sorted(place.glob("*/*.o"))


def test_a_warm_process_neither_compiles_nor_imports_numba(filled):
    assert len(files(filled)) == 1
    assert use(filled) == WARM


def test_folders_are_closed_under_any_umask(tmp_path):
    script = "import os; os.umask(0); from numgrad.runtime import store; print(store.folder())"
    place = tmp_path / "new" / "store"
    made = Path(processes.output(script, NUMGRAD_KERNEL_STORE=str(place)).strip())
    assert made.parent == place
    assert (place.stat().st_mode & 0o777, made.stat().st_mode & 0o777) == (0o700, 0o700)


def test_a_damaged_file_is_compiled_again(copy):
    (path,) = files(copy)
    path.write_bytes(path.read_bytes()[:-1])
    assert use(copy, stderr="is damaged; compiling it again") == COLD
    assert use(copy) == WARM


def test_only_what_was_put_is_got(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    store.put("name", "key", b"code" * 100)
    assert store.get("name", "key") == b"code" * 100
    assert store.get("name", "other") is None
    path, other = tmp_path / "name-key.o", tmp_path / "name-other.o"
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index])
        assert store.get("name", "key") is None
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        assert store.get("name", "key") is None
    path.write_bytes(whole + b"more")
    assert store.get("name", "key") is None
    other.write_bytes(whole)  # a file under another one's name
    assert store.get("name", "other") is None
    path.unlink()
    path.mkdir()
    assert store.get("name", "key") is None
    store.put("name", "key", b"code")  # cannot be replaced, which nobody needs to know
    assert sorted(tmp_path.iterdir()) == [path, other]


def test_a_store_of_another_cpu_or_version_is_left_alone(copy):
    (live,) = copy.iterdir()
    live.rename(copy / ("0" * 24))
    assert use(copy) == COLD
    assert len(list(copy.iterdir())) == 2


def test_the_key_knows_the_cpu_the_debug_mode_and_the_sources():
    script = "from numgrad.runtime import store; print(store.base_key())"
    plain = processes.output(script, NUMGRAD_DEBUG=None)
    assert plain == processes.output(script, NUMGRAD_DEBUG="0")
    assert plain != processes.output(script, NUMGRAD_DEBUG="1")
    assert plain != processes.output(script, NUMGRAD_SIMD="scalar")
    assert plain != processes.output(script, NUMBA_OPT="1")


def test_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert use(tmp_path / "file" / "below") == COLD


def test_a_folder_that_cannot_be_written(filled, monkeypatch, caplog):
    def refuse(*_, **__):
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(store, "folder", lambda: files(filled)[0].parent)
    monkeypatch.setattr(store.tempfile, "mkstemp", refuse)
    with caplog.at_level("INFO", "numgrad.store"):
        store.put("name", "key", b"code")
    assert "name stays in memory" in caplog.text
    assert store.get("name", "key") is None


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE")
def test_a_full_disk(tmp_path):
    assert use(tmp_path / "store", limit=700) == COLD  # breaks off within a file
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == [store._MARK]


def test_off_writes_nothing(tmp_path):
    assert use("off", XDG_CACHE_HOME=str(tmp_path)) == COLD
    assert not list(tmp_path.iterdir())


def test_the_default_folder_follows_the_platform(tmp_path):
    assert use(None, HOME=str(tmp_path), XDG_CACHE_HOME=None) == COLD
    assert len(list(tmp_path.rglob("*.o"))) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX users")
def test_no_home(monkeypatch, tmp_path):
    store._folder.cache_clear()
    monkeypatch.delenv("NUMGRAD_KERNEL_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    # What is left of the path where the user has no home.
    monkeypatch.setattr(config, "cache_folder", lambda: Path("~/.cache/numgrad"))

    def refuse():
        raise RuntimeError("Could not determine home directory.")

    try:
        assert store.folder() is None
        monkeypatch.setattr(config, "cache_folder", refuse)
        store._folder.cache_clear()
        assert store.folder() is None
        assert not list(tmp_path.iterdir())
    finally:
        store._folder.cache_clear()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX users")
def test_folders_of_others_are_not_used(tmp_path, monkeypatch):
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    assert store._is_own_folder(mine)
    assert store._is_own_folder(link)
    mine.chmod(0o770)
    assert not store._is_own_folder(mine)
    assert not store._is_own_folder(link)
    mine.chmod(0o700)
    somebody_else = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody_else)
    assert not store._is_own_folder(mine)
    assert not store._is_own_folder(link)


def test_a_link_to_a_store_works(filled, tmp_path):
    (tmp_path / "link").symlink_to(filled)
    assert use(tmp_path / "link") == WARM


def test_two_processes_that_start_together(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", USE.format(limit=None)],
            env=processes.environment(NUMGRAD_KERNEL_STORE=str(tmp_path / "store"), NUMGRAD_DEBUG=None),
            cwd=processes.ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.communicate(timeout=120)[0].startswith("[0, 3, 6, 9, 12]")
        assert process.returncode == 0
    assert len(files(tmp_path / "store")) == 1
    assert use(tmp_path / "store") == WARM


def test_old_folders_go_and_used_ones_stay(tmp_path):
    def made(name: str, days: float) -> Path:
        place = tmp_path / name
        place.mkdir()
        (place / KERNEL).write_bytes(b"")
        (place / store._MARK).write_bytes(store._mark_of(place))
        os.utime(place, (time.time() - days * 86400,) * 2)
        return place

    live = made("f" * 24, 400)
    ancient = [made(f"{index:024x}", 91 + index) for index in range(3)]
    old = [made(f"{index:024x}", index - 90) for index in range(100, 100 + store._KEPT_FOLDERS)]
    recent = [made(f"{index:024x}", 1) for index in range(1000, 1010)]
    foreign = made("not a key", 1000)
    for leftover in (".numgrad-new-0123abcd", f".claim-kernel-{'0' * 32}"):
        (live / leftover).write_bytes(b"")
        os.utime(live / leftover, (0, 0))
    os.utime(live, (time.time() - 400 * 86400,) * 2)
    store._clean(tmp_path, live)
    left = set(tmp_path.iterdir())
    assert left >= {live, foreign, *recent}
    assert not left & set(ancient)
    assert len(left & set(old)) == store._KEPT_FOLDERS - len(recent)
    assert time.time() - live.stat().st_mtime < 60
    assert sorted(path.name for path in live.iterdir()) == [store._MARK, KERNEL]


def test_cleaning_gives_up_quietly(tmp_path):
    store._clean(tmp_path / "nothing", tmp_path / "nothing" / "here")
