"""A store's folder with other things in it: what is not trusted is not read, and what is not the store's own is not removed."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from numgrad.runtime import store
from tests.runtime import processes
from tests.runtime.test_store import COLD, WARM, files, use

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX files")
KEY = "0" * 32
KERNEL, CLAIM, TEMPORARY = f"kernel-{KEY}.o", f".claim-kernel-{KEY}", ".numgrad-new-0123abcd"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stores") / "filled"
    assert use(place) == COLD
    return place


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    """A store of one's own that has the kernel."""
    return Path(shutil.copytree(filled, tmp_path / "copy"))


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this process's kernels, below an empty one."""
    monkeypatch.setenv("NUMGRAD_KERNEL_STORE", str(tmp_path / "root"))
    monkeypatch.setattr(store, "_warned", False)
    store._folder.cache_clear()
    place = store.folder()
    assert place is not None
    yield place
    store._folder.cache_clear()


def _group_writable(path: Path) -> None:
    path.chmod(0o620)


def _world_writable(path: Path) -> None:
    path.chmod(0o602)


def _link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(path: Path) -> None:
    path.unlink()
    before = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(before)


def _device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root can make devices")


def _sparse(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(1 << 40)


def _folder(path: Path) -> None:
    path.unlink()
    (path / "below").mkdir(parents=True)


def _foreign_owner(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, 12345)


FAULTS = (
    _group_writable, _world_writable, _link, _dangling, _endless, _loop, _fifo, _socket, _device, _sparse, _folder, _foreign_owner,
)  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda function: function.__name__[1:])
def test_what_cannot_be_trusted_is_compiled_again_with_a_warning(spoil: Callable[[Path], None], copy: Path) -> None:
    (path,) = files(copy)
    spoil(path)
    assert (
        use(copy, stderr=r"is not used, since it .*compiling it again. See who can write to .*, or remove that") == COLD
    )
    if spoil is _folder:  # nothing is removed for the kernel, which every process compiles
        assert (path / "below").is_dir()
    else:
        assert use(copy) == WARM
        assert path.lstat().st_mode & 0o777 == 0o600
    if spoil is _link:
        assert path.with_name("aside").stat().st_size == path.stat().st_size  # and the link's target is left alone


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda function: function.__name__[1:])
def test_nothing_is_read_counted_or_taken_for_a_kernel(
    spoil: Callable[[Path], None], live: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.put("kernel", KEY, b"code")
    other = "1" * 32
    store.put("kernel", other, b"code")
    assert store.get("kernel", KEY) == b"code"
    assert store.usage()[0] == 2
    for key in (KEY, other):
        spoil(live / f"kernel-{key}.o")
    begin = time.monotonic()
    for _ in range(3):
        assert store.get("kernel", KEY) is None
        assert store.get("kernel", other) is None
        assert not store.has("kernel", KEY)
        assert store.usage() == (0, 0, 0)
    assert time.monotonic() - begin < 5
    assert [record.levelname for record in caplog.records if record.levelno > 20] == ["WARNING"]  # for all of them
    if spoil is not _folder:
        store.put("kernel", KEY, b"new")
        assert store.get("kernel", KEY) == b"new"


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda function: function.__name__[1:])
def test_a_claim_that_is_none_of_the_stores_holds_nobody_up_and_stays(
    spoil: Callable[[Path], None], live: Path
) -> None:
    claim = live / CLAIM
    claim.write_bytes(b"")
    claim.chmod(0o600)
    spoil(claim)
    before = claim.lstat()
    begin = time.monotonic()
    with store.claim("kernel", KEY, patience=30) as at_once:
        assert at_once
    assert time.monotonic() - begin < 5
    after = claim.lstat()
    assert (after.st_ino, after.st_size, after.st_mode) == (before.st_ino, before.st_size, before.st_mode)


def test_a_claim_with_something_in_it_is_somebodys_file(live: Path) -> None:
    (live / CLAIM).write_text("notes")
    with store.claim("kernel", KEY, patience=0) as at_once:
        assert at_once
    assert (live / CLAIM).read_text() == "notes"


# ---- folders of others below NUMGRAD_KERNEL_STORE -----------------------------------------------------------------


def _age(path: Path, days: float = 1000) -> Path:
    os.utime(path, (time.time() - days * 86400,) * 2, follow_symlinks=False)
    return path


def _marked(root: Path, name: str) -> Path:
    place = root / name
    place.mkdir(mode=0o700)
    (place / store._MARK).write_bytes(store._mark_of(place))
    (place / KERNEL).write_bytes(b"code")
    return place


def _tree(place: Path) -> list[tuple[str, int, int, bytes]]:
    def content(path: Path) -> bytes:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""

    return sorted((str(path), path.lstat().st_ino, path.lstat().st_mode, content(path)) for path in place.rglob("*"))


