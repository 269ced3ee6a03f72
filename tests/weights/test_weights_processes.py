"""Several processes, some of which die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_loopback import BODY, Server, serve, stall, wait_until

from numgrad import weights
from numgrad.weights import Entry, lock

Child = Callable[..., "subprocess.Popen[str]"]
Fetch = Callable[..., Path]


def test_killed_in_the_middle_then_continued(
    net: Entry, fetch: Fetch, server: Server, cached: Path, child: Child
) -> None:
    server.on("/a.pth", stall(BODY, 2 << 20, server.ended), serve(BODY))
    part = cached.with_name(cached.name + ".part")
    process = child()
    wait_until(lambda: part.exists() and part.stat().st_size == 2 << 20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not cached.exists()
    assert weights.cached_path("net") is None
    assert part.read_bytes() == BODY[: 2 << 20]
    assert fetch() == cached
    assert cached.read_bytes() == BODY
    assert server.asked("/a.pth")[1]["Range"] == f"bytes={2 << 20}-"
    assert os.listdir(cached.parent) == [cached.name]


def test_two_processes_download_once(net: Entry, server: Server, cached: Path, child: Child) -> None:
    go_on = threading.Event()
    server.on("/a.pth", stall(BODY, 1 << 20, go_on))
    first = child()
    wait_until(lambda: server.requests)
    second = child()
    assert second.stderr is not None
    assert "waiting for another process that is downloading a-00000000.pth" in second.stderr.readline()
    go_on.set()
    outputs = [process.communicate(timeout=20)[0] for process in (first, second)]
    assert outputs == [f"ready\n{cached}\n"] * 2
    assert len(server.requests) == 1
    assert os.listdir(cached.parent) == [cached.name]


def test_the_waiting_process_goes_on_where_the_killed_one_stopped(
    net: Entry, server: Server, cached: Path, child: Child
) -> None:
    server.on("/a.pth", stall(BODY, 1 << 20, server.ended), serve(BODY))
    part = cached.with_name(cached.name + ".part")
    first = child()
    wait_until(lambda: part.exists() and part.stat().st_size == 1 << 20)
    second = child()
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    first.kill()
    output, _ = second.communicate(timeout=20)
    assert output == f"ready\n{cached}\n"
    assert server.asked("/a.pth")[1]["Range"] == f"bytes={1 << 20}-"
    assert cached.read_bytes() == BODY


def test_a_reader_never_sees_half_a_file(net: Entry, server: Server, cached: Path, child: Child) -> None:
    go_on = threading.Event()
    server.on("/a.pth", stall(BODY, 1 << 20, go_on))
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"corrupt")
    process = child()
    wait_until(lambda: server.requests)
    assert cached.read_bytes() == b"corrupt"
    go_on.set()
    wait_until(lambda: cached.read_bytes() != b"corrupt")
    assert cached.read_bytes() == BODY
    process.communicate(timeout=20)


@pytest.mark.skipif(os.name != "posix", reason="file size limits are a POSIX matter")
def test_full_disk_is_told_and_left_clean(net: Entry, cached: Path, child: Child) -> None:
    # Past the limit the kernel answers a write as a full disk does, with an error (EFBIG for ENOSPC).
    process = child("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))")
    output, errors = process.communicate(timeout=20)
    assert output == "ready\n"
    assert "CacheError: cannot write" in errors
    assert "File too large" in errors
    assert "NUMGRAD_HOME" in errors
    assert not list(cached.parent.iterdir())


def test_really_full_disk(net: Entry, cached: Path, child: Child) -> None:
    cached.parent.mkdir(parents=True)
    wrap = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=1m tmpfs {cached.parent} && exec "$@"', "sh")
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount a small file system (needs `unshare --mount`)")
    # Without the look at the free room, so that the disk fills up in the middle.
    process = child("store._require_room = lambda *_: None", wrap=wrap)
    _, errors = process.communicate(timeout=20)
    assert "CacheError: cannot write" in errors
    assert "No space left on device" in errors


def test_lock_excludes(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(5):
            with lock.exclusive(path) as alone:
                assert alone
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.002)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not path.exists()


def test_lock_on_a_removed_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder removes the file between our opening it and our locking it: a lock on it would exclude nobody."""
    path = tmp_path / "x.lock"
    take = lock._take
    tries: list[int] = []

    def removed_meanwhile(handle: int) -> bool:
        if not tries:
            path.unlink()
        tries.append(handle)
        return take(handle)

    monkeypatch.setattr(lock, "_take", removed_meanwhile)
    with lock.exclusive(path) as alone:
        assert alone
        assert len(tries) == 2
        assert path.exists()


def test_a_lock_file_left_behind_is_no_obstacle(net: Entry, fetch: Fetch, cached: Path) -> None:
    cached.parent.mkdir(parents=True)
    cached.with_name(cached.name + ".lock").touch()
    assert fetch() == cached
    assert os.listdir(cached.parent) == [cached.name]
