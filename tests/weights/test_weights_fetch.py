"""Names to files: cache, torch's cache, download, corruption, offline, folders that cannot be written."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_loopback import BODY, MIRROR_BODY, QUICK, ROOT, Server, row_toml, serve, source_toml, status

from numgrad import weights
from numgrad.weights import Entry, cache, download, lock, progress, store

Fetch = Callable[..., Path]


def test_fresh_download_then_cache(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    assert weights.cached_path("net") is None
    assert weights.path("net") == cached
    assert fetch() == cached
    assert cached.read_bytes() == BODY
    assert fetch("net.v1") == fetch("Net_Weights.V1") == weights.cached_path("net") == weights.verify("net") == cached
    assert len(server.requests) == 1
    assert os.listdir(cached.parent) == [cached.name]
    (sent,) = server.asked("/a.pth")
    assert sent["User-Agent"].startswith("numgrad/")
    assert "Range" not in sent


def test_file_has_ordinary_permissions(net: Entry, fetch: Fetch) -> None:
    old = os.umask(0o027)
    try:
        mode = fetch().stat().st_mode
    finally:
        os.umask(old)
    assert stat.S_IMODE(mode) == 0o640


def test_force_downloads_again(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    fetch()
    first = cached.stat().st_ino
    assert fetch(force=True) == cached
    assert len(server.requests) == 2
    assert cached.stat().st_ino != first


@pytest.mark.parametrize("damage", [b"", BODY[:-1], BODY[:-1] + bytes([BODY[-1] ^ 1]), BODY + b"x"])
def test_corrupt_cache_is_replaced(
    net: Entry, fetch: Fetch, server: Server, cached: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cached.parent.mkdir(parents=True)
    cached.write_bytes(damage)
    with pytest.raises(weights.HashMismatchError, match=r"a-00000000.pth is corrupt.*download net.v1"):
        weights.verify("net")
    assert fetch() == cached
    assert cached.read_bytes() == BODY
    assert "is corrupt" in caplog.text
    assert len(server.requests) == 1


def test_torchs_own_file_is_used_in_place(net: Entry, fetch: Fetch, server: Server, tmp_path: Path) -> None:
    theirs = tmp_path / "torch" / "hub" / "checkpoints" / "a-00000000.pth"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(BODY)
    assert fetch() == weights.verify("net") == weights.path("net") == theirs
    assert server.requests == []
    assert weights.clear() == []
    assert theirs.exists()


def test_torchs_file_with_another_hash_is_left_alone(net: Entry, fetch: Fetch, cached: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "torch" / "hub" / "checkpoints" / "a-00000000.pth"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(BODY[::-1])
    with pytest.raises(weights.NotDownloadedError):
        weights.verify("net")
    assert fetch() == cached
    assert theirs.read_bytes() == BODY[::-1]


def test_torchs_folder_is_where_torch_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.torch_folder() == Path("/x/torch/hub/checkpoints")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.torch_folder() == Path.home() / ".cache" / "torch" / "hub" / "checkpoints"


def test_offline(net: Entry, fetch: Fetch, server: Server, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_OFFLINE", "1")
    with pytest.raises(weights.OfflineError) as missing:
        fetch()
    for part in ("NUMGRAD_OFFLINE", server.url + "/a.pth", str(cached), str(net.sources[0].sha256), "by hand"):
        assert part in str(missing.value)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"broken")
    with pytest.raises(weights.HashMismatchError) as corrupt:
        fetch()
    for part in ("corrupt", "NUMGRAD_OFFLINE", server.url + "/a.pth", str(cached), str(net.sources[0].sha256)):
        assert part in str(corrupt.value)
    cached.write_bytes(BODY)
    assert fetch() == cached
    assert server.requests == []


def test_base_url_replaces_the_registrys(
    net: Entry, fetch: Fetch, server: Server, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMGRAD_WEIGHTS_URL", server.url + "/inside/")
    with pytest.raises(weights.DownloadError, match=r"/inside/a-00000000.pth: HTTP 404"):
        fetch()
    assert {path for path, _ in server.requests} == {"/inside/a-00000000.pth", "/inside/b.safetensors"}
    server.on("/inside/a-00000000.pth", serve(BODY))
    assert fetch() == cached


@pytest.mark.parametrize("base", ["ftp://127.0.0.1/x", "nonsense"])
def test_base_url_that_is_none(net: Entry, fetch: Fetch, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_WEIGHTS_URL", base)
    with pytest.raises(weights.DownloadError, match=r"this is not a URL that can be requested"):
        fetch()


def test_what_is_not_verified_is_not_loaded(
    install: Callable[..., Entry], fetch: Fetch, server: Server, tmp_path: Path
) -> None:
    url = server.on("/c.pth", serve(BODY))
    install(
        row_toml("net.v2", source_toml("c-11111111.pth", BODY, url, sha256=None)),
        row_toml("net.v1", source_toml("a-00000000.pth", BODY, url), default=False),
    )
    (tmp_path / "home" / "weights").mkdir(parents=True)
    (tmp_path / "home" / "weights" / "c-11111111.pth").write_bytes(BODY)
    for use in (fetch, weights.cached_path, weights.verify):
        with pytest.raises(weights.NotVerifiedError, match=r"net.v2 is not yet verified.*Use net.v1, or get http"):
            use("net")
    assert server.requests == []
    assert fetch("net.v1").name == "a-00000000.pth"


def test_a_source_without_hash_is_passed_over(install: Callable[..., Entry], fetch: Fetch, server: Server) -> None:
    url, mirror = server.on("/c.pth", serve(BODY)), server.on("/m", serve(MIRROR_BODY))
    install(
        row_toml(
            "net.v1", source_toml("c.pth", BODY, url, sha256=None), source_toml("m.safetensors", MIRROR_BODY, mirror)
        )
    )
    assert fetch().read_bytes() == MIRROR_BODY
    assert server.asked("/c.pth") == []


def test_clear_takes_only_our_files(net: Entry, fetch: Fetch, cached: Path) -> None:
    fetch()
    ours = [cached, *(cached.with_name(cached.name + suffix) for suffix in (".12.part", ".lock", ".part"))]
    theirs = [cached.with_name(name) for name in ("mine.pth", cached.name + ".backup")]
    for path in [*ours[1:], *theirs]:
        path.touch()
    assert sorted(weights.clear("net", dry_run=True)) == sorted(ours)
    assert all(path.exists() for path in ours)
    assert sorted(weights.clear()) == sorted(ours)
    assert sorted(cached.parent.iterdir()) == sorted(theirs)
    for path in theirs:
        path.unlink()
    assert weights.clear() == []
    assert not cached.parent.exists()
    assert weights.clear() == []


def test_missing_is_told_by_verify(net: Entry) -> None:
    with pytest.raises(weights.NotDownloadedError, match=r"numgrad weights download net.v1"):
        weights.verify("net")


# ---- folders that cannot be written


def test_unwritable_folder_is_told(net: Entry, fetch: Fetch, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(weights.CacheError, match=r"cannot write .*a-00000000.pth: Read-only.*NUMGRAD_HOME") as caught:
        fetch()
    assert caught.value.errno == errno.EROFS


def test_home_is_a_file(net: Entry, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(weights.CacheError, match="Not a directory"):
        fetch()


READ_ONLY = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
from numgrad.weights import CacheError, entries, store
entries.data_folder = lambda: Path(sys.argv[1])
try:
    print(store.fetch("net", progress=False))
except CacheError as error:
    print("CacheError", error)
"""