def test_only_marked_folders_are_removed(live: Path, tmp_path: Path) -> None:
    root = live.parent
    (old := _marked(root, "0" * 24)) and _age(old)
    foreign = root / "507f1f77bcf86cd799439011"  # an ObjectId of MongoDB's
    foreign.mkdir()
    (foreign / "photo.raw").write_bytes(b"precious")
    (foreign / KERNEL).write_bytes(b"precious")
    (root / ("1" * 24)).mkdir()  # empty
    copied = root / ("2" * 24)  # with the mark of another
    copied.mkdir()
    (copied / store._MARK).write_bytes(store._mark_of(old))
    (root / ("3" * 24)).write_bytes(b"a file")
    elsewhere = _marked(tmp_path, "4" * 24)
    (root / ("4" * 24)).symlink_to(elsewhere)
    linked_mark = root / ("5" * 24)
    linked_mark.mkdir()
    (tmp_path / "mark").write_bytes(store._mark_of(linked_mark))
    (linked_mark / store._MARK).symlink_to(tmp_path / "mark")
    piped = root / ("6" * 24)
    piped.mkdir()
    os.mkfifo(piped / store._MARK)
    for path in root.iterdir():
        _age(path)
    before = [row for row in _tree(tmp_path) if not row[0].startswith(str(old))]
    store._clean(root, live)
    assert _tree(tmp_path) == before


def test_what_is_foreign_in_an_old_folder_stays(live: Path, tmp_path: Path) -> None:
    place = _marked(live.parent, "0" * 24)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (place / CLAIM).write_bytes(b"")
    (place / TEMPORARY).write_bytes(b"half")
    kept = {"notes.o", ".claims", ".numgrad-new-", "kernel.o"}
    for name in kept:
        (place / name).write_bytes(b"precious")
    (place / f"linked-{KEY}.o").symlink_to(victim)
    (place / f"folder-{KEY}.o" / "below").mkdir(parents=True)
    kept |= {f"linked-{KEY}.o", f"folder-{KEY}.o", store._MARK}
    _age(place)
    _age(live)
    store._clean(live.parent, live)
    assert {path.name for path in place.iterdir()} == kept
    assert victim.read_bytes() == b"precious"


def test_of_the_live_folder_only_the_stores_leftovers_go(live: Path) -> None:
    kept = {store._MARK, "notes", ".claim-notes", ".numgrad-new-folder00", f".claim-linked-{KEY}", f".claim-full-{KEY}"}
    for name in ("notes", ".claim-notes", f".claim-full-{KEY}"):
        (live / name).write_bytes(b"precious")
    (live / ".numgrad-new-folder00").mkdir()
    (live / f".claim-linked-{KEY}").symlink_to("notes")
    for name in (CLAIM, TEMPORARY):
        (live / name).write_bytes(b"")
        (live / name).chmod(0o600)
    for path in (*live.iterdir(), live):
        _age(path)
    store._clean(live.parent, live)
    assert {path.name for path in live.iterdir()} == kept


def test_a_killed_marking_is_made_good(live: Path) -> None:
    (live / store._MARK).unlink()
    store._clean(live.parent, live)
    assert store._is_marked(live)


def test_folders_above_the_store_are_made_closed(tmp_path: Path) -> None:
    script = "import os; os.umask(0); from numgrad.runtime import store; print(store.folder())"
    processes.output(script, NUMGRAD_KERNEL_STORE=str(tmp_path / "a" / "b" / "c"))
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in ("a", "a/b", "a/b/c")] == [0o700] * 3


@pytest.mark.parametrize("mode", [0o770, 0o702])
@pytest.mark.parametrize("which", ["root", "live"])
def test_an_open_folder_is_not_used_and_the_warning_says_what_to_do(which: str, mode: int, copy: Path) -> None:
    place = copy if which == "root" else files(copy)[0].parent
    place.chmod(mode)
    before = _tree(copy)
    assert (
        use(copy, stderr=r"must belong to you and be writable by you alone \(chmod go-w\), or choose another") == COLD
    )
    assert _tree(copy) == before


def test_info_survives_what_lies_in_the_store(copy: Path) -> None:
    live = files(copy)[0].parent
    (live / f"dangling-{KEY}.o").symlink_to("nothing")
    os.mkfifo(live / f"pipe-{KEY}.o")
    (copy / "elsewhere").mkdir()
    (copy / "elsewhere" / "big.o").write_bytes(b"0" * 10_000_000)
    done = processes.run("from numgrad.cli import main; main(['info', '--json'])", NUMGRAD_KERNEL_STORE=str(copy))
    assert done.returncode == 0, done.stderr
    assert '"kernels": 1,' in done.stdout
    assert '"bytes_of_all_versions": 10' not in done.stdout
