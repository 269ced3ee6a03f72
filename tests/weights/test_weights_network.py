"""Servers that fail in every way: fail over, try again, continue, or give up with a reason."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from weights_loopback import BODY, MIRROR_BODY, QUICK, Server, cut, row_toml, serve, source_toml, stall, status

from numgrad import weights
from numgrad.weights import Entry, Policy, download

Fetch = Callable[..., Path]


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_refusals_go_to_the_mirror_at_once(net: Entry, fetch: Fetch, server: Server, code: int) -> None:
    server.on("/a.pth", status(code))
    assert fetch().read_bytes() == MIRROR_BODY
    assert len(server.asked("/a.pth")) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(net: Entry, fetch: Fetch, server: Server, code: int) -> None:
    server.on("/a.pth", status(code), status(code), serve(BODY))
    assert fetch().read_bytes() == BODY
    assert len(server.asked("/a.pth")) == 3
    assert server.asked("/mirror") == []


def test_passing_failures_that_do_not_pass(
    net: Entry, fetch: Fetch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "numgrad.weights")
    server.on("/a.pth", status(503))
    assert fetch().read_bytes() == MIRROR_BODY
    assert len(server.asked("/a.pth")) == QUICK.tries
    assert caplog.text.count("/a.pth: HTTP 503 Service Unavailable\n") == QUICK.tries


def test_second_url_of_one_file(install: Callable[..., Entry], fetch: Fetch, server: Server) -> None:
    urls = server.on("/1", status(404)), server.on("/2", serve(BODY))
    install(row_toml("net.v1", source_toml("a.pth", BODY, *urls)))
    assert fetch().read_bytes() == BODY


def test_dead_server(install: Callable[..., Entry], fetch: Fetch, server: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    install(row_toml("net.v1", source_toml("a.pth", BODY, dead, server.on("/2", serve(BODY)))))
    assert fetch().read_bytes() == BODY


def test_retry_after_is_heeded(net: Entry, fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.on("/a.pth", status(429, Retry_After="7"), status(429, Retry_After="9999"), serve(BODY))
    fetch()
    assert waits == [7.0, 30.0]


def test_waits_double(net: Entry, fetch: Fetch, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.on("/a.pth", status(503), status(503), status(503), serve(BODY))
    fetch(policy=Policy(tries=4, backoff=1.0))
    assert waits == [1.0, 2.0, 4.0]


def test_silent_server_past_the_timeout(net: Entry, fetch: Fetch, server: Server) -> None:
    server.on("/a.pth", stall(BODY, 0, server.ended))
    assert fetch(policy=Policy(read_timeout=0.2, tries=1)).read_bytes() == MIRROR_BODY


def test_silence_in_the_middle_continues(
    net: Entry, fetch: Fetch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "numgrad.weights")
    server.on("/a.pth", stall(BODY, 1 << 20, server.ended), serve(BODY))
    assert fetch().read_bytes() == BODY
    assert "no data for 0.4 s" in caplog.text
    first, second = server.asked("/a.pth")
    assert "Range" not in first
    assert second["Range"] == f"bytes={1 << 20}-"


def test_no_connection_within_the_timeout(install: Callable[..., Entry], fetch: Fetch) -> None:
    # A full backlog: the kernel drops further connection requests.
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            other = sockets.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/a"
        install(row_toml("net.v1", source_toml("a.pth", BODY, url)))
        with pytest.raises(weights.DownloadError, match=r"no connection within 0.2 s"):
            fetch(policy=Policy(connect_timeout=0.2, read_timeout=0.2, tries=1))


@pytest.mark.parametrize("told", [True, False])
def test_truncated_body_continues(net: Entry, fetch: Fetch, server: Server, told: bool) -> None:
    server.on("/a.pth", cut(BODY, 1_000_000, told=told), serve(BODY))
    assert fetch().read_bytes() == BODY
    asked = server.asked("/a.pth")[1]["Range"]
    assert 0 < int(asked.removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_truncated_body_from_a_server_without_ranges(net: Entry, fetch: Fetch, server: Server) -> None:
    server.on("/a.pth", cut(BODY, 1_000_000), serve(BODY, ranges=False))
    assert fetch().read_bytes() == BODY
    assert len(server.asked("/a.pth")) == 2


def test_progress_renews_patience(net: Entry, fetch: Fetch, server: Server) -> None:
    def some(request: BaseHTTPRequestHandler) -> None:  # 512 KiB a time: more tries than are allowed to fail in a row
        headers = request.headers
        start = int((headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        request.send_header("Content-Length", str(len(BODY) - start))
        request.end_headers()
        request.wfile.write(BODY[start : start + (1 << 19)])
        request.close_connection = True

    server.on("/a.pth", some)
    assert fetch().read_bytes() == BODY
    assert len(server.asked("/a.pth")) == 6


def test_no_progress_ends(net: Entry, fetch: Fetch, server: Server) -> None:
    server.on("/a.pth", cut(BODY, 1_000_000))
    assert fetch().read_bytes() == MIRROR_BODY
    assert len(server.asked("/a.pth")) <= QUICK.tries + 1


def test_wrong_hash_is_not_asked_for_twice(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    server.on("/a.pth", serve(BODY[::-1]))
    assert fetch().read_bytes() == MIRROR_BODY
    assert len(server.asked("/a.pth")) == 1
    assert not cached.exists()
    assert os.listdir(cached.parent) == ["b.safetensors"]


def test_wrong_hash_everywhere(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    server.on("/a.pth", serve(BODY[::-1]))
    server.on("/mirror", status(404))
    with pytest.raises(weights.HashMismatchError) as caught:
        fetch()
    for part in ("/a.pth: wrong bytes: SHA-256 is ", str(net.sources[0].sha256), "/mirror: HTTP 404", str(cached)):
        assert part in str(caught.value)
    assert not list(cached.parent.iterdir())


@pytest.mark.parametrize("body", [BODY + b"x", BODY[:-1], b"<html>please log in</html>"])
def test_wrong_length_is_refused_before_the_body(
    net: Entry, fetch: Fetch, server: Server, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "numgrad.weights")
    server.on("/a.pth", serve(body))
    assert fetch().read_bytes() == MIRROR_BODY
    assert f"offers {len(body)} bytes, expected {len(BODY)}" in caplog.text


@pytest.mark.parametrize("exact", [True, False])
def test_endless_body_is_cut_off(install: Callable[..., Entry], fetch: Fetch, server: Server, exact: bool) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not server.ended.is_set():
            request.wfile.write(bytes(1 << 16))

    url = server.on("/endless", endless)
    install(row_toml("net.v1", source_toml("a.pth", BODY, url, size=None if exact else len(BODY))))
    with pytest.raises(weights.DownloadError, match="sends more than"):
        fetch()


def test_size_known_only_roughly(install: Callable[..., Entry], fetch: Fetch, server: Server) -> None:
    install(row_toml("net.v1", source_toml("a.pth", BODY, server.on("/a", serve(BODY)), size=len(BODY) - 500)))
    assert fetch().read_bytes() == BODY


@pytest.mark.parametrize("exact", [True, False])
def test_empty_body(install: Callable[..., Entry], fetch: Fetch, server: Server, exact: bool) -> None:
    url = server.on("/a", cut(BODY, 0, told=False), serve(BODY))
    install(row_toml("net.v1", source_toml("a.pth", BODY, url, size=None if exact else len(BODY))))
    assert fetch().read_bytes() == BODY


def test_redirect_is_followed(net: Entry, fetch: Fetch, server: Server) -> None:
    server.on("/a.pth", status(302, Location="/elsewhere"))
    server.on("/elsewhere", cut(BODY, 1_000_000), serve(BODY))
    assert fetch().read_bytes() == BODY
    assert "Range" in server.asked("/elsewhere")[1]


# ---- what an earlier run left behind


def left(cached: Path, content: bytes) -> Path:
    cached.parent.mkdir(parents=True, exist_ok=True)
    part = cached.with_name(cached.name + ".part")
    part.write_bytes(content)
    return part


def test_half_is_continued(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    part = left(cached, BODY[:2_000_000])
    assert fetch().read_bytes() == BODY
    assert server.asked("/a.pth")[0]["Range"] == "bytes=2000000-"
    assert not part.exists()


def test_whole_is_taken_without_a_request(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    left(cached, BODY)
    assert fetch().read_bytes() == BODY
    assert server.requests == []


@pytest.mark.parametrize("size", [2_000_000, len(BODY), len(BODY) + 10])
def test_wrong_half_is_thrown_away(net: Entry, fetch: Fetch, server: Server, cached: Path, size: int) -> None:
    left(cached, bytes(size))
    assert fetch().read_bytes() == BODY
    assert "Range" not in server.asked("/a.pth")[-1]


def test_force_ignores_what_was_left(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    left(cached, BODY[:2_000_000])
    assert fetch(force=True).read_bytes() == BODY
    assert "Range" not in server.asked("/a.pth")[0]


def test_range_not_satisfiable(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    left(cached, BODY[:2_000_000])
    server.on("/a.pth", status(416), serve(BODY))
    assert fetch().read_bytes() == BODY
    assert "Range" not in server.asked("/a.pth")[1]


def test_another_range_than_asked_for(net: Entry, fetch: Fetch, server: Server, cached: Path) -> None:
    def beside(request: BaseHTTPRequestHandler) -> None:
        request.send_response(206)
        request.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        request.wfile.write(BODY)

    left(cached, BODY[:2_000_000])
    server.on("/a.pth", beside, serve(BODY))
    assert fetch().read_bytes() == BODY


def test_interrupt_keeps_the_half(
    net: Entry, fetch: Fetch, server: Server, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = threading.Event()
    server.on("/a.pth", stall(BODY, 1 << 20, until), serve(BODY))
    write = download._Sink.write

    def interrupted(self: download._Sink, data: bytes) -> int:
        if self.size:
            raise KeyboardInterrupt
        return write(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(download._Sink, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    until.set()
    assert cached.with_name(cached.name + ".part").stat().st_size == 1 << 18
    assert fetch().read_bytes() == BODY
    assert server.asked("/a.pth")[1]["Range"] == f"bytes={1 << 18}-"