def test_really_read_only_folder(
    net: Entry, fetch: Fetch, cached: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    # chmod does not stop root, so that the folder is mounted read-only in a mount namespace of the child's own.
    remount = f'mount --bind {cached.parent} {cached.parent} && mount -o remount,bind,ro {cached.parent} && exec "$@"'
    wrap = ("unshare", "--mount", "sh", "-c", remount, "sh")
    cached.parent.mkdir(parents=True)
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a folder read-only (needs `unshare --mount`)")
    code = READ_ONLY.format(root=str(ROOT))
    out, _ = child(code=code, wrap=wrap).communicate(timeout=20)
    assert "CacheError cannot write" in out
    assert "Read-only file system" in out
    fetch()
    out, _ = child(code=code, wrap=wrap).communicate(timeout=20)
    assert out.strip() == str(cached)


def test_too_little_room_is_told_before_the_download(
    net: Entry, fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=1000))
    with pytest.raises(weights.CacheError, match="3 MB are needed, 0 MB are free"):
        fetch()
    assert server.requests == []


def test_without_locks_nothing_is_shared(
    net: Entry, fetch: Fetch, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_take", none)
    theirs = cached.with_name(cached.name + ".part")
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"another process's half")
    assert fetch().read_bytes() == BODY
    assert theirs.read_bytes() == b"another process's half"
    assert not list(cached.parent.glob("*.[0-9]*.part"))


def test_two_threads_download_once(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cached] * 4
    assert len(server.requests) == 1


# ---- what the user sees


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_progress_bar(
    net: Entry, fetch: Fetch, with_tqdm: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    fetch(progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a-00000000.pth: 100%" in shown.err
    assert "3.1" in shown.err
    fetch(progress=True)
    assert capsys.readouterr().err == ""


def test_no_bar_without_a_terminal(net: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    store.fetch("net", policy=QUICK)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert type(progress.make_bar("x", 1, 0, show=None)) is progress.Line
    monkeypatch.setenv("NUMGRAD_PROGRESS", "0")
    assert type(progress.make_bar("x", 1, 0, show=None)) is progress.Bar


def test_plain_bar_counts_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    bar = progress.Line("x", 2_000_000, 500_000)
    bar.update(500_000)
    bar.reset()
    bar.update(2_000_000)
    bar.close()
    assert shown.getvalue() == "\rx:  50% of 2.0 MB\rx: 100% of 2.0 MB\n"


def test_all_sources_fail(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    server.on("/a.pth", status(403))
    server.on("/mirror", status(404))
    with pytest.raises(weights.DownloadError) as caught:
        fetch()
    for part in ("/a.pth: HTTP 403", "/mirror: HTTP 404", str(cached), str(net.sources[0].sha256), "by hand"):
        assert part in str(caught.value)
    assert len(server.requests) == 2
    assert not list(cached.parent.iterdir())


def test_user_agent_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    download.user_agent.cache_clear()
    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert download.user_agent() == "numgrad/checkout"
    download.user_agent.cache_clear()
