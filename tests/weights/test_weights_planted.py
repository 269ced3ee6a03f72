"""What others may put beside the weights in a folder that they can write: links to files of the user, and pipes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_loopback import BODY, Server

from numgrad.weights import Entry, lock

Fetch = Callable[..., Path]

pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system's links are another matter")


@pytest.fixture
def victim(tmp_path: Path, cached: Path) -> Path:
    cached.parent.mkdir(parents=True)
    path = tmp_path / "victim"
    path.write_bytes(b"precious" * 10)
    return path


def check(cached: Path, fetched: Path, victim: Path) -> None:
    assert fetched == cached
    assert cached.read_bytes() == BODY
    assert not cached.is_symlink()
    assert cached.stat().st_nlink == 1
    assert victim.read_bytes() == b"precious" * 10
    assert os.listdir(cached.parent) == [cached.name]


@pytest.mark.parametrize("suffix", ["part", "lock"])
@pytest.mark.parametrize("kind", ["symbolic", "hard", "dangling"])
def test_links_are_not_followed(
    suffix: str, kind: str, net: Entry, fetch: Fetch, cached: Path, victim: Path, tmp_path: Path
) -> None:
    planted = cached.with_name(f"{cached.name}.{suffix}")
    if kind == "hard":
        os.link(victim, planted)
    else:
        planted.symlink_to(victim if kind == "symbolic" else tmp_path / "nothing")
    check(cached, fetch(), victim)
    assert not (tmp_path / "nothing").exists()


def test_a_link_to_a_whole_file_is_no_download(
    net: Entry, fetch: Fetch, cached: Path, victim: Path, server: Server
) -> None:
    """As long as the file: nothing would have to be asked for, and the link would get the file's name."""
    victim.write_bytes(BODY)
    cached.with_name(f"{cached.name}.part").symlink_to(victim)
    assert fetch() == cached
    assert not cached.is_symlink()
    assert victim.read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_link_in_the_place_of_the_file_is_replaced(net: Entry, fetch: Fetch, cached: Path, victim: Path) -> None:
    cached.symlink_to(victim)
    check(cached, fetch(), victim)


def test_a_pipe_is_no_part(net: Entry, fetch: Fetch, cached: Path, victim: Path) -> None:
    os.mkfifo(cached.with_name(f"{cached.name}.part"))
    check(cached, fetch(), victim)


def test_what_an_earlier_try_left_is_continued(
    net: Entry, fetch: Fetch, cached: Path, victim: Path, server: Server
) -> None:
    cached.with_name(f"{cached.name}.part").write_bytes(BODY[:1000])
    check(cached, fetch(), victim)
    assert server.asked("/a.pth")[0]["Range"] == "bytes=1000-"


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files away")
def test_a_part_of_another_user_is_not_continued(
    net: Entry, fetch: Fetch, cached: Path, victim: Path, server: Server
) -> None:
    part = cached.with_name(f"{cached.name}.part")
    part.write_bytes(BODY[:1000])
    os.chown(part, 12345, -1)
    check(cached, fetch(), victim)
    assert "Range" not in server.asked("/a.pth")[0]
    assert cached.stat().st_uid == 0


@pytest.mark.parametrize(("mode", "warned"), [(0o777, True), (0o1777, False), (0o775, False), (0o700, False)])
def test_a_folder_that_all_can_write_is_told(
    mode: int, warned: bool, net: Entry, fetch: Fetch, cached: Path, victim: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached.parent.chmod(mode)
    check(cached, fetch(), victim)
    assert ("can be written by all users" in caplog.text) == warned


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), lock.exclusive(tmp_path / "no" / "folder.lock"):
        pass
